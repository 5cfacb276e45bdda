"""Limits of the style: 70 lines in a function, 600 in a file, 5 parameters.

The format of the tree makes functions plain to see: the body's braces stand in the first column. A format and
its arguments count as no parameter, nor does the `struct err *` at the end.
"""
import re

from common import bare, files, finish, name

FUNCTION_LINES, FILE_LINES, PARAMETERS = 70, 600, 5
# Signatures that a library dictates.
IMPOSED = {"add_visit", "alpn_cb", "free_path", "hear_visit", "mhd_on_request", "sqlite_authorize", "sqlite_connect"}


def parameters_of(signature):
    """Number of parameters of the last top-level parenthesis that is no attribute."""
    signature = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", signature, flags=re.S)
    signature = re.sub(r"\b(PRINTF_LIKE|AUTO)\s*\([^()]*\)", "", signature)
    opening = signature.find("(")
    if opening < 0:
        return 0
    inside = signature[opening + 1 : signature.rfind(")")]
    depth, parts = 0, [""]
    for c in inside:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    parts = [p.strip() for p in parts]
    if parts in ([""], ["void"]):
        return 0
    if re.fullmatch(r"struct err \*\w+", parts[-1]):
        return len(parts) - 1
    if parts[-1] == "...":
        return len(parts) - 2
    if parts[-1].startswith("va_list"):
        return len(parts) - 2
    return len(parts)


def functions_of(text):
    """(line of the signature, lines, signature) of every function."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line != "{":
            continue
        start = number
        while start > 0 and lines[start - 1].strip() and lines[start - 1][0] not in "}#":
            start -= 1
        end = number
        while end < len(lines) and lines[end] != "}":
            end += 1
        yield start + 1, end - start + 1, "\n".join(lines[start:number])


def complaints_of(path):
    text = bare(path.read_text())
    count = text.count("\n")
    if count > FILE_LINES:
        yield f"{name(path)}: {count} lines, at most {FILE_LINES}"
    if path.suffix != ".c":
        return
    for line, n, signature in functions_of(text):
        if n > FUNCTION_LINES:
            yield f"{name(path)}:{line}: a function of {n} lines, at most {FUNCTION_LINES}"
        called = re.search(r"(\w+)\s*\(", signature)
        if called and called.group(1) in IMPOSED:
            continue
        if parameters_of(signature) > PARAMETERS:
            yield f"{name(path)}:{line}: {parameters_of(signature)} parameters, at most {PARAMETERS}"


finish([c for path in files("src/**/*.[ch]", "tools/*.c") for c in complaints_of(path)], "sizes")
