"""Loads that are refused name the remedy; characters that cannot be seen are named with their place."""

import os
import pathlib
import re
import subprocess

import pytest

from lib import pki

SETTINGS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "settings.md"


@pytest.fixture
def stopped(factory, certs):
    gate = factory.gate(start=False, hba="host all all all trust\n", tls={"cert": certs.server})
    yield gate
    factory.stop(gate)


def checked(gate):
    done = subprocess.run([gate.program, "serve", "-D", gate.dir, "--check"], stdin=subprocess.DEVNULL, start_new_session=True,
                          capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stderr


def add(gate, line):
    gate.write("pgseal.conf", open(gate.path("pgseal.conf"), encoding="utf-8").read() + line + "\n")


def der(gate, name, kind="x509"):
    data = subprocess.run(["openssl", kind, "-in", gate.path(name), "-outform", "DER"], check=True,
                          capture_output=True).stdout
    gate.write(name, data, 0o600)


def odd_curve(gate):
    """One that TLS knows and nobody offers; the brainpool curves are on offer since OpenSSL 3.2."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes",
                    "-keyout", gate.path("server.key"), "-out", gate.path("server.crt"), "-subj", "/CN=db"], check=True,
                   capture_output=True)
    os.chmod(gate.path("server.key"), 0o600)


def many_names(gate):
    """Names that do not fit into a CertificateRequest."""
    key = pki.new_key()
    def root(i):
        name = pki.name(("CN", f"CA {i}"), *[("OU", f"{n:064}") for n in range(15)])
        return (pki.x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                .serial_number(i + 1).not_valid_before(pki.now()).not_valid_after(pki.now() + pki.DAY)
                .sign(key, pki.digest_for(key)))
    gate.write("many.crt", b"".join(root(i).public_bytes(pki.serialization.Encoding.PEM) for i in range(60)))
    gate.configure({"ssl_ca_file": "many.crt"})


REFUSED = {
    "sslmode": (lambda g, c: g.configure({"upstream": "host=db sslmode=required"}), 'invalid sslmode value: "required"',
                'Perhaps you meant "require". Available values: disable, allow, prefer, require, verify-ca, verify-full.'),
    "service": (lambda g, c: g.configure({"upstream": "service=shop"}),
                '"service" may not be used in an upstream connection string', "Service files are not read here"),
    "passphrase": (lambda g, c: g.write("server.key", c.server.key_pem("sesame"), 0o600),
                   "could not load private key file", "set ssl_passphrase_command"),
    "curve": (lambda g, c: odd_curve(g), "no shared cipher", "on the curve secp256k1"),
    "CA names": (lambda g, c: many_names(g), 'many.crt" do not fit into a TLS handshake', "not all roots of the system"),
    "DER certificate": (lambda g, c: der(g, "server.crt"), "could not load server certificate file",
                        "The file is DER, not PEM: openssl x509 -inform der"),
    "DER key": (lambda g, c: der(g, "server.key", "pkey"), "could not load private key file",
                "The file is DER, not PEM: openssl pkey -inform der"),
    "byte order mark": (lambda g, c: g.write("pg_hba.conf", "\ufeffhost all all all trust\n"), "invalid connection type",
                        "The file begins with a byte order mark (U+FEFF)"),
    "no-break space": (lambda g, c: g.write("pg_hba.conf", "host all all all trust\nhost\u00a0all all all trust\n"),
                       "invalid connection type", "Column 5 is a no-break space (U+00A0)"),
    "en dash": (lambda g, c: g.write("pg_hba.conf", "host all all all scram\u2013sha-256\n"),
                "invalid authentication method", "Column 23 is an en dash (U+2013)"),
    "name": (lambda g, c: g.configure({"ssl\u00a0": "on"}), "unrecognized configuration parameter",
             "Character 4 of the name is a no-break space"),
    "value": (lambda g, c: add(g, "ssl = \u201con\u201d"), 'parameter "ssl" requires a Boolean value',
              "Character 1 of the value is a typographic quote (U+201C)"),
    "mark in pgseal.conf": (lambda g, c: g.write("pgseal.conf", "\ufeff# settings\nport = 1\n"), "syntax error",
                            "The file begins with a byte order mark (U+FEFF)"),
    "userlist": (lambda g, c: (g.configure({"auth_source": "file", "auth_file": "users"}),
                               g.write("users", "\u201capp\u201d \u201cgeheim\u201d\n", 0o600)),
                 "user name must be in double quotes", "Column 1 is a typographic quote (U+201C)"),
}


@pytest.mark.parametrize("spoil, message, hint", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_names_the_remedy(stopped, certs, spoil, message, hint):
    spoil(stopped, certs)
    status, told = checked(stopped)
    assert status in (1, 3)
    assert message in told and hint in told[told.index(message):], told
    assert "Enter PEM pass phrase" not in told and "geheim" not in told


def test_a_wrong_word_is_told_the_right_ones(stopped):
    """Each word that docs/settings.md names stands in the error, and nothing else is taken."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]*?(?:enum|list of): ([^|]*?) \|", SETTINGS.read_text(), re.M)
    assert {"upstream_login", "log_connections", "auth_source", "reload_policy"} <= {name for name, _ in rows}
    for name, words in rows:
        stopped.configure({name: "nonsense"})
        status, told = checked(stopped)
        hint = told.split("Available values: ")[1].split(".\n")[0]
        assert status != 0 and [w for w in hint.split(", ") if w] == [w for w in words.split(", ") if w != "''"], name
        stopped.configure({name: None})


def test_a_certificate_that_nobody_named(stopped, certs):
    """HOME of another account: the file in it is not for this one."""
    home = stopped.path("home")
    os.makedirs(os.path.join(home, ".postgresql"))
    certs.server.write(os.path.join(home, ".postgresql"), "postgresql")
    os.chmod(os.path.join(home, ".postgresql", "postgresql.key"), 0o644)
    stopped.write("ca.crt", certs.server.pem())
    stopped.configure({"upstream": f"host=db sslrootcert={stopped.path('ca.crt')}"})
    told = subprocess.run([stopped.program, "serve", "-D", stopped.dir, "--check"], env={**os.environ, "HOME": home},
                          capture_output=True, text=True, check=False, timeout=30).stderr
    assert 'because "sslkey" is not set' in told and "sslcertmode=disable" in told


def test_a_root_certificate_in_der(program, certs, tmp_path):
    crt, _ = certs.server.write(tmp_path, "server")
    subprocess.run(["openssl", "x509", "-in", crt, "-outform", "DER", "-out", tmp_path / "root.crt"], check=True)
    done = subprocess.run([program, "cert", "verify", "--root", tmp_path / "root.crt", "--host", "localhost", crt],
                          capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "The file is DER, not PEM: openssl x509 -inform der" in done.stderr
