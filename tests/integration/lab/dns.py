# SPDX-License-Identifier: BSD-2-Clause
"""nsd on a loopback port, authoritative for everything: one zone file is the whole world."""

import os
import socket
import subprocess
import threading
import time

from .process import Child, LabError, free_ports, listens

CONF = """\
server:
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  xfrdir: "{folder}"
  server-count: 1
  verbosity: 1
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: "world.zone"
"""

# A zone that nsd knows of but cannot load is answered with SERVFAIL.
BROKEN = """\
zone:
  name: "{name}"
  zonefile: "there-is-no-such-file"
"""


def txt(name, value):
    """A TXT record of any length, in master-file form."""
    parts = [value[i : i + 200] for i in range(0, len(value), 200)] or [""]
    return f"{name}. 300 IN TXT " + " ".join(f'"{p}"' for p in parts) + "\n"


class PickyDns:
    """Hands questions on to a server, and leaves those about some names without an answer, for ever."""

    def __init__(self, port, is_dead):
        self.upstream, self.is_dead, self.dropped = port, is_dead, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.clients = {}
        threading.Thread(target=self._answer, daemon=True).start()
        threading.Thread(target=self._ask, daemon=True).start()

    @staticmethod
    def _name(query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace").lower())
            at += query[at] + 1
        return ".".join(labels)

    def _ask(self):
        serial = 0
        try:
            while True:
                query, client = self.socket.recvfrom(4096)
                if self.is_dead(self._name(query)):
                    self.dropped += 1
                    continue
                serial = (serial + 1) % 65536
                self.clients[serial] = (query[:2], client)
                self.back.sendto(serial.to_bytes(2, "big") + query[2:], ("127.0.0.1", self.upstream))
        except OSError:
            pass  # closed

    def _answer(self):
        try:
            self.back.bind(("127.0.0.1", 0))
            while True:
                answer, _ = self.back.recvfrom(65535)
                number, client = self.clients.pop(int.from_bytes(answer[:2], "big"), (None, None))
                if number:
                    self.socket.sendto(number + answer[2:], client)
        except OSError:
            pass

    def close(self):
        self.socket.close()
        self.back.close()


class Nsd:
    def __init__(self, folder, zone_text, broken=()):
        self.folder = os.path.join(folder, "nsd")
        os.mkdir(self.folder)
        with open(os.path.join(self.folder, "world.zone"), "w", encoding="ascii") as f:
            f.write(zone_text)
        self.broken = broken
        self.child = None
        self.port = None

    def start(self):
        for _ in range(3):
            (self.port,) = free_ports(1)
            conf = os.path.join(self.folder, "nsd.conf")
            with open(conf, "w", encoding="ascii") as f:
                f.write(CONF.format(port=self.port, folder=self.folder))
                for name in self.broken:
                    f.write(BROKEN.format(name=name))
            self._check(conf)
            self.child = Child(
                "nsd", ["/usr/sbin/nsd", "-d", "-c", conf], os.path.join(self.folder, "log")
            )
            if self._came_up():
                return
            self.child.stop()
        raise LabError(f"nsd does not start:\n{self.child.log()[-2000:]}")

    def _check(self, conf):
        zone = os.path.join(self.folder, "world.zone")
        done = subprocess.run(
            ["/usr/sbin/nsd-checkzone", ".", zone], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise LabError(f"zone file: {done.stdout}{done.stderr}")

    def _came_up(self):
        end = time.monotonic() + 10
        while time.monotonic() < end and self.child.alive():
            if listens(self.port):
                return True
            time.sleep(0.02)
        return False

    def stop(self):
        if self.child is not None:
            self.child.stop()
