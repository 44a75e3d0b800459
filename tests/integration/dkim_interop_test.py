#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What assay signs verifies elsewhere, and the reverse: assay, OpenDKIM, Mail::DKIM and dkimpy sign the
same generated messages and verify each other's, in every pair of canonical forms, with every algorithm that
both have. Prints the matrix: signer, verifier, algorithm, form, messages, passes.

Rows "changed": one octet of a signed field was changed after signing, none may verify. The messages come from a
fixed seed. Exit: 0, 1 for a failure, 77 where no peer is installed.
"""

import base64
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

SEED = 6376
MESSAGES = 200
DOMAIN = "sign.example"
CANONS = ("simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed")
ALGORITHMS = ("rsa", "ed25519")
BUILD = os.environ.get("ASSAY_BUILD", ".")
HERE = os.path.dirname(os.path.abspath(__file__))

sys.dont_write_bytecode = True
sys.path.insert(0, HERE)
from lab.milter import Milter
from lab.odd_messages import message

try:
    import dkim
    import nacl.signing  # noqa: F401 (dkimpy has no Ed25519 without it)
except ImportError:
    dkim = None


# ---- peers: sign(algorithm, canon, source, target), verify(folder) -> {name: passed} ----


class Keys:
    """One key of each kind, as everybody wants it."""

    def __init__(self, folder):
        self.path, self.records, self.folder = {}, {}, folder
        for kind in ALGORITHMS:
            self.path[kind] = os.path.join(folder, f"{kind}.pem")
            bits = ["--bits", "1024"] if kind == "rsa" else []  # dkimpy signs in Python; a short key is a fast test
            done = run([os.path.join(BUILD, "assay"), "keygen", "--type", kind, *bits, "--domain", DOMAIN, "--selector",
                        kind, "--value", self.path[kind]])
            self.records[f"{kind}._domainkey.{DOMAIN}"] = done.strip()
        self.zone = os.path.join(folder, "zone")
        self.text = os.path.join(folder, "keys")
        with open(self.zone, "w", encoding="ascii") as f:
            for name, text in self.records.items():
                f.write(f"{name} TXT 300 " + " ".join(f'"{text[i:i + 250]}"' for i in range(0, len(text), 250)) + "\n")
        with open(self.text, "w", encoding="ascii") as f:
            for name, text in self.records.items():
                f.write(f"{name} {text}\n")


def run(argv, **more):
    done = subprocess.run(argv, capture_output=True, timeout=300, **more)
    if done.returncode != 0:
        sys.exit(f"FAIL {' '.join(argv[:4])}: status {done.returncode}: {done.stderr.decode()[-1000:]}")
    return done.stdout.decode("utf-8", "replace")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, octets):
    with open(path, "wb") as f:
        f.write(octets)


def first_words(text):
    return {line.split()[0]: line.split()[1:2] == ["pass"] for line in text.splitlines()}


class Assay:
    name, algorithms = "assay", ALGORITHMS
    program = os.path.join(BUILD, "tests", "integration", "dkim_batch")

    def __init__(self, keys):
        self.keys = keys

    def sign(self, algorithm, canon, source, target):
        run([self.program, "sign", DOMAIN, algorithm, self.keys.path[algorithm], canon, source, target])

    def verify(self, folder):
        return first_words(run([self.program, "verify", self.keys.zone, folder]))


class MailDkim:
    name, algorithms = "Mail::DKIM", ("rsa",)
    program = ["/usr/bin/perl", os.path.join(HERE, "mail_dkim_batch.pl")]

    def __init__(self, keys):
        self.keys = keys

    @staticmethod
    def missing():
        return subprocess.run(["/usr/bin/perl", "-MMail::DKIM", "-e", "1"], capture_output=True).returncode != 0

    def sign(self, algorithm, canon, source, target):
        run([*self.program, "sign", DOMAIN, algorithm, self.keys.path[algorithm], canon, source, target])

    def verify(self, folder):
        return first_words(run([*self.program, "verify", self.keys.text, folder]))


class Dkimpy:
    name, algorithms = "dkimpy", ALGORITHMS

    def __init__(self, keys):
        self.keys = keys
        self.private = {"rsa": read(keys.path["rsa"])}
        der = base64.b64decode("".join(read(keys.path["ed25519"]).decode().split("\n")[1:-2]))
        self.private["ed25519"] = base64.b64encode(der[-32:])  # RFC 8410 7: the seed is the last of PKCS#8

    @staticmethod
    def missing():
        return dkim is None

    def sign(self, algorithm, canon, source, target):
        how, what = canon.encode().split(b"/")
        for name in os.listdir(source):
            raw = read(os.path.join(source, name))
            signature = dkim.sign(raw, algorithm.encode(), DOMAIN.encode(), self.private[algorithm], canonicalize=(how, what),
                                  signature_algorithm=f"{algorithm}-sha256".encode())
            write(os.path.join(target, name), signature + raw)

    def _answer(self, name, timeout=5):
        return self.keys.records.get(name.decode().rstrip("."), "").encode() or None

    def verify(self, folder):
        found = {}
        for name in os.listdir(folder):
            try:
                found[name] = dkim.DKIM(read(os.path.join(folder, name))).verify(dnsfunc=self._answer)
            except dkim.DKIMException:
                found[name] = False
        return found


class OpenDkim:
    """The daemon, with us as its MTA: mail from 127.0.0.1 it signs, the rest it verifies."""

    name, algorithms = "OpenDKIM", ALGORITHMS
    program = "/usr/sbin/opendkim"

    def __init__(self, keys):
        self.keys = keys

    @staticmethod
    def missing():
        return not os.access(OpenDkim.program, os.X_OK)

    @contextlib.contextmanager
    def _daemon(self, settings, ip):
        conf, path = os.path.join(self.keys.folder, "opendkim.conf"), os.path.join(self.keys.folder, "opendkim.sock")
        write(conf, "".join(f"{k} {v}\n" for k, v in {
            "Socket": f"local:{path}", "TestPublicKeys": self.keys.text, "RequireSafeKeys": "no", "Background": "no",
            "AuthservID": "peer.example", **settings}.items()).encode())
        child = subprocess.Popen([self.program, "-f", "-x", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            milter = self._connect(child, path, ip)
            yield milter
            milter.close()
        finally:
            child.kill()  # asked to end, libmilter takes five seconds
            child.wait()
            if os.path.exists(path):
                os.unlink(path)

    @staticmethod
    def _connect(child, path, ip):
        for _ in range(500):
            try:
                return Milter(path, ip)
            except (FileNotFoundError, ConnectionRefusedError):
                if child.poll() is not None:
                    break
                time.sleep(0.02)
        sys.exit("FAIL opendkim does not start")

    def sign(self, algorithm, canon, source, target):
        settings = {"Mode": "s", "Domain": DOMAIN, "Selector": algorithm, "KeyFile": self.keys.path[algorithm],
                    "Canonicalization": canon, "SignatureAlgorithm": f"{algorithm}-sha256", "OversignHeaders": "From"}
        with self._daemon(settings, "127.0.0.1") as milter:
            for name in os.listdir(source):
                raw = read(os.path.join(source, name))
                for field_name, value in milter.message(raw):
                    raw = field_name + b":" + value.replace(b"\n", b"\r\n") + b"\r\n" + raw
                write(os.path.join(target, name), raw)

    def verify(self, folder):
        found = {}
        with self._daemon({"Mode": "v"}, "192.0.2.1") as milter:
            for name in os.listdir(folder):
                values = [v for n, v in milter.message(read(os.path.join(folder, name))) if n == b"Authentication-Results"]
                found[name] = any(b"dkim=pass" in v for v in values)
        return found


# ---- the matrix ----


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    return folder


def transmit(source, target):
    """The messages of a folder as they arrive: SMTP ends every line (RFC 5321 4.1.1.4), also a last one that had no
    end. RFC 6376 3.4.3 and 3.4.4 say that it makes no difference; peers that are given none are of different minds."""
    for name in os.listdir(source):
        raw = read(os.path.join(source, name))
        write(os.path.join(target, name), raw if raw.endswith(b"\r\n") else raw + b"\r\n")


def cut(source, target):
    """The reverse: the last line end taken away where there is one more than the header needs."""
    for name in os.listdir(source):
        raw = read(os.path.join(source, name))
        write(os.path.join(target, name), raw[:-2] if raw.endswith(b"\r\n") and not raw.endswith(b"\r\n\r\n") else raw)


def change(folder):
    """One octet of a signed field is another now."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        write(path, read(path).replace(b"a@sign.", b"e@sign.", 1))


