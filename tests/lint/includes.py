"""A source file includes no header of ours of which it uses nothing. Headers may hand others on."""
import re

from common import ROOT, bare, files, finish, name

INCLUDED = re.compile(r'^#include "([^"]+)"', re.M)
WORD = re.compile(r"[A-Za-z_]\w+")
MEMBER = re.compile(r"(?:->|\.)\s*([A-Za-z_]\w*)")
BODY = re.compile(r"\b(?:struct|union)\b[^;{}()]*\{([^{}]*)\}")
DECLARED = [
    re.compile(pattern, re.M)
    for pattern in (
        r"#define (\w+)",
        r"\b(?:struct|enum|union) (\w+)\s*\{",
        r"^\S[^\n;{}]*?[\s*](\w+)\(",  # functions
        r"\b([A-Z][A-Z0-9_]+)\b",  # enumerators
        r"\btypedef\b[^;]*?(\w+)\s*;",
        r"\btypedef\b[^;]*\(\*(\w+)\)",
        r"\bextern\b[^;]*?(\w+)(?:\[[^\]]*\])*;",
    )
]


def includes(text):
    return INCLUDED.findall(text)


def words(path, text):
    """All that the file names, the rows of tables that it includes with it."""
    found = set(WORD.findall(INCLUDED.sub("", bare(text))))
    for target in includes(text):
        for table in (path.parent / target, ROOT / "src" / target, ROOT / "tables" / target):
            if target.endswith(".def") and table.is_file():
                found |= set(WORD.findall(bare(table.read_text())))
    return found


def declared(text):
    text = re.sub(r"^#include[^\n]*", "", bare(text), flags=re.M)
    return {word for pattern in DECLARED for word in pattern.findall(text)}


def members(text):
    return {word for body in BODY.findall(bare(text)) for word in re.findall(r"[A-Za-z_]\w*", body)}


def complaints():
    headers = {path: path.read_text() for path in files("src/**/*.h")}
    names = {path: declared(text) for path, text in headers.items()}
    parts = {path: members(text) for path, text in headers.items()}
    for path in files("src/**/*.c"):
        text = path.read_text()
        used, reached = words(path, text), set(MEMBER.findall(bare(text)))
        for target in includes(text):
            header = ROOT / "src" / target
            if header in headers and header != path.with_suffix(".h") and not (
                names[header] & used or parts[header] & reached
            ):
                yield f'{name(path)}: uses nothing of "{target}"'


if __name__ == "__main__":
    finish(list(complaints()), "includes")
