# SPDX-License-Identifier: BSD-2-Clause
"""The servers that transcripts are played on: postbox, Postfix and Dovecot, all for the same two users.

They serve bob@rcpt.example (password "secret") and carol@rcpt.example ("other one"). A server has

    name, families      what it is called; which of smtp, pop3, imap it speaks
    can(variants)       does it come in that shape?
    reset(variants)     nobody's mail, as if it had just been started
    address(protocol, variants)     where to connect to, and from which address
    put(user, octets)   a message into his INBOX
    mail(user, folder, count, wait_s)   his messages, oldest first; waits until there are so many
"""

import imaplib
import os
import subprocess
import time

from .dovecot import Dovecot
from .postbox import Postbox, anyone
from .postfix import Postfix
from .process import LabError, wait_until

USERS = {"bob": "secret", "carol": "other one"}
DATE = '"23-Nov-2026 10:00:00 +0000"'
HOST, DOMAIN = "mx.demo.example", "rcpt.example"

# How a transcript may want its server, and what that is on the command line of postbox.
VARIANTS = {
    "plain": ["--allow-plain-auth"],  # passwords without TLS
    "small": ["--message-size", "600"],
    "slow": ["--timeout", "1500"],  # a time-out that can be waited for
    "xclient": ["--xclient", "127.0.0.0/8"],
    "filter": ["--milter", None],  # the one of scripted_filter.py
}


class _Mailboxes:
    """Reads and writes mail over IMAP, leaving flags as they are. port: of IMAP with TLS."""

    port = None

    def _login(self, user):
        client = imaplib.IMAP4_SSL("127.0.0.1", self.port, ssl_context=anyone(), timeout=30)
        client.login(user, USERS[user])
        return client

    def put(self, user, octets):
        client = self._login(user)
        client.append("INBOX", None, DATE, octets)
        client.logout()

    def mail(self, user, folder, count, wait_s):
        end = time.monotonic() + wait_s
        while True:
            found = self._look(user, folder)
            if len(found) == count or time.monotonic() > end:
                return found
            time.sleep(0.05)

    def _look(self, user, folder):
        client = self._login(user)
        try:
            if client.select(f'"{folder}"', readonly=True)[0] != "OK":
                return []
            numbers = client.search(None, "ALL")[1][0].split()
            return [client.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in numbers]
        finally:
            client.logout()


class PostboxServer(_Mailboxes):
    name, families = "postbox", ("smtp", "pop3", "imap")

    def __init__(self, folder, milter):
        self.folder, self.milter, self.box = folder, milter, None

    def can(self, _variants):
        return True

    def reset(self, variants):
        """Another process each time."""
        self.stop()
        options = [option for variant in sorted(variants) for option in VARIANTS[variant]]
        more = [option or self.milter.for_postbox for option in options]
        for user, password in USERS.items():
            more += ["--user", f"{user}:{password}"]
        self.box = Postbox(self.folder, host=HOST, domain=DOMAIN, users=(), xclient=(), more=more)
        self.box.start()
        self.port = self.box.ports["imaps"]

    def address(self, protocol, _variants):
        return ("127.0.0.1", self.box.ports[protocol]), None

    def log(self):
        return self.box.log()

    def stop(self):
        """It must end well: a sanitizer's complaint is an exit status of its own."""
        status = self.box.stop() if self.box is not None else 0
        if status != 0:
            raise LabError(f"postbox ended with status {status}:\n{self.log()[-4000:]}")


def why_not():
    """Why the real servers don't run here; None if they do."""
    if os.geteuid() != 0:
        return "they want root"
    for name, path in (("postfix", "/usr/sbin/postfix"), ("dovecot-core", "/usr/sbin/dovecot"),
                       ("dovecot-imapd", "/usr/lib/dovecot/imap"), ("dovecot-pop3d", "/usr/lib/dovecot/pop3")):
        if not os.access(path, os.X_OK):
            return f"not installed: {name}"
    return None


def certificate(folder):
    """Files of a certificate and its key that nobody vouches for."""
    paths = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
         "30", "-subj", "/CN=localhost", "-out", paths[0], "-keyout", paths[1]],
        check=True, capture_output=True,
    )
    return paths


