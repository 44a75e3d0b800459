# SPDX-License-Identifier: BSD-2-Clause
"""Each thing that assay can do with a message, and what makes it do that."""

from lab.mail import message
from lab.postfix import Arrival

from .common import (
    BANK,
    EVIL,
    FRIEND,
    RELAY,
    SHOP,
    code,
    contains,
    expect,
    forgery,
    genuine,
    one_line,
    passes,
    place,
    results,
    same,
    send,
)


# RFC 7208 2.6.1 to 2.6.7 define the results, 8.1 to 8.7 what follows from them: with us nothing by itself.
SPF_RESULTS = [
    ("none", "none.example", "RFC 7208 2.6.1, 8.1"),
    ("neutral", "neutral.example", "RFC 7208 2.6.2, 8.2"),
    ("pass", "evil.example", "RFC 7208 2.6.3, 8.3"),
    ("fail", "bank.example", "RFC 7208 2.6.4, 8.4"),
    ("fail", "exp.example", "RFC 7208 8.4"),
    ("softfail", "softfail.example", "RFC 7208 2.6.5, 8.5"),
    ("temperror", "temperror.example", "RFC 7208 2.6.6, 8.6"),
    ("permerror", "permerror.example", "RFC 7208 2.6.7, 8.7"),
]


def spf_results(lab):
    """Each result of SPF is written (RFC 7208 9.2); none refuses mail alone (RFC 9989 7.1)"""
    for result, domain, rule in SPF_RESULTS:
        raw = message("a@none.example", "SPF", "x\r\n")
        reply, arrival = send(lab, EVIL, f"a@{domain}", raw)
        code(reply, "250")
        field = results(arrival)
        expect(f"spf={result}" in field, f"spf={result} for {domain} ({rule})", field)
    lab.assayd.configure({"on_spf_fail": "reject"})
    contains(lab.assayd.reload(), "reloaded")
    raw = message("a@none.example", "SPF", "x\r\n")
    reply, _ = send(lab, EVIL, "a@exp.example", raw)
    code(reply, "550 5.7.23")  # RFC 7372 3.2


def several_signatures(lab):
    """A broken signature beside a good one does no harm (RFC 6376 4.2, 6.1, 6.2, 6.3)"""
    raw = genuine(lab)
    broken = lab.keys["ed25519"].sign(message("news@bank.example", "Other", "other\r\n"))
    field = broken[: broken.index(b"\r\nFrom:") + 2]
    reply, arrival = send(lab, RELAY, "news@bank.example", field + raw)
    code(reply, "250")
    contains(results(arrival), "dkim=fail", "dkim=pass", "dmarc=pass")


def spf_alone(lab):
    """No signature at all: an aligned SPF pass is enough (RFC 9989 4.4.2, 5.3.2, 5.3.3, 5.3.5, 9.2)"""
    reply, arrival = send(lab, BANK, "news@bank.example", message("a@bank.example", "x", "x\r\n"))
    code(reply, "250")
    contains(results(arrival), "spf=pass", "dkim=none", "dmarc=pass")


def accept(lab):
    """SPF and two kinds of DKIM pass, aligned (RFC 8601 2.3, 2.4)"""
    raw = lab.keys["ed25519"].sign(genuine(lab))
    arrival = passes(lab, raw=raw)
    field = results(arrival)
    contains(field, "spf=pass", "smtp.mailfrom=", "header.d=bank.example", "header.s=rsa1")
    contains(field, "header.s=ed1", "header.a=ed25519-sha256", "header.from=bank.example", "policy.dmarc=reject")
    same(field.count("dkim=pass"), 2, "number of dkim=pass")


