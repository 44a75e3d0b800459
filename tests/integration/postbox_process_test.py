#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""postbox as a process: how it starts and stops, what a SIGKILL leaves, many clients and stuck ones.

Loopback only. Exit: 0, or 1 for a failure.
"""

import contextlib
import imaplib
import os
import poplib
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

POSTBOX = os.path.join(os.environ.get("ASSAY_BUILD", "."), "postbox")
WAIT_S = 60
ANYONE = ssl._create_unverified_context()

passed = failed = 0


def expect(name, got, want):
    global passed, failed
    if got == want:
        passed += 1
        return
    failed += 1
    print(f"FAIL {name}\n  got  {got!r}\n  want {want!r}")


@contextlib.contextmanager
def postbox(*options):
    """A running postbox; .ports is a dictionary. Killed at the end if it is still there."""
    process = subprocess.Popen(
        [POSTBOX, "--any-port", "--print-ports", "--user", "alice:secret", "--domain", "bob.example", *options],
        stdout=subprocess.PIPE, text=True)
    try:
        words = process.stdout.readline().split()
        process.ports = {name: int(port) for name, port in (word.split("=") for word in words)}
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def stop(process):
    """The exit status after SIGTERM."""
    process.terminate()
    return process.wait(WAIT_S)


def text_of(name):
    return f"Subject: {name}\r\n\r\n".encode() + b"0123456789abcdef\r\n" * 200 + f"end {name}\r\n".encode()


def deliver(process, name):
    with smtplib.SMTP("127.0.0.1", process.ports["smtp"], timeout=WAIT_S) as client:
        client.sendmail("x@y.example", ["alice@bob.example"], text_of(name))


def messages_of(process):
    """Every message in the mailbox, by its subject; a list, so that one that is there twice shows."""
    client = imaplib.IMAP4("127.0.0.1", process.ports["imap"], timeout=WAIT_S)
    client.starttls(ANYONE)
    client.login("alice", "secret")
    client.select()
    _, found = client.uid("search", None, "ALL")
    texts, uids = [], found[0].split()
    for uid in uids:
        _, data = client.uid("fetch", uid, "(BODY.PEEK[])")
        texts.append(data[0][1])
    client.logout()
    return [uid.decode() for uid in uids], texts


# ---- starting and stopping ----

def check_command_line():
    run = subprocess.run([POSTBOX, "--help"], capture_output=True, text=True, timeout=WAIT_S)
    expect("--help: status", run.returncode, 0)
    expect("--help: says that it stays on loopback", "binds to loopback unless told otherwise" in run.stdout, True)
    expect("--help: says that it is no relay", "relays mail for nobody but its own" in run.stdout, True)
    for name, options, status in (
            ("unknown option", ["--frobnicate"], 2),
            ("no such address", ["--bind", "192.0.2.1", "--any-port"], 1),
            ("no such certificate", ["--any-port", "--cert", "/nonexistent", "--key", "/nonexistent"], 1),
            ("no such folder", ["--any-port", "--maildir", "/nonexistent/mail", "--user", "a:b"], 1)):
        run = subprocess.run([POSTBOX, *options], capture_output=True, text=True, timeout=WAIT_S)
        expect(f"{name}: status", run.returncode, status)
        expect(f"{name}: is explained", run.stderr.startswith("postbox: "), True)


def check_stop():
    with postbox() as process:
        expect("nobody there: status", stop(process), 0)
    with postbox() as process:
        idle = [socket.create_connection(("127.0.0.1", port)) for port in process.ports.values()]
        before = time.monotonic()
        expect("idle connections: status", stop(process), 0)
        expect("idle connections: hold nothing up", time.monotonic() - before < 4, True)
        for connection in idle:
            connection.close()


# ---- what a SIGKILL leaves ----

def check_kill(folder):
    """Senders are at work when the kill comes; what was answered 250 must be there, whole and once."""
    answered, lock = set(), threading.Lock()
    ever = {}  # subject -> UID

    def sender(process, prefix):
        try:
            for i in range(100000):
                deliver(process, f"{prefix}-{i}")
                with lock:
                    answered.add(f"{prefix}-{i}")
        except (OSError, smtplib.SMTPException):
            return  # the kill

    for life in range(5):
        with postbox("--maildir", folder) as process:
            senders = [threading.Thread(target=sender, args=(process, f"{life}-{n}")) for n in range(4)]
            for thread in senders:
                thread.start()
            time.sleep(0.2 + 0.13 * life)
            process.send_signal(signal.SIGKILL)
            for thread in senders:
                thread.join()
        with postbox("--maildir", folder) as process:
            uids, texts = messages_of(process)
            names = [text.rsplit(b"end ", 1)[-1].strip().decode() for text in texts]
            expect(f"life {life}: mail was answered 250", len(answered) > 0, True)
            expect(f"life {life}: lost", answered - set(names), set())
            expect(f"life {life}: there twice", len(names) - len(set(names)), 0)
            expect(f"life {life}: whole", all(text.endswith(text_of(n)) for n, text in zip(names, texts)), True)
            expect(f"life {life}: UIDs are kept", {n: u for n, u in zip(names, uids) if ever.get(n, u) != u}, {})
            ever.update(zip(names, uids))
            expect(f"life {life}: stop", stop(process), 0)


# ---- many clients, and stuck ones ----

def check_busy():
    with postbox("--connections", "2") as process:
        held = [socket.create_connection(("127.0.0.1", process.ports["pop3"])) for _ in range(2)]
        for connection in held:
            expect("first two: served", connection.recv(512)[:3], b"+OK")
        for protocol, words in (("smtp", b"421 "), ("pop3", b"-ERR "), ("imap", b"* BYE ")):
            with socket.create_connection(("127.0.0.1", process.ports[protocol])) as connection:
                expect(f"{protocol}: told that it is busy", connection.recv(512).startswith(words), True)
                expect(f"{protocol}: closed", connection.recv(512), b"")
        held.pop().close()
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", process.ports["pop3"])) as connection:
                if connection.recv(512).startswith(b"+OK"):
                    expect("a place that is free again", True, True)
                    break
            time.sleep(0.05)
        else:
            expect("a place that is free again", False, True)
        held.pop().close()


def check_many():
    with postbox() as process:
        many = [socket.create_connection(("127.0.0.1", process.ports["smtp"]), WAIT_S) for _ in range(400)]
        expect("400 connections: greeted", sum(c.recv(512).startswith(b"220 ") for c in many), 400)
        for connection in many:
            connection.sendall(b"EHLO x.example\r\n")
        expect("400 connections: answered", sum(c.recv(1024).startswith(b"250") for c in many), 400)
        deliver(process, "one more")
        expect("400 connections: mail gets through", len(messages_of(process)[0]), 1)
        for connection in many:
            connection.close()


# ---- load ----

SENDERS, EACH, WATCHERS = 200, 4, 50
RESIDENT_MIB = 128  # 250 threads of 256 KiB stack at most, TLS, and the mail


def resident_mib(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024


def idle(process):
    """An IMAP client that waits to be told of new mail."""
    client = imaplib.IMAP4("127.0.0.1", process.ports["imap"], timeout=WAIT_S)
    client.login("alice", "secret")
    client.select()
    client.send(b"i IDLE\r\n")
    client.readline()
    return client


def check_load():
    """Senders who keep their connection, all at once, and readers who are told of every message."""
    with postbox("--allow-plain-auth") as process:
        watchers = [idle(process) for _ in range(WATCHERS)]
        refused, lock = [], threading.Lock()

        def sender(number):
            try:
                with smtplib.SMTP("127.0.0.1", process.ports["smtp"], timeout=WAIT_S) as client:
                    for i in range(EACH):
                        client.sendmail("x@y.example", ["alice@bob.example"], text_of(f"{number}-{i}"))
            except (OSError, smtplib.SMTPException) as error:
                with lock:
                    refused.append(repr(error))

        threads = [threading.Thread(target=sender, args=(n,)) for n in range(SENDERS)]
        before = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - before
        expect("load: refused", refused, [])
        want = b"* %d EXISTS\r\n" % (SENDERS * EACH)
        told = 0
        for client in watchers:
            line = client.readline()
            while line and line != want:
                line = client.readline()
            told += line == want
            client.shutdown()
        expect("load: every reader is told of the last message", told, WATCHERS)
        texts = messages_of(process)[1]
        names = {text.rsplit(b"end ", 1)[-1].strip().decode() for text in texts}
        expect("load: all there, once", (len(texts), len(names)), (SENDERS * EACH, SENDERS * EACH))
        expect("load: whole", all(text.endswith(text_of(name)) for text, name in (
            (text, text.rsplit(b"end ", 1)[-1].strip().decode()) for text in texts)), True)
        peak = resident_mib(process)
        if not os.environ.get("ASSAY_SANITIZED"):
            expect("load: memory", peak < RESIDENT_MIB, True)
        print(f"load: {SENDERS} senders, {WATCHERS} readers: {len(texts)} messages in {took:.1f} s, {peak:.0f} MiB at most")


def stuck(process, protocol, sent):
    """A connection that stops in the middle of sent."""
    connection = socket.create_connection(("127.0.0.1", process.ports[protocol]), WAIT_S)
    connection.recv(512)
    for piece in sent:
        connection.sendall(piece)
        time.sleep(0.05)
        if not protocol.endswith("s"):
            connection.recv(4096)
    return connection


def check_stuck():
    smtp = [b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\n", b"RCPT TO:<alice@bob.example>\r\n", b"DATA\r\n"]
    with postbox("--timeout", "1500", "--allow-plain-auth") as process:
        connections = {}
        for name, protocol, sent, rest in (
                ("in a command", "smtp", smtp[:1], b"MAIL FR"),
                ("in DATA", "smtp", smtp, b"Subject: half\r\n\r\nhalf a l"),
                ("in a literal", "imap", [b"1 LOGIN alice secret\r\n", b"2 APPEND INBOX {1000}\r\n"], b"From: half"),
                ("at the password", "pop3", [b"USER alice\r\n"], b"PASS"),
                ("before the handshake", "imaps", [], b""),
                ("in the handshake", "smtps", [], b"\x16\x03\x01\x02\x00\x01")):
            if protocol.endswith("s"):
                connections[name] = socket.create_connection(("127.0.0.1", process.ports[protocol]), WAIT_S)
            else:
                connections[name] = stuck(process, protocol, sent)
            connections[name].sendall(rest)
        before = time.monotonic()
        deliver(process, "past them")
        expect("stuck clients hold nobody up", time.monotonic() - before < 1, True)
        for name, connection in connections.items():
            while connection.recv(4096):
                pass
            expect(f"stuck {name}: timed out", time.monotonic() - before < 10, True)
            connection.close()
        expect("stuck clients leave nothing behind", len(messages_of(process)[0]), 1)


# ---- TLS everywhere ----

def check_tls():
    with postbox() as process:
        ports = process.ports
        with smtplib.SMTP_SSL("127.0.0.1", ports["smtps"], timeout=WAIT_S, context=ANYONE) as client:
            expect("smtps: login", client.login("alice", "secret")[0], 235)
        with smtplib.SMTP("127.0.0.1", ports["submission"], timeout=WAIT_S) as client:
            client.starttls(context=ANYONE)
            expect("submission: login", client.login("alice@bob.example", "secret")[0], 235)
        client = poplib.POP3_SSL("127.0.0.1", ports["pop3s"], timeout=WAIT_S, context=ANYONE)
        client.user("alice")
        expect("pop3s: login", client.pass_("secret")[:3], b"+OK")
        client.quit()
        client = imaplib.IMAP4_SSL("127.0.0.1", ports["imaps"], ssl_context=ANYONE, timeout=WAIT_S)
        expect("imaps: login", client.login("alice", "secret")[0], "OK")
        client.logout()


def main():
    check_command_line()
    check_stop()
    check_busy()
    check_many()
    check_load()
    check_stuck()
    check_tls()
    with tempfile.TemporaryDirectory(prefix="postbox.") as folder:
        check_kill(folder)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
