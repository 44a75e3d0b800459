#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""assay check from the outside: options, exit statuses, the JSON that others read, record and replay.

Zone text only, nothing else is asked. Exit: 0, or 1 for a failure.
"""

import json
import os
import subprocess
import sys
import tempfile

ASSAY = os.path.join(os.environ.get("ASSAY_BUILD", "."), "assay")

ZONE = """
good.example TXT 300 "v=spf1 ip4:192.0.2.1 exp=why.good.example -all"
why.good.example TXT 300 "%{i} may not send for %{d}"
_dmarc.good.example TXT 300 "v=DMARC1; p=reject; sp=quarantine; np=reject"
sub.good.example A 300 192.0.2.9
slow.example TXT 300 !TIMEOUT
_dmarc.slow.example TXT 300 "v=DMARC1; p=reject"
evil.example TXT 300 "v=spf1 ip4:198.51.100.5 -all"
"""

KEYS = {
    "spf": "result domain scope mechanism lookups void_lookups explanation reason",
    "arc": "result instances reason",
    "dmarc": "result author_domain policy_domain organizational_domain policy discovery spf_aligned "
             "dkim_aligned reason",
    "disposition": "action reply override",
}
SIGNATURE_KEYS = "result domain selector identity algorithm key_bits aligned reason diagnosis"

passed = failed = 0


def expect(name, got, want):
    global passed, failed
    if got == want:
        passed += 1
        return
    failed += 1
    print(f"FAIL {name}\n  got  {got!r}\n  want {want!r}")


def message(author, extra=""):
    return f"From: {author}\r\nSubject: x\r\n{extra}\r\nHello\r\n".encode()


def assay(*arguments, stdin=b""):
    return subprocess.run([ASSAY, "check", *arguments], input=stdin, capture_output=True, timeout=60)


def verdict(*arguments, stdin=b""):
    run = assay("--json", *arguments, stdin=stdin)
    return run.returncode, json.loads(run.stdout)


def check_envelope(zone):
    status, v = verdict("--dns", zone, "--ip", "203.0.113.7", "--helo", "h.example", "--from", "a@good.example")
    expect("SPF alone: status", status, 0)
    expect("SPF alone: result", v["spf"]["result"], "fail")
    expect("SPF alone: mechanism", v["spf"]["mechanism"], "-all")
    expect("SPF alone: explanation", v["spf"]["explanation"], "203.0.113.7 may not send for good.example")
    expect("SPF alone: scope", v["spf"]["scope"], "mfrom")
    expect("SPF alone: no DKIM", v["dkim"], [])
    status, v = verdict("--dns", zone, "--ip", "192.0.2.1", "--helo", "good.example")
    expect("null reverse-path: domain", (v["spf"]["domain"], v["spf"]["result"]), ("good.example", "pass"))


def check_messages(zone):
    base = ["--dns", zone, "--helo", "h.example"]
    rows = [
        ("genuine", ["--ip", "192.0.2.1", "--from", "a@good.example"], "a@good.example", 0, "pass", "accept", None),
        ("forged", ["--ip", "198.51.100.5", "--from", "x@evil.example"], "a@good.example", 1, "fail", "reject",
         "550 5.7.26 "),
        ("forged subdomain", ["--ip", "198.51.100.5", "--from", "x@evil.example"], "a@sub.good.example", 1, "fail",
         "quarantine", None),
        ("subdomain that is not there", ["--ip", "198.51.100.5", "--from", "x@evil.example"], "a@no.good.example", 1,
         "fail", "reject", "550 5.7.26 "),
        ("DNS failure", ["--ip", "192.0.2.1", "--from", "a@slow.example"], "a@slow.example", 75, "temperror",
         "tempfail", "451 4.4.3 "),
        ("two authors", ["--ip", "192.0.2.1", "--from", "a@good.example"], "a@good.example, b@evil.example", 1,
         "permerror", "reject", "550 5.7.1 "),
        ("no policy", ["--ip", "192.0.2.1", "--from", "a@x.example"], "a@x.example", 0, "none", "accept", None),
    ]
    for name, options, author, status, dmarc, action, reply in rows:
        got, v = verdict(*base, *options, "-", stdin=message(author))
        expect(f"{name}: status", got, status)
        expect(f"{name}: dmarc", v["dmarc"]["result"], dmarc)
        expect(f"{name}: action", v["disposition"]["action"], action)
        expect(f"{name}: reply", (v["disposition"]["reply"] or "")[:len(reply or "")], reply or "")
        for section, keys in KEYS.items():
            expect(f"{name}: keys of {section}", set(keys.split()) - set(v[section]), set())
        expect(f"{name}: a field", "dmarc=" + dmarc in v["authentication_results"], True)
    _, v = verdict(*base, "-", stdin=message("a@good.example", "DKIM-Signature: v=1; a=rsa-sha256; d=good.example; "
                                             "s=s; h=From; bh=AA==; b=AA==\r\n"))
    expect("keys of a signature", set(SIGNATURE_KEYS.split()) - set(v["dkim"][0]), set())
    expect("result of a signature", v["dkim"][0]["result"], "fail")


def check_forms(zone, folder):
    """LF and CRLF files, standard input, text for a person."""
    options = ["--dns", zone, "--ip", "198.51.100.5", "--from", "x@evil.example"]
    crlf, lf = os.path.join(folder, "crlf.eml"), os.path.join(folder, "lf.eml")
    with open(crlf, "wb") as f:
        f.write(message("a@good.example"))
    with open(lf, "wb") as f:
        f.write(message("a@good.example").replace(b"\r\n", b"\n"))
    whole = verdict(*options, crlf)
    expect("LF file", verdict(*options, lf), whole)
    expect("standard input", verdict(*options, "-", stdin=message("a@good.example")), whole)
    text = assay(*options, crlf)
    expect("text: status", text.returncode, 1)
    first = text.stdout.decode().split("\n")[0]
    expect("text: the decision comes first", first.startswith("reject: mail from good.example is not authenticated"),
           True)
    for line in ("_dmarc.good.example", "p=reject", "not aligned", "Authentication-Results:"):
        expect(f"text shows {line}", line in text.stdout.decode(), True)


def check_replay(zone, folder):
    """What --record saves gives the same verdict again, with nothing else to ask."""
    saved = os.path.join(folder, "saved.zone")
    for client, sender, author in (("192.0.2.1", "a@good.example", "a@good.example"),
                                   ("203.0.113.7", "a@good.example", "a@good.example"),
                                   ("198.51.100.5", "x@evil.example", "a@sub.good.example"),
                                   ("198.51.100.5", "x@evil.example", "a@no.good.example"),
                                   ("192.0.2.1", "a@slow.example", "a@slow.example")):
        options = ["--ip", client, "--helo", "h.example", "--from", sender, "--time", "1790000000", "-"]
        first = verdict("--dns", zone, "--record", saved, *options, stdin=message(author))
        again = verdict("--dns", saved, *options, stdin=message(author))
        expect(f"replay of {sender} from {client}", again, first)


def check_misuse(zone, folder):
    bad_zone, bad_conf = os.path.join(folder, "bad.zone"), os.path.join(folder, "bad.conf")
    with open(bad_zone, "w") as f:
        f.write('a.example TXT 300 "x"\nb.example TXT soon "x"\n')
    with open(bad_conf, "w") as f:
        f.write("no_such_setting = 1\n")
    rows = [
        ("unknown option", ["--nonsense"], 64, "--nonsense"),
        ("address that is none", ["--ip", "1.2.3"], 64, "1.2.3"),
        ("time that is none", ["--time", "soon"], 64, "soon"),
        ("two messages", ["--dns", zone, "a", "b"], 64, "one message at a time"),
        ("message that is not there", ["--dns", zone, os.path.join(folder, "none.eml")], 65, "none.eml"),
        ("message that is a folder", ["--dns", zone, folder], 65, folder),
        ("zone that is not there", ["--dns", os.path.join(folder, "none.zone")], 65, "none.zone"),
        ("zone without end", ["--dns", "/dev/zero"], 65, "larger"),
        ("zone with a fault", ["--dns", bad_zone], 65, "2"),
        ("configuration that is not there", ["--config", os.path.join(folder, "none.conf")], 65, "none.conf"),
        ("configuration with a fault", ["--config", bad_conf, "--dns", zone], 65, "no_such_setting"),
    ]
    for name, options, status, complaint in rows:
        run = assay(*options)
        expect(f"{name}: status", run.returncode, status)
        expect(f"{name}: nothing on standard output", run.stdout, b"")
        expect(f"{name}: complaint", complaint in run.stderr.decode(), True)
    for form in ([], ["--json"]):
        with open("/dev/full", "wb") as full:
            run = subprocess.run([ASSAY, "check", *form, "--dns", zone], stdout=full, stderr=subprocess.PIPE, timeout=60)
        expect(f"standard output that is full {form}", (run.returncode, b"can't be written" in run.stderr), (70, True))
    expect("--help", (assay("--help").returncode, assay("--help").stderr), (0, b""))


def check_configuration(zone, folder):
    conf = os.path.join(folder, "assay.conf")
    with open(conf, "w") as f:
        f.write('authserv_id = "mx.rcpt.example"\nauthor_domain "good.example" { rule = exempt }\n')
    status, v = verdict("--config", conf, "--dns", zone, "--ip", "198.51.100.5", "--from", "x@evil.example", "-",
                        stdin=message("a@good.example"))
    expect("local rule: status", status, 0)
    expect("local rule: result is not touched", v["dmarc"]["result"], "fail")
    expect("local rule: override", v["disposition"]["override"], "local_policy")
    expect("authserv-id", v["authentication_results"].startswith("mx.rcpt.example;"), True)


def check_limits(zone):
    huge = b"From: a@good.example\r\n" + b"X: y\r\n" * 2000 + b"\r\n"
    status, v = verdict("--dns", zone, "-", stdin=huge)
    expect("too many fields: status", status, 75)
    expect("too many fields: named", "limit" in v["disposition"]["reply"], True)
    for name, hostile in (("empty", b""), ("NUL", b"\0" * 1000), ("no end", b"From: " + b"(" * 70000),
                          ("8-bit", b"From: \xff\xfe@\xff\r\n\r\n"), ("only a body", b"\r\nx")):
        status, v = verdict("--dns", zone, "-", stdin=hostile)
        expect(f"{name}: refused", (status, v["disposition"]["action"]), (1, "reject"))
    for digits, length in (("9223372036854775806", 2**63 - 2), ("18446744073709551614", 2**63 - 1),
                           ("9" * 76, 2**63 - 1)):
        signed = message("a@good.example", f"DKIM-Signature: v=1; l={digits}\r\n")
        status, v = verdict("--dns", zone, "-", stdin=signed)
        expect(f"l={digits}", v["dkim"][0]["body_length"], length)


def main():
    with tempfile.TemporaryDirectory(prefix="assay-check.") as folder:
        zone = os.path.join(folder, "test.zone")
        with open(zone, "w") as f:
            f.write(ZONE)
        check_envelope(zone)
        check_messages(zone)
        check_forms(zone, folder)
        check_replay(zone, folder)
        check_misuse(zone, folder)
        check_configuration(zone, folder)
        check_limits(zone)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
