# SPDX-License-Identifier: BSD-2-Clause
"""Everything together: keys, zone, nsd, assayd, Postfix; and the way out."""

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
SIGNERS = ("bank.example", "shop.example", "friend.example", "xn--bcher-kva.example")
NEEDS = {
    "nsd": "/usr/sbin/nsd",
    "postfix": "/usr/sbin/postfix",
    "openssl": shutil.which("openssl") or "/usr/bin/openssl",
}


def why_not():
    """Why the lab can't run here, in words; None if it can."""
    if os.geteuid() != 0:
        return "Postfix wants root"
    missing = [name for name, path in NEEDS.items() if not os.access(path, os.X_OK)]
    if missing:
        return "not installed: " + ", ".join(missing)
    return None


def _leave(number, _frame):
    raise SystemExit(128 + number)


class Lab:
    """with Lab() as lab: everything runs; behind it nothing does, and nothing is left."""

    def __init__(self, settings=None, **assayd_options):
        self.settings = settings
        self.assayd_options = assayd_options
        self.folder = None
        self.keys = {}
        self.nsd = self.assayd = self.postfix = None

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
        self.nsd = Nsd(self.folder, zone, broken=("broken.example",))
        self.nsd.start()
        self.assayd = Assayd(self.folder, self.nsd.port, self.settings, **self.assayd_options)
        self.assayd.start()
        self.postfix = Postfix(self.folder, self.assayd.socket)
        self.postfix.start()

    def __exit__(self, *_):
        self.close()

    def close(self):
        # From here on nothing interrupts: a second Ctrl-C would leave servers behind.
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        for part in (self.postfix, self.assayd, self.nsd):
            if part is not None:
                part.stop()
        reap()
        if self.folder is not None:
            remove_folder(self.folder)
            self.folder = None

    def client(self, ip, helo, name="[UNAVAILABLE]", port=None):
        return Client(port or self.postfix.port, ip, helo, name)
