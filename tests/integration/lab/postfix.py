# SPDX-License-Identifier: BSD-2-Clause
"""A private Postfix: own configuration, queue, port and mailboxes, all below one folder."""

import os
import pwd
import subprocess
import time

from .arrival import QUEUED_AS, Arrival
from .process import Child, LabError, free_ports, listens, wait_until

# static:inbox/ puts every recipient's mail into one Maildir; nothing here asks the DNS.
MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
myhostname = mx.demo.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = all
mynetworks = 127.0.0.9/32
alias_maps =
local_header_rewrite_clients =
local_recipient_maps =
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_client_connection_rate_limit = 0
smtpd_relay_restrictions = reject_unauth_destination
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
message_size_limit = 104857600
virtual_mailbox_limit = 0
virtual_mailbox_domains = rcpt.example
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
smtpd_milters = {milter}
non_smtpd_milters =
milter_default_action = tempfail
"""

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{old_port} inet n - n - - smtpd -o milter_protocol=4
127.0.0.1:{inet_port} inet n - n - - smtpd -o smtpd_milters=inet:127.0.0.1:{inet_milter}
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
proxymap  unix  - - n - - proxymap
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
smtp      unix  - - n - - smtp
anvil     unix  - - n - 1 anvil
showq     unix  n - n - - showq
postlog   unix-dgram n - n - 1 postlogd
"""

DAEMONS = "/usr/lib/postfix/sbin"


class Postfix:
    """main: parameters instead of those above. services: name -> parameters of a further smtpd, whose
    port is in ports."""

    name = "Postfix"

    def __init__(self, folder, milter, main=None, services=None):
        self.folder = os.path.join(folder, "postfix")
        self.milter = milter
        self.main, self.services = main or {}, services or {}
        self.ports = {}
        self.child = None
        self.port = None
        self.old_port = None  # here Postfix speaks an old milter protocol, without leading blanks
        self.inet_port = None  # here its milter is at inet_milter, where a test may start one
        self.inet_milter = None
        user = pwd.getpwnam("postfix")
        self.ids = (user.pw_uid, user.pw_gid)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def start(self):
        for name in ("", "etc", "spool", "data", "mail"):
            os.mkdir(self.path(name))
        for name in ("data", "mail"):
            os.chown(self.path(name), *self.ids)
        for _ in range(3):
            self._configure()
            # `postfix start` would leave the master to init; as our own child it can be waited for.
            self._postfix("check")
            self.child = Child(
                "postfix",
                [f"{DAEMONS}/master", "-c", self.path("etc"), "-d"],
                self.path("output"),
            )
            if self._came_up():
                return
            self.child.stop()
        raise LabError(f"Postfix does not start:\n{self.log()[-2000:]}{self.child.log()[-2000:]}")

    def _postfix(self, command):
        done = subprocess.run(
            ["/usr/sbin/postfix", "-c", self.path("etc"), command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"postfix {command}: {done.stdout}{done.stderr}{self.log()[-2000:]}")

    def _configure(self):
        ports = free_ports(4 + len(self.services))
        self.port, self.old_port, self.inet_port, self.inet_milter = ports[:4]
        self.ports = dict(zip(self.services, ports[4:]))
        text = MAIN_CF.format(
            folder=self.folder,
            daemons=DAEMONS,
            uid=self.ids[0],
            gid=self.ids[1],
            milter=self.milter,
        )
        main = dict(line.split(" =", 1) for line in text.splitlines()) | self.main
        with open(self.path("etc", "main.cf"), "w", encoding="ascii") as f:
            f.writelines(f"{name} = {value.strip()}\n" for name, value in main.items())
        with open(self.path("etc", "master.cf"), "w", encoding="ascii") as f:
            f.write(
                MASTER_CF.format(
                    port=self.port,
                    old_port=self.old_port,
                    inet_port=self.inet_port,
                    inet_milter=self.inet_milter,
                )
            )
            for name, options in self.services.items():
                more = "".join(f" -o {key}={value}" for key, value in options.items())
                f.write(f"127.0.0.1:{self.ports[name]} inet n - n - - smtpd{more}\n")
            f.write("tlsmgr unix - - n 1000? 1 tlsmgr\n" if self.services else "")

    def _came_up(self):
        """The master opens one port after the other, those of services last."""
        last = [self.port, *self.ports.values()][-1]
        end = time.monotonic() + 30
        while time.monotonic() < end and self.child.alive():
            if listens(last):
                return True
            time.sleep(0.02)
        return False

    def stop(self):
        if self.child is not None:
            self.child.stop()

    def log(self):
        try:
            with open(self.path("maillog"), "r", encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    # ---- what became of a message ----

    def arrival(self, reply):
        """Of a message that Postfix answered with `reply`; waits for the delivery."""
        queued = QUEUED_AS.search(reply.text)
        if reply.code != 250 or queued is None:
            return Arrival(Arrival.NOWHERE)
        queue_id = queued.group(1)
        return wait_until(
            lambda: self._look(queue_id), 30, f"message {queue_id} to arrive somewhere"
        )

    def _look(self, queue_id):
        if os.path.exists(self.path("spool", "hold", queue_id)):
            return Arrival(Arrival.HOLD, self._held(queue_id))
        log = self.log()
        if f"{queue_id}: milter-discard" in log or f"{queue_id}: discarded" in log:
            return Arrival(Arrival.NOWHERE)
        if f"{queue_id}: removed" in log:
            return Arrival(Arrival.INBOX, self._delivered(queue_id))
        return None

    def _held(self, queue_id):
        return subprocess.run(
            ["/usr/sbin/postcat", "-c", self.path("etc"), "-hbq", queue_id],
            capture_output=True,
            check=True,
        ).stdout

    def _delivered(self, queue_id):
        """The file in the Maildir: our own Received names the queue id."""
        mark = f"id {queue_id}\n".encode()
        new = self.path("mail", "inbox", "new")
        names = sorted(os.listdir(new), key=lambda n: os.stat(os.path.join(new, n)).st_mtime_ns)
        for name in reversed(names):
            with open(os.path.join(new, name), "rb") as f:
                head = f.read(64 * 1024)
                if mark in head:
                    return head + f.read()
        raise LabError(f"{queue_id} left the queue, but is in no mailbox")

    def queue_is_empty(self):
        return not any(
            files
            for name in ("maildrop", "incoming", "active", "deferred")
            for _, _, files in os.walk(self.path("spool", name))
        )
