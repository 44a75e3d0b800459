#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every transcript below tests/harness/transcripts on postbox, and on a real Postfix or Dovecot.

What a transcript says is true of both, or its head says why not. Arguments, if any, are parts of
paths of transcripts to play. Exit: 0, or 1 for a failure.
"""

import concurrent.futures
import glob
import os
import sys
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

# pylint: disable=wrong-import-position
from lab import servers  # noqa: E402
from lab.scripted_filter import Filter  # noqa: E402
from lab.process import LabError, remove_folder, temporary_folder  # noqa: E402
from lab.transcript import Differs, Player, read  # noqa: E402

# What must be said somewhere, and what SMTP must answer.
VERBS = {
    "smtp": "HELO EHLO STARTTLS AUTH MAIL RCPT DATA RSET NOOP VRFY QUIT XCLIENT",
    "pop3": "USER PASS STAT LIST RETR DELE RSET NOOP TOP UIDL QUIT CAPA STLS",
    "imap": "CAPABILITY LOGIN AUTHENTICATE STARTTLS SELECT EXAMINE CREATE DELETE RENAME LIST STATUS APPEND FETCH STORE "
            "SEARCH COPY MOVE UID EXPUNGE IDLE NOOP CLOSE LOGOUT",
}
CODES = "220 235 250 334 354 421 450 451 500 501 502 503 504 530 535 550 552 554"
FOLDER = os.path.normpath(os.path.join(HERE, "..", "harness", "transcripts"))


class Tally:
    """Counts, for the threads that play; a transcript's lines are printed together."""

    def __init__(self):
        self.passed, self.failed, self.checks = {}, 0, {}
        self.lock = threading.Lock()

    def play(self, transcript, server):
        name = os.path.relpath(transcript.path, FOLDER)
        server.reset(transcript.variants)
        player = Player(transcript, server)
        began = time.monotonic()
        try:
            player.play()
        except Differs as why:
            with self.lock:
                self.failed += 1
                print(f"FAIL {name} on {server.name}: {transcript.title}\n{story(why, player)}", flush=True)
            return
        took = time.monotonic() - began
        with self.lock:
            self.passed[server.name] = self.passed.get(server.name, 0) + 1
            self.checks[server.name] = self.checks.get(server.name, 0) + player.checks
            print(f"ok   {name} on {server.name}: {player.checks} checks" + (f", {took:.1f} s" if took > 1 else ""),
                  flush=True)

    def leave_out(self, transcript, server):
        """By its own head: not a test that is missing."""
        with self.lock:
            print(f"     {os.path.relpath(transcript.path, FOLDER)} not on {server.name}: {transcript.because}")


def story(why, player):
    """The line that failed, what was expected, what came, and what led to it."""
    before = "\n".join("       " + line for line in player.said[-12:])
    return f"     line {why.line.number}: {why.line}\n     expected  {why.want}\n     came      {why.came}\n" \
        f"     before that:\n{before}"


# A conversation that goes wrong, line by line, and what is said about it.
WRONG = (
    ("S: 220 ***\nC: NOOP\nS: 251 ***\n", ["line 6: S: 251 ***", "expected  251 ***", "came      250 2.0.0 Ok", "C: b'NOOP"]),
    ("S: 220 ***\nC: QUIT\nS: 221 ***\nS: 250 ***\n", ["line 7: S: 250 ***", "came      the end of the connection"]),
    ("S: 220 ***\nC: EHLO x\nS+: 250-NO-SUCH\nS*: 250 ***\n", ["line 6: S+: 250-NO-SUCH", "250-PIPELINING"]),
    ("S: 220 ***\n[closed]\nC: NOOP\n", ["line 5: [closed]", "came      (nothing for"]),
    ("[mailbox bob/INBOX: 1]\n", ["line 4: [mailbox bob/INBOX: 1]", "came      0 messages"]),
)


def check_player(server, folder):
    """Does a transcript that is wrong fail, where it does, and say so?"""
    path, faults = os.path.join(folder, "wrong.txt"), []
    for body, says in WRONG:
        with open(path, "w", encoding="ascii") as f:
            f.write("title: wrong\nconnect: smtp\n\n" + body)
        server.reset(frozenset())
        player = Player(read(path), server, wait_s=1)
        try:
            player.play()
            faults.append(f"passed: {body!r}")
        except Differs as why:
            faults += [f"{part!r} is missing in:\n{story(why, player)}" for part in says if part not in story(why, player)]
    print("\n".join("FAIL the player: " + fault for fault in faults) or "ok   a wrong transcript fails, and says where")
    return len(faults)


def unsaid(transcripts):
    """Which of those no transcript has."""
    words = {family: set() for family in VERBS}
    codes = set()
    for transcript in transcripts:
        for line in transcript.body:
            protocol = transcript.protocols[line.name]
            family = "smtp" if protocol in ("smtp", "smtps", "submission") else protocol[:4]
            if line.kind in ("C:", "R:"):
                words[family].update(word.upper() for word in line.text.replace("\\r\\n", " ").split()[:4])
            elif line.kind.startswith("S") and family == "smtp":
                codes.add(line.text[:3])
    return [f"{family} {verb}" for family, verbs in VERBS.items() for verb in verbs.split() if verb not in words[family]] \
        + [code for code in CODES.split() if code not in codes]


def play_all(wanted, all_servers):
    tally = Tally()
    transcripts = [read(path) for path in sorted(glob.glob(os.path.join(FOLDER, "*", "*.txt")))]
    missing = unsaid(transcripts)
    tally.failed += bool(missing)
    print(f"FAIL no transcript has {', '.join(missing)}" if missing else "ok   every command and reply has a transcript")
    transcripts = [t for t in transcripts if not wanted or any(part in t.path for part in wanted)]
    # postbox by itself, and beside it Postfix and Dovecot, which share their mailboxes.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for playing in [pool.submit(play_on, tally, transcripts, part) for part in (all_servers[:1], all_servers[1:])]:
            playing.result()
    return tally


def play_on(tally, transcripts, some_servers):
    for transcript in transcripts:
        for server in some_servers:
            if transcript.family not in server.families:
                continue
            if transcript.only and transcript.only != server.name:
                tally.leave_out(transcript, server)
            elif not server.can(transcript.variants):
                raise LabError(f"{transcript.path}: {server.name} has no such shape: {' '.join(transcript.variants)}")
            else:
                tally.play(transcript, server)


def main():
    folder, running, milter = temporary_folder(), [], Filter()
    # A sanitizer finds nothing in servers that were not built with it.
    alone = bool(os.environ.get("ASSAY_SANITIZED"))
    reason = None if alone else servers.why_not()
    try:
        running = [servers.PostboxServer(folder, milter)]
        running += servers.real_servers(folder, milter) if reason is None and not alone else []
        wrong = check_player(running[0], folder)
        tally = play_all(sys.argv[1:], running)
        tally.failed += wrong
        running[0].stop()
    except LabError as error:
        print(f"FAIL the lab: {error}")
        return 1
    finally:
        for server in reversed(running[1:]):
            server.stop()
        milter.stop()
        remove_folder(folder)
    for server in running:
        print(f"{server.name} {tally.passed.get(server.name, 0)} transcripts, {tally.checks.get(server.name, 0)} checks")
    passed = sum(tally.passed.values())
    print(f"{passed} passed, {tally.failed} failed, {0 if reason is None else 1} skipped"
          + ("" if reason is None else f" (Postfix and Dovecot: {reason})"))
    return 1 if tally.failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
