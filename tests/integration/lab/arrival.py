# SPDX-License-Identifier: BSD-2-Clause
"""Where a message ended, whichever server took it."""

import email
import re


class Arrival:
    """Where a message ended, and what stands there."""

    INBOX, HOLD, NOWHERE = "inbox", "set aside", "nowhere"

    def __init__(self, place, raw=b""):
        self.place = place
        self.raw = raw
        self.message = email.message_from_bytes(raw)

    def fields(self, name):
        """Values of that header field, unfolded, topmost first."""
        return [
            re.sub(r"\r?\n[ \t]+", " ", str(v)).strip() for v in self.message.get_all(name, [])
        ]

    def names(self):
        return [k for k, _ in self.message.items()]


# How Postfix, and postbox after it, names the message in the reply to DATA.
QUEUED_AS = re.compile(r"queued as ([0-9A-Za-z]+)")
