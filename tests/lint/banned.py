"""Calls and habits that the style forbids, because each has cost somebody a security fix."""
import re

from common import bare, files, finish, name

CALLS = {
    "sprintf": "buf_printf",
    "vsprintf": "buf_vprintf",
    "strcpy": "str_to_c or memcpy with a checked size",
    "strcat": "buf_append_c",
    "strncpy": "str_to_c",
    "strncat": "buf_append_str",
    "stpcpy": "str_to_c",
    "gets": "buf",
    "atoi": "str_to_u32",
    "atol": "str_to_i64",
    "atoll": "str_to_i64",
    "atof": "strtod with checks",
    "strtok": "str_split",
    "strtok_r": "str_split",
    "alloca": "an arena",
    "scanf": "rd or str",
    "sscanf": "rd or str",
    "rand": "env_random",
    "random": "env_random",
    "srand": "env_random",
    "mktemp": "mkstemp",
    "tmpnam": "mkstemp",
}
CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(CALLS))
SNPRINTF_SUM = re.compile(r"\+=\s*(?:\(\w+\)\s*)?v?snprintf\s*\(")
TYPEDEF_STRUCT = re.compile(r"^typedef\s+(struct|enum|union)\b[^(;]*[{;]", re.M)
SECRET_COMPARE = re.compile(r"\bmemcmp\s*\([^;]*\b(secret|password|proof|verifier|client_key|server_key)", re.I)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!\s*\(?#\d+)")


def complaints_of(path):
    raw = path.read_text()
    text = bare(raw)

    def at(position):
        return f"{name(path)}:{text.count(chr(10), 0, position) + 1}"

    for match in CALL.finditer(text):
        yield f"{at(match.start())}: {match.group(1)} is banned; use {CALLS[match.group(1)]}"
    for match in SNPRINTF_SUM.finditer(text):
        yield f"{at(match.start())}: a sum of snprintf's results runs over; use buf_printf"
    for match in TYPEDEF_STRUCT.finditer(text):
        yield f"{at(match.start())}: no typedef for structs and enumerations"
    for match in SECRET_COMPARE.finditer(text) if name(path).startswith("src/") else ():
        yield f"{at(match.start())}: secrets are compared by secret_equal"
    for number, line in enumerate(raw.splitlines(), 1):
        if UNFINISHED.search(line):
            yield f"{name(path)}:{number}: unfinished work without an issue's number"


paths = files("src/**/*.[ch]", "tools/*.c", "tests/**/*.[ch]")
finish([c for path in paths for c in complaints_of(path)], "banned")