class Matrix:
    """Rows as they are measured."""

    def __init__(self):
        self.failed = 0
        print(f"{'signer':<11} {'verifier':<11} {'algorithm':<15} {'form':<16} messages passes")

    def row(self, signer, verifier, algorithm, canon, folder, arbiter=None):
        """Prints it; the names that do not verify. arbiter: does not verify the same ones, or they are failures."""
        found = verifier.verify(folder)
        names = sorted(os.listdir(folder))
        bad = [n for n in names if not found.get(n)]
        print(f"{signer.name:<11} {verifier.name:<11} {algorithm + '-sha256':<15} {canon:<16} {len(names):>8} "
              f"{len(names) - len(bad):>6}", flush=True)
        if bad and arbiter is not None:
            found = arbiter.verify(folder)
            theirs = [n for n in bad if not found.get(n)]
            print(f"  of these {len(bad)}, {arbiter.name} does not verify {len(theirs)} either: {signer.name} is wrong")
            bad = sorted(set(bad) - set(theirs))
        if bad:
            self.failed += len(bad)
            print("  not verified: " + " ".join(bad[:20]))

    def refusals(self, signer, verifier, algorithm, canon, folder):
        """None of these may verify."""
        good = [n for n, passed in verifier.verify(folder).items() if passed]
        self.failed += len(good)
        print(f"{signer.name:<11} {verifier.name:<11} {algorithm + '-sha256':<15} {'changed':<16} "
              f"{len(os.listdir(folder)):>8} {len(good):>6}", flush=True)


