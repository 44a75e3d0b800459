#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Mail of people who log in: Dovecot checks the password, Postfix tells assayd who it is ({auth_authen}), assayd signs,
and another Postfix takes it, with another assayd that verifies.

The mail leaves from an address that no SPF record names, and both domains say p=reject: without a good signature of the
author's domain it is refused. Exit: 0, 1 for a failure, 77 where it can't run (with the reason).
"""

import os
import re
import smtplib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    from cases.common import RECIPIENT, Failed, contains, expect, place, results, run_cases, same
    from lab import servers
    from lab.assayd import Assayd
    from lab.dovecot import Dovecot
    from lab.mail import message
    from lab.postbox import anyone
    from lab.postfix import Arrival, Postfix
    from lab.process import LabError, wait_until
    from lab.smtp import Reply
    from lab.world import Lab, why_not
except ImportError as missing:
    print(f"python3 has no module {missing.name}: see tests/packages")
    sys.exit(77)

ALICE, BANK = "alice.example", "bank.example"
LEAVES_FROM = "127.0.0.4"
# Who may write for what; the last login is an address, and needs no section for its own domain.
SENDERS = {"alice": (ALICE,), "clerk": (ALICE, BANK), "news@bank.example": ()}
PASSWORD = "not-a-secret"
STRANGERS = {"trusted_networks": ["192.0.2.100/32"]}  # else whoever comes from this machine is trusted


class Sending:
    """Dovecot, assayd that signs, Postfix that takes mail from people and hands it to the one of the lab."""

    def __init__(self, lab):
        self.lab = lab
        folder = os.path.join(lab.folder, "sending")
        os.mkdir(folder)
        os.chmod(folder, 0o755)
        certificate = servers.certificate(folder)
        users = {name.partition("@")[0]: PASSWORD for name in SENDERS}
        self.dovecot = lab.run(Dovecot(folder, users, certificate, plain_from="127.0.0.9"))
        self.assayd = Assayd(folder, lab.nsd.port)
        self.assayd.configure({"authserv_id": "out.alice.example", **STRANGERS}, self._sections(folder))
        lab.run(self.assayd)
        self.postfix = lab.run(Postfix(folder, self.assayd.socket, main=self._main(certificate),
                                       services={"submission": {
                                           "smtpd_sasl_auth_enable": "yes",
                                           "smtpd_tls_security_level": "encrypt",
                                           "smtpd_relay_restrictions": "permit_sasl_authenticated,reject"}}))

    def _sections(self, folder):
        text = ""
        for domain in (ALICE, BANK):
            key, path = self.lab.keys[domain], os.path.join(folder, domain + ".pem")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
                f.write(key.private)
            text += f'dkim_key "{domain}" {{ author_domains = "{domain}" domain = {domain} ' \
                f'selector = {key.selector} key_file = "{path}" }}\n'
        for name, domains in SENDERS.items():
            listed = ", ".join(f'"{d}"' for d in domains)
            text += f'sender "{name}" {{ domains = {{ {listed} }} }}\n' if domains else ""
        return text

    def _main(self, certificate):
        return {
            "myhostname": "out.alice.example", "virtual_mailbox_domains": "", "relayhost": f"[127.0.0.1]:{self.lab.mta.port}",
            "smtp_bind_address": LEAVES_FROM, "smtp_connection_cache_on_demand": "no",
            "smtpd_tls_cert_file": certificate[0], "smtpd_tls_key_file": certificate[1],
            "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": self.dovecot.auth_socket,
        }

    def connect(self):
        smtp = smtplib.SMTP("127.0.0.1", self.postfix.ports["submission"], timeout=60)
        smtp.starttls(context=anyone())
        return smtp

    def submit(self, smtp, author):
        """Give it a message; the queue id."""
        raw = message(author, "Hello", "Some text.\r\n.dot\r\n")
        smtp.mail(author)
        smtp.rcpt(RECIPIENT)
        said = smtp.data(raw)
        expect(said[0] == 250, "a message that is taken", said)
        return re.search(r"queued as (\S+)", said[1].decode()).group(1)

    def handed_on(self, queue_id):
        """What the other Postfix said to that message: (sent or bounced, its reply)."""
        line = re.compile(rf"{queue_id}: to=<.*status=(\w+) \((.*)\)")
        return wait_until(lambda: line.search(self.postfix.log()), 30, f"{queue_id} to be handed on").groups()


def submit_two(s, login, author):
    """The second message of a session has its login as well: their queue ids."""
    smtp = s.connect()
    smtp.login(login, PASSWORD)
    ids = [s.submit(smtp, author) for _ in range(2)]
    smtp.quit()
    return ids


def is_signed(s, login, author):
    for queue_id in submit_two(s, login, author):
        status, reply = s.handed_on(queue_id)
        same(status, "sent", f"status of {queue_id} ({reply})")
        arrival = s.lab.mta.arrival(Reply(250, reply))
        place(arrival, Arrival.INBOX)
        same(len(arrival.fields("DKIM-Signature")), 1, f"signatures of {login}")
        contains(results(arrival), "dkim=pass", f"header.d={author.partition('@')[2]}", "spf=fail", "dmarc=pass")


def is_not_signed(s, login, author):
    domain = author.partition("@")[2]
    for queue_id in submit_two(s, login, author):
        contains(s.assayd.child.log(), f'not signed qid={queue_id} login={login} author_domain={domain} '
                 'reason="the login may not use this domain"')
        status, reply = s.handed_on(queue_id)
        same(status, "bounced", f"status of {queue_id} ({reply})")
        contains(reply, "550 5.7.26", "no DKIM signature", f"DMARC policy p=reject of {domain}")


def own_domain(s):
    """A login gets a signature for the domain that its section names, and that one verifies where it arrives"""
    is_signed(s, "alice", "a@alice.example")


def other_domain(s):
    """A login gets none for a domain of somebody else, though there is a key for it"""
    is_not_signed(s, "alice", "news@bank.example")


def two_domains(s):
    """A login whose section names two domains gets one for either"""
    for author in ("a@alice.example", "news@bank.example"):
        is_signed(s, "clerk", author)


def address_as_login(s):
    """A login that is an address has the domain of that address and no other"""
    is_signed(s, "news@bank.example", "news@bank.example")
    is_not_signed(s, "news@bank.example", "a@alice.example")


def nobody(s):
    """Who does not log in, or with a wrong password, sends nothing"""
    seen = len(s.assayd.child.log())
    for password in (None, "wrong"):
        smtp = s.connect()
        if password is not None:
            try:
                smtp.login("alice", password)
                raise Failed("a wrong password was taken")
            except smtplib.SMTPAuthenticationError as why:
                same(why.smtp_code, 535, "reply to a wrong password")
        smtp.mail("a@alice.example")
        same(smtp.rcpt(RECIPIENT)[0], 554, "reply to RCPT TO without a login")
        smtp.quit()
    same(s.assayd.new_lines(seen), [], "messages that assayd saw")


CASES = [own_domain, other_domain, two_domains, address_as_login, nobody]


def run_all(s, wanted):
    return run_cases(CASES, wanted, lambda case: case(s),
                     {"assayd": lambda: s.assayd.child.log(), "Postfix": s.postfix.log})


def main():
    reason = why_not() or servers.why_not()
    if reason is not None:
        print(reason)
        return 77
    try:
        with Lab(STRANGERS) as lab:
            return run_all(Sending(lab), sys.argv[1:])
    except LabError as error:
        print(f"FAIL the lab: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
