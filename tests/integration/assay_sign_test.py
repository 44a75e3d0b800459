#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""assay keygen and assay sign from the outside; what they make, assay check verifies.

Exit: 0, or 1 for a failure.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

ASSAY = os.path.join(os.environ.get("ASSAY_BUILD", "."), "assay")
NOW = "1790000000"

passed = failed = 0


def expect(name, got, want):
    global passed, failed
    if got == want:
        passed += 1
        return
    failed += 1
    print(f"FAIL {name}\n  got  {got!r}\n  want {want!r}")


def assay(*arguments, stdin=b""):
    return subprocess.run([ASSAY, *arguments], input=stdin, capture_output=True, timeout=60)


def make_keys():
    """The zone text of an RSA and an Ed25519 key of sign.example."""
    zone = ""
    for kind in ("rsa", "ed25519"):
        run = assay("keygen", "--type", kind, "--domain", "Sign.Example.", "--selector", kind, f"{kind}.pem")
        expect(f"keygen {kind}: status", (run.returncode, run.stderr), (0, b""))
        expect(f"keygen {kind}: mode", oct(os.stat(f"{kind}.pem").st_mode & 0o7777), "0o600")
        strings = re.findall(r'"([^"]*)"', run.stdout.decode())
        expect(f"keygen {kind}: strings", max(map(len, strings)) <= 255, True)
        expect(f"keygen {kind}: name", run.stdout.startswith(f"{kind}._domainkey.sign.example. IN TXT (".encode()), True)
        expect(f"keygen {kind}: record", "".join(strings).startswith(f"v=DKIM1; k={kind}; p="), True)
        value = assay("keygen", "--show", "--value", "--domain", "sign.example", "--selector", kind, f"{kind}.pem")
        expect(f"keygen {kind}: shown again", value.stdout.decode(), "".join(strings) + "\n")
        zone += f"{kind}._domainkey.sign.example TXT 300 " + " ".join(f'"{s}"' for s in strings) + "\n"
    return zone


def check_keygen_refuses():
    before = open("rsa.pem", "rb").read()
    run = assay("keygen", "--domain", "sign.example", "--selector", "rsa", "rsa.pem")
    expect("keygen twice", (run.returncode, run.stderr), (65, b"assay keygen: rsa.pem: File exists\n"))
    expect("keygen twice: key stays", open("rsa.pem", "rb").read(), before)
    rows = [
        (["--selector", "x", "f"], b"both are needed"),
        (["--domain", "a..b", "--selector", "x", "f"], b"--domain"),
        (["--domain", "a.example", "--selector", "x", "--type", "dsa", "f"], b"rsa or ed25519"),
        (["--domain", "a.example", "--selector", "x", "--bits", "512", "f"], b"1024 to 8192"),
        (["--domain", "a.example", "--selector", "x"], b"one is needed"),
    ]
    for options, says in rows:
        run = assay("keygen", *options)
        expect(f"keygen {options}: status", run.returncode, 64)
        expect(f"keygen {options}: says", says in run.stderr, True)
    expect("keygen: no file of a refused one", os.path.exists("f"), False)


def results(signed, zone):
    run = assay("check", "--json", "--dns", zone, "--ip", "192.0.2.1", "--time", NOW, "-", stdin=signed)
    return [(s["result"], s["algorithm"], s["domain"], s["canonicalization"], s["identity"])
            for s in json.loads(run.stdout)["dkim"]]


def check_signatures(zone):
    base = ["sign", "--domain", "sign.example", "--time", NOW, "--key", "rsa=rsa.pem", "--key", "ed25519=ed25519.pem"]
    for name, end in (("CRLF", b"\r\n"), ("LF", b"\n")):
        raw = end.join([b"From: a@sign.example", b"Subject: folded", b"  twice ", b"", b"Body  ", b".", b"", b""])
        for canon in ("simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"):
            run = assay(*base, "--canon", canon, stdin=raw)
            expect(f"{name} {canon}: message behind", run.stdout.endswith(b"\n" + raw), True)
            expect(f"{name} {canon}: line ends", run.stdout.count(b"\r\n"), run.stdout.count(b"\n") * (end != b"\n"))
            expect(f"{name} {canon}: verified", results(run.stdout, zone), [
                ("pass", "rsa-sha256", "sign.example", canon, "@sign.example"),
                ("pass", "ed25519-sha256", "sign.example", canon, "@sign.example")])
    with open("file.eml", "wb") as f:
        f.write(b"From MAILER Mon Nov  2 2026\nFrom: a@sign.example\n\nx\n")
    run = assay(*base, "--identity", "a@sub.sign.example", "--expire", "60", "file.eml")
    expect("a mailbox's line stays first", run.stdout.startswith(b"From MAILER Mon Nov  2 2026\nDKIM-Signature:"), True)
    expect("i= and x=", [r[0] + r[4] for r in results(run.stdout, zone)], ["passa@sub.sign.example"] * 2)
    expect("x= is there", f"t={NOW}; x={int(NOW) + 60};".encode() in run.stdout, True)


