"""
pgseal audit: the dates of everything that the gate shows, and of everything that it judges others by.
"""

import json
import os
import subprocess

import pytest

from lib import pki

DAY = pki.DAY
DATES = {
    "old": (pki.now() - 9 * DAY, pki.now() - DAY),
    "future": (pki.now() + DAY, pki.now() + 90 * DAY),
    "soon": (pki.now() - 20 * DAY, pki.now() + 4 * DAY),
    "good": (pki.now() - DAY, pki.now() + 60 * DAY),
}
CERT = {"old": "certificate_expired", "future": "certificate_not_yet_valid", "soon": "certificate_expiring", "good": None}
LIST = {"old": "crl_expired", "future": "crl_not_yet_valid", "soon": "crl_expiring", "good": None}
HTTP = "http_listen = '0.0.0.0:9187'\nhttp_token_file = 'token'\n"
FAR = "upstream = 'host=db.example sslmode=verify-full sslrootcert=DIR/ROOT{}'\n"
HOSTS = "ssl_sni = on\nhosts_file = 'hosts'\n"


class World:
    """A directory of a gate, and what is put beside it."""

    def __init__(self, path):
        self.path = path
        self.ca = pki.Authority("CA of others")

    def pair(self, dates, name="x", chain_dates=None, usage="server"):
        begin, end = DATES[dates]
        signer = self.ca
        if chain_dates:
            first, last = DATES[chain_dates]
            signer = pki.Authority("Middle", signer=self.ca, valid_from=first, valid_to=last)
        made = signer.issue("db.example", sans=["db.example"], usage=usage, valid_from=begin, valid_to=end)
        self.put(name + ".crt", made.pem())
        self.put(name + ".key", made.key_pem())

    def root(self, *dates):
        self.put("ROOT", b"".join(pki.Authority(f"Root {n}", valid_from=DATES[d][0], valid_to=DATES[d][1]).pem()
                                  for n, d in enumerate(dates)))

    def lists(self, name, *dates, ca=None):
        self.put(name, b"".join((ca or self.ca).crl(last_update=DATES[d][0], next_update=DATES[d][1]) for d in dates))

    def hashed(self, dates):
        """A directory as `openssl rehash` leaves it."""
        self.put("ROOT", self.ca.pem())
        name = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", os.path.join(self.path, "ROOT")], check=True,
                              capture_output=True, text=True).stdout.strip()
        os.makedirs(os.path.join(self.path, "lists"), exist_ok=True)
        self.lists(f"lists/{name}.r0", dates)

    def put(self, name, content):
        pki.write_file(os.path.join(self.path, name), content, 0o600)

    def found(self, program, settings):
        with open(os.path.join(self.path, "pgseal.conf"), encoding="utf-8") as f:
            before = f.read()
        self.put("pgseal.conf", (before + settings.replace("DIR", str(self.path))).encode())
        done = subprocess.run([program, "audit", "--json", self.path], capture_output=True, text=True, timeout=60, check=False)
        self.put("pgseal.conf", before.encode())
        assert done.stdout, done.stderr
        return {(f["id"], os.path.basename(f["where"])) for f in json.loads(done.stdout)["findings"]
                if f["id"] in set(CERT.values()) | set(LIST.values()) | {"certificate_unreadable", "settings_broken"}}


@pytest.fixture(scope="module")
def world(program, tmp_path_factory):
    path = tmp_path_factory.mktemp("dates") / "gate"
    subprocess.run([program, "init", path, "--host", "db.example"], check=True, capture_output=True, timeout=60)
    made = World(path)
    made.put("token", b"a token of thirty-two characters!\n")
    return made


