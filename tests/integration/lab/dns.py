# SPDX-License-Identifier: BSD-2-Clause
"""nsd on a loopback port, authoritative for everything: one zone file is the whole world."""

import os
import subprocess
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
