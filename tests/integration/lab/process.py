# SPDX-License-Identifier: BSD-2-Clause
"""A temporary folder, free ports, and children that never outlive us."""

import ctypes
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something of the lab itself did not work: not a failed test, but no test either."""


def wait_until(condition, seconds, what, every=0.02):
    """The first true value of condition(); LabError with `what` when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"waited {seconds} s for {what}")
        time.sleep(every)


def free_ports(count):
    """Ports nobody listens on, from below the range that outgoing connections use."""
    found = []
    for port in random.sample(range(20000, 32000), 500):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM
        ) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
                found.append(port)
            except OSError:
                continue
        if len(found) == count:
            return found
    raise LabError("no free ports between 20000 and 31999")


def listens(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def _reachable_by_all(folder):
    """May another user (Postfix's) walk into it?"""
    path = os.path.realpath(folder)
    while True:
        if not os.path.isdir(path) or not os.stat(path).st_mode & stat.S_IXOTH:
            return False
        if path == "/":
            return True
        path = os.path.dirname(path)


def temporary_folder():
    for parent in (os.environ.get("TMPDIR"), "/tmp", "/var/tmp"):
        if parent and _reachable_by_all(parent):
            folder = tempfile.mkdtemp(prefix="assay-lab.", dir=parent)
            os.chmod(folder, 0o755)
            return folder
    raise LabError("no temporary folder that user postfix can enter: tried TMPDIR, /tmp, /var/tmp")


def _die_with_parent():
    # Also when we are killed outright, and no clean-up of ours runs.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """A program in the foreground of its own session, so that a Ctrl-C reaches us alone."""

    def __init__(self, name, argv, log, env=None):
        self.name = name
        self.log_path = log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=env,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def log(self):
        with open(self.log_path, "r", encoding="utf-8", errors="replace") as f:
            return f.read()

    def must_live(self):
        if not self.alive():
            raise LabError(
                f"{self.name} ended with status {self.popen.returncode}:\n{self.log()[-2000:]}"
            )

    def signal(self, number):
        if self.alive():
            self.popen.send_signal(number)

    def stop(self, seconds=10):
        """SIGTERM, and SIGKILL for who does not listen. The exit status; None if it took a kill."""
        self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self):
        self.signal(signal.SIGKILL)
        self.popen.wait()


def adopt_orphans():
    """Children of our children become ours when their parent ends, so that we can wait for them."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)


def reap(seconds=5):
    """Wait until no child is left; who does not go is killed."""
    end = time.monotonic() + seconds
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            if time.monotonic() > end:
                _kill_children()
                end += seconds
            time.sleep(0.01)


def _kill_children():
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as f:
        for pid in f.read().split():
            os.kill(int(pid), signal.SIGKILL)


def remove_folder(folder):
    shutil.rmtree(folder, ignore_errors=True)