def reject(lab):
    """The classic forgery: 550 5.7.26 (RFC 7372 3.4, RFC 9989 5.4), and the whole reason in one line"""
    reply, arrival = send(lab, EVIL, "attacker@evil.example", forgery())
    code(reply, "550 5.7.26")
    one_line(reply)
    contains(reply.text, "bank.example", "SPF", "evil.example", "DKIM", "reject", "align")
    place(arrival, Arrival.NOWHERE)
    queue_id = lab.assayd.child.log().rpartition("qid=")[2].split()[0]
    contains(reply.text, queue_id)
    line = lab.assayd.line_of(queue_id)
    contains(line, "action=reject", "cause=dmarc", "spf=pass", "dkim=none", "dmarc=fail")


def forwarded(lab):
    """SPF fails at a forwarder, the aligned signature survives (RFC 9989 4.4.1, 5.3.4)"""
    reply, arrival = send(lab, RELAY, "news@bank.example", genuine(lab))
    code(reply, "250")
    contains(results(arrival), "spf=fail", "dkim=pass", "dmarc=pass")


def quarantine_by_hold(lab):
    """A broken signature under p=quarantine goes to the hold queue"""
    raw = lab.keys["shop.example"].sign(message("a@shop.example", "Offer", "Three\r\n"))
    reply, arrival = send(lab, RELAY, "a@shop.example", raw + b"footer\r\n")
    code(reply, "250")
    place(arrival, Arrival.HOLD)
    contains(results(arrival), "dmarc=fail", "dkim=fail")


def quarantine_by_header(lab):
    """The same with quarantine = header: delivered with a field; one brought along is removed"""
    lab.assayd.configure({"quarantine": "header"})
    contains(lab.assayd.reload(), "reloaded")
    raw = message("a@shop.example", "Offer", "x\r\n", ["X-Assay-Quarantine: forged by sender"])
    reply, arrival = send(lab, EVIL, "attacker@evil.example", raw)
    code(reply, "250")
    place(arrival, Arrival.INBOX)
    fields = arrival.fields("X-Assay-Quarantine")
    same(len(fields), 1, "number of X-Assay-Quarantine")
    expect("forged" not in fields[0], "our own text in it", fields[0])
    contains(fields[0], "shop.example")
    arrival = passes(lab)
    same(arrival.fields("X-Assay-Quarantine"), [], "X-Assay-Quarantine of a good message")


def tempfail(lab):
    """SERVFAIL for the policy: 451, come again"""
    reply, _ = send(lab, FRIEND, "a@friend.example", message("a@broken.example", "x", "x\r\n"))
    code(reply, "451 4.")
    one_line(reply)
    contains(reply.text, "broken.example")


def accept_on_temperror(lab):
    """The same with on_temperror = accept: delivered, and said in the field"""
    lab.assayd.configure({"on_temperror": "accept"})
    contains(lab.assayd.reload(), "reloaded")
    reply, arrival = send(
        lab, FRIEND, "a@friend.example", message("a@broken.example", "x", "x\r\n")
    )
    code(reply, "250")
    contains(results(arrival), "dmarc=temperror")


def discard(lab):
    """on_policy_reject = discard: the sender is told 250, nobody gets it"""
    lab.assayd.configure({"on_policy_reject": "discard"})
    contains(lab.assayd.reload(), "reloaded")
    reply, arrival = send(lab, EVIL, "attacker@evil.example", forgery())
    code(reply, "250 2.0.0")
    place(arrival, Arrival.NOWHERE)


def nonexistent_subdomain(lab):
    """np=reject for a name that is not in the DNS, p=none for one that is"""
    raw = message("a@office.city.example", "Refund", "x\r\n")
    reply, _ = send(lab, EVIL, "attacker@evil.example", raw)
    code(reply, "550 5.7.26")
    contains(reply.text, "office.city.example")
    raw = message("a@www.city.example", "News", "x\r\n")
    reply, arrival = send(lab, EVIL, "attacker@evil.example", raw)
    code(reply, "250")
    contains(results(arrival), "dmarc=fail")


