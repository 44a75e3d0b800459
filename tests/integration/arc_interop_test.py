#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Chains of two hops, each sealed by assay, Mail::DKIM or dkimpy, validated by all of them. Prints the matrix:
first sealer, second sealer, validator, messages, passes; and the same with the body changed after the last seal, where
none may pass. The messages come from a fixed seed.

dkimpy hashes CRLF for an empty body in relaxed (RFC 6376 3.4.4: nothing): with it on one side only, such messages
are left out of chains of one hop.

Exit: 0, 1 for a failure, 77 where no peer is installed.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from lab.odd_messages import message

try:
    import dkim
except ImportError:
    dkim = None

SEED, MESSAGES = 8617, 40
BUILD = os.environ.get("ASSAY_BUILD", ".")
DOMAINS = ("one.example", "two.example")
SELECTOR = "a2026"


def run(argv):
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=True).stdout


class Keys:
    """A key for each hop, as everybody wants it."""

    def __init__(self, folder):
        self.path, self.records = {}, {}
        for domain in DOMAINS:
            self.path[domain] = os.path.join(folder, f"{domain}.pem")
            self.records[f"{SELECTOR}._domainkey.{domain}"] = run(
                [os.path.join(BUILD, "assay"), "keygen", "--type", "rsa", "--bits", "1024", "--domain", domain,
                 "--selector", SELECTOR, "--value", self.path[domain]]).strip()
        self.zone, self.text = os.path.join(folder, "zone"), os.path.join(folder, "keys")
        with open(self.zone, "w", encoding="ascii") as f:
            f.writelines(f'{n} TXT 300 "{t[:250]}" "{t[250:]}"\n' for n, t in self.records.items())
        with open(self.text, "w", encoding="ascii") as f:
            f.writelines(f"{n} {t}\n" for n, t in self.records.items())


class Batch:
    """assay, and Mail::DKIM: a program that does a whole folder."""

    def __init__(self, name, argv, keys, records, prefix=""):
        self.name, self.argv, self.keys, self.records, self.prefix = name, argv, keys, records, prefix

    def seal(self, domain, source, target):
        run([*self.argv, self.prefix + "seal", domain, SELECTOR, self.keys.path[domain], source, target])

    def verify(self, folder):
        words = [line.split() for line in run([*self.argv, self.prefix + "verify", self.records, folder]).splitlines()]
        return {w[0]: w[1] == "pass" for w in words}


class Authres:
    """What dkimpy wants of the module authres, where that is not installed: whose field, and its arc=."""

    class AuthenticationResultsHeader:
        def __init__(self, text):
            head, *results = text.partition(":")[2].split(";")
            self.authserv_id = head.strip()
            self.results = [self.Result(*r.split()[0].partition("=")[::2]) for r in results if r.strip()]

        class Result:
            def __init__(self, method, result):
                self.method, self.result = method, result

        @classmethod
        def parse(cls, text):
            return cls(text)

    class core:
        class SyntaxError(Exception):
            pass


class Dkimpy:
    name = "dkimpy"

    def __init__(self, keys):
        self.keys = keys
        if not hasattr(dkim, "authres"):
            dkim.authres = Authres

    def seal(self, domain, source, target):
        with open(self.keys.path[domain], "rb") as f:
            private = f.read()
        for name in os.listdir(source):
            with open(os.path.join(source, name), "rb") as f:
                raw = f.read()
            fields = dkim.arc_sign(raw, SELECTOR.encode(), domain.encode(), private, domain.encode(),
                                   include_headers=[b"from", b"to", b"subject", b"date"])
            if len(fields) != 3:
                raise RuntimeError(f"dkimpy seals nothing of {name}")
            with open(os.path.join(target, name), "wb") as f:
                f.write(b"".join(fields) + raw)

    def verify(self, folder):
        return {name: self.verify_one(os.path.join(folder, name)) for name in os.listdir(folder)}

    def verify_one(self, path):
        with open(path, "rb") as f:
            cv, _, _ = dkim.arc_verify(
                f.read(), dnsfunc=lambda name, timeout=5: self.keys.records.get(name.decode().rstrip("."), "").encode())
        return cv == b"pass"


