"""
What each sslmode gets from each kind of rule, with the real psql.

The expectation is computed from libpq's documented order of attempts, so that the table of 6 x 3 x 2 has one
statement and not thirty-six.
"""

import pytest

from lib import psql
from lib.pg import PASSWORDS

SSLMODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
RULES = ["hostssl", "host", "hostnossl"]
ALICE = PASSWORDS["alice"]

# One user per kind of rule, so that one server serves the whole table.
USERS = {"hostssl": "alice", "host": "bob", "hostnossl": "carol"}
HBA = "".join(f"{rule} app {user} 127.0.0.1/32 scram-sha-256\n" for rule, user in USERS.items())

NO_TLS = "server does not support SSL, but SSL was required"


@pytest.fixture(scope="module")
def with_tls(kind, server_factory, certs):
    return server_factory(kind, hba=HBA, tls={"cert": certs.server})


@pytest.fixture(scope="module")
def without_tls(kind, server_factory):
    return server_factory(kind, hba=HBA)


@pytest.fixture(params=["tls", "plain"])
def server(request, with_tls, without_tls):
    return with_tls if request.param == "tls" else without_tls


def no_entry(user, encrypted):
    state = "SSL encryption" if encrypted else "no encryption"
    return f'FATAL:  no pg_hba.conf entry for host "127.0.0.1", user "{user}", database "app", {state}'


def expected(sslmode, rule, tls):
    """("plain" or "tls" or None where refused, the error lines)."""
    attempts = {"disable": ["plain"], "allow": ["plain", "tls"], "prefer": ["tls", "plain"]}.get(sslmode, ["tls"])
    errors = []
    for attempt in attempts:
        if attempt == "tls" and not tls:
            if sslmode == "allow" and psql.MAJOR < 17:
                attempt = "plain"       # an older libpq takes the `N` and goes on
            elif sslmode == "prefer":
                continue
            else:
                errors.append(NO_TLS)
                continue
        admitted = {"hostssl": attempt == "tls", "host": True, "hostnossl": attempt == "plain"}[rule]
        if admitted:
            return attempt, []
        errors.append(no_entry(USERS[rule], attempt == "tls"))
    return None, errors


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sslmode", SSLMODES)
def test_sslmode(server, with_tls, certs, sslmode, rule):
    user = USERS[rule]
    root = certs.ca_file if sslmode.startswith("verify") else None
    got = psql.run(server, r"\conninfo", PASSWORDS[user], user=user, sslmode=sslmode, sslrootcert=root)
    attempt, errors = expected(sslmode, rule, server is with_tls)
    if attempt is None:
        assert got.returncode == 2 and psql.errors(got) == errors
    else:
        assert got.returncode == 0, got.stderr
        assert ("SSL connection (protocol: TLSv1.3" in got.stdout) == (attempt == "tls"), got.stdout


@pytest.mark.parametrize("sslmode", SSLMODES)
def test_unix_socket_is_always_plain(server_factory, kind, certs, sslmode, unix_server):
    got = psql.run(unix_server, r"\conninfo", ALICE, host=unix_server.socket_dir, sslmode=sslmode)
    assert got.returncode == 0 and "SSL" not in got.stdout, got.stderr + got.stdout


@pytest.fixture(scope="module")
def unix_server(kind, server_factory, certs):
    return server_factory(kind, hba="local all all scram-sha-256\n", tls={"cert": certs.server})


# -- verification by the client -----------------------------------------------------------------------------------
@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_foreign_root_fails_everywhere_it_exists(with_tls, certs, sslmode):
    got = psql.run(with_tls, password=ALICE, sslmode=sslmode, sslrootcert=certs.foreign_file)
    assert psql.errors(got) == ["SSL error: certificate verify failed"]


def test_wrong_host_name(with_tls, certs):
    got = psql.run(with_tls, password=ALICE, sslmode="verify-full", sslrootcert=certs.ca_file,
                   host="wrong.example", hostaddr="127.0.0.1")
    assert psql.errors(got) == ['server certificate for "localhost" (and 3 other names) does not match host name'
                                ' "wrong.example"']


@pytest.mark.parametrize("host", ["db.example", "DB.Example", "localhost", "127.0.0.1"])
def test_right_host_names(with_tls, certs, host):
    got = psql.run(with_tls, password=ALICE, sslmode="verify-full", sslrootcert=certs.ca_file, host=host,
                   hostaddr="127.0.0.1")
    assert got.stdout == "1\n", got.stderr


def test_wrong_host_name_passes_verify_ca(with_tls, certs):
    got = psql.run(with_tls, password=ALICE, sslmode="verify-ca", sslrootcert=certs.ca_file,
                   host="wrong.example", hostaddr="127.0.0.1")
    assert got.stdout == "1\n", got.stderr


@pytest.mark.parametrize("binding", ["disable", "prefer", "require"])
def test_channel_binding(with_tls, certs, binding):
    got = psql.run(with_tls, password=ALICE, sslmode="verify-full", sslrootcert=certs.ca_file,
                   channel_binding=binding)
    assert got.stdout == "1\n", got.stderr


def test_prefer_shows_both_attempts_errors(with_tls):
    got = psql.run(with_tls, password="wrong", user="bob", sslmode="prefer")
    text = 'FATAL:  password authentication failed for user "bob"'
    assert psql.errors(got) == [text, text]


# -- versions that do not meet ------------------------------------------------------------------------------------
VERSIONS = {
    # the server's settings, the client's, what the client reads
    "server from 1.3, client to 1.2": ({"ssl_min_protocol_version": "TLSv1.3"},
                                       {"ssl_max_protocol_version": "TLSv1.2"}),
    "server to 1.2, client from 1.3": ({"ssl_max_protocol_version": "TLSv1.2"},
                                       {"ssl_min_protocol_version": "TLSv1.3"}),
}


@pytest.mark.parametrize("settings, options", VERSIONS.values(), ids=VERSIONS.keys())
def test_versions_that_do_not_meet(server_factory, kind, certs, settings, options):
    server = server_factory(kind, hba=HBA, tls={"cert": certs.server}, settings=settings)
    mark = server.log.mark()
    got = psql.run(server, password=ALICE, sslmode="require", **options)
    assert psql.errors(got)[0] == "SSL error: tlsv1 alert protocol version"
    server.log.wait_for("(?i)unsupported protocol", mark)
    got = psql.run(server, r"\conninfo", ALICE, sslmode="require")
    assert "SSL connection (protocol: TLSv1." in got.stdout
