#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""assayd signs for a real Postfix, and what arrives verifies, by assay and by dkimpy: rewritten headers, missing
ones, odd ones, with and without leading blanks in the milter protocol. Who may sign for whom; a rotation that loses
nothing; keys that are nowhere in assayd's memory; what happens when their process dies.

Exit: 0, 1 for a failure, 77 where it can't run (with the reason).
"""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    import dkim
    from cases.common import Failed, code, contains, expect, run_cases, same
    from lab.assayd import Assayd, program
    from lab.dns import Nsd
    from lab.mail import message
    from lab.milter import Milter
    from lab.odd_messages import message as odd_message
    from lab.postfix import Postfix
    from lab.process import LabError, adopt_orphans, reap, remove_folder, temporary_folder, wait_until
    from lab.smtp import Client
    from lab.world import why_not
except ImportError as missing:
    print(f"python3 has no module {missing.name}: see tests/packages")
    sys.exit(77)

INSIDE, OUTSIDE = "192.0.2.100", "198.51.100.5"
RECIPIENT = "user@rcpt.example"
SELECTORS = ("rsa", "ed", "new", "hidden")  # the last one is not published
BASE = {"sign_networks": [f"{INSIDE}/32"], "trusted_networks": [f"{INSIDE}/32"]}
# Postfix takes what it is given apart and puts it together again.
MAIN = {"always_add_missing_headers": "yes", "local_header_rewrite_clients": "static:all",
        "append_dot_mydomain": "yes", "mydomain": "sign.example", "myorigin": "sign.example"}


SANITIZERS_OWN = 1 << 25  # bytes; regions that large are the shadow memory of a sanitizer


def section(selector, domains=("sign.example", "*.sign.example")):
    listed = ", ".join(f'"{d}"' for d in domains)
    return f'dkim_key "k-{selector}" {{ author_domains = {{ {listed} }} domain = sign.example\n' \
        f'  selector = {selector} key_file = "{World.key_path(selector)}" }}\n'


class World:
    """Keys, nsd, assayd, Postfix."""

    folder = None

    @classmethod
    def key_path(cls, selector):
        return os.path.join(cls.folder, "keys", f"{selector}.pem")

    def __init__(self):
        World.folder = temporary_folder()
        os.mkdir(os.path.join(self.folder, "keys"), 0o700)
        self.records, zone = {}, ""
        self.seen = []  # messages, and how many good signatures each has
        for selector in SELECTORS:
            kind = "ed25519" if selector == "ed" else "rsa"
            done = subprocess.run(
                [program("assay"), "keygen", "--type", kind, "--domain", "sign.example", "--selector", selector,
                 self.key_path(selector)], capture_output=True, text=True, check=True)
            if selector != "hidden":
                self.records[f"{selector}._domainkey.sign.example."] = "".join(re.findall('"(.*?)"', done.stdout))
                zone += done.stdout.replace(". IN TXT", ". 300 IN TXT")
        head = ". 300 IN SOA ns. h. 1 3600 600 86400 300\n. 300 IN NS ns.\nns. 300 IN A 127.0.0.1\n"
        self.parts = []
        self.nsd = self.run(Nsd(self.folder, head + zone))
        self.assayd = Assayd(self.folder, self.nsd.port)
        self.assayd.configure(BASE, section("rsa") + section("ed"))
        self.run(self.assayd)
        self.postfix = self.run(Postfix(self.folder, self.assayd.socket, main=MAIN))

    def run(self, part):
        self.parts.append(part)
        part.start()
        return part

    def reload(self, settings=None, text=None):
        self.assayd.configure({**BASE, **(settings or {})}, section("rsa") + section("ed") if text is None else text)
        return self.assayd.reload()

    def close(self):
        for part in reversed(self.parts):
            part.stop()
        reap()
        remove_folder(self.folder)

    # ---- one message ----

    def send(self, raw, ip=INSIDE, port=None):
        with Client(port or self.postfix.port, ip, "host.sign.example") as client:
            return client.send("a@sign.example", RECIPIENT, raw, body8=True)

    def arrived(self, raw, **options):
        """The message as it arrived, in wire form."""
        reply = self.send(raw, **options)
        code(reply, "250")
        arrival = self.postfix.arrival(reply)
        return re.sub(rb"(?<!\r)\n", b"\r\n", arrival.raw)

    def selectors(self, raw):
        """Selectors of the signatures, all of which must verify: here and in dkimpy."""
        d = dkim.DKIM(raw)
        found = []
        for i in range(raw.split(b"\r\n\r\n")[0].lower().count(b"dkim-signature:")):
            if not d.verify(idx=i, dnsfunc=lambda name, timeout=5: self.records.get(name.decode(), "").encode()):
                raise Failed(f"dkimpy: signature {i} does not verify:\n{raw.decode('utf-8', 'replace')}")
            found.append(d.signature_fields[b"s"].decode())
        self.seen.append((raw, len(found)))
        return found

    def verify_seen(self):
        """All that selectors() looked at, by assay; one process for all of it."""
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "mail"))
            with open(os.path.join(folder, "zone"), "w", encoding="ascii") as f:
                for name, text in self.records.items():
                    f.write(f"{name} TXT 300 " + " ".join(f'"{text[i:i + 250]}"' for i in range(0, len(text), 250)) + "\n")
            for i, (raw, _) in enumerate(self.seen):
                with open(os.path.join(folder, "mail", f"m{i}"), "wb") as f:
                    f.write(raw)
            done = subprocess.run([program("tests/integration/dkim_batch"), "verify", os.path.join(folder, "zone"),
                                   os.path.join(folder, "mail")], capture_output=True, text=True, check=True)
        lines = [x.split(" ", 2)[1] for x in done.stdout.splitlines() if not x.endswith(" none")]
        same(lines, ["pass"] * sum(n for _, n in self.seen), "what assay says of all signatures")
        self.seen = []


def plain(domain="sign.example", **more):
    return message(f"a@{domain}", "Hello", "Some text.\r\n", **more)


# ---- cases ----


def survives_postfix(w):
    """Odd messages from inside verify when they arrive, in both forms, with and without leading blanks"""
    r = random.Random(5)
    raws = [odd_message(r, "sign.example") for _ in range(8)]
    raws += [b"From: a@sign.example\r\n\r\nno other field\r\n", b"From: A B <a>\r\nTo: b\r\nSubject:x\r\n\r\nrewritten\r\n",
             plain(more=("Bcc: secret@rcpt.example", "Return-Path: <x@y.example>", "Resent-To: b@rcpt.example"))]
    for form in ("relaxed", "simple"):
        contains(w.reload({"sign_header": form, "sign_body": form}), "reloaded")
        for port in (w.postfix.port, w.postfix.old_port):
            for raw in raws:
                same(w.selectors(w.arrived(raw, port=port)), ["rsa", "ed"], "signatures")


def only_our_own(w):
    """Mail from outside, for other domains, with two authors is not signed"""
    same(w.selectors(w.arrived(plain(), ip=OUTSIDE)), [], "signatures of mail from outside")
    same(w.selectors(w.arrived(plain("other.example"))), [], "signatures of another domain")
    same(w.selectors(w.arrived(plain("m.sign.example"))), ["rsa", "ed"], "signatures of a subdomain")
    same(w.selectors(w.arrived(message("a@sign.example, b@other.example", "x", "y\r\n"))), [], "signatures of two domains")
    contains(w.assayd.child.log(), 'author_domain=other.example reason="there is no key for this domain"')


def logins(w):
    """A login gets a signature for its own domains only"""
    contains(w.reload(text=section("rsa") + 'sender "alice" { domains = { "sign.example" } }\n'), "reloaded")
    rows = [(None, "sign.example", []), ("alice", "sign.example", ["rsa"]), ("alice", "m.sign.example", []),
            ("bob@other.example", "sign.example", []), ("bob@sign.example", "m.sign.example", ["rsa"]),
            ("carol", "sign.example", ["rsa"])]
    milter = Milter(w.assayd.socket.split(":", 1)[1], OUTSIDE)
    for login, domain, want in rows:
        raw = plain(domain)
        for name, value in milter.message(raw, login):
            if name == b"DKIM-Signature":
                raw = name + b":" + value.replace(b"\n", b"\r\n") + b"\r\n" + raw
        same(w.selectors(raw), want, f"signatures of {login} for {domain}")
    milter.close()
    contains(w.assayd.child.log(), 'not signed qid=', 'login=alice author_domain=m.sign.example reason="the login may not use this domain"')


def long_lines(w):
    """Lines that Postfix would break are logged with the queue id"""
    reply = w.send(message("a@sign.example", "x", "short\r\n" + "y" * 1200 + "\r\nshort\r\n" + "z" * 999 + "\r\n"))
    code(reply, "250")
    queue_id = re.search(r"queued as (\S+)", reply.text).group(1)
    contains(w.assayd.child.log(), f"long lines qid={queue_id} in=body lines=2 longest=1200 first=2")
    reply = w.send(plain(more=("X-Long: " + "y" * 1000,)))
    contains(w.assayd.child.log(), f"long lines qid={re.search(r'queued as (.*)', reply.text).group(1)} in=header lines=1")


def unpublished(w):
    """A key whose record is not there is told of, and with require_published not used"""
    seen = len(w.assayd.child.log())
    contains(w.reload(text=section("rsa") + section("hidden")), "reloaded")
    raw = w.arrived(plain())
    same(len(re.findall(b"(?i)^dkim-signature:", raw, re.M)), 2, "signatures")
    # No mail waits for the record: one that comes late is told of with a message behind it; once.
    warning = 'dkim_key "k-hidden": hidden._domainkey.sign.example: the key is not published'

    def is_told():
        w.arrived(plain())
        return warning in w.assayd.child.log()[seen:]

    wait_until(is_told, 20, "the warning")
    is_told()
    same(w.assayd.child.log()[seen:].count(warning), 1, "warnings")
    contains(w.reload({"require_published": True}, section("rsa") + section("hidden")), "reloaded")
    same(w.selectors(w.arrived(plain())), ["rsa"], "signatures")
    contains(w.reload({"require_published": True}, section("hidden")), "reloaded")
    same(w.selectors(w.arrived(plain())), [], "signatures")
    contains(w.assayd.child.log(), 'reason="no key of this domain is published"')


def rotation(w):
    """doc/operations.md: from one selector to the next, and every message verifies at every step"""
    steps = [(section("rsa"), ["rsa"]), (section("rsa") + section("new"), ["rsa", "new"]), (section("new"), ["new"])]
    kept = []
    for text, want in steps:
        contains(w.reload({"require_published": True}, text), "reloaded")
        for _ in range(3):
            kept.append(w.arrived(plain()))
            same(w.selectors(kept[-1]), want, "signatures")
    for raw in kept:  # mail that was long on its way: the old record stays until it has arrived
        expect(w.selectors(raw), "a signature that verifies", raw)


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(x) for x in f.read().split()]


def _workers(w):
    return [x for monitor in _children(w.assayd.child.pid) for x in _children(monitor)]


def _memory(pid):
    found = []
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            first, rights = line.split()[:2]
            low, high = (int(x, 16) for x in first.split("-"))
            if "r" not in rights or line.rstrip().endswith(("[vvar]", "[vsyscall]")):
                continue
            if high - low > SANITIZERS_OWN:
                continue
            try:
                mem.seek(low)
                found.append(mem.read(high - low))
            except (OSError, ValueError):
                continue
    return found


def _secrets(path):
    """What a key in memory looks like: the first prime as it is written, and as OpenSSL computes with it."""
    text = subprocess.run(["openssl", "rsa", "-in", path, "-noout", "-text"], capture_output=True, text=True, check=True).stdout
    prime = bytes.fromhex(re.search(r"prime1:\s*([0-9a-f:\s]+)", text).group(1).replace(":", "").replace("\n", "").replace(" ", "")).lstrip(b"\0")
    with open(path, encoding="ascii") as f:
        line = f.read().split("\n")[4].encode()
    return {"prime": prime[:32], "prime, little-endian": prime[::-1][-32:], "line of the file": line}


def out_of_reach(w):
    """No private key is in the memory of assayd; it is where it should be"""
    same(w.selectors(w.arrived(plain())), ["rsa", "ed"], "signatures")
    secrets = _secrets(w.key_path("rsa"))
    ours = _memory(w.assayd.child.pid)
    expect(sum(map(len, ours)) > 1000000, "memory that can be read", sum(map(len, ours)))
    for name, octets in secrets.items():
        expect(not any(octets in m for m in ours), f"no {name} in assayd's memory", "it is there")
    workers = _workers(w)
    expect(workers, "a key worker", workers)
    theirs = [m for pid in workers for m in _memory(pid)]
    held = [name for name, octets in secrets.items() if any(octets in m for m in theirs)]
    expect(held, "the key in the worker's memory, or this test proves nothing", held)
    for pid in workers:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            status = f.read()
        contains(status, "NoNewPrivs:\t1")
        expect("Uid:\t0" not in status, "a worker that is not root", status)
        same(os.stat(f"/proc/{pid}/mem").st_uid, 0, "owner of a process that can't be traced")
        with open(program("assayd"), "rb") as f:
            if b"libseccomp.so" in f.read():
                contains(status, "Seccomp:\t2")


def holder_dies(w):
    """A worker that is killed costs no message; without any, mail is tempfailed, and goes out again later"""
    same(w.selectors(w.arrived(plain())), ["rsa", "ed"], "signatures")
    for pid in _workers(w):
        os.kill(pid, signal.SIGKILL)
    same(w.selectors(w.arrived(plain())), ["rsa", "ed"], "signatures after the worker was killed")
    contains(w.assayd.child.log(), "key worker died", "key worker started anew")
    monitor = _children(w.assayd.child.pid)[0]
    for pid in [*_workers(w), monitor]:
        os.kill(pid, signal.SIGKILL)
    reply = w.send(plain())
    code(reply, "451 4.7.5")
    contains(w.assayd.child.log(), 'reason="there is no key worker"', "cause=signing")
    code(w.send(plain("other.example")), "250")  # nothing to be signed, nothing to wait for
    contains(w.reload(), "reload failed")
    same(w.assayd.stop(), 0, "exit status")
    w.assayd.start()
    same(w.selectors(w.arrived(plain())), ["rsa", "ed"], "signatures after a new start")


def bad_key_file(w):
    """A key file that others may read stops a reload, by its path; the old key goes on signing"""
    os.chmod(w.key_path("rsa"), 0o644)
    seen = len(w.assayd.child.log())
    try:
        contains(w.reload(), "reload failed")
        contains(w.assayd.child.log()[seen:], f'dkim_key "k-rsa": {w.key_path("rsa")}: has mode 0644')
        same(w.selectors(w.arrived(plain())), ["rsa", "ed"], "signatures")
    finally:
        os.chmod(w.key_path("rsa"), 0o600)
    contains(w.reload(), "reloaded")


CASES = [survives_postfix, only_our_own, logins, long_lines, unpublished, rotation, out_of_reach, bad_key_file, holder_dies]


def run_all(w, wanted):
    def play(case):
        case(w)
        w.verify_seen()

    return run_cases(CASES, wanted, play, {"assayd": lambda: w.assayd.child.log()}, after=w.reload)


def main():
    reason = why_not()
    if reason is not None:
        print(reason)
        return 77
    adopt_orphans()
    world = None
    try:
        world = World()
        return run_all(world, sys.argv[1:])
    except LabError as error:
        print(f"FAIL the lab: {error}")
        return 1
    finally:
        if world is not None:
            world.close()


if __name__ == "__main__":
    sys.exit(main())
