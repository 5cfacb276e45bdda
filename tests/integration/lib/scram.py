"""SCRAM-SHA-256 with every part in the caller's hand, so that each can be wrong on purpose (RFC 5802, 7677)."""

import base64
import hashlib
import hmac
import os

ITERATIONS = 4096


def b64(raw):
    return base64.b64encode(raw).decode()


def digest(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def salted(password, salt, iterations):
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)


def secret(password, salt=b"0123456789abcdef", iterations=ITERATIONS):
    """What a server stores for a password. The default salt makes it the same everywhere."""
    key = salted(password, salt, iterations)
    stored = hashlib.sha256(digest(key, b"Client Key")).digest()
    return f"SCRAM-SHA-256${iterations}:{b64(salt)}${b64(stored)}:{b64(digest(key, b'Server Key'))}"


def keys(password, salt=b"0123456789abcdef", iterations=ITERATIONS):
    """(ClientKey, ServerKey): what logs in without the password."""
    key = salted(password, salt, iterations)
    return digest(key, b"Client Key"), digest(key, b"Server Key")


class Exchange:
    """
    One client's exchange.

    gs2     the header of the client-first-message: "n,,", "y,,", "p=tls-server-end-point,,", "n,a=x,".
    binding what `c=` carries behind the header: the certificate's hash for PLUS.
    """

    def __init__(self, password, gs2="n,,", binding=b"", nonce=None, user=""):
        self.password = password
        self.gs2 = gs2
        self.binding = binding
        self.nonce = nonce or b64(os.urandom(18))
        self.bare = f"n={user},r={self.nonce}"
        self.server_first = None
        self.auth_message = None
        self.salted = None

    def first(self):
        return (self.gs2 + self.bare).encode()

    def read_server_first(self, data):
        """Take in R11; returns its attributes."""
        self.server_first = data.decode()
        parts = dict(p.split("=", 1) for p in self.server_first.split(","))
        self.server_nonce = parts["r"]
        self.salt = base64.b64decode(parts["s"])
        self.iterations = int(parts["i"])
        return parts

    def without_proof(self, nonce=None, c=None):
        c = c if c is not None else b64(self.gs2.encode() + self.binding)
        return f"c={c},r={nonce if nonce is not None else self.server_nonce}"

    def proof(self, without_proof):
        self.auth_message = f"{self.bare},{self.server_first},{without_proof}".encode()
        self.salted = salted(self.password, self.salt, self.iterations)
        client_key = digest(self.salted, b"Client Key")
        signature = digest(hashlib.sha256(client_key).digest(), self.auth_message)
        return bytes(a ^ b for a, b in zip(client_key, signature))

    def final(self, **wrong):
        """The client-final-message; keywords of without_proof() and `extensions`, `proof` replace its parts."""
        given = wrong.pop("proof", None)
        extensions = wrong.pop("extensions", "")
        head = self.without_proof(**wrong) + extensions
        return f"{head},p={given if given is not None else b64(self.proof(head))}".encode()

    def server_signature(self):
        """The `v=` that a server which knows the password must send."""
        return "v=" + b64(digest(digest(self.salted, b"Server Key"), self.auth_message))
