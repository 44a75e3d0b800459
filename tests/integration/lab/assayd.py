# SPDX-License-Identifier: BSD-2-Clause
"""assayd out of the build, with a configuration of the test's choice."""

import os
import re
import signal

from .process import Child, LabError, wait_until


def program(name):
    """A program of the build that ran us ($ASSAY_BUILD), or of build/ beside the sources."""
    here = os.path.dirname(os.path.abspath(__file__))
    source = os.path.normpath(os.path.join(here, "..", "..", ".."))
    build = os.environ.get("ASSAY_BUILD") or os.path.join(source, "build")
    path = os.path.join(build, name)
    if not os.access(path, os.X_OK):
        raise LabError(f"{path} is not there: build first")
    return path


class Assayd:
    """settings: what the configuration file says beside socket, DNS and our name."""

    def __init__(self, folder, dns_port, settings=None, socket=None, user=None, name="assayd"):
        self.folder = os.path.join(folder, name)
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o777)  # whom assayd becomes makes its socket here
        self.conf_path = os.path.join(self.folder, "assay.conf")
        self.log_path = os.path.join(self.folder, "log")
        self.socket = socket or f"unix:{self.folder}/sock"
        self.fixed = {
            "socket": self.socket,
            "socket_mode": "0666",
            "front": os.environ.get("ASSAY_FRONT", "libmilter"),
            "authserv_id": "mx.demo.example",
            "log_target": "stderr",
            "dns_mode": "forward",
            "dns_forwarders": [f"127.0.0.1@{dns_port}"],
            "report_store": f"{self.folder}/reports/reports.db",
        }
        if os.geteuid() == 0:  # nobody else may change who it is
            self.fixed["user"] = user or "nobody"
        self.child = None
        self.began = 0
        self.configure(settings)

    def configure(self, settings=None, text=""):
        """Write the file; a running assayd reads it on reload(). text: goes in as it is."""
        with open(self.conf_path, "w", encoding="utf-8") as f:
            for name, value in {**self.fixed, **(settings or {})}.items():
                f.write(f"{name} = {_value(value)}\n")
            f.write(text)

    def start(self):
        self.began = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        self.child = Child("assayd", [program("assayd"), "-c", self.conf_path], self.log_path)
        wait_until(self._listening, 20, "assayd to listen")

    def _listening(self):
        self.child.must_live()
        return "serving on " in self.child.log()[self.began :]

    def reload(self):
        """SIGHUP, and wait until the log says what came of it: the line."""
        seen = len(self._reload_lines())
        self.child.signal(signal.SIGHUP)
        lines = wait_until(
            lambda: self._reload_lines()[seen:] or not self.child.alive(), 10, "a reload in the log"
        )
        self.child.must_live()
        return lines[0]

    def _reload_lines(self):
        return [line for line in self.child.log().splitlines() if "reloaded " in line or "reload failed" in line]

    def new_lines(self, seen):
        """What the log says behind its first `seen` characters, of messages only."""
        return [line for line in self.child.log()[seen:].splitlines() if " qid=" in line]

    def line_of(self, queue_id):
        """The log line of that message."""
        pattern = re.compile(rf"\bqid={queue_id}\b")
        return wait_until(
            lambda: next((x for x in self.child.log().splitlines() if pattern.search(x)), None),
            5,
            f"a log line of {queue_id}",
        )

    def memory_kib(self, field="VmHWM"):
        with open(f"/proc/{self.child.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
        raise LabError(f"no {field} of assayd")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def stop(self):
        """The exit status, None if it did not end by itself."""
        return self.child.stop() if self.child is not None else 0

    def kill(self):
        self.child.kill()


def _value(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(f'"{v}"' for v in value) + "}"
    return f'"{value}"'
