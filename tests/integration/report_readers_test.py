#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Our reports in the hands of readers that are not ours: dmarc-cat and Mail::DMARC (Debian's dmarc-cat and
libmail-dmarc-perl), and Python's own email and XML packages. Both formats of the aggregate report, as whole
messages; failure reports from tests/golden.

dmarc-cat reads the attachments as they are. Debian 12's Mail::DMARC knows no namespace, which every report
after RFC 9990 has: it is given that one with the namespace taken off, and the other as it is."""

import email
import email.policy
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

SOURCE = os.environ.get("ASSAY_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("ASSAY_BUILD", os.path.join(SOURCE, "build"))
NAMESPACE = "{urn:ietf:params:xml:ns:dmarc-2.0}"
REPORT_ID = "00112233445566778899aabbccddeeff"
FILE_NAME = f"receiver.example!example.com!1795564800!1795651199!{REPORT_ID}.xml.gz"
COUNTS = [1234, 7, 3, 1]
checks = 0


def check(what, got, want):
    global checks
    checks += 1
    if got != want:
        sys.exit(f"FAIL {what}\n  got   {got!r}\n  want  {want!r}")


def read_message(path):
    with open(path, "rb") as f:
        return email.message_from_binary_file(f, policy=email.policy.default)


# ---- Python ----


def aggregate_by_python(path, namespace):
    message = read_message(path)
    check("defects of the message", [str(d) for part in message.walk() for d in part.defects], [])
    check("media type", message.get_content_type(), "multipart/mixed")
    check("parts", [p.get_content_type() for p in message.iter_parts()], ["text/plain", "application/gzip"])
    # RFC 9990 3.5.2: dmarc-subject
    subject = re.fullmatch(r"Report\s+Domain:\s+(\S+)\s+Submitter:\s+(\S+)\s+Report-ID:\s+<(\S+)>", message["Subject"])
    check("subject", subject and subject.groups(), ("example.com", "receiver.example", REPORT_ID))
    check("Auto-Submitted", message["Auto-Submitted"], "auto-generated")
    check("From", message["From"].addresses[0].addr_spec, "dmarc@receiver.example")
    attachment = list(message.iter_attachments())[-1]
    check("file name", attachment.get_filename(), FILE_NAME)
    xml = gzip.decompress(attachment.get_content())
    root = ElementTree.fromstring(xml)
    check("root", root.tag, namespace + "feedback")
    check("Report-ID", root.findtext(f"{namespace}report_metadata/{namespace}report_id"), REPORT_ID)
    counts = [int(n.text) for n in root.iter(namespace + "count")]
    check("counts", counts, COUNTS)
    with open(os.path.join(os.path.dirname(path), FILE_NAME), "wb") as f:
        f.write(attachment.get_content())
    return xml


# ---- dmarc-cat ----


def aggregate_by_dmarc_cat(folder):
    """The file that was attached last, under its name, which is looked at, too."""
    run = subprocess.run(["dmarc-cat", "-N", os.path.join(folder, FILE_NAME)], capture_output=True, text=True)
    check("status", (run.returncode, run.stderr), (0, ""))
    for want in ("Reporting by: Receiver & Söhne — postmaster@receiver.example\n",
                 "From 2026-11-25 00:00:00 +0000 UTC to 2026-11-25 23:59:59 +0000 UTC\n",
                 "Domain: example.com\n", "Reports(4):\n"):
        check(f"{want!r} is there", want in run.stdout, True)
    rows = [line.split() for line in run.stdout.split("RSPF", 1)[1].splitlines() if line.strip()]
    check("addresses and counts", [(r[0], int(r[1])) for r in rows],
          list(zip(["192.0.2.1", "2001:db8::1", "198.51.100.25", "203.0.113.200"], COUNTS)))
    check("author domains", [r[2] for r in rows], ["example.com", "sub.example.com", "example.com", "example.com"])


# ---- Mail::DMARC ----

PERL = r"""
use strict; use warnings;
use Email::Simple; use JSON::PP;
use Mail::DMARC::Report::Receive;
my @complaints;
local $SIG{__WARN__} = sub { push @complaints, $_[0] };
# What it would put into its database, we want to see.
no warnings 'redefine';
*Mail::DMARC::Report::save_aggregate = sub { 1 };
my $reader = Mail::DMARC::Report::Receive->new;
open my $f, '<', $ARGV[0] or die; local $/; my $text = <$f>;
open my $quiet, '>', '/dev/null'; my $old = select $quiet;
my $type;
if ($ARGV[1] eq 'message') { $type = $reader->from_email_simple(Email::Simple->new($text)); }
else { $reader->report->init(); $type = 'aggregate'; $reader->handle_body($text); }
select $old;
my $a = $reader->report->aggregate;
my $m = $a->metadata;
print encode_json({
    type => $type, complaints => \@complaints, report_id => $m->report_id, org => $m->org_name,
    begin => $m->begin, end => $m->end, errors => $m->error, email => $m->email,
    policy => { %{ $a->policy_published } },
    records => [ map { {
        count => 0 + $_->row->count, source => $_->row->source_ip,
        disposition => $_->row->policy_evaluated->disposition,
        dkim => $_->row->policy_evaluated->dkim, spf => $_->row->policy_evaluated->spf,
        reasons => [ map { $_->{type} } @{ $_->row->policy_evaluated->reason || [] } ],
        header_from => $_->identifiers->header_from, envelope_from => $_->identifiers->envelope_from,
        signatures => scalar @{ $_->auth_results->dkim || [] },
        spf_results => scalar @{ $_->auth_results->spf || [] },
    } } @{ $a->record } ],
});
"""


def have_mail_dmarc():
    run = subprocess.run(["perl", "-MMail::DMARC::Report::Receive", "-e1"], capture_output=True)
    return run.returncode == 0


def by_mail_dmarc(path, kind):
    run = subprocess.run(["perl", "-e", PERL, path, kind], capture_output=True, cwd=os.path.dirname(path))
    if run.returncode != 0:
        sys.exit(f"FAIL Mail::DMARC on {path}: {run.stderr.decode()}")
    return json.loads(run.stdout)


def aggregate_by_mail_dmarc(path, kind, dispositions):
    got = by_mail_dmarc(path, kind)
    check("complaints", got["complaints"], [])
    check("kind of report", got["type"], "aggregate")
    check("Report-ID", got["report_id"], REPORT_ID)
    check("period", [int(got["begin"]), int(got["end"])], [1795564800, 1795651199])
    check("organization", got["org"], "Receiver & Söhne")
    check("policy", {k: got["policy"].get(k) for k in ("domain", "p", "sp", "adkim", "aspf")},
          {"domain": "example.com", "p": "reject", "sp": "quarantine", "adkim": "r", "aspf": "s"})
    records = got["records"]
    check("counts", [r["count"] for r in records], COUNTS)
    check("addresses", [r["source"] for r in records], ["192.0.2.1", "2001:db8::1", "198.51.100.25", "203.0.113.200"])
    check("dispositions", [r["disposition"] for r in records], dispositions)
    check("DKIM", [r["dkim"] for r in records], ["pass", "fail", "fail", "fail"])
    check("signatures", [r["signatures"] for r in records], [2, 5, 0, 1])
    check("reasons", [len(r["reasons"]) for r in records], [0, 4, 0, 1])
    check("null reverse-path", records[2]["envelope_from"] or "", "")
    check("author domains", [r["header_from"] for r in records],
          ["example.com", "sub.example.com", "example.com", "example.com"])


# ---- failure reports ----


def failure_by_python(name):
    message = read_message(os.path.join(SOURCE, "tests", "golden", name))
    check("defects", [str(d) for part in message.walk() for d in part.defects], [])
    check("media type", (message.get_content_type(), message["Content-Type"].params["report-type"]),
          ("multipart/report", "feedback-report"))
    parts = list(message.iter_parts())
    check("parts", [p.get_content_type() for p in parts],
          ["text/plain", "message/feedback-report", "text/rfc822-headers"])
    fields = parts[1].get_payload()[0]  # a message/* part is a message to Python
    for required in ("Feedback-Type", "User-Agent", "Version", "Auth-Failure", "Authentication-Results",
                     "Identity-Alignment", "Reported-Domain", "Source-IP"):
        check(f"{name}: {required}", len(fields.get_all(required, [])), 1)
    check("Feedback-Type", fields["Feedback-Type"], "auth-failure")
    check("subject", message["Subject"].startswith("FW: "), True)
    header = email.message_from_string(parts[2].get_content(), policy=email.policy.default)
    check("defects of the header", [str(d) for d in header.defects], [])
    return fields, header


def failures():
    fields, header = failure_by_python("failure-redacted.eml")
    check("Auth-Failure", fields["Auth-Failure"], "dmarc")
    check("Identity-Alignment", fields["Identity-Alignment"], "dkim, spf")
    check("Incidents", fields["Incidents"], "12")
    check("DKIM-Domain", fields["DKIM-Domain"], "author.example")
    check("To", [a.domain for a in header["To"].addresses], ["receiver.example", "receiver.example"])
    check("Subject", header["Subject"], "[redacted]")
    for name in ("From", "To", "Cc", "Sender", "Reply-To"):
        check(f"defects of {name}", [str(d) for d in header[name].defects], [])
    check("From", header["From"].addresses[0].domain, "author.example")
    fields, header = failure_by_python("failure-open.eml")
    check("To", header["To"].addresses[0].addr_spec, "bob.smith@receiver.example")
    fields, _ = failure_by_python("failure-spf.eml")
    check("Auth-Failure", fields["Auth-Failure"], "spf")
    check("SPF-DNS", fields["SPF-DNS"], 'txt : author.example : "v=spf1 ip4:192.0.2.1 -all"')
    fields, _ = failure_by_python("failure-dkim.eml")
    check("Auth-Failure", fields["Auth-Failure"], "signature")
    check("DKIM-Selector", fields["DKIM-Selector"], "sel")


def main():
    with tempfile.TemporaryDirectory(prefix="assay-readers-") as folder:
        subprocess.run([os.path.join(BUILD, "tests", "integration", "report_sample"), folder], check=True)
        new, old = os.path.join(folder, "rfc9990.eml"), os.path.join(folder, "rfc7489.eml")
        for path, namespace in ((old, ""), (new, NAMESPACE)):
            xml = aggregate_by_python(path, namespace)
            if shutil.which("dmarc-cat") is not None:
                aggregate_by_dmarc_cat(folder)
        failures()
        print(f"Python's email and xml, dmarc-cat: {checks} checks")
        if shutil.which("dmarc-cat") is None:
            print("dmarc-cat: skipped, it is not installed")
            return 77
        if not have_mail_dmarc():
            print("Mail::DMARC: skipped, libmail-dmarc-perl is not installed")
            return 77
        before = checks
        aggregate_by_mail_dmarc(old, "message", ["none", "none", "reject", "quarantine"])
        plain = os.path.join(folder, "plain.xml")
        with open(plain, "wb") as f:
            f.write(xml.replace(b' xmlns="urn:ietf:params:xml:ns:dmarc-2.0"', b""))
        # It knows no "pass" and takes it for "none".
        aggregate_by_mail_dmarc(plain, "xml", ["none", "none", "reject", "quarantine"])
        print(f"Mail::DMARC: {checks - before} checks, no complaint")
    return 0


if __name__ == "__main__":
    sys.exit(main())
