#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""assay report send: killed at every step, servers that misbehave, limits, bounces.

nsd for the DNS, a mail server of our own (lab/sink.py), the real assay. Exit: 0, 1 for a failure, 77 where
it can't run (with the reason).
"""

import gzip
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab.assayd import program
from lab.dns import Nsd
from lab.postgres import Postgres, binaries
from lab.process import free_ports, remove_folder, temporary_folder
from lab.report_case import AT, DAY, NOW, ZONE_HEAD, Case, counted, error_of, message_of, zone_of
from lab.sink import Sink
from lab.terminal import Terminal

HERE = os.path.dirname(os.path.abspath(__file__))
PREFIX = ZONE_HEAD + "null.d1.example. IN MX 0 .\n"
PROVIDERS = {1: "provider", 2: "provider", 3: "provider"}
passed, failures = [], []


def expect(name, got, want):
    (passed if got == want else failures).append(name)
    if got != want:
        print(f"FAIL {name}\n     got {got!r}, want {want!r}", flush=True)


# ---- killed ----

# Those that the server has and we have not recorded go out twice, as the same message, and no other.
POINTS = [  # name, when, what, text, calls let pass, is anything on its way by then
    ("before the period is closed", "before", "sql", "UPDATE report_periods SET state = 1", 0, False),
    ("closed, not committed", "after", "sql", "UPDATE report_periods SET state = 1", 0, False),
    ("second period about to be closed", "before", "sql", "UPDATE report_periods SET state = 1", 1, False),
    ("before the report is put down", "before", "sql", "INSERT INTO outbox_report", 0, False),
    ("report put down, no destination yet", "after", "sql", "INSERT INTO outbox_report", 0, False),
    ("destination put down, period not marked", "after", "sql", "INSERT INTO outbox_delivery", 0, False),
    ("period marked, not committed", "after", "sql", "UPDATE report_periods SET state = 2", 0, False),
    ("second report before its commit", "before", "sql", "COMMIT", 8, False),
    ("all made, nothing claimed", "before", "sql", "UPDATE outbox_delivery SET next_s", 0, False),
    ("claimed, nothing sent", "after", "sql", "UPDATE outbox_delivery SET next_s", 0, False),
    ("after MAIL FROM", "after", "send", "MAIL FROM", 0, True),
    ("before the message", "before", "send", "Subject: Report", 0, True),
    ("in the message", "after", "send", "Subject: Report", 0, True),
    ("the server has it, its 250 not read", "wait", "end", ".\r\n", 0, True),
    ("250 read, not recorded", "before", "sql", "UPDATE outbox_delivery SET state", 0, True),
    ("recorded", "after", "sql", "UPDATE outbox_delivery SET state", 0, True),
    ("second 250 read, not recorded", "before", "sql", "UPDATE outbox_delivery SET state", 1, True),
    ("old ones about to be removed", "before", "sql", "DELETE FROM outbox_report", 0, True),
]
DOMAINS, ROWS, EACH = 3, 5, 2


def recorded(case):
    """How many messages the database knows as sent; 0 where it has not come to its tables yet."""
    db = sqlite3.connect(case.file)
    try:
        return db.execute("SELECT count(*) FROM outbox_delivery WHERE state = 1").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()


def killed_at(point, folder, dns_port, shim):
    """What came of it: a row of the table, and faults."""
    name, when, what, text, skip, on_its_way = point
    with Sink() as sink:
        case = Case(folder, dns_port, sink.url).fill(DOMAINS, ROWS, EACH)
        env = {"LD_PRELOAD": shim, "KILL_WHEN": "after" if when == "wait" else when, "KILL_WHAT": what,
               "KILL_TEXT": text, "KILL_SKIP": str(skip), "KILL_WAIT_MS": "300" if when == "wait" else "0"}
        first = case.send(env=env)
        sink.settle()
        taken = len(sink.messages)
        unrecorded = taken - recorded(case)
        case.now += 3600
        second = case.send()
        third = case.send()
        got = [message_of(m.text) for m in sink.messages]
    ids = {m[0] for m in got}
    rows = sum(xml.count("<record>") for xml in {m[0]: m[3] for m in got}.values())
    messages = sum(counted(xml) for xml in {m[0]: m[3] for m in got}.values())
    doubles = len(got) - len({m[1] for m in got})
    faults = [text for text, bad in (
        ("it was not killed", first.returncode != -9),
        (f"the next run: {second.returncode}: {second.text}", second.returncode != 0),
        (f"the third run sent something: {third.text}", third.returncode != 0 or "sent to" in third.text),
        ("two reports share a Report-ID", len(ids) != len({(m[0], m[2], m[3]) for m in got})),
        ("a report was lost", len(ids) != DOMAINS),
        ("something was sent before", taken > 0 and not on_its_way),
        (f"{doubles} went out twice, {unrecorded} were taken and not recorded", doubles != unrecorded),
        ("two Message-IDs for one", len({m[1] for m in got}) != DOMAINS),
        ("counts are wrong", messages != DOMAINS * ROWS * EACH),
    ) if bad]
    return (name, DOMAINS * ROWS, rows, DOMAINS * ROWS * EACH, messages, len(got), len(ids), doubles), faults


def check_kills(folder, dns_port):
    shim = os.path.join(folder, "kill_point.so")
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", shim, os.path.join(HERE, "kill_point.c"), "-ldl"],
                   check=True)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda p: killed_at(p, folder, dns_port, shim), POINTS))
    print(f"{'kill -9':<42} {'rows':>5} {'found':>5} {'mails':>5} {'found':>5} {'sent':>5} {'ids':>4} {'twice':>5}")
    for row, faults in results:
        print(f"{row[0]:<42} {row[1]:>5} {row[2]:>5} {row[3]:>5} {row[4]:>5} {row[5]:>5} {row[6]:>4} {row[7]:>5}", flush=True)
        expect(f"kill -9: {row[0]}", faults, [])


# ---- servers that misbehave ----

def check_server(folder, dns_port):
    case = Case(folder, dns_port, f"smtp://127.0.0.1:{free_ports(1)[0]}").fill(3, 1, 1)
    run = case.send()
    expect("nobody listens", (run.returncode, "can't be reached" in run.text), (75, True))
    with Sink() as sink:
        sink.greeting = "554 5.3.2 not you"
        case = Case(folder, dns_port, sink.url).fill(20, 1, 1)
        run = case.send()
        expect("it refuses us", (run.returncode, "can't be reached" in run.text, sink.messages), (75, True, []))
        expect("it is not asked again and again", sink.connections <= 8, True)
        expect("nobody is to blame", "left alone" in case.report("list").text, False)
        case.now += 3600
        sink.greeting = "220 ready"
        run = case.send()
        expect("it is well again", (run.returncode, len(sink.messages)), (0, 20))


def misbehave(sink):
    """Recipients who say what they do."""
    sink.hanging = {"hang"}
    sink.rcpt = {"r550": ["550 5.1.1 as asked"], "r450": ["450 4.2.1 as asked"]}
    sink.data = {"d554": ["554 5.6.0 as asked"], "d451": ["451 4.3.0 as asked"]}


def check_destinations(folder, dns_port):
    with Sink() as sink:
        misbehave(sink)
        case = Case(folder, dns_port, sink.url)
        for local in ("hang", "r550", "d554", "r450", "d451"):
            case.fill(1, 1, 1, f"mailto:{local}@d1.example")  # a policy of its own, and so a report
        case.fill(40, 1, 1)
        began = time.monotonic()
        process = subprocess.Popen([program("assay"), "report", "send", "--config", case.conf, "--time", str(NOW)],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while len(sink.messages) < 39 and time.monotonic() < began + 20:
            time.sleep(0.02)
        took = time.monotonic() - began
        expect("39 others are done while one hangs", len({m.recipients[0] for m in sink.messages}) >= 39, True)
        print(f"39 messages to 39 domains beside one that hangs: {took:.2f} s", flush=True)
        process.kill()
        process.communicate()


def check_refusals(folder, dns_port):
    with Sink() as sink:
        misbehave(sink)
        case = Case(folder, dns_port, sink.url)
        for local in ("r550", "d554", "r450", "d451"):
            case.fill(1, 1, 1, f"mailto:{local}@d1.example")
        case.fill(2, 1, 1)
        run = case.send()
        expect("some refuse: status", run.returncode, 1)
        expect("the others have theirs", sorted(m.recipients[0] for m in sink.messages), ["rua@d1.example", "rua@d2.example"])
        listed = case.report("list").text
        for address in ("r550@d1.example", "d554@d1.example"):
            expect(f"{address} is left alone", f"{address} until 2026-11-28 01:00, it refused: 55" in listed, True)
        for address in ("r450@d1.example", "d451@d1.example"):
            expect(f"{address} is tried again", f"to {address}: pending, next try 2026-11-27 01:15: 45" in listed, True)
        before = len(sink.asked)
        case.send()
        expect("and not at once", len(sink.asked), before)
        case.now += 3 * DAY
        run = case.send()
        expect("given up in the end", ("given up: r450" in run.text, "given up: d451" in run.text), (True, True))
        expect("and left alone", "r450@d1.example until" in case.report("list").text, True)


def check_store_fails(folder, dns_port):
    """While a message is under way the fate of another can't be recorded."""
    with Sink() as sink:
        sink.slow = {"slow"}
        case = Case(folder, dns_port, sink.url).fill(1, 200, 1, "mailto:slow@d1.example").fill(2, 1, 1)
        case.report("suppress", "rua@d1.example")  # or it would have to wait for the slow one, or that for it
        with sqlite3.connect(case.file) as db:
            db.execute("CREATE TRIGGER fault BEFORE UPDATE OF state ON outbox_delivery WHEN NEW.address = 'rua@d2.example' "
                       "BEGIN SELECT RAISE(ABORT, 'as asked'); END")
        db.close()
        run = case.send()
        expect("a store that fails: status", (run.returncode, "as asked" in run.text), (70, True))
        got = [m for m in sink.messages if m.recipients == ["slow@d1.example"]]
        expect("what was begun is sent whole", [counted(message_of(m.text)[3]) for m in got], [200])
        expect("and recorded", recorded(case), 1)


