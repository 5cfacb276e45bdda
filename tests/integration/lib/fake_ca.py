"""
A CA for `pgseal rotate`'s command source that is good, or bad in one way: fake_ca.py HOW DIR CSR OUT.

DIR holds ca.crt, ca.key and, for half a chain, sub.crt and sub.key, as lib/pki.py writes them.
"""

import os
import signal
import sys
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import pki      # noqa: E402  (found by the line above)


def load(directory, stem):
    with open(os.path.join(directory, stem + ".crt"), "rb") as f:
        cert = x509.load_pem_x509_certificate(f.read())
    with open(os.path.join(directory, stem + ".key"), "rb") as f:
        key = serialization.load_pem_private_key(f.read(), None)
    return cert, key


def names_of(csr):
    try:
        return list(csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def sign(csr, issuer, how):
    cert, key = issuer
    if how == "impostor":                               # the CA's name, and not its key
        key = pki.new_key()
    begins, ends = {"expired": (pki.now() - 90 * pki.DAY, pki.now() - pki.DAY),
                    "not-yet": (pki.now() + pki.DAY, pki.now() + 90 * pki.DAY),
                    "outlives": (pki.now() - pki.DAY, cert.not_valid_after + pki.DAY),
                    "shorter": (pki.now() - pki.DAY, pki.now() + pki.DAY)}.get(
                        how, (pki.now() - pki.DAY, pki.now() + 90 * pki.DAY))
    public = pki.new_key().public_key() if how == "wrong-key" else csr.public_key()
    names = names_of(csr)[:-1] if how == "lost-name" else names_of(csr)
    client = how in ("wrong-use", "client", "wrong-subject")
    subject = pki.name(("CN", "somebody")) if how == "wrong-subject" else csr.subject
    usage = pki.ExtendedKeyUsageOID.CLIENT_AUTH if client else pki.ExtendedKeyUsageOID.SERVER_AUTH
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(cert.subject).public_key(public)
               .serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)
               .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(cert.public_key()), critical=False))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, pki.digest_for(key))


def main(how, directory, csr_path, out_path):
    if how == "dead":
        print("the CA is out for lunch", file=sys.stderr)
        return 7
    if how == "slow":
        with open(os.path.join(directory, "waiting"), "w", encoding="ascii"):
            pass
        while not os.path.exists(os.path.join(directory, "go")):
            time.sleep(0.05)
    if how == "empty":
        return 0
    if how == "huge":
        with open(out_path, "wb") as f:
            f.write(b"a certificate, or not\n" * (1 << 20))
        return 0
    with open(csr_path, "rb") as f:
        csr = x509.load_pem_x509_csr(f.read())
    assert csr.is_signature_valid
    leaf = sign(csr, load(directory, "sub" if how in ("chain", "half-chain") else "ca"), how)
    pem = leaf.public_bytes(serialization.Encoding.PEM)
    if how == "chain":
        pem += load(directory, "sub")[0].public_bytes(serialization.Encoding.PEM)
    if how == "truncated":
        pem = pem[:len(pem) // 2]
    if how == "another":                                # somebody else's answer
        pem = load(directory, "sub")[0].public_bytes(serialization.Encoding.PEM)
    with open(out_path, "wb") as f:
        f.write(pem[:len(pem) // 2] if how == "stops-halfway" else pem)
    if how == "stops-halfway":
        sys.stdout.write("half of it is there\n")
        sys.stdout.flush()
        signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
