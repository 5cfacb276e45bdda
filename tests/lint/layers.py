"""The layers of the house: who may include whom, and which external header belongs to which room."""
import re

from common import ROOT, bare, files, finish, name

# Rooms of one layer never include each other; a room includes what stands in lower layers only.
LAYERS = [
    ["base"],
    ["os"],
    ["lex", "pgwire", "pki", "pgtypes", "regex"],
    ["policy", "conf", "auth", "tls", "sql"],
    ["net"],
    ["status"],
    ["client"],
    ["gate", "clerk", "probe", "watch", "monitor", "renew", "audit"],
    ["harden"],
    ["cmd"],
]
# The inside of the gate: a part includes those that stand before it, and gate.h, the door.
GATE = ["work", "stats", "load", "upstream", "session", "views", "steward"]
LAYER_OF = {room: i for i, layer in enumerate(LAYERS) for room in layer}

# External header → the rooms that may include it.
FENCED = {
    "uv.h": {"net"},
    "sqlite3.h": {"sql", "status"},
    "openssl/ssl.h": {"tls"},
    "microhttpd.h": {"watch"},
    "libpq-fe.h": {"audit", "watch"},
    "yaml.h": {"audit"},
    "tcl.h": {"regex"},
    "tcl8.6/tcl.h": {"regex"},
    "curl/curl.h": {"client"},
    "stringprep.h": {"auth"},
    "seccomp.h": {"os"},
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def check_inside(path, target, where):
    """One part of the gate may not include a later one; gate.c, the door's own file, may include them all."""
    own, parts = path.relative_to(ROOT / "src").parts, target.split("/")
    if own[0] != "gate" or len(own) < 3 or len(parts) < 3:
        return
    if GATE.index(parts[1]) > GATE.index(own[1]):
        yield f"{where}: gate/{own[1]} may not include gate/{parts[1]} ({target})"


def check(path):
    room = path.relative_to(ROOT / "src").parts[0]
    if room not in LAYER_OF:
        yield f"{name(path)}: room {room} has no layer; tests/lint/layers.py must know it"
        return
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        where = f"{name(path)}:{text.count(chr(10), 0, match.start()) + 1}"
        kind, target = match.groups()
        if target in FENCED and room not in FENCED[target]:
            yield f"{where}: {target} belongs to {', '.join(sorted(FENCED[target]))}"
        if kind == "<" or target.endswith(".def"):
            continue
        if "/" not in target:
            yield f'{where}: write "{room}/{target}", the room is part of the name'
            continue
        other = target.split("/")[0]
        if other == room:
            yield from check_inside(path, target, where)
            continue
        if other not in LAYER_OF:
            yield f"{where}: {target} is in no room"
        elif LAYER_OF[other] >= LAYER_OF[room]:
            yield f"{where}: {room} may not include {other} ({target})"


finish([c for path in files("src/**/*.[ch]") for c in check(path)], "layers")
