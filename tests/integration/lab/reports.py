# SPDX-License-Identifier: BSD-2-Clause
"""Aggregate reports as they arrive, and assay report to send them with."""

import email
import gzip
import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree

from .assayd import program
from .mail import Key

NAMESPACE = "{urn:ietf:params:xml:ns:dmarc-2.0}"
REPORTER = "rcpt.example"  # who receives mail reports as this
EMAIL = f"dmarc-noreply@{REPORTER}"


def reporter_key():
    return Key(REPORTER, "report1")


def key_section(folder, key):
    """The setting dkim_key for it, as text of a configuration."""
    path = os.path.join(folder, "report1.pem")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
        f.write(key.private)
    return (f'dkim_key "reports" {{\n\tdomain = {key.domain}\n\tselector = {key.selector}\n'
            f'\tkey_file = "{path}"\n}}\n')


def assay_report(conf, *arguments, time=None, timeout=60):
    """Runs it; .text is all it said."""
    more = ["--time", str(time)] if time else []
    run = subprocess.run([program("assay"), "report", *arguments, "--config", conf, *more], capture_output=True,
                         timeout=timeout, check=False)
    run.text = run.stdout.decode() + run.stderr.decode()
    return run


class Report:
    """A message with an aggregate report in it."""

    def __init__(self, raw):
        self.message = email.message_from_bytes(raw)
        part = next(p for p in self.message.walk() if p.get_content_type() == "application/gzip")
        self.file_name = part.get_filename()
        self.xml = gzip.decompress(part.get_payload(decode=True))
        self.root = ElementTree.fromstring(self.xml)
        self.report_id = self.text("report_metadata/report_id")

    def _path(self, path):
        space = NAMESPACE if self.root.tag.startswith("{") else ""
        return "/".join(space + step for step in path.split("/"))

    def text(self, path, under=None):
        return (self.root if under is None else under).findtext(self._path(path))

    def rows(self):
        """(address, disposition, DKIM, SPF, author domain) -> messages."""
        found = {}
        for record in self.root.iterfind(self._path("record")):
            key = tuple(self.text(path, record) for path in (
                "row/source_ip", "row/policy_evaluated/disposition", "row/policy_evaluated/dkim",
                "row/policy_evaluated/spf", "identifiers/header_from"))
            found[key] = found.get(key, 0) + int(self.text("row/count", record))
        return found

    def authentication(self, host):
        """Our own Authentication-Results, unfolded; empty: none."""
        for value in self.message.get_all("Authentication-Results", []):
            value = re.sub(r"\s+", " ", str(value))
            if value.split(";")[0].strip() == host:
                return value
        return ""