def peers(keys):
    found = [Batch("assay", [os.path.join(BUILD, "tests", "integration", "arc_batch")], keys, keys.zone)]
    perl = ["perl", os.path.join(HERE, "mail_dkim_batch.pl")]
    if subprocess.run(["perl", "-MMail::DKIM::ARC::Signer", "-e", "1"], capture_output=True, check=False).returncode == 0:
        found.append(Batch("Mail::DKIM", perl, keys, keys.text, "arc-"))
    if dkim is not None and hasattr(dkim, "arc_sign"):
        found.append(Dkimpy(keys))
    return found


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    return folder


def results(domain, arc):
    return f"Authentication-Results: {domain}; arc={arc}; spf=pass smtp.mailfrom=a@a.example\r\n".encode()


def rewrite(source, target, change):
    for name in os.listdir(source):
        with open(os.path.join(source, name), "rb") as f:
            raw = f.read()
        with open(os.path.join(target, name), "wb") as f:
            f.write(change(raw))


failed = 0


def row(first, second, verifier, got, want):
    """got: name -> passed."""
    global failed
    passes = sum(got.values())
    good = passes == (len(got) if want else 0) and len(got) >= MESSAGES - 5
    failed += not good
    print(f"{'ok  ' if good else 'FAIL'} {first:11} {second:11} {verifier:11} {len(got):4} {passes:4}"
          + ("" if want else "  changed"), flush=True)
    if not good:
        print("     not as wanted: " + " ".join(sorted(n for n, p in got.items() if p != want)[:5]))


def hop(folder, sealer, domain, source, arc, change):
    """source with what the hop does to it, and its set on top."""
    ready, sealed = fresh(os.path.join(folder, "ready")), fresh(os.path.join(folder, f"sealed-{domain}"))
    rewrite(source, ready, lambda raw: results(domain, arc) + change(raw))
    sealer.seal(domain, ready, sealed)
    return sealed


def play(folder):
    keys = Keys(folder)
    everybody = peers(keys)
    if len(everybody) == 1:
        print("neither Mail::DKIM nor dkimpy is installed: see tests/packages")
        return 77
    source, changed = fresh(os.path.join(folder, "source")), os.path.join(folder, "changed")
    r, empty = random.Random(SEED), set()
    for i in range(MESSAGES):
        name, raw = f"m{i:03}", message(r, "a.example")
        with open(os.path.join(source, name), "wb") as f:
            f.write(raw)
        if not raw.partition(b"\r\n\r\n")[2].strip():
            empty.add(name)
    print("     first       second      validator  sent pass")
    for first in everybody:
        once = hop(folder, first, DOMAINS[0], source, "none", lambda raw: raw)
        for verifier in everybody:
            got = verifier.verify(once)
            if (first.name == Dkimpy.name) != (verifier.name == Dkimpy.name):
                got = {name: passed for name, passed in got.items() if name not in empty}
            row(first.name, "-", verifier.name, got, True)
        for second in everybody:
            # As a list does: the first AMS no longer verifies, the seals do.
            twice = hop(folder, second, DOMAINS[1], once, "pass", lambda raw: raw + b"footer\r\n")
            rewrite(twice, fresh(changed), lambda raw: raw + b"more\r\n")
            for verifier in everybody:
                row(first.name, second.name, verifier.name, verifier.verify(twice), True)
                row(first.name, second.name, verifier.name, verifier.verify(changed), False)
    return 1 if failed else 0


def main():
    with tempfile.TemporaryDirectory(prefix="assay-arc-interop.") as folder:
        status = play(folder)
    if status != 77:
        print("FAIL" if status else "all as wanted")
    return status


if __name__ == "__main__":
    sys.exit(main())
