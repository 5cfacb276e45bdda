#!/usr/bin/python3
"""Every message that the code has a text for, with its SQLSTATE and its hint, as a page of the manual: tools/messages.py"""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]

LITERAL = r'"(?:[^"\\\n]|\\.)*"'
# Literals side by side, with macros between them.
TEXT = rf"{LITERAL}(?:\s*(?:{LITERAL}|PRI\w+|[A-Z][A-Z_]{{5,}}))*"
# A call that gets an error code and a text.
CALL = re.compile(rf"\(\s*[^;\"{{}}]*?\b(E_[A-Z_]+)\s*,[^;\"{{}}]*?({TEXT})", re.S)
HINT = re.compile(rf"_hint\([^;\"]*?({TEXT})", re.S)
NEAR = 600                  # characters behind a message in which its hint stands, if it has one


def text_of(literals):
    """The words of adjacent literals, with … for what is filled in."""
    text = "".join(part[1:-1] for part in re.findall(LITERAL, literals))
    text = re.sub(r"%(?:\.\*|-?\d+|[0-9.]+)?(?:hh|h|ll|l|z|j)?[a-zA-Z]", "…", text.replace("%%", "\0")).replace("\0", "%")
    return re.sub(r"\\([\"\\'])", r"\1", text).replace("\\n", " ").strip()


def worth(text):
    """Words of its own, not only what another part says."""
    return len(re.findall(r"[A-Za-z]{2,}", text)) >= 2


def index():
    """Message → (SQLSTATEs, hints)."""
    states = dict(re.findall(r'^X\((E_\w+),\s*"(\w+)"', (ROOT / "tables/errors.def").read_text(), re.M))
    found = {}
    for path in sorted((ROOT / "src").rglob("*.c")):
        code = path.read_text()
        calls = [m for m in CALL.finditer(code) if m.group(1) in states]
        for i, match in enumerate(calls):
            text = text_of(match.group(2))
            if not worth(text):
                continue
            end = calls[i + 1].start() if i + 1 < len(calls) else len(code)
            behind = code[match.end() : min(end, match.end() + NEAR)].split("\n}", 1)[0]
            sqlstates, hints = found.setdefault(text, (set(), set()))
            sqlstates.add(states[match.group(1)])
            hints.update(text_of(h.group(1)) for h in HINT.finditer(behind))
    return found


def cell(text):
    return re.sub(r"([|<*_\\`\[\]])", r"\\\1", text)


def page():
    lines = [
        "# Messages",
        "",
        "Every message of the gate and of the commands, in alphabetical order: what it is called (SQLSTATE), and what to do. Where a "
        "message has no hint, it names what is wrong by itself. … stands for what is filled in. Messages of clients, and what is "
        "behind them: [trouble.md](howto/trouble.md). Why a connection failed: [causes.md](causes.md).",
        "",
        "| message | SQLSTATE | hint |",
        "|---|---|---|",
    ]
    found = index()
    for text in sorted(found, key=lambda t: (re.sub(r"^[^A-Za-z]+", "", t).casefold(), t)):
        sqlstates, hints = found[text]
        lines.append(f"| {cell(text)} | {', '.join(sorted(sqlstates))} | {' '.join(cell(h) for h in sorted(hints) if h)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
