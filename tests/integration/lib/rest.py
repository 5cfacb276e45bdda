"""
What answers in place of Patroni's REST API where the real one is too slow: over HTTPS, for a client certificate, /primary
of each host.
"""

import http.server
import ssl
import threading


class Rest:
    """
    roles    host as in the URL: "primary", "standby", a status, or "silent" (the connection is closed without an answer),
             "hangs" (until it becomes something else), "garbage", "endless".
    asked    how often each was asked.
    """

    def __init__(self, cert, ca, directory, roles):
        self.roles = dict(roles)
        self.asked = {host: 0 for host in roles}
        self.changed = threading.Condition()
        rest = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                rest.answer(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass            # a client that trusts others, or has no certificate

        self.server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*cert.write(directory, "rest"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=ca.pem().decode())
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def answer(self, request):
        host = request.headers["Host"].rpartition(":")[0]
        with self.changed:
            role = self.roles[host]
            self.asked[host] += 1
            self.changed.notify_all()
            if role == "hangs":
                self.changed.wait_for(lambda: self.roles[host] != role)
                return
        if role == "silent" or request.path != "/primary":
            return
        if role == "garbage":
            request.wfile.write(b"\0\1\2HTTP/9 200\n" * 50)
            return
        request.send_response({"primary": 200, "endless": 200, "standby": 503}.get(role, role))
        request.send_header("Content-Type", "application/json")
        request.send_header("Location", f"https://127.0.0.1:{self.port}/primary")
        request.end_headers()
        while role == "endless":        # until the other side has had enough
            request.wfile.write(b" " * 65536)
        request.wfile.write(b'{"state": "running", "role": "%s"}' % str(role).encode())

    def become(self, **roles):
        with self.changed:
            self.roles.update({host.replace("_", "."): role for host, role in roles.items()})
            self.changed.notify_all()

    def wait_until_asked(self, host, timeout=60):
        """It has been asked twice from now on: the first of these answers has been taken."""
        with self.changed:
            least = self.asked[host] + 2
            assert self.changed.wait_for(lambda: self.asked[host] >= least, timeout)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
