"""PgBouncer, as a server that the gate or the probe meets."""

import os
import shutil
import socket
import subprocess

from . import pki, run


class PgBouncer:
    """
    with PgBouncer(directory, server, users): …

    server      the pg.Postgres behind, reached by its unix socket.
    users       {name: secret} for SCRAM.
    databases   lines of [databases]; by default each name stands for itself.
    more        other settings of [pgbouncer].
    """

    name = "pgbouncer"
    tcp = unix = True       # where it listens

    def __init__(self, directory, server, users, databases=None, **more):
        self.socket_dir = directory
        self.port = run.free_port()
        self.log = run.Log(os.path.join(directory, "log"))
        os.makedirs(directory, exist_ok=True)
        there = f"host={server.socket_dir} port={server.port}"
        lines = databases or [f"* = {there}"]
        settings = {"listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": directory,
                    "auth_type": "scram-sha-256", "auth_file": os.path.join(directory, "users"),
                    "logfile": self.log.path, **more}
        pki.write_file(os.path.join(directory, "users"), "".join(f'"{u}" "{s}"\n' for u, s in users.items()))
        pki.write_file(os.path.join(directory, "ini"), "\n".join(
            ["[databases]", *(line.format(there) for line in lines), "[pgbouncer]",
             *(f"{name} = {value}" for name, value in settings.items())]) + "\n")
        self.process = None

    def __enter__(self):
        for path in [self.socket_dir, *(os.path.join(self.socket_dir, f) for f in os.listdir(self.socket_dir))]:
            run.give_to_server(path)
        self.process = subprocess.Popen(run.demoted(["pgbouncer", os.path.join(self.socket_dir, "ini")]), cwd="/",
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def listens():
            with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:    # it opens one after the other
                path = os.path.join(self.socket_dir, f".s.PGSQL.{self.port}")
                return (not self.tcp or tcp.connect_ex(("127.0.0.1", self.port)) == 0) and \
                    (not self.unix or unix.connect_ex(path) == 0)

        run.wait_until(listens, "pgbouncer to listen")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(run.PATIENCE)


def missing():
    return not shutil.which("pgbouncer")
