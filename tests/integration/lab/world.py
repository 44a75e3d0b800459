# SPDX-License-Identifier: BSD-2-Clause
"""Everything together: keys, zone, nsd, assayd, a mail server; and the way out."""

import os
import shutil
import signal

from .assayd import Assayd
from .dns import Nsd
from .mail import Key
from .postfix import Postfix
from .process import adopt_orphans, reap, remove_folder, temporary_folder
from .smtp import Client

ZONE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "demo", "demo.zone")
SIGNERS = ("alice.example", "bank.example", "shop.example", "friend.example", "lists.example", "rcpt.example",
           "xn--bcher-kva.example")
NEEDS = {
    "nsd": "/usr/sbin/nsd",
    "postfix": "/usr/sbin/postfix",
    "openssl": shutil.which("openssl") or "/usr/bin/openssl",
}


def why_not(mta=Postfix):
    """Why the lab can't run here with this mail server, in words; None if it can."""
    if mta is Postfix and os.geteuid() != 0:
        return "Postfix wants root"
    missing = [
        name
        for name, path in NEEDS.items()
        if not os.access(path, os.X_OK) and (name != "postfix" or mta is Postfix)
    ]
    if missing:
        return "not installed: " + ", ".join(missing)
    return None


def _leave(number, _frame):
    raise SystemExit(128 + number)


class Lab:
    """with Lab() as lab: everything runs; behind it nothing does, and nothing is left.

    mta: the class of the server that receives, Postfix or Postbox; lab.mta is the one that runs.
    """

    def __init__(self, settings=None, mta=Postfix, **assayd_options):
        self.settings = settings
        self.mta_class = mta
        self.assayd_options = assayd_options
        self.folder = None
        self.keys = {}
        self.nsd = self.assayd = self.mta = None
        self.parts = []

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, _leave)
        adopt_orphans()
        self.folder = temporary_folder()
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self):
        for domain in SIGNERS:
            self.keys[domain] = Key(domain, "rsa1")
        self.keys["ed25519"] = Key("bank.example", "ed1", kind="ed25519")
        with open(ZONE, encoding="ascii") as f:
            zone = f.read() + "".join(k.zone_line() for k in self.keys.values())
        self.nsd = self.run(Nsd(self.folder, zone, broken=("broken.example",)))
        self.assayd = self.run(
            Assayd(self.folder, self.nsd.port, self.settings, **self.assayd_options)
        )
        self.mta = self.run(self.mta_class(self.folder, self.assayd.socket))

    def run(self, part):
        """Start it, and stop it at the end; the part itself."""
        self.parts.append(part)
        part.start()
        return part

    @property
    def postfix(self):
        """The mail server, for tests of what only Postfix has."""
        return self.mta

    def __exit__(self, *_):
        self.close()

    def close(self):
        # From here on nothing interrupts: a second Ctrl-C would leave servers behind.
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        for part in reversed(self.parts):
            part.stop()
        reap()
        if self.folder is not None:
            remove_folder(self.folder)
            self.folder = None

    def client(self, ip, helo, name="[UNAVAILABLE]", port=None):
        return Client(port or self.mta.port, ip, helo, name)
