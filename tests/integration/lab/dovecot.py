# SPDX-License-Identifier: BSD-2-Clause
"""A private Dovecot: POP3, IMAP and a socket that checks passwords for Postfix, all below one folder."""

import os
import pwd
import shutil

from .process import Child, LabError, free_ports, listens, wait_until

CONF = """\
protocols = imap pop3
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
listen = 127.0.0.1
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
disable_plaintext_auth = yes
remote {plain_from} {{
  disable_plaintext_auth = no
}}
auth_mechanisms = plain login
auth_failure_delay = 0
mail_location = maildir:{folder}/mail/%n
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
namespace inbox {{
  inbox = yes
  separator = /
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {folder}/passwd
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%n
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""
PROTOCOLS = ("imap", "imaps", "pop3", "pop3s")


class Dovecot:
    """users: name -> password. plain_from: clients of this address may send it in the clear."""

    def __init__(self, folder, users, certificate_files, plain_from):
        self.folder = os.path.join(folder, "dovecot")
        self.mail_folder = os.path.join(self.folder, "mail")
        self.auth_socket = os.path.join(self.folder, "auth")
        nobody = pwd.getpwnam("nobody")
        self.uid, self.gid = nobody.pw_uid, nobody.pw_gid
        self.cert, self.key = certificate_files
        self.plain_from = plain_from
        self.users = users
        self.ports = {}
        self.child = None

    def start(self):
        for name in ("", "run", "state"):
            os.mkdir(os.path.join(self.folder, name))
        with open(os.path.join(self.folder, "passwd"), "w", encoding="ascii") as f:
            f.writelines(f"{name}:{{PLAIN}}{password}\n" for name, password in self.users.items())
        self.forget_mail()
        for _ in range(3):
            self.ports = dict(zip(PROTOCOLS, free_ports(len(PROTOCOLS))))
            path = os.path.join(self.folder, "dovecot.conf")
            with open(path, "w", encoding="ascii") as f:
                f.write(CONF.format(folder=self.folder, uid=self.uid, gid=self.gid, cert=self.cert, key=self.key,
                                    plain_from=self.plain_from, **self.ports))
            self.child = Child("dovecot", ["/usr/sbin/dovecot", "-F", "-c", path], os.path.join(self.folder, "output"))
            wait_until(lambda: self._listening() or not self.child.alive(), 20, "Dovecot to listen")
            if self.child.alive():
                return
        raise LabError(f"Dovecot does not start:\n{self.child.log()}{self.log()}")

    def _listening(self):
        return all(listens(port) for port in self.ports.values())

    def forget_mail(self):
        """Nobody has any; no session may be open."""
        shutil.rmtree(self.mail_folder, ignore_errors=True)
        os.mkdir(self.mail_folder)
        os.chown(self.mail_folder, self.uid, self.gid)

    def log(self):
        try:
            with open(os.path.join(self.folder, "log"), "r", encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def stop(self):
        if self.child is not None:
            self.child.stop()
