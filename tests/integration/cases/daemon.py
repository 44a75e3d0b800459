# SPDX-License-Identifier: BSD-2-Clause
"""assayd's own life: reload, death, a stop in the middle, sockets, leaks."""

import threading
import time

from lab.assayd import Assayd
from lab.process import wait_until

from .common import (
    BANK,
    EVIL,
    RECIPIENT,
    Failed,
    code,
    contains,
    expect,
    forgery,
    genuine,
    passes,
    results,
    same,
    send,
)

RELOADS = 10
SENDERS = 4


class _Flow(threading.Thread):
    """Sends genuine messages on one connection after the other until told to stop."""

    def __init__(self, lab, raw):
        super().__init__()
        self.lab, self.raw = lab, raw
        self.done = threading.Event()
        self.replies, self.error = [], None

    def run(self):
        try:
            while not self.done.is_set():
                ip, name = BANK
                with self.lab.client(ip, name, name) as client:
                    for _ in range(3):
                        self.replies.append(
                            client.send("news@bank.example", RECIPIENT, self.raw)
                        )
        except Exception as error:  # told to the case, which fails by it
            self.error = error


def reload_under_way(lab):
    """SIGHUP again and again while mail flows: no session is lost"""
    flows = [_Flow(lab, genuine(lab)) for _ in range(SENDERS)]
    for flow in flows:
        flow.start()
    try:
        for i in range(RELOADS):
            lab.assayd.configure({"dns_timeout": f"{5 + i % 2}s"})
            contains(lab.assayd.reload(), "reloaded")
    finally:
        for flow in flows:
            flow.done.set()
        for flow in flows:
            flow.join()
    for flow in flows:
        if flow.error is not None:
            raise Failed(f"a sender met {flow.error!r}")
    replies = [reply for flow in flows for reply in flow.replies]
    for reply in replies:
        code(reply, "250")
    contains(results(lab.postfix.arrival(replies[-1])), "dmarc=pass")
    print(f"     {len(replies)} messages during {RELOADS} reloads")


def bad_configuration(lab):
    """A bad new file is named with line and setting, and the old one stays"""
    lab.assayd.configure({"on_policy_reject": "accept"})
    contains(lab.assayd.reload(), "reloaded")
    lab.assayd.configure({"on_policy_reject": "exterminate"})
    contains(lab.assayd.reload(), "reload failed")
    contains(lab.assayd.child.log(), "assay.conf", "on_policy_reject", "exterminate")
    reply, _ = send(lab, EVIL, "attacker@evil.example", forgery())
    code(reply, "250")


def killed(lab):
    """kill -9: Postfix tempfails and keeps nothing; started again, all goes on"""
    ip, name = BANK
    with lab.client(ip, name, name) as client:
        code(client.mail("news@bank.example"), "250")
        code(client.rcpt(RECIPIENT), "250")
        code(client.begin_data(), "354")
        client.raw(genuine(lab))
        lab.assayd.kill()
        client.raw(b".\r\n")
        code(client.answer(), "451 4.7.1")
    for client in (BANK, EVIL):
        reply, _ = send(lab, client, "news@bank.example", genuine(lab))
        code(reply, "451 4.7.1")
    wait_until(lab.postfix.queue_is_empty, 10, "an empty queue")
    lab.assayd.start()
    passes(lab)


def stopped_in_the_middle(lab):
    """SIGTERM: the message that had begun is finished and answered, then assayd ends with 0"""
    ip, name = BANK
    with lab.client(ip, name, name) as client:
        code(client.mail("news@bank.example"), "250")
        code(client.rcpt(RECIPIENT), "250")
        code(client.begin_data(), "354")
        client.raw(genuine(lab)[:200])
        time.sleep(0.2)
        stopper = threading.Thread(target=lab.assayd.stop)
        stopper.start()
        time.sleep(0.2)
        client.raw(genuine(lab)[200:] + b".\r\n")
        reply = client.answer()
        stopper.join()
    status = lab.assayd.child.popen.returncode
    lab.assayd.start()
    code(reply, "250")
    same(status, 0, "exit status of assayd")
    results(lab.postfix.arrival(reply))


def inet_socket(lab):
    """A second assayd on a TCP socket, for a Postfix on another host"""
    socket = f"inet:{lab.postfix.inet_milter}@127.0.0.1"
    other = Assayd(lab.folder, lab.nsd.port, socket=socket, name="assayd-inet")
    other.start()
    try:
        passes(lab, port=lab.postfix.inet_port)
    finally:
        status = other.stop()
    same(status, 0, "exit status of assayd")


def no_leak(lab):
    """Descriptors do not grow with messages"""
    passes(lab)
    wait_until(lambda: lab.assayd.descriptors() > 0, 1, "descriptors")
    time.sleep(0.3)
    before = lab.assayd.descriptors()
    for _ in range(20):
        passes(lab)
        send(lab, EVIL, "attacker@evil.example", forgery())
    try:
        wait_until(lambda: lab.assayd.descriptors() <= before + 2, 5, "closed descriptors")
    except Exception:
        expect(False, f"about {before} descriptors", lab.assayd.descriptors())


CASES = [
    reload_under_way,
    bad_configuration,
    killed,
    stopped_in_the_middle,
    inet_socket,
    no_leak,
]