def check_replaced_store(folder, dns_port):
    """assayd sets a damaged file aside, or an operator does, and makes a new one: run goes on in that."""
    with Sink() as sink:
        case = Case(folder, dns_port, sink.url).fill(1, 1, 1)
        case.report("list")  # makes the tables
        with sqlite3.connect(case.file) as db:  # so that it looks again after three seconds
            db.execute("INSERT INTO outbox_delivery SELECT 'r', 'a', 'd', 'x', 't', 0, 0, ?, ?, 0, ''", (NOW + 3, NOW))
        db.close()
        process = subprocess.Popen([program("assay"), "report", "run", "--until-eof", "--config", case.conf, "--time",
                                    str(NOW)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

        def wait_for(count):
            until = time.monotonic() + 20
            while len(sink.messages) < count and time.monotonic() < until:
                time.sleep(0.02)
            return len(sink.messages)

        expect("run sends", wait_for(1), 1)
        for part in ("-wal", "-shm", ""):
            if os.path.exists(case.file + part):
                os.rename(case.file + part, case.file + ".old" + part)
        case.fill(2, 1, 1)
        expect("and goes on in a new file", wait_for(3), 3)
        process.stdin.close()
        expect("to the end", (process.wait(20), process.stdout.read().count(b"report made")), (0, 3))
        process.stdout.close()


def check_interrupted(folder, dns_port):
    with Sink() as sink:
        sink.hanging = {"hang"}
        case = Case(folder, dns_port, sink.url).fill(1, 1, 1, "mailto:hang@d1.example")
        process = subprocess.Popen([program("assay"), "report", "send", "--config", case.conf, "--time", str(NOW)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while not sink.asked and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        time.sleep(1)
        expect("an interrupt: what is under way is waited for", process.poll(), None)
        process.send_signal(signal.SIGINT)
        expect("a second one: no longer", process.wait(10), -signal.SIGINT)


def check_limits(folder, dns_port):
    with Sink() as sink:
        case = Case(folder, dns_port, sink.url, "report_limit = 4\n").fill(6, 1, 1)
        run = case.send()
        expect("limit a day", (run.returncode, len(sink.messages)), (75, 4))
        case.now += DAY
        case.send()
        expect("the rest the next day", len(sink.messages), 6)
    with Sink() as sink:
        case = Case(folder, dns_port, sink.url, "report_limit = 2\n").fill(9, 1, 1)
        for _ in range(3):
            run = case.send()
            case.now += DAY + 60  # the clock goes on while it runs
        expect("what a limit stops for too long is given up", (len(sink.messages), run.text.count("given up:"),
               "pending" in case.report("list").text), (6, 3, False))
    with Sink() as sink:
        case = Case(folder, dns_port, sink.url, "report_limit_exchanger = 2\n").fill(6, 1, 1)
        run = case.send()
        expect("limit for a mail exchanger", (run.returncode, len(sink.messages), sorted(m.recipients[0] for m in sink.messages)[-3:]),
               (75, 5, ["rua@d4.example", "rua@d5.example", "rua@d6.example"]))
    with Sink() as sink:
        case = Case(folder, dns_port, sink.url, "report_limit_address = 2\n")
        for rua in ("mailto:rua@d1.example", "mailto:rua@d1.example!10m", "mailto:rua@d1.example!20m"):
            case.fill(1, 1, 1, rua)
        run = case.send()
        expect("limit for an address", (run.returncode, len(sink.messages)), (75, 2))


def check_no_harm(folder, dns_port):
    with Sink() as sink:
        rows = (("mailto:rua@null.d1.example", "nobody takes mail there"),  # RFC 7505
                ("mailto:rua@not-there.d1.example", "nobody takes mail there"),
                ("mailto:rua@d2.example", "the host does not say that it wants these reports"),
                ("https://d1.example/", "not a mailto URI"), ("nonsense", "not an address that mail can be sent to"))
        for rua, why in rows:
            case = Case(folder, dns_port, sink.url).fill(1, 1, 1, rua)
            run = case.send()
            expect(f"{rua}: no report", (run.returncode, len(sink.messages)), (0, 0))
            expect(f"{rua}: and it says why", re.findall("not reported: (.*)", case.report("list", "--all").text),
                   [f"{rua}: {why}"])
        case = Case(folder, dns_port, sink.url).fill(1, 1, 1, " ".join(["mailto:rua@d1.example"] + [rua for rua, _ in rows]))
        case.send()
        expect("of several who learns why nothing comes to the others", error_of(message_of(sink.messages[-1].text)[3]),
               "; ".join(f'rua="{rua}": {why}' for rua, why in rows))
        sink.messages.clear()
        case = Case(folder, dns_port, sink.url).fill(2, 1, 1)
        case.report("suppress", "rua@D1.example", "--reason", "they asked")
        case.send()
        expect("who is suppressed gets none", [m.recipients[0] for m in sink.messages], ["rua@d2.example"])
        expect("and is listed", "rua@d1.example until lifted, by hand: they asked" in case.report("list").text, True)
        expect("lifted", case.report("suppress", "--lift", "rua@d1.example").returncode, 0)
        report_id = re.search(r"  ([0-9a-z]{32})  d1.example", case.report("list").text).group(1)
        expect("sent again by hand", (case.report("send", "--again", report_id).returncode,
                                      [m.recipients[0] for m in sink.messages]), (0, ["rua@d2.example", "rua@d1.example"]))


BOUNCE = """From: MAILER-DAEMON@mx.us.example
To: {to}
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b

I'm sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.us.example

Final-Recipient: rfc822; rua@d1.example
Action: {action}
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user

--b
Content-Type: text/rfc822-headers

Message-ID: {message_id}
--b--
"""


def check_bounces(folder, dns_port):
    with Sink() as sink:
        case = Case(folder, dns_port, sink.url, 'report_envelope_from = "bounce+*@us.example"\n').fill(2, 1, 1)
        case.send()
        of = {m.recipients[0]: m for m in sink.messages}
        envelope, raw = of["rua@d1.example"].sender, of["rua@d1.example"].text
        message_id = message_of(raw)[1]
        expect("the envelope sender tells the message", envelope, f"bounce+{message_id[1:33]}@us.example")

        def bounce(**fields):
            return case.report("bounce", stdin=BOUNCE.format(**fields).encode())

        forged = bounce(to="x@us.example", action="failed", message_id="<" + "0" * 32 + "@us.example>")
        expect("a forged bounce", (forged.returncode, "no message of ours" in forged.text), (1, True))
        expect("a delay", bounce(to=envelope, action="delayed", message_id="").returncode, 0)
        expect("nobody is left alone yet", "left alone" in case.report("list").text, False)
        expect("no bounce at all", case.report("bounce", stdin=b"Subject: hello\n\nhi\n").returncode, 65)
        expect("by Message-ID", bounce(to="x", action="failed", message_id=message_id).returncode, 0)
        listed = case.report("list").text
        expect("it is left alone", "rua@d1.example until 2026-11-28 01:00, it refused: bounced: smtp; 550 5.1.1" in listed,
               True)
        other = of["rua@d2.example"].sender
        expect("by the address", bounce(to=other.upper(), action="failed", message_id="").returncode, 0)
        expect("both", "rua@d2.example until" in case.report("list").text, True)


def check_dry_run(folder, dns_port):
    with Sink() as sink:
        case = Case(folder, dns_port, sink.url).fill(2, 3, 2)
        out = os.path.join(case.folder, "out")
        os.mkdir(out)
        before = case.report("list").text
        run = case.report("send", "--dry-run", out)
        expect("rehearsal", (run.returncode, sorted(f.split("!")[1] for f in os.listdir(out)), sink.messages),
               (0, ["d1.example", "d2.example"], []))
        expect("nothing has changed", case.report("list").text, before)
        with open(os.path.join(out, sorted(os.listdir(out))[0]), "rb") as f:
            rehearsed = message_of(f.read())
        preview = case.report("preview", "d1.example", "--xml")
        case.send()
        real = message_of(next(m.text for m in sink.messages if m.recipients[0] == "rua@d1.example"))
        expect("the rehearsal is the report", (rehearsed[0], rehearsed[2], rehearsed[3]), (real[0], real[2], real[3]))
        expect("so is the preview", preview.stdout.decode(), real[3])
        shown = case.report("show", "--xml", real[0])
        expect("and what is shown", shown.stdout.decode(), real[3])
        case.report("export", out)
        with open(os.path.join(out, real[2]), "rb") as f:
            expect("and exported", gzip.decompress(f.read()).decode(), real[3])
        again = case.report("send", "--again", real[0])
        resent = message_of(sink.messages[-1].text)
        expect("a re-send is the same to the byte", (again.returncode, resent), (0, real))


def check_terminal(folder, dns_port):
    """On a terminal: one line of counts, and what failed by name."""
    with Sink() as sink:
        misbehave(sink)
        case = Case(folder, dns_port, sink.url).fill(1, 1, 1, "mailto:r550@d1.example").fill(9, 1, 1)
        argv = [program("assay"), "report", "send", "--config", case.conf, "--time", str(NOW)]
        with Terminal(argv, case.folder) as terminal:
            terminal.ends(30)
            status, seen = terminal.popen.wait(10), terminal.drawn.decode()
        expect("terminal: it counts", (status, "\r10 made, 0 not to be made, 9 sent, 1 not sent " in seen), (1, True))
        expect("terminal: it names what failed, and that alone",
               ("refused by: r550@d1.example" in seen, "sent to" in seen), (True, False))


def check_late(nodes, sink):
    """Rows of a node that come late: into the report while it settles, then into a further one."""
    def at(now):
        for node in nodes:
            node.now = now
        sink.messages.clear()
        return [node.send().returncode for node in nodes[:2]]

    end = AT + 2 * DAY
    nodes[0].fill(1, 4, 2, at=AT + DAY)
    expect("before it settles nothing is made", (at(end + 1200), sink.messages), ([0, 0], []))
    nodes[1].fill(1, 4, 2, at=AT + DAY)
    at(end + 1500)
    at(end + 1800)
    got = [message_of(m.text) for m in sink.messages]
    expect("then one report of all that has come by then", [counted(m[3]) for m in got], [16])
    nodes[1].fill(1, 2, 3, at=AT + DAY)
    at(end + 7200)
    got += [message_of(m.text) for m in sink.messages]
    expect("what comes later makes a further one", [counted(m[3]) for m in got], [16, 6])
    expect("with an ID and a file of its own", (len({m[0] for m in got}), len({m[2] for m in got})), (2, 2))
    expect("of the same period", {tuple(re.findall("<(?:begin|end)>(.*?)<", m[3])) for m in got},
           {(str(end - DAY), str(end - 1))})


def check_fleet(folder, dns_port):
    """Three nodes with one database: whoever comes first makes the reports, of all rows, once."""
    postgres = Postgres(folder)
    try:
        postgres.start()
        with Sink() as sink:
            setting = f'report_database = "{postgres.conninfo}"\n'
            nodes = [Case(folder, dns_port, sink.url, setting + f'report_node = "node{i}"\n').fill(3, 4, 2)
                     for i in range(3)]
            for node in nodes:  # what is remembered goes there, the period is not over yet
                node.now = AT
            with ThreadPoolExecutor(3) as pool:
                early = list(pool.map(Case.send, nodes))
            expect("shipped", [run.text.count("shipped to report_database: 12 rows, 24 messages") for run in early],
                   [1, 1, 1])
            for node in nodes:
                node.now = NOW
            with ThreadPoolExecutor(3) as pool:
                runs = list(pool.map(Case.send, nodes))
            expect("fleet: status", [run.returncode for run in runs], [0, 0, 0])
            got = [message_of(m.text) for m in sink.messages]
            expect("one report a domain for the fleet", sorted(m.recipients[0] for m in sink.messages),
                   ["rua@d1.example", "rua@d2.example", "rua@d3.example"])
            expect("its counts are those of all nodes", [counted(m[3]) for m in got], [24, 24, 24])
            expect("its rows are merged", [m[3].count("<record>") for m in got], [4, 4, 4])
            check_late(nodes, sink)
            postgres.stop()
            run = nodes[0].fill(1, 1, 1).send()
            expect("the database is gone", (run.returncode, "report_database" in run.text), (70, True))
    finally:
        postgres.stop()


def check_order(folder, dns_port):
    """Domains with much mail first; what is made is sent before all the rest is made."""
    with Sink() as sink:
        case = Case(folder, dns_port, sink.url).fill(90, 1, 1).fill(3, 1, 6)
        lines = case.send().text.splitlines()
        made = [line.split()[4].rstrip(":") for line in lines if "report made" in line]
        kinds = ["made" if "report made" in line else "sent" for line in lines]
        # In windows of 64: who in one of them has to wait for DNS comes at its end.
        expect("the most mail first", (len(made), {"d1.example", "d2.example", "d3.example"} <= set(made[:64])), (90, True))
        expect("the most repeated first in a report", re.findall(r"<count>(\d+)<", Case(folder, dns_port, sink.url).fill(
            1, 40, 1).fill(1, 3, 5).report("preview", "d1.example", "--xml").text), ["6"] * 3 + ["1"] * 37)
        expect("sent while others wait to be made", ("sent" in kinds[:kinds.index("made", 60)], len(sink.messages)), (True, 90))


def check_busy_store(folder, dns_port):
    """Mail comes in while reports are made: assayd commits all the time."""
    with Sink() as sink:
        case = Case(folder, dns_port, sink.url).fill(20, 1, 1)
        over = threading.Event()

        def write():
            db = sqlite3.connect(case.file, timeout=10)
            while not over.is_set():
                with db:
                    db.execute("UPDATE report_facts SET number = number + 1 WHERE name = 'batch'")
                time.sleep(0.0005)
            db.close()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            run = case.send()
        finally:
            over.set()
            writer.join()
        expect("while assayd writes", (run.returncode, run.text.count("report made"), len(sink.messages)), (0, 20, 20))


def check_misuse(folder, dns_port):
    case = Case(folder, dns_port, f"smtp://127.0.0.1:{free_ports(1)[0]}")
    with open(case.conf, encoding="ascii") as f:
        text = f.read()
    with open(case.conf, "w", encoding="ascii") as f:
        f.write(re.sub("report_(org_name|email).*\n", "", text))
    run = case.send()
    expect("not set up", (run.returncode, "report_email and report_org_name are not set" in run.text), (78, True))
    password = os.path.join(case.folder, "password")
    with open(password, "w", encoding="ascii") as f:
        f.write("not-a-secret\n")
    os.chmod(password, 0o644)
    open_to_all = Case(folder, dns_port, f"smtp://127.0.0.1:{free_ports(1)[0]}",
                       f'report_user = "bob"\nreport_password_file = "{password}"\n').send()
    expect("a password that others may read", (open_to_all.returncode, "0644: others could read or change it" in
                                               open_to_all.text, "not-a-secret" in open_to_all.text), (65, True, False))
    for name, arguments, status in (
            ("no command", ["frobnicate"], 64), ("not its option", ["list", "--xml"], 64), ("no argument", ["show"], 64),
            ("two arguments", ["show", "a", "b"], 64), ("no such report", ["show", "a"], 1),
            ("no such domain", ["preview", "a.example"], 1), ("no address", ["suppress", "a"], 64),
            ("not on the list", ["suppress", "--lift", "a@b.example"], 1), ("lift whom", ["suppress", "--lift"], 64),
            ("no such name", ["list", "no domain"], 64), ("no days", ["suppress", "a@b.example", "--for", "0"], 64),
            ("both", ["suppress", "a@b.example", "--lift", "--for", "3"], 64),
            ("a rehearsal of one", ["send", "--dry-run", case.folder, "--again", "a"], 64),
            ("no folder to export to", ["export", case.folder + "/none"], 65)):
        run = case.report(*arguments)
        expect(f"{name}: status, and a line of why", (run.returncode, run.stderr != b"", run.stderr.count(b"\n") <= 2),
               (status, True, True))
    expect("domains in any case", case.fill(1, 1, 1).report("list", "D1.Example").text.count("d1.example"), 1)
    os.unlink(case.file)
    run = case.report("list")
    expect("no store is made", (run.returncode, "not there yet" in run.text, os.path.exists(case.file)), (75, True, False))


def main():
    if not os.access("/usr/sbin/nsd", os.X_OK):
        print("not installed: nsd")
        return 77
    folder = temporary_folder()
    zone = PREFIX + zone_of(99, PROVIDERS)
    nsd = Nsd(folder, zone)
    try:
        nsd.start()
        checks = [check_server, check_destinations, check_refusals, check_store_fails, check_replaced_store,
                  check_interrupted, check_limits, check_no_harm, check_bounces, check_dry_run, check_terminal,
                  check_order, check_busy_store, check_misuse]
        if binaries() is None:
            print("a fleet: skipped, PostgreSQL is not installed")
        else:
            checks.append(check_fleet)
        if os.environ.get("ASSAY_SANITIZED") or shutil.which("gcc") is None:
            print("kill -9 at each point: skipped, nothing can be preloaded into a sanitized program")
        else:
            checks.insert(0, check_kills)
        for check in checks:
            check(folder, nsd.port)
    finally:
        nsd.stop()
        remove_folder(folder)
    print(f"{len(passed)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
