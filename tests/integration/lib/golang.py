"""Go programs of tests/integration/go, built without a network from Debian's sources."""

import os
import pwd
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = "/usr/share/gocode"


def environment():
    """What Go compiled before is kept, in the user's real home: a test may have set HOME to a directory that must not exist."""
    home = pwd.getpwuid(os.getuid()).pw_dir
    return {"GOPATH": SOURCES, "GO111MODULE": "off", "GOFLAGS": "",
            "GOCACHE": os.environ.get("GOCACHE", os.path.join(home, ".cache", "go-build"))}


def build(name, directory):
    """go/NAME.go; the program's path."""
    program = os.path.join(directory, name)
    subprocess.run(["go", "build", "-p", "1", "-o", program, os.path.join(HERE, "..", "go", f"{name}.go")], check=True, timeout=300,
                   env={**os.environ, **environment()})
    return program
