"""Pages of docs/ that are for root on a Debian with PostgreSQL, word for word, each on a machine of its own."""

import shutil

import pytest

from lib import run
from lib.machine import Machines

pytestmark = [pytest.mark.skipif(not run.is_root(), reason="the pages are for root"),
              pytest.mark.skipif(not shutil.which("pg_createcluster"), reason="Debian's postgresql-common is not installed")]


@pytest.fixture(scope="module")
def machines(program, debian, scratch):
    if not debian.bindir.startswith("/usr/lib/postgresql/"):
        pytest.skip("Debian's PostgreSQL is not installed")
    made = Machines(f"{scratch}/machines", program, debian.bindir.split("/")[4])
    yield made
    made.stop()


def cluster(machines):
    return {"CLUSTER": f"/etc/postgresql/{machines.version}/main"}


BILLING = """
runuser -u postgres -- psql -qc "CREATE ROLE app LOGIN PASSWORD 'change-me'" -c "CREATE DATABASE app OWNER app"
echo 'host all all 0.0.0.0/0 scram-sha-256' >> $CLUSTER/pg_hba.conf
echo "listen_addresses = '0.0.0.0'" > $CLUSTER/conf.d/listen.conf
systemctl restart postgresql
billing() {
    PGPASSWORD=change-me setsid psql "host=db.example.com dbname=app user=app application_name=billing $1" -c 'SELECT pg_sleep(1000)' \
        </dev/null >/dev/null 2>&1 &
    until runuser -u postgres -- psql -Atc "SELECT 1 FROM pg_stat_activity WHERE application_name = 'billing'" | grep -q 1; do :; done
}
billing sslmode=disable
declare -f billing
"""


def test_from_plaintext_to_verify_full(machines):
    machine = machines.debian()
    application = machine.sh(BILLING, **cluster(machines)).stdout
    machine.write("billing", "#!/bin/bash\nset -e\nrunuser -u postgres -- psql -qAtc \"SELECT pg_terminate_backend(pid, 10000) FROM "
                  f"pg_stat_activity WHERE application_name = 'billing'\" >/dev/null\n{application}\n"
                  f"billing 'sslmode=verify-full sslrootcert={machine.dir}/ca.crt'\n")
    machine.follow("verify-full.md", **cluster(machines))


def test_a_gate_in_front_of_debian_s_postgresql(machines):
    machines.debian().follow("debian-gate.md", **cluster(machines))


VERIFIED = """
runuser -u postgres -- psql -qc "CREATE ROLE app LOGIN PASSWORD 'change-me'" -c "CREATE DATABASE app OWNER app"
echo 'hostssl all all 192.0.2.0/24 scram-sha-256' >> $CLUSTER/pg_hba.conf
echo "listen_addresses = '192.0.2.10'" > $CLUSTER/conf.d/listen.conf
systemctl restart postgresql
pgseal harden $CLUSTER --apply --host db.example.com
cp $CLUSTER/pgseal/ca.crt .
"""


def test_a_companion(machines):
    machine = machines.debian()
    machine.sh(VERIFIED, **cluster(machines))
    machine.follow("companion.md")


GATE = """
runuser -u postgres -- psql -qc "CREATE ROLE app LOGIN PASSWORD 'change-me'" -c "CREATE ROLE alice LOGIN PASSWORD 'change-me'" \\
    -c "CREATE DATABASE app OWNER app"
sed -i 's/^local  *all  *all  *peer$/local all all scram-sha-256/' $CLUSTER/pg_hba.conf
systemctl reload postgresql
runuser -u pgseal -- pgseal init /etc/pgseal --host db.example.com --upstream 'host=/var/run/postgresql'
systemctl start pgseal
"""


def test_renew_and_revoke(machines):
    machine = machines.debian()
    machine.sh(GATE, **cluster(machines))
    machine.follow("renew-revoke.md")


# What a service leaves to its customers.
SERVICE = """
runuser -u postgres -- psql -qc "CREATE ROLE admin LOGIN CREATEROLE CREATEDB PASSWORD 'admin-secret'" -c "CREATE DATABASE app OWNER admin"
echo "listen_addresses = '192.0.2.10'" > $CLUSTER/conf.d/listen.conf
sed -i '/^host/d' $CLUSTER/pg_hba.conf
echo 'hostssl all all 0.0.0.0/0 scram-sha-256' >> $CLUSTER/pg_hba.conf
mkdir cloud
pgseal ca init cloud/ca --name Cloud
pgseal cert issue --ca cloud/ca db --host db.example.com --out $CLUSTER --owner postgres
printf "ssl = on\\nssl_cert_file = '$CLUSTER/db.crt'\\nssl_key_file = '$CLUSTER/db.key'\\n" > $CLUSTER/conf.d/tls.conf
systemctl restart postgresql
cp cloud/ca/ca.crt bundle.pem
echo 'db.example.com:*:*:admin:admin-secret' > admin.pgpass
chmod 600 admin.pgpass
"""


def test_managed_postgresql(machines):
    machine = machines.debian()
    machine.sh(SERVICE, **cluster(machines))
    machine.follow("managed.md")


def test_upgrade_and_restart(machines):
    machine = machines.debian()
    machine.sh(GATE + "cp /etc/pgseal/tls/ca.crt .\n", **cluster(machines))
    machine.follow("upgrade.md")
    machine.follow("restart.md")
