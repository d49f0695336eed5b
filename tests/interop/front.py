"""A TLS front before the gist server: gh talks https only, and to a host with a name."""

import http.client
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# They belong to one connection, not to what it carries.
HOP_BY_HOP = {"connection", "content-length", "date", "host", "server", "transfer-encoding"}


class Front:
    """https://localhost:PORT, which hands everything on to `upstream`, a http://HOST:PORT."""

    def __init__(self, upstream, directory):
        self.certificate = directory / "certificate.pem"
        key = directory / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", self.certificate],
            check=True, capture_output=True)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler(upstream))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        # The handshake belongs to the connection's own thread, not to the one that accepts.
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def handler(upstream):
    """The class that answers for `upstream`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def hand_on(self):
            front = f"https://localhost:{self.server.server_port}".encode()
            headers = {name: value for name, value in self.headers.items()
                       if name.lower() not in HOP_BY_HOP | {"accept-encoding"}}
            connection = http.client.HTTPConnection(upstream.removeprefix("http://"), timeout=60)
            connection.request(self.command, self.path, self.whole_body(), headers)
            answer = connection.getresponse()
            # Addresses in answers must lead through the front, as they would name the real host.
            body = answer.read().replace(upstream.encode(), front)
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value.replace(upstream, front.decode()))
            if answer.status not in (204, 304):
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            connection.close()

        def whole_body(self):
            """gh sends what it reads from a pipe in chunks."""
            if self.headers.get("transfer-encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("content-length") or 0))
            body = b""
            while length := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(length)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return body

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = hand_on

        def log_message(self, *_):
            """The server keeps its own log."""

    return Handler
