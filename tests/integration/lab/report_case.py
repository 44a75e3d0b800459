# SPDX-License-Identifier: BSD-2-Clause
"""A report store of its own with rows put in by hand, the real assay report on it, and what it sent."""

import email
import gzip
import html
import os
import re
import subprocess

from .assayd import program

DAY = 86400
AT = 1795651200  # in the period that is reported
NOW = AT + DAY + 3600
ZONE_HEAD = """. 300 IN SOA ns.lab.example. hostmaster.lab.example. 1 3600 600 86400 300
. 300 IN NS ns.lab.example.
ns.lab.example. IN A 127.0.0.1
"""


def zone_of(domains, providers=None):
    """d1.example, d2.example, ...: each with an MX, in a domain of its own or of its provider, and a policy."""
    return "".join(
        f"d{i}.example. IN MX 10 mx.{(providers or {}).get(i, f'd{i}')}.example.\n"
        f'_dmarc.d{i}.example. IN TXT "v=DMARC1; p=reject"\n' for i in range(1, domains + 1))


class Case:
    """url: of the mail server. write() the configuration anew as often as is needed."""

    serial = 0

    def __init__(self, folder, dns_port, url, settings=""):
        Case.serial += 1
        self.folder = os.path.join(folder, str(Case.serial))
        os.mkdir(self.folder)
        self.file = os.path.join(self.folder, "reports.sqlite")
        self.conf = os.path.join(self.folder, "assay.conf")
        self.now = NOW
        self.dns_port = dns_port
        self.write(url, settings)
        self.fill(0, 0, 0)  # as assayd makes it

    def write(self, url, settings=""):
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(f'report_store = "{self.file}"\nhostname = mx.us.example\nreport_server = "{url}"\n'
                    'report_org_name = "Us"\nreport_email = "dmarc@us.example"\n'
                    f'dns_mode = forward\ndns_forwarders = {{ "127.0.0.1@{self.dns_port}" }}\n{settings}')

    def fill(self, domains, rows, count, rua="", at=AT, answers=0):
        subprocess.run([program("tests/integration/report_fill"), self.file, str(at), str(domains), str(rows),
                        str(count), rua, str(answers)], check=True)
        return self

    def report(self, *arguments, env=None, stdin=b"", timeout=60):
        run = subprocess.run([program("assay"), "report", *arguments, "--config", self.conf, "--time", str(self.now)],
                             input=stdin, capture_output=True, env={**os.environ, **(env or {})}, timeout=timeout)
        run.text = run.stdout.decode() + run.stderr.decode()
        return run

    def send(self, **options):
        return self.report("send", **options)


def message_of(raw):
    """Report-ID, Message-ID, file name and XML."""
    m = email.message_from_bytes(raw)
    part = next(p for p in m.walk() if p.get_content_type() == "application/gzip")
    report_id = re.search(r"Report-ID:\s*<([^>]+)>", m["Subject"]).group(1)
    return report_id, m["Message-ID"], part.get_filename(), gzip.decompress(part.get_payload(decode=True)).decode()


def counted(xml):
    return sum(int(n) for n in re.findall(r"<count>(\d+)</count>", xml))


def error_of(xml):
    found = re.search("<error>(.*?)</error>", xml, re.S)
    return html.unescape(found.group(1)) if found else ""