# What lies where, for some dates; the settings that name it; the file that is then found wanting.
PLACES = {
    "http": (lambda w, d: w.pair(d), HTTP + "http_cert_file = 'x.crt'\nhttp_key_file = 'x.key'\n", "x.crt", CERT),
    "http without TLS for clients": (lambda w, d: w.pair(d), HTTP + "ssl = off\nssl_cert_file = 'x.crt'\nssl_key_file = 'x.key'\n",
                                     "x.crt", CERT),
    "http beside hosts": (lambda w, d: (w.pair(d), w.pair("good", "y"), w.put("hosts", b"* y.crt y.key\n")),
                          HTTP + HOSTS + "ssl_cert_file = 'x.crt'\nssl_key_file = 'x.key'\n", "x.crt", CERT),
    "a host": (lambda w, d: (w.pair(d), w.pair("good", "y"), w.put("hosts", b"a,b x.crt x.key\n* y.crt y.key\n")), HOSTS,
               "x.crt", CERT),
    "the next CA": (lambda w, d: w.pair(d), "rollover_cert_file = 'x.crt'\nrollover_key_file = 'x.key'\n", "x.crt", CERT),
    "a canary beside hosts": (lambda w, d: (w.pair(d), w.pair("good", "y"), w.put("hosts", b"* y.crt y.key\n")),
                              HOSTS + "canary_cert_file = 'x.crt'\ncanary_key_file = 'x.key'\n", "x.crt", CERT),
    "a canary": (lambda w, d: w.pair(d), "canary_cert_file = 'x.crt'\ncanary_key_file = 'x.key'\n", "x.crt", CERT),
    "to peers": (lambda w, d: (w.pair(d, usage="both"), w.root("good")),
                 "cancel_peers = 'other.example:5432'\ncancel_peer_cert_file = 'x.crt'\ncancel_peer_key_file = 'x.key'\n"
                 "cancel_peer_ca_file = 'ROOT'\n", "x.crt", CERT),
    "to a server": (lambda w, d: (w.pair(d, usage="client"), w.root("good")),
                    FAR.format(" sslcert=DIR/x.crt sslkey=DIR/x.key"), "x.crt", CERT),
    "the CA of a server": (lambda w, d: w.root(d, "old"), FAR.format(""), "ROOT", CERT),
    "lists of clients": (lambda w, d: w.lists("crl", d), "ssl_crl_file = 'crl'\n", "crl", LIST),
    "a directory of lists": (lambda w, d: w.hashed(d), "ssl_ca_file = 'ROOT'\nssl_crl_dir = 'lists'\n", "lists", LIST),
    "lists of a server": (lambda w, d: (w.lists("crl", d), w.root("good")), FAR.format(" sslcrl=DIR/crl"), "crl", LIST),
    "a directory of lists of a server": (lambda w, d: w.hashed(d), FAR.format(" sslcrldir=DIR/lists"), "lists", LIST),
}


@pytest.mark.parametrize("place", PLACES)
def test_dates(program, world, place):
    make, settings, file, checks = PLACES[place]
    for dates, check in checks.items():
        make(world, dates)
        assert world.found(program, settings) == ({(check, file)} if check else set()), (place, dates)


CHAINS = {name: PLACES[name] for name in ("http", "the next CA", "a canary", "to a server", "to peers", "a host")}


@pytest.mark.parametrize("place", CHAINS)
def test_the_rest_of_a_chain(program, world, monkeypatch, place):
    make, settings, file, _ = CHAINS[place]
    plain = world.pair
    monkeypatch.setattr(world, "pair", lambda dates, name="x", usage="server": plain(
        dates, name, usage=usage, chain_dates="old" if name == "x" else None))
    make(world, "good")
    assert world.found(program, settings) == {("certificate_expired", file)}


def test_one_good_list_is_enough(program, world):
    for others in (("old", "good"), ("good", "future"), ("soon", "good")):
        world.lists("crl", *others)
        assert world.found(program, "ssl_crl_file = 'crl'\n") == set(), others
    world.lists("crl", "old", "soon")
    assert world.found(program, "ssl_crl_file = 'crl'\n") == {("crl_expiring", "crl")}


def test_one_good_root_is_enough(program, world):
    world.root("old", "future", "good", "soon")
    assert world.found(program, FAR.format("")) == set()
    world.root("soon", "old")
    assert world.found(program, FAR.format("")) == {("certificate_expiring", "ROOT")}


def test_what_nobody_reads_is_not_judged(program, world):
    world.pair("old")
    world.pair("good", "y")
    world.put("hosts", b"* y.crt y.key\n")
    for settings in ("http_cert_file = 'x.crt'\nhttp_key_file = 'x.key'\n",
                     "ssl = off\nrollover_cert_file = 'x.crt'\nrollover_key_file = 'x.key'\n",
                     HOSTS + "ssl_cert_file = 'x.crt'\nssl_key_file = 'x.key'\n"):
        assert world.found(program, settings) == set(), settings