def make_messages(folder):
    """The same messages at every run: as a file may have them, and as they arrive."""
    r = random.Random(SEED)
    files, wire = fresh(os.path.join(folder, "files")), fresh(os.path.join(folder, "wire"))
    for i in range(MESSAGES):
        write(os.path.join(files, f"m{i:03}"), message(r, DOMAIN))
    transmit(files, wire)
    return files, wire


def measure_ours(matrix, folder, files, ours, peers):
    """We sign files, they verify what arrives."""
    signed, sent = os.path.join(folder, "signed"), os.path.join(folder, "sent")
    for algorithm in ALGORITHMS:
        verifiers = [v for v in (ours, *peers) if algorithm in v.algorithms]
        for canon in CANONS:
            ours.sign(algorithm, canon, files, fresh(signed))
            transmit(signed, fresh(sent))
            for verifier in verifiers:
                matrix.row(ours, verifier, algorithm, canon, sent)
        change(sent)
        for verifier in verifiers:
            matrix.refusals(ours, verifier, algorithm, canon, sent)


def measure_theirs(matrix, folder, wire, ours, peers):
    """They sign what arrives, we verify it, without the last line end where that was all there was of it."""
    signed, sent = os.path.join(folder, "signed"), os.path.join(folder, "sent")
    arbiter = next((p for p in peers if p.name == "dkimpy"), None)
    for signer in peers:
        for algorithm in signer.algorithms:
            for canon in CANONS:
                signer.sign(algorithm, canon, wire, fresh(signed))
                cut(signed, fresh(sent))
                # OpenDKIM 2.11 signs Ed25519 over a header in simple form that it does not send.
                odd = signer.name == "OpenDKIM" and algorithm == "ed25519" and canon.startswith("simple/")
                matrix.row(signer, ours, algorithm, canon, signed if odd else sent, arbiter if odd else None)


def main():
    with tempfile.TemporaryDirectory(prefix="assay-interop.") as folder:
        keys = Keys(folder)
        kinds = [k for k in (OpenDkim, MailDkim, Dkimpy) if not k.missing()]
        if not kinds:
            print("SKIPPED: none of opendkim, libmail-dkim-perl and python3-dkim is installed")
            return 77
        ours, peers, matrix = Assay(keys), [k(keys) for k in kinds], Matrix()
        files, wire = make_messages(folder)
        measure_ours(matrix, folder, files, ours, peers)
        measure_theirs(matrix, folder, wire, ours, peers)
        print(f"{matrix.failed} failed")
        return 1 if matrix.failed else 0


if __name__ == "__main__":
    sys.exit(main())