def check_config(zone):
    """By configuration: keys by the author's domain, forms, lists of fields."""
    with open("conf", "w", encoding="ascii") as f:
        for kind in ("rsa", "ed25519"):
            f.write(f'dkim_key "{kind}" {{ author_domains = {{ sign.example, "*.sign.example" }} domain = sign.example\n'
                    f'selector = {kind} key_file = "{os.getcwd()}/{kind}.pem" }}\n')
        f.write("sign_header = simple sign_expire = 1h sign_also = X-Own\n")
    raw = b"From: A <a@m.sign.example>\r\nX-Own: 1\r\n\r\nx\r\n"
    run = assay("sign", "--config", "conf", "--time", NOW, stdin=raw)
    expect("config: verified", [r[0] + " " + r[3] for r in results(run.stdout, zone)], ["pass simple/relaxed"] * 2)
    expect("config: x=", f"x={int(NOW) + 3600};".encode() in run.stdout, True)
    expect("config: sign_also", re.search(rb"h=[^;]*:\s*X-Own", run.stdout) is not None, True)
    run = assay("sign", "--config", "conf", "--canon", "relaxed/simple", "--time", NOW, stdin=raw)
    expect("config, options come first", [r[3] for r in results(run.stdout, zone)], ["relaxed/simple"] * 2)
    rows = [("other domain", ["--config", "conf"], b"From: a@other.example\n\nx\n", 65, b"other.example: there is no key"),
            ("no author", ["--config", "conf"], b"To: a\n\nx\n", 65, b"there is not one author domain"),
            ("both", ["--config", "conf", "--domain", "sign.example"], raw, 64, b"no --domain"),
            ("no file", ["--config", "none"], raw, 65, b"none: No such file")]
    for name, options, stdin, status, says in rows:
        run = assay("sign", *options, stdin=stdin)
        expect(f"config, {name}: status", run.returncode, status)
        expect(f"config, {name}: says", says in run.stderr, True)


def check_sign_refuses():
    raw = b"From: a@sign.example\n\nx\n"
    key = ["--domain", "sign.example", "--key", "rsa=rsa.pem"]
    rows = [
        ("no key", ["--domain", "sign.example"], raw, 64, b"both are needed"),
        ("no From", key, b"To: a\n\nx\n", 65, b"there is no From to be signed"),
        ("identity", key + ["--identity", "a@other.example"], raw, 64, b"is not within --domain"),
        ("identity's end", key + ["--identity", "a;b@sign.example"], raw, 64, b"needs an encoding"),
        ("canon", key + ["--canon", "relaxed"], raw, 64, b"simple or relaxed"),
        ("missing file", ["--domain", "sign.example", "--key", "s=none.pem"], raw, 65, b"none.pem: No such file"),
        ("open to all", ["--domain", "sign.example", "--key", "s=open.pem"], raw, 65,
         b"open.pem: has mode 0644: others could read or change it; chmod 0600"),
        ("a folder", ["--domain", "sign.example", "--key", "s=/"], raw, 65, b"/: is not a regular file"),
        ("no key in it", ["--domain", "sign.example", "--key", "s=text.pem"], raw, 65, b"text.pem: is neither PEM"),
    ]
    with open("rsa.pem", "rb") as f, open("open.pem", "wb") as g:
        g.write(f.read())
    with open("text.pem", "wb") as g:
        g.write(b"hello\n")
    os.chmod("open.pem", 0o644)
    os.chmod("text.pem", 0o600)
    for name, options, stdin, status, says in rows:
        run = assay("sign", *options, stdin=stdin)
        expect(f"{name}: status", run.returncode, status)
        expect(f"{name}: says", says in run.stderr, True)
        expect(f"{name}: prints nothing", run.stdout, b"")


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with open("zone", "w", encoding="ascii") as f:
            f.write(make_keys())
        check_keygen_refuses()
        check_signatures("zone")
        check_config("zone")
        check_sign_refuses()
        os.chdir("/")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