def authors(lab):
    """Several From fields, several author domains, none, and one that can't be read: refused
    (RFC 9989 5.3.1, RFC 7489 6.6.1, RFC 6376 8.15)"""
    two_fields = message("a@friend.example", "x", "x\r\n", ["From: b@bank.example"])
    two_domains = message("a@friend.example, b@bank.example", "x", "x\r\n")
    none = b"Subject: no author\r\n\r\nx\r\n"
    broken = message("<<a@friend.example", "x", "x\r\n")
    for raw in (two_fields, two_domains, none, broken):
        reply, _ = send(lab, FRIEND, "a@friend.example", raw)
        code(reply, "550 5.")
        one_line(reply)


def null_sender(lab):
    """MAIL FROM:<> : the SPF identity is postmaster@HELO, and it may align (RFC 9989 3.2.4)"""
    raw = message("postmaster@mail.bank.example", "Bounce", "x\r\n")
    reply, arrival = send(lab, BANK, "", raw)
    code(reply, "250")
    contains(results(arrival), "spf=pass", "dmarc=pass")


def ipv6_client(lab):
    """A client with an IPv6 address"""
    raw = message("news@bank.example", "x", "x\r\n")
    reply, arrival = send(lab, ("2001:db8:1::5", "v6.bank.example"), "news@bank.example", raw)
    code(reply, "250")
    contains(results(arrival), "spf=pass", "dmarc=pass")


def local_rules(lab):
    """The table by author domain, and trusted forwarders by network and by domain"""
    rules = 'author_domain "bank.example" { rule = exempt }\n'
    rules += 'author_domain "friend.example" { rule = reject }\n'
    lab.assayd.configure(text=rules)
    contains(lab.assayd.reload(), "reloaded")
    reply, arrival = send(lab, EVIL, "attacker@evil.example", forgery())
    code(reply, "250")
    contains(results(arrival), "dmarc=fail")
    raw = message("a@friend.example", "x", "x\r\n")
    reply, _ = send(lab, EVIL, "attacker@evil.example", raw)
    code(reply, "550 5.7.")
    for setting, value in (
        ("trusted_forwarder_networks", ["203.0.113.0/28"]),
        ("trusted_forwarder_domains", ["alumni.example"]),
    ):
        lab.assayd.configure({setting: value})
        contains(lab.assayd.reload(), "reloaded")
        reply, arrival = send(lab, RELAY, "fwd@alumni.example", forgery())
        code(reply, "250")
        contains(results(arrival), "dmarc=fail")
        contains(lab.assayd.line_of(queue_id(reply)), "override=trusted_forwarder")


def mailing_list(lab):
    """A list that authenticates itself turns reject into quarantine; a mere List-Id does not"""
    fields = ["List-Id: Friends <friends.list.example>"]
    raw = message("ceo@bank.example", "[friends] x", "x\r\n", fields)
    reply, arrival = send(lab, ("203.0.113.17", "list.example"), "bounce@list.example", raw)
    code(reply, "250")
    place(arrival, Arrival.HOLD)
    contains(lab.assayd.line_of(queue_id(reply)), "override=mailing_list")
    reply, _ = send(lab, EVIL, "attacker@evil.example", raw)
    code(reply, "550 5.7.26")


def queue_id(reply):
    return reply.text.split()[-1]


def trusted_network(lab):
    """Our own hosts' mail is passed on unseen"""
    lab.assayd.configure({"trusted_networks": ["192.0.2.16/28"]})
    contains(lab.assayd.reload(), "reloaded")
    reply, arrival = send(lab, SHOP, "a@shop.example", message("a@bank.example", "x", "x\r\n"))
    code(reply, "250")
    place(arrival, Arrival.INBOX)
    same(arrival.fields("Authentication-Results"), [], "Authentication-Results")


CASES = [
    spf_results,
    several_signatures,
    spf_alone,
    accept,
    reject,
    forwarded,
    quarantine_by_hold,
    quarantine_by_header,
    tempfail,
    accept_on_temperror,
    discard,
    nonexistent_subdomain,
    authors,
    null_sender,
    ipv6_client,
    local_rules,
    mailing_list,
    trusted_network,
]
