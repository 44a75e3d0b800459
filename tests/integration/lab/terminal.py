# SPDX-License-Identifier: BSD-2-Clause
"""A program on a terminal of its own, for those that read mail on nothing else."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time


class Terminal:
    """with Terminal(argv, home) as t: t.ends(seconds); what it drew is t.seen()."""

    def __init__(self, argv, home, rows=24, columns=80):
        self.argv, self.home = argv, home
        self.size = struct.pack("HHHH", rows, columns, 0, 0)
        self.drawn = b""
        self.popen = self.master = None

    def __enter__(self):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, self.size)
        self.popen = subprocess.Popen(
            self.argv, stdin=slave, stdout=slave, stderr=slave, cwd=self.home, start_new_session=True,
            env=dict(os.environ, HOME=self.home, TERM="vt100", LC_ALL="C.UTF-8"))
        os.close(slave)
        return self

    def __exit__(self, *_):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        os.close(self.master)

    def ends(self, seconds):
        """Did it end by itself in that time, and well?"""
        end = time.monotonic() + seconds
        while self.popen.poll() is None and time.monotonic() < end:
            self._read(0.05)
        self._read(0)
        return self.popen.poll() == 0

    def _read(self, wait):
        if select.select([self.master], [], [], wait)[0]:
            try:
                self.drawn += os.read(self.master, 65536)
            except OSError:  # it has gone
                time.sleep(wait)

    def seen(self):
        return self.drawn[-2000:].decode("utf-8", "replace")
