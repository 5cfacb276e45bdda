"""A real primary and its streaming standby."""

import signal
import subprocess

from . import psql, run

SERVER_HBA = ("local all,replication all trust\nhostssl all alice 127.0.0.1/32 scram-sha-256\n"
              "host replication repl 127.0.0.1/32 trust\n")
STREAM = {"hot_standby": "on", "wal_log_hints": "on", "max_wal_senders": "4", "wal_keep_size": "64MB"}


class Pair:
    """A primary and a standby, and the turns their lives take."""

    def __init__(self, factory, certs, hba=SERVER_HBA):
        self.factory, self.certs, self.hba = factory, certs, hba
        self.a = factory.postgres(hba=hba, settings=STREAM, tls={"cert": certs.server})
        self.b = factory.postgres(start=False, hba=hba, settings=STREAM, tls={"cert": certs.server})
        self.follow(self.b, self.a)

    def follow(self, standby, primary):
        """Make `standby` anew as a copy of `primary` and start it."""
        standby.stop(signal.SIGQUIT)
        standby.distribution.run(["rm", "-rf", standby.data])
        standby.distribution.run([standby.distribution.tool("pg_basebackup"), "-h", "127.0.0.1", "-p",
                                  str(primary.port), "-U", "repl", "-D", standby.data, "-c", "fast", "-X", "stream"])
        standby.configure(settings={"primary_conninfo": f"host=127.0.0.1 port={primary.port} user=repl"},
                          hba=self.hba, tls={"cert": self.certs.server})
        standby.write("standby.signal", "")
        since = standby.log.mark()
        start_standby(standby, since)

    def conninfo(self, **more):
        return psql.conninfo(host="127.0.0.1,localhost", hostaddr="127.0.0.1,127.0.0.1",
                             port=f"{self.a.port},{self.b.port}", sslrootcert=self.certs.ca_file, **more)


def start_standby(server, since):
    with open(server.log.path, "ab") as log:
        server.process = subprocess.Popen(
            run.demoted([server.distribution.tool("postgres"), "-D", server.data]), env=server.distribution.env,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True)
    server.log.wait_for("database system is ready to accept read-only connections", since, 60)
    server.log.wait_for("started streaming WAL", since, 60)
