"""Certificates as the tests need them: good, expired, revoked, foreign, with any name."""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)

OIDS = {
    "CN": NameOID.COMMON_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "C": NameOID.COUNTRY_NAME,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}


def now():
    return datetime.datetime.utcnow().replace(microsecond=0)


def new_key(kind="ec"):
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    if kind in ("rsa", "rsa-1024"):
        return rsa.generate_private_key(public_exponent=65537, key_size=1024 if kind == "rsa-1024" else 2048)
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    raise ValueError(kind)


def name(*attributes):
    """A subject from ("CN", "alice") pairs, encoded in the order given."""
    return x509.Name([x509.NameAttribute(OIDS[k], v) for k, v in attributes])


def digest_for(key):
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


class Cert:
    """A certificate with its key and the intermediates that lead to its CA."""

    def __init__(self, cert, key, chain=()):
        self.cert = cert
        self.key = key
        self.chain = list(chain)

    @property
    def serial(self):
        return self.cert.serial_number

    def pem(self):
        return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in [self.cert, *self.chain])

    def key_pem(self, passphrase=None):
        guard = (serialization.BestAvailableEncryption(passphrase.encode()) if passphrase
                 else serialization.NoEncryption())
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, guard)

    def write(self, directory, stem, passphrase=None):
        """Write STEM.crt and STEM.key (0600); returns both paths."""
        crt, key = os.path.join(directory, stem + ".crt"), os.path.join(directory, stem + ".key")
        write_file(crt, self.pem())
        write_file(key, self.key_pem(passphrase), 0o600)
        return crt, key


def write_file(path, content, mode=0o644):
    """Replace a file in one step, so that nobody ever reads half of it."""
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as f:
        os.fchmod(f.fileno(), mode)
        f.write(content if isinstance(content, bytes) else content.encode())
    os.rename(temporary, path)


class Authority(Cert):
    """A CA. An intermediate one is `root.intermediate(...)`."""

    def __init__(self, common_name="Test CA", key="ec", signer=None, valid_from=None, valid_to=None):
        secret = new_key(key) if isinstance(key, str) else key
        subject = name(("CN", common_name))
        issuer = signer.cert.subject if signer else subject
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
                   .public_key(secret.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(valid_from or now() - DAY).not_valid_after(valid_to or now() + 3650 * DAY)
                   .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                   .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, digital_signature=False,
                                                content_commitment=False, key_encipherment=False,
                                                data_encipherment=False, key_agreement=False,
                                                encipher_only=False, decipher_only=False), critical=True)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(secret.public_key()), critical=False))
        signing_key = signer.key if signer else secret
        super().__init__(builder.sign(signing_key, digest_for(signing_key)), secret,
                         [signer.cert, *signer.chain] if signer and signer.chain else [])
        self.signer = signer

    def intermediate(self, common_name="Test Intermediate"):
        return Authority(common_name, signer=self)

    def issue(self, subject, sans=(), usage="client", key="ec", valid_from=None, valid_to=None, serial=None):
        """
        Issue a certificate.

        subject     a common name, or an x509.Name of `name(...)`.
        sans        host names, and addresses as text; "uri:..." and "email:...".
        usage       "client", "server" or "both".
        key         its kind, or a key that is there already.
        """
        secret = new_key(key) if isinstance(key, str) else key
        if isinstance(subject, str):
            subject = name(("CN", subject))
        usages = {"client": [ExtendedKeyUsageOID.CLIENT_AUTH], "server": [ExtendedKeyUsageOID.SERVER_AUTH],
                  "both": [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]}[usage]
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.cert.subject)
                   .public_key(secret.public_key()).serial_number(serial or x509.random_serial_number())
                   .not_valid_before(valid_from or now() - DAY).not_valid_after(valid_to or now() + 30 * DAY)
                   .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                   .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(secret.public_key()), critical=False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                                  critical=False))
        if sans:
            builder = builder.add_extension(x509.SubjectAlternativeName([general_name(s) for s in sans]),
                                            critical=False)
        chain = [self.cert] if self.signer else []
        return Cert(builder.sign(self.key, digest_for(self.key)), secret, chain)

    def crl(self, revoked=(), last_update=None, next_update=None):
        """A CRL that names the given certificates, as PEM."""
        builder = (x509.CertificateRevocationListBuilder().issuer_name(self.cert.subject)
                   .last_update(last_update or now() - DAY).next_update(next_update or now() + 30 * DAY))
        for cert in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(cert.serial).revocation_date(now() - DAY).build())
        return builder.sign(self.key, digest_for(self.key)).public_bytes(serialization.Encoding.PEM)


def general_name(text):
    for prefix, kind in [("uri:", x509.UniformResourceIdentifier), ("email:", x509.RFC822Name)]:
        if text.startswith(prefix):
            return kind(text[len(prefix):])
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
