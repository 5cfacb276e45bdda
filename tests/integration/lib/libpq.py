"""
libpq itself as a judge, loaded from a given file: PostgreSQL 18's where Debian's psql is older.

Run as a program it reads conninfo strings, one per line, from standard input and answers with one JSON object
per line: {"connects", "encrypted", "error"}. A process of its own keeps its OpenSSL apart from Python's.
"""

import ctypes
import json
import os
import subprocess
import sys

from . import psql


def judge(library, conninfos, password=None):
    """What PQconnectdb makes of each conninfo."""
    env = psql.environment(LD_LIBRARY_PATH=os.path.dirname(library),
                           **({"PGPASSWORD": password} if password else {}))
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run([sys.executable, "-m", "lib.libpq", library], input="\n".join(conninfos) + "\n", env=env,
                          cwd=here, capture_output=True, text=True, check=True, timeout=300)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main():
    lib = ctypes.CDLL(sys.argv[1])
    lib.PQconnectdb.restype = ctypes.c_void_p
    lib.PQerrorMessage.restype = ctypes.c_char_p
    for f in (lib.PQerrorMessage, lib.PQstatus, lib.PQsslInUse, lib.PQfinish):
        f.argtypes = [ctypes.c_void_p]
    for line in sys.stdin:
        conn = lib.PQconnectdb(line.rstrip("\n").encode())
        ok = lib.PQstatus(conn) == 0
        print(json.dumps({"connects": ok, "encrypted": bool(ok and lib.PQsslInUse(conn)),
                          "error": None if ok else lib.PQerrorMessage(conn).decode(errors="replace").strip()}))
        lib.PQfinish(conn)


if __name__ == "__main__":
    main()
