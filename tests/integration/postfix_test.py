#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""assayd behind a real Postfix, with real DNS: every action, every way of a session.

One Postfix serves all cases; after each the configuration is set back. Arguments, if any, are parts
of names of cases to run. Exit: 0, 1 for a failure, 77 where it can't run (with the reason).
"""

import os
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    from cases import actions, daemon, headers, sessions
    from cases.common import Failed
    from lab.process import LabError
    from lab.world import Lab, why_not
except ImportError as missing:
    print(f"python3 has no module {missing.name}: see tests/packages")
    sys.exit(77)

SKIPPED = 77


def run(lab, case):
    """True: passed."""
    name = f"{case.__module__.rpartition('.')[2]}/{case.__name__}"
    seen = len(lab.assayd.child.log())
    began = time.monotonic()
    try:
        case(lab)
    except Failed as why:
        print(f"FAIL {name}: {case.__doc__}\n     {why}")
    except Exception:
        print(f"FAIL {name}: {case.__doc__}")
        traceback.print_exc(file=sys.stdout)
    else:
        print(f"ok   {name}: {case.__doc__} ({time.monotonic() - began:.1f} s)", flush=True)
        return True
    print("     assayd said:\n" + lab.assayd.child.log()[seen:])
    print("     Postfix said:\n" + lab.postfix.log()[-3000:], flush=True)
    return False


def restore(lab):
    """Back to the configuration that every case may expect; a dead assayd is started again."""
    lab.assayd.configure()
    if lab.assayd.child.alive():
        lab.assayd.reload()
    else:
        lab.assayd.start()


def run_all(lab, wanted):
    passed = failed = 0
    for module in (actions, headers, sessions, daemon):
        for case in module.CASES:
            if wanted and not any(part in case.__name__ for part in wanted):
                continue
            if run(lab, case):
                passed += 1
            else:
                failed += 1
            restore(lab)
    status = lab.assayd.stop()
    if status != 0:
        print(f"FAIL assayd ended with status {status}:\n{lab.assayd.child.log()[-3000:]}")
        failed += 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


def main():
    reason = why_not()
    if reason is not None:
        print(reason)
        return SKIPPED
    try:
        with Lab() as lab:
            return run_all(lab, sys.argv[1:])
    except LabError as error:
        print(f"FAIL the lab: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
