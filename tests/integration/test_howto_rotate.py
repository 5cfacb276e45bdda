"""The pages of docs/howto/ about renewals, word for word."""

import functools
import http.server
import os
import shutil
import socketserver
import threading
import unittest.mock

import pytest

from cryptography import x509
from cryptography.x509.oid import NameOID

from lib import howto, pki, run
from test_rotate import postgres     # noqa: F401  (a fixture)
from test_rotate_acme import pebble_alone     # noqa: F401  (a fixture)


def test_your_own_ca_kept_offline(program, tmp_path):
    howto.follow("offline-ca.md", program, tmp_path)


# -- clouds ---------------------------------------------------------------------------------------------------------------
class Region(pki.Authority):
    """A root with the name that RDS gives its own."""

    def __init__(self, words):
        with unittest.mock.patch.object(pki, "name", lambda *_: x509.Name([
                x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Amazon Web Services, Inc."),
                x509.NameAttribute(NameOID.COMMON_NAME, f"Amazon RDS eu-west-1 {words}")])):
            super().__init__()


def test_rds_and_cloud_sql_bundles(program, factory, make_gate, certs, tmp_path):
    old, new = Region("2019 CA"), Region("Root CA RSA2048 G1")
    google, next_google = pki.Authority("Google Cloud SQL Server CA 1"), pki.Authority("Google Cloud SQL Server CA 2")
    servers = [factory.postgres(hba="hostssl all all 127.0.0.1/32 trust\n", tls={
        "cert": ca.issue("db", sans=["localhost"], usage="server")}) for ca in (old, google)]
    gate = make_gate(start=False, hba="local all all trust\n", upstream="below", settings={"upstream_login": "trust"})
    os.rename(gate.dir, tmp_path / "gate")
    os.symlink(tmp_path / "gate", gate.dir)
    rds, analytics = (f"host=localhost port={s.port} sslmode=verify-full sslrootcert={tmp_path}/gate/{name}.pem"
                      for s, name in zip(servers, ("rds", "cloudsql")))
    gate.upstream = rds
    gate.configure({"upstream.analytics": analytics})
    gate.write("rds.pem", old.pem())
    gate.write("cloudsql.pem", google.pem())
    gate.start()
    pki.write_file(str(tmp_path / "bundle.pem"), new.pem())
    pki.write_file(str(tmp_path / "both.pem"), google.pem() + next_google.pem())
    (tmp_path / "bin").mkdir()
    pki.write_file(str(tmp_path / "bin/gcloud"), f"#!/bin/sh\ncat {tmp_path}/both.pem\n", 0o755)
    try:
        howto.follow("cloud-bundles.md", program, tmp_path, RDS_BUNDLE=f"file://{tmp_path}/bundle.pem",
                     PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    finally:
        for server in servers:
            factory.stop(server)


# -- Let's Encrypt ----------------------------------------------------------------------------------------------------------
@pytest.mark.skipif(not shutil.which("pebble"), reason="pebble is not installed: tools/deps.sh check")
@pytest.mark.skipif(not run.is_root(), reason="the page is for root")
def test_lets_encrypt_for_postgresql(program, postgres, certs, pebble_alone, tmp_path):     # noqa: F811
    roots, webroot = os.path.join(postgres.dir, "roots.pem"), os.path.join(postgres.dir, "www")
    pki.write_file(roots, certs.ca.pem() + pebble_alone.root())
    os.mkdir(webroot)
    with socketserver.ThreadingTCPServer(("127.0.0.1", pebble_alone.http), functools.partial(
            http.server.SimpleHTTPRequestHandler, directory=webroot)) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            howto.follow("lets-encrypt.md", program, tmp_path, PGDATA=postgres.data, STATE=f"{postgres.dir}/pgseal-data",
                         around=("unshare", "-m", "sh", "-c", f'mount --bind {roots} /etc/ssl/certs/ca-certificates.crt && '
                                 'exec bash -c "$0"'), ACME=pebble_alone.url, SSL_CERT_FILE=roots, PGHOST="127.0.0.1",
                         PGPORT=str(postgres.port), UACME_CHALLENGE_PATH=f"{webroot}/.well-known/acme-challenge")
        finally:
            server.shutdown()
    assert postgres.query("SELECT 1") == [(1,)]
