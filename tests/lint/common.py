"""What the lints share: the tree's files, and C text without comments and literals."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def files(*patterns):
    """Files below the root that match, sorted; build directories are no part of the tree."""
    found = set()
    for pattern in patterns:
        found.update(p for p in ROOT.glob(pattern) if p.is_file())
    return sorted(p for p in found if not p.relative_to(ROOT).parts[0].startswith("build"))


def name(path):
    return str(path.relative_to(ROOT))


_SKIP = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*'""", re.S | re.X
)


def bare(text):
    """The text with comments, strings and characters blanked; line numbers stay true."""

    def blank(match):
        found = match.group(0)
        lines = "\n" * found.count("\n")
        if found.startswith('"'):
            return '""' + lines
        if found.startswith("'"):
            return "0" + lines
        return " " + lines

    return _SKIP.sub(blank, text)


def finish(complaints, what):
    """Print what was found; the exit status says whether it was nothing."""
    for line in complaints:
        print(line)
    print(f"{what}: {len(complaints)} complaint(s)")
    sys.exit(1 if complaints else 0)
