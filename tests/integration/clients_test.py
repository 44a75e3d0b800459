#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Real mail programs on postbox: what each did, a line a client, and whether the mailbox agrees.

curl, swaks, Python's own libraries as tutorials use them, mbsync, fetchmail and mutt without a person.
Exit: 0, 1 for a failure, 77 where it can't run (with the reason).
"""

import email
import email.message
import email.policy
import imaplib
import mailbox
import os
import poplib
import shutil
import smtplib
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    from lab.postbox import PASSWORD, Postbox, anyone
    from lab.process import remove_folder, temporary_folder, wait_until
    from lab.terminal import Terminal
except ImportError as missing:
    print(f"python3 has no module {missing.name}: see tests/packages")
    sys.exit(77)

PROGRAMS = ("curl", "swaks", "mbsync", "fetchmail", "mutt", "openssl")
HOST = "mail.bob.example"
DOMAIN = "bob.example"
BOB = f"bob@{DOMAIN}"
WAIT_S = 60
BODY = ".a line that begins with a dot\n..and two\n\nGr\u00fc\u00dfe\n"

passed, failures = [], []


def expect(client, what, good, seen=""):
    """One thing that a client had to bring about; a line of the list that this test prints."""
    (passed if good else failures).append(f"{client}: {what}")
    print(f"{'ok  ' if good else 'FAIL'} {client:<22} {what}")
    if not good:
        print(f"     got {seen!r}")


class World:
    """A postbox with a certificate for its name, a folder for the clients' files, and what bob has."""

    def __init__(self):
        self.folder = temporary_folder()
        self.certificate = os.path.join(self.folder, "cert.pem")
        key = os.path.join(self.folder, "key.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key,
             "-out", self.certificate, "-subj", f"/CN={HOST}", "-addext",
             f"subjectAltName=DNS:{HOST},DNS:localhost,IP:127.0.0.1"],
            check=True, capture_output=True)
        self.server = Postbox(
            self.folder, host=HOST, domain=DOMAIN, users=("bob", "carol"),
            more=("--cert", self.certificate, "--key", key))
        self.server.start()

    def close(self):
        self.server.stop()
        remove_folder(self.folder)

    def port(self, name):
        return self.server.ports[name]

    def path(self, name):
        return os.path.join(self.folder, name)

    def file(self, name, content):
        """For its owner alone: some clients insist."""
        with open(self.path(name), "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(self.path(name), 0o600)
        return self.path(name)

    @staticmethod
    def read(path):
        """What a client wrote there; empty if it wrote nothing."""
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def run(self, argv, **more):
        """A client with a home of its own; (exit status, all it printed)."""
        environment = dict(os.environ, HOME=self.folder, LC_ALL="C.UTF-8", TERM="dumb")
        done = subprocess.run(
            argv, env=environment, cwd=self.folder, timeout=WAIT_S, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False, **more)
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def inbox(self, user="bob"):
        return [email.message_from_bytes(raw) for raw in self.server.read_imap(user)]

    def with_subject(self, subject, user="bob"):
        return [m for m in self.inbox(user) if m["Subject"] == subject]

    def text_of(self, subject, user="bob"):
        """The body of the one message of that subject; None if there is none, or more."""
        found = self.with_subject(subject, user)
        return found[0].get_payload(decode=True).decode().replace("\r\n", "\n") if len(found) == 1 else None


def letter(subject, body=BODY):
    m = email.message.EmailMessage()
    m["From"], m["To"], m["Subject"] = f"carol@{DOMAIN}", BOB, subject
    m["Date"], m["Message-ID"] = "Thu, 26 Nov 2026 09:00:00 +0000", f"<{subject}@client.example>"
    m.set_content(body, cte="8bit")
    return m


def wire(subject):
    """The same as bytes with CRLF, for those that send what they are given."""
    return letter(subject).as_bytes(policy=email.policy.SMTP)


# ---- curl ----

def curl_send(world, scheme, port, *more):
    name = f"curl-{port}"
    raw = world.file(f"{name}.eml", wire(name))
    status, out = world.run(
        ["curl", "-sS", "-k", "--url", f"{scheme}://127.0.0.1:{world.port(port)}/client.example", *more,
         "--mail-from", f"carol@{DOMAIN}", "--mail-rcpt", BOB, "--upload-file", raw])
    expect(f"curl {scheme} ({port})", "sends, and it arrives as it was", status == 0 and world.text_of(name) == BODY, out)


def curl_read(world):
    login = ("-u", f"bob:{PASSWORD}")
    for scheme, port, more in (("pop3", "pop3", ["--ssl-reqd"]), ("pop3s", "pop3s", [])):
        base = f"{scheme}://127.0.0.1:{world.port(port)}"
        status, listing = world.run(["curl", "-sS", "-k", *more, *login, f"{base}/"])
        expect(f"curl {scheme}", "lists", status == 0 and len(listing.splitlines()) == len(world.inbox()), listing)
        status, text = world.run(["curl", "-sS", "-k", *more, *login, f"{base}/1"])
        expect(f"curl {scheme}", "fetches the first message", status == 0 and "Subject: curl-" in text, text)
    for scheme, port, more in (("imap", "imap", ["--ssl-reqd"]), ("imaps", "imaps", [])):
        base = f"{scheme}://127.0.0.1:{world.port(port)}"
        status, text = world.run(["curl", "-sS", "-k", *more, *login, f"{base}/INBOX;MAILINDEX=1"])
        expect(f"curl {scheme}", "fetches the first message", status == 0 and "Subject: curl-" in text, text)
        status, text = world.run(["curl", "-sS", "-k", *more, *login, f"{base}/INBOX?SUBJECT%20curl"])
        expect(f"curl {scheme}", "searches", status == 0 and text.startswith("* SEARCH 1"), text)
        status, text = world.run(["curl", "-sS", "-k", *more, *login, f"{base}/INBOX;MAILINDEX=1;SECTION=TEXT"])
        expect(f"curl {scheme}", "fetches a section", status == 0 and text.startswith(".a line that"), text)
        name = f"appended-{scheme}"
        raw = world.file(name, wire(name))
        status, text = world.run(["curl", "-sS", "-k", *more, *login, "-T", raw, f"{base}/INBOX"])
        expect(f"curl {scheme}", "appends", status == 0 and world.text_of(name) == BODY, text)


def curl(world):
    login = ("-u", f"carol:{PASSWORD}")
    curl_send(world, "smtp", "smtp")
    curl_send(world, "smtp", "submission", "--ssl-reqd", *login)
    curl_send(world, "smtps", "smtps", *login)
    curl_read(world)


# ---- swaks ----

def swaks(world):
    for name, port, more in (
            ("swaks-plain", "smtp", ()),
            ("swaks-tls", "submission", ("--tls", "--auth", "PLAIN", "--auth-user", "carol", "--auth-password", PASSWORD)),
            ("swaks-login", "submission", ("--tls", "--auth", "LOGIN", "--auth-user", "carol", "--auth-password", PASSWORD)),
            ("swaks-smtps", "smtps", ("--tlsc", "--auth", "PLAIN", "--auth-user", "carol", "--auth-password", PASSWORD)),
            ("swaks-pipeline", "smtp", ("--pipeline",))):
        status, out = world.run(
            ["swaks", "--server", f"127.0.0.1:{world.port(port)}", "--from", f"carol@{DOMAIN}", "--to", BOB,
             "--h-Subject", name, "--body", "from swaks", *more])
        expect(name, "sends, and it arrives", status == 0 and len(world.with_subject(name)) == 1, out[-600:])
    status, out = world.run(
        ["swaks", "--server", f"127.0.0.1:{world.port('submission')}", "--tls", "--auth", "PLAIN", "--auth-user",
         "carol", "--auth-password", "wrong", "--to", BOB, "--from", f"carol@{DOMAIN}"])
    expect("swaks", "is told 535 for a wrong password", status != 0 and " 535 " in out, out[-600:])


# ---- Python, as tutorials do it ----

def python_sends(world):
    m = letter("smtplib")
    with smtplib.SMTP("127.0.0.1", world.port("submission"), timeout=WAIT_S) as client:
        client.starttls(context=anyone())
        client.login("carol", PASSWORD)
        refused = client.send_message(m)
    expect("smtplib", "starttls, login, send_message", refused == {} and world.text_of("smtplib") == BODY, refused)
    with smtplib.SMTP_SSL("127.0.0.1", world.port("smtps"), context=anyone(), timeout=WAIT_S) as client:
        client.login("carol", PASSWORD)
        refused = client.sendmail(f"carol@{DOMAIN}", [BOB, f"carol@{DOMAIN}"], wire("smtplib-two"))
    both = all(world.text_of("smtplib-two", user) == BODY for user in ("bob", "carol"))
    expect("smtplib", "SMTP_SSL, sendmail to two", refused == {} and both, refused)


def python_imap(world):
    with imaplib.IMAP4_SSL("127.0.0.1", world.port("imaps"), ssl_context=anyone(), timeout=WAIT_S) as m:
        m.login("bob", PASSWORD)
        m.select("INBOX")
        m.store("1:*", "-FLAGS", "\\Seen")
        _, data = m.search(None, "UNSEEN")
        unseen = data[0].split()
        expect("imaplib", "search(None, 'UNSEEN')", len(unseen) == len(world.inbox()), data)
        subjects = []
        for num in unseen:
            _, fetched = m.fetch(num, "(RFC822)")
            subjects.append(email.message_from_bytes(fetched[0][1])["Subject"])
        expect("imaplib", "fetch(num, '(RFC822)')", "smtplib" in subjects, subjects)
        _, data = m.search(None, "UNSEEN")
        expect("imaplib", "what was fetched is seen", data == [b""], data)
        m.store(unseen[0], "+FLAGS", "\\Deleted")
        m.expunge()
        expect("imaplib", "store, expunge", len(world.inbox()) == len(unseen) - 1)
        m.create("Archive")
        typ, _ = m.copy("1", "Archive")
        expect("imaplib", "create, copy", typ == "OK" and len(world.server.read_imap("bob", "Archive")) == 1)
        typ, data = m.status("Archive", "(MESSAGES UNSEEN)")
        expect("imaplib", "status", typ == "OK" and b"MESSAGES 1" in data[0], data)
        typ, data = m.list()
        expect("imaplib", "list", typ == "OK" and any(b"Archive" in line for line in data), data)


def python_pop3(world):
    client = poplib.POP3("127.0.0.1", world.port("pop3"), timeout=WAIT_S)
    client.stls(context=anyone())
    client.user("carol")
    client.pass_(PASSWORD)
    count, size = client.stat()
    lines = client.retr(1)[1]
    expect("poplib", "stls, user, pass_, stat, retr", count == 1 and size > 0 and b".a line that begins with a dot" in lines, lines)
    client.dele(1)
    client.quit()
    expect("poplib", "dele, quit", world.inbox("carol") == [])


def python(world):
    python_sends(world)
    python_imap(world)
    python_pop3(world)


# ---- mbsync ----

def mbsync(world):
    local = world.path("mbsync/")
    os.mkdir(local)
    rc = world.file("mbsyncrc", f"""\
IMAPAccount bob
Host localhost
Port {world.port("imaps")}
User bob
Pass {PASSWORD}
SSLType IMAPS
CertificateFile {world.certificate}

IMAPStore far
Account bob

MaildirStore near
Path {local}
Inbox {local}INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")
    status, out = world.run(["mbsync", "-c", rc, "-a"])
    box = mailbox.Maildir(local + "INBOX", create=True)
    expect("mbsync", "pulls every message", status == 0 and len(box) == len(world.inbox()), out)
    expect("mbsync", "pulls the other folders", os.path.isdir(local + "Archive/cur"), os.listdir(local))
    key = next(k for k in box.keys() if box[k]["Subject"] == "smtplib")
    message = box[key]
    message.add_flag("F")
    box[key] = message
    other = next(k for k in box.keys() if box[k]["Subject"] == "swaks-tls")
    box.remove(other)
    added = mailbox.MaildirMessage(letter("mbsync-added").as_bytes())
    box.add(added)
    status, out = world.run(["mbsync", "-c", rc, "-a"])
    with world.server.imap("bob") as client:
        client.select("INBOX")
        flagged = client.search(None, "FLAGGED")[1][0].split()
    expect("mbsync", "pushes a flag", status == 0 and len(flagged) == 1, out)
    expect("mbsync", "pushes a new message", world.text_of("mbsync-added") == BODY, out)
    expect("mbsync", "pushes a deletion", world.with_subject("swaks-tls") == [], out)
    before = sorted(os.listdir(local + "INBOX/cur"))
    status, out = world.run(["mbsync", "-c", rc, "-a"])
    expect("mbsync", "finds nothing to do the next time", status == 0 and sorted(os.listdir(local + "INBOX/cur")) == before, out)


# ---- fetchmail ----

def fetchmail(world):
    for protocol, port in (("imap", "imaps"), ("pop3", "pop3s")):
        spool, want = world.path(f"fetched-{protocol}"), len(world.inbox())
        rc = world.file(f"fetchmailrc-{protocol}", f"""\
poll 127.0.0.1 protocol {protocol} port {world.port(port)} uidl
  user "bob" password "{PASSWORD}" ssl no sslcertck keep fetchall
  mda "/bin/sh -c 'cat >>{spool}; echo >>{spool}'"
""".replace(" uidl", " uidl" if protocol == "pop3" else ""))
        status, out = world.run(["fetchmail", "-f", rc, "--nosyslog", "-i", world.path(f"ids-{protocol}"),
                                 "--pidfile", world.path(f"fetchmail-{protocol}.pid")])
        found = world.read(spool).count("Subject: ")
        expect(f"fetchmail {protocol}", f"takes all {want} messages and leaves them",
               status == 0 and found == want == len(world.inbox()), out[-600:])
    rc = world.file("fetchmailrc-flush", f"""\
poll 127.0.0.1 protocol imap port {world.port("imap")}
  user "carol" password "{PASSWORD}" sslproto "auto" no sslcertck nokeep
  mda "/bin/cat >/dev/null"
""")
    with smtplib.SMTP("127.0.0.1", world.port("smtp"), timeout=WAIT_S) as client:
        client.sendmail(f"x@{DOMAIN}", [f"carol@{DOMAIN}"], wire("for carol"))
    status, out = world.run(["fetchmail", "-f", rc, "--nosyslog", "--pidfile", world.path("fetchmail-flush.pid")])
    expect("fetchmail imap STARTTLS", "takes mail out of the mailbox", status == 0 and world.inbox("carol") == [], out[-600:])


# ---- mutt ----

def mutt(world):
    attached = world.file("attached.bin", "attached to it\n")
    settings = world.file("muttrc", f"""\
set from = "carol@{DOMAIN}"
set use_envelope_from = yes
set copy = no
set folder = "{world.folder}"
set ssl_starttls = yes
set ssl_force_tls = yes
set ssl_verify_host = no
set certificate_file = "{world.certificate}"
set smtp_url = "smtp://carol@127.0.0.1:{world.port("submission")}/"
set smtp_pass = "{PASSWORD}"
set imap_user = "bob"
set imap_pass = "{PASSWORD}"
set confirmcreate = no
set confirmappend = no
set wait_key = no
set delete = yes
set quit = yes
""")
    status, out = world.run(
        ["mutt", "-F", settings, "-s", "mutt-sent", "-a", attached, "--", BOB], input=b"from mutt\n")
    found = world.with_subject("mutt-sent")
    expect("mutt", "sends with an attachment", status == 0 and len(found) == 1 and
           found[0].get_payload()[1].get_payload(decode=True).strip() == b"attached to it", out)
    # It reads only on a terminal; what a person would type comes from a hook.
    copied = world.path("mutt-copy")
    keys = f"<limit>~s mutt-sent<enter><copy-message>{copied}<enter><set-flag>!<quit>"
    settings = world.file("muttrc-reader", world.read(settings) + f"folder-hook . 'push \"{keys}\"'\n")
    inbox = f"imaps://127.0.0.1:{world.port('imaps')}/INBOX"
    with Terminal(["mutt", "-F", settings, "-f", inbox], home=world.folder) as terminal:
        ended = terminal.ends(WAIT_S / 2)
    expect("mutt imaps", "opens the inbox, finds the message, copies it out",
           ended and "from mutt" in world.read(copied), terminal.seen())
    with world.server.imap("bob") as client:
        client.select("INBOX")
        flagged = client.search(None, "FLAGGED", "SUBJECT", "mutt-sent")[1][0].split()
    expect("mutt imaps", "flags it", len(flagged) == 1, flagged)


def main():
    missing = [p for p in PROGRAMS if shutil.which(p) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")
        return 77
    world = World()
    try:
        for part in (curl, swaks, python, mbsync, fetchmail, mutt):
            part(world)
        expect("postbox", "ends as it should", world.server.stop() == 0)
    finally:
        world.close()
    print(f"{len(passed)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