class DovecotServer(_Mailboxes):
    """disable_plaintext_auth does not hold for who comes from the server's own address."""

    name, families = "Dovecot", ("pop3", "imap")
    SOURCES = {frozenset(): "127.0.0.9", frozenset(["plain"]): "127.0.0.8"}

    def __init__(self, folder, certificate_files):
        self.dovecot = Dovecot(folder, USERS, certificate_files, plain_from=self.SOURCES[frozenset(["plain"])])
        self.dovecot.start()
        self.port = self.dovecot.ports["imaps"]

    def can(self, variants):
        return variants in self.SOURCES

    def reset(self, _variants):
        self.dovecot.forget_mail()

    def address(self, protocol, variants):
        return ("127.0.0.1", self.dovecot.ports[protocol]), (self.SOURCES[variants], 0)

    def log(self):
        return self.dovecot.log()

    def stop(self):
        self.dovecot.stop()


TLS_ONLY = {"smtpd_tls_auth_only": "yes"}
SERVICES = {
    ("smtp", frozenset()): TLS_ONLY,
    ("smtp", frozenset(["plain"])): {"smtpd_tls_auth_only": "no"},
    ("smtp", frozenset(["small"])): {"message_size_limit": "600", **TLS_ONLY},
    ("smtp", frozenset(["slow"])): {"smtpd_timeout": "2s", **TLS_ONLY},
    ("smtp", frozenset(["xclient"])): {"smtpd_authorized_xclient_hosts": "127.0.0.0/8", **TLS_ONLY},
    ("smtp", frozenset(["filter"])): {"smtpd_milters": None, **TLS_ONLY},
    ("smtps", frozenset()): {"smtpd_tls_wrappermode": "yes"},
    ("submission", frozenset()): {"smtpd_tls_security_level": "encrypt"},
}


class PostfixServer:
    """Its passwords and mailboxes are Dovecot's."""

    name, families = "Postfix", ("smtp",)

    def __init__(self, folder, dovecot_server, certificate_files, milter):
        dovecot = dovecot_server.dovecot
        self.mailboxes = dovecot_server
        users = " ".join(f"{{{user}@{DOMAIN}={user}/}}" for user in USERS)
        main = {
            "smtpd_tls_cert_file": certificate_files[0], "smtpd_tls_key_file": certificate_files[1],
            "smtpd_tls_security_level": "may", "smtpd_tls_received_header": "yes", "strict_smtputf8": "yes",
            "smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": dovecot.auth_socket, "smtpd_helo_required": "yes",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject_unauth_destination",
            "virtual_mailbox_maps": f"inline:{{{users}}}", "virtual_mailbox_base": dovecot.mail_folder,
            "virtual_uid_maps": f"static:{dovecot.uid}", "virtual_gid_maps": f"static:{dovecot.gid}",
            "virtual_minimum_uid": "1", "milter_default_action": "tempfail", "smtpd_authorized_xclient_hosts": "", "smtpd_forbid_bare_newline": "reject",
            "smtpd_forbid_bare_newline_exclusions": "", "smtpd_hard_error_limit": "20",
            "smtpd_junk_command_limit": "1000", "recipient_delimiter": "+", "smtpd_milters": "",
            "smtpd_discard_ehlo_keywords": "chunking", "smtpd_forbid_unauth_pipelining": "no",
        }
        services = {
            self._service(*key): {name: value or milter.for_postfix for name, value in options.items()}
            for key, options in SERVICES.items()
        }
        self.postfix = Postfix(folder, "", main=main, services=services)
        self.postfix.start()

    @staticmethod
    def _service(protocol, variants):
        return "-".join([protocol, *sorted(variants)])

    def can(self, variants):
        return ("smtp", variants) in SERVICES

    def reset(self, _variants):
        """What is still on its way must not find the mailbox gone."""
        self._quiet()
        self.mailboxes.reset(frozenset())

    def address(self, protocol, variants):
        """A connection that only looks at the mailbox is for Dovecot."""
        if protocol not in ("smtp", "smtps", "submission"):
            return self.mailboxes.address(protocol, frozenset())
        return ("127.0.0.1", self.postfix.ports[self._service(protocol, variants)]), None

    def put(self, user, octets):
        self.mailboxes.put(user, octets)

    def mail(self, user, folder, count, wait_s):
        if count == 0:  # that nothing comes is known when nothing is on its way
            self._quiet()
        return self.mailboxes.mail(user, folder, count, wait_s)

    def _quiet(self):
        try:
            wait_until(self.postfix.queue_is_empty, 20, "an empty queue")
        except LabError as why:
            raise LabError(f"{why}:\n{self.log()[-4000:]}") from why

    def log(self):
        return self.postfix.log()

    def stop(self):
        self.postfix.stop()


def real_servers(folder, milter):
    """Postfix and Dovecot, running."""
    files = certificate(folder)
    dovecot = DovecotServer(folder, files)
    return [PostfixServer(folder, dovecot, files, milter), dovecot]
