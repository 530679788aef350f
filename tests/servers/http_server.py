"""A web server on a loopback port. Each path is one correct or incorrect behaviour of a server.

    python3 http_server.py [--tls CERT KEY]

Needs the standard library only. The first line on stdout is the port, the second one a port that the
server binds without listening. It exits at the end of its stdin.
"""

import argparse
import gzip
import http.server
import json
import socket
import ssl
import sys
import threading
import urllib.parse

BIG = 300_000
PARTS = [b"part %d\n" % number for number in range(5)]


class Meeting:
    """Releases requests when enough of them wait: only concurrent requests get a response."""

    def __init__(self):
        self.changed = threading.Condition()
        self.waiting = 0

    def wait_for(self, enough):
        with self.changed:
            self.waiting += 1
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.waiting >= enough)


meeting = Meeting()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.url = urllib.parse.urlsplit(self.path)
        self.body = self.read_body()
        page = getattr(self, "page_" + self.url.path.strip("/"), self.page_hello)
        try:
            page()
        except ConnectionError:
            # The client has disconnected, as some tests do.
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while True:
            size = int(self.rfile.readline(), 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return body

    def head(self, status=200, *headers):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def send(self, body, *headers, status=200, kind="text/plain"):
        self.head(status, ("Content-Type", kind), ("Content-Length", str(len(body))), *headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_chunk(self, data):
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    # Correct responses.

    def page_hello(self):
        self.send(b"hello")

    def page_echo(self):
        received = {
            "method": self.command,
            "path": self.path,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "body": self.body.decode("latin-1"),
        }
        self.send(json.dumps(received).encode(), kind="application/json")

    def page_redirect(self):
        """Redirects to the path or URL in the query."""
        to = urllib.parse.unquote(self.url.query) or "/echo?redirected"
        self.send(b"", ("Location", to), status=302)

    def page_stream(self):
        self.head(200, ("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked"))
        if self.command != "HEAD":
            for part in PARTS:
                self.send_chunk(part)
            self.send_chunk(b"")

    def page_hold(self):
        """Sends the query, and nothing more until the client disconnects."""
        self.head(200, ("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked"))
        self.send_chunk(urllib.parse.unquote(self.url.query).encode())
        self.wfile.flush()
        self.rfile.read(1)

    def page_big(self):
        self.send(b"x" * BIG)

    def page_gzip(self):
        self.send(gzip.compress(b"squeezed " * 100), ("Content-Encoding", "gzip"))

    def page_cookie(self):
        self.send(b"ok", ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/"))

    def page_none(self):
        self.head(204)

    def page_not(self):
        self.head(304, ("ETag", '"x"'), ("Content-Length", "50"))

    def page_missing(self):
        self.send(b"gone", status=404)

    def page_csv(self):
        self.send(b"a,b\n1,2\n3,4\n", kind="text/csv")

    def page_json(self):
        self.send(b'[{"k": 1}, {"k": 2}]', kind="application/json")

    def page_count(self):
        """Responds with the size of the request's body."""
        self.send(b"%d" % len(self.body))

    def page_meet(self):
        """Responds when as many of these requests wait as the query says."""
        meeting.wait_for(int(self.url.query))
        self.send(b"met")

    # Incorrect responses.

    def page_short(self):
        """Announces more bytes than it sends."""
        self.head(200, ("Content-Length", "100"), ("Connection", "close"))
        self.wfile.write(b"only this")

    def page_hang(self):
        """Never responds."""
        self.wait_for_disconnect()

    def page_drip(self):
        """Sends the start of a response, and never the rest."""
        self.head(200, ("Content-Length", "100"))
        self.wfile.write(b"begins")
        self.wait_for_disconnect()

    def page_nonsense(self):
        self.wfile.write(b"\x00\x01 this is not HTTP\r\n\r\n")
        self.close_connection = True

    def page_huge(self):
        """Sends a response without end."""
        self.head(200, ("Transfer-Encoding", "chunked"))
        while True:
            self.send_chunk(b"x" * (1 << 16))

    def page_injected(self):
        """Sends a head with a bare CR, which some parsers treat as the end of a line."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Odd: a\rSet-Cookie: b\r\n\r\n"
        self.wfile.write(head + b"ok")

    def page_switch(self):
        self.head(101, ("Upgrade", "echo"), ("Connection", "Upgrade"))
        self.close_connection = True

    def wait_for_disconnect(self):
        self.rfile.read(1)
        self.close_connection = True

    def log_message(self, format, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # Some tests open the maximum of connections at once.
    request_queue_size = 128
    tls = None

    def finish_request(self, request, client_address):
        """Does the TLS handshake in the connection's thread, so that a slow client blocks no others."""
        if self.tls is not None:
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    options = parser.parse_args()
    server = Server(("127.0.0.1", 0), Handler)
    if options.tls:
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(*options.tls)
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    print(server.server_address[1], closed.getsockname()[1], sep="\n", flush=True)
    # The test process may be killed. Then stdin ends, and so does the server.
    threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
    server.serve_forever()


main()
