# SPDX-License-Identifier: BSD-2-Clause
"""Messages as nobody writes them by hand: odd folds and blanks, repeated and empty fields, long lines, 8 bits,
bodies without lines or without an end. r: a random.Random, so that a seed gives the same ones again."""

import re

# ---- messages ----

WORDS = ["a", "Hello", "list", "=?utf-8?B?w6k=?=", "caf\u00e9", "\u4f60\u597d", "x" * 70, "1;2", "b=c", '"q"', "<>", "%", "\\"]


def words(r, low, high):
    return " ".join(r.choice(WORDS) for _ in range(r.randint(low, high)))


def folded(r, text):
    """text with some of its blanks made into folds of any look."""
    return re.sub(" ", lambda _: r.choice([" ", " ", "  ", "\t", "\r\n ", "\r\n\t", " \r\n  \t", "\r\n   "]), text)


def field(r, name, value):
    """One header field, oddly spelled."""
    name = r.choice([name, name, name.lower(), name.upper()])
    return name + ":" + r.choice([" ", " ", " ", "", "  ", "\t"]) + value + r.choice(["", "", "", " ", "\t "]) + "\r\n"


def header(r, domain):
    lines = [field(r, "From", r.choice([
        f"a@{domain}", f"A B <a@{domain}>", f'"A, B"\r\n <a@{domain}>', f"=?utf-8?Q?=C3=A9?= <a@{domain}>"]))]
    for name in ("To", "Subject", "Date", "Message-ID", "Cc", "Reply-To", "Sender", "MIME-Version", "Content-Type",
                 "Content-Transfer-Encoding", "In-Reply-To", "References", "List-Id", "List-Unsubscribe"):
        if r.random() < 0.5:
            lines.append(field(r, name, folded(r, words(r, 0 if name in ("Subject", "To") else 1, 12))))
    for _ in range(r.choice([0, 0, 1, 3])):
        lines.append(field(r, r.choice(["To", "Subject", "Received", "X-Loop", "Cc"]), folded(r, words(r, 1, 20))))
    if r.random() < 0.1:
        lines.append(field(r, "Subject", "y" * r.choice([900, 998, 1500])))
    r.shuffle(lines)
    return "".join(lines)


def body_line(r):
    return r.choice([
        lambda: "", lambda: " ", lambda: "\t \t", lambda: words(r, 1, 8), lambda: words(r, 1, 8) + r.choice([" ", "\t", "  "]),
        lambda: "  indented\twith  blanks", lambda: ".", lambda: "..", lambda: "From here", lambda: "-- ",
        lambda: "z" * r.choice([76, 998, 999, 3000]), lambda: "\u00e9\u00e8 8 bit",
    ])()


def body(r):
    kind = r.random()
    if kind < 0.06:
        return ""
    if kind < 0.12:
        return "\r\n" * r.randint(1, 4)
    if kind < 0.15:
        return " \r\n\t\r\n"
    text = "\r\n".join(body_line(r) for _ in range(r.randint(1, 30)))
    return text + r.choice(["\r\n", "\r\n", "\r\n", "\r\n\r\n\r\n", "", " \r\n"])


def message(r, domain):
    """A message from a@domain as bytes, its lines ended by CRLF, but for the last, which may lack it."""
    raw = (header(r, domain) + "\r\n" + body(r)).encode("utf-8", "surrogateescape")
    return raw.replace(b"8 bit", b"\xff\xfe bit") if r.random() < 0.3 else raw
