# SPDX-License-Identifier: BSD-2-Clause
"""A PostgreSQL of our own, in a folder, on a free port of loopback."""

import glob
import os
import pwd
import subprocess

from .process import Child, LabError, free_ports, listens, wait_until


def binaries():
    """The folder of initdb and postgres; None if there is none."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    return os.path.dirname(found[-1]) if found else None


class Postgres:
    def __init__(self, folder):
        self.folder = os.path.join(folder, "postgres")
        os.mkdir(self.folder)
        self.before = []  # PostgreSQL does not run as root
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.before = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        self.child = None
        self.port = None

    @property
    def conninfo(self):
        return f"host=127.0.0.1 port={self.port} user=assay dbname=postgres"

    def start(self):
        data = os.path.join(self.folder, "data")
        done = subprocess.run(
            [*self.before, f"{binaries()}/initdb", "-D", data, "-U", "assay", "-A", "trust", "-E", "UTF8",
             "--locale=C", "--no-sync"],
            capture_output=True, text=True, cwd="/", check=False)
        if done.returncode != 0:
            raise LabError(f"initdb: {done.stdout}{done.stderr}")
        (self.port,) = free_ports(1)
        log = os.path.join(self.folder, "log")
        self.child = Child("postgres", [
            *self.before, f"{binaries()}/postgres", "-D", data, "-k", self.folder, "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"], log)
        wait_until(lambda: listens(self.port) and "ready to accept" in self.child.log(), 20, "PostgreSQL to listen")

    def sql(self, text):
        """What it answers: a line a row, "|" between columns."""
        done = subprocess.run([f"{binaries()}/psql", "-XAtq", "-d", self.conninfo, "-c", text], capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"psql: {done.stderr}")
        return done.stdout.strip()

    def stop(self):
        if self.child is not None:
            self.child.signal(2)  # a fast stop; SIGTERM waits for clients
            self.child.stop()
