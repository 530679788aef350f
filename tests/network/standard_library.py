"""HTTP(S) with the standard library's clients, and errors of its other uses of a network."""

import errno
import ftplib
import http.client
import http.server
import json
import os
import select
import selectors
import smtplib
import socket
import ssl
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import xmlrpc.client

sys.path.append("/mnt")

from checks import (
    BIG,
    CLOSED,
    DENIED,
    HTTP,
    HTTP_PORT,
    HTTPS,
    HTTPS_PORT,
    MAX_BODY,
    NAMELESS,
    STREAM,
    WRONG_NAME,
    case,
    raises,
    run_cases,
)

urlopen = urllib.request.urlopen


def get(url, **kwargs):
    with urlopen(url, **kwargs) as response:
        return response.read()


def connect(port=HTTP_PORT):
    return socket.create_connection(("127.0.0.1", port))


def read_response(file):
    """Reads one response that has a Content-Length. Returns its status line and body."""
    status, length = file.readline(), 0
    while (line := file.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, file.read(length)


# urllib


@case
def urllib_gets_a_page():
    with urlopen(f"{HTTP}/echo?q=1%202") as response:
        echo = json.load(response)
        assert response.status == 200
        assert response.headers["content-type"] == "application/json"
    assert (echo["method"], echo["path"], echo["body"]) == ("GET", "/echo?q=1%202", "")
    assert ["host", f"127.0.0.1:{HTTP_PORT}"] in echo["headers"]
    assert not any(name == "connection" for name, _ in echo["headers"])


@case
def urllib_gets_a_page_over_https():
    assert json.loads(get(f"{HTTPS}/echo"))["path"] == "/echo"
    assert get(f"https://127.0.0.1:{HTTPS_PORT}/", timeout=60) == b"hello"


@case
def urllib_posts():
    for server in (HTTP, HTTPS):
        echo = json.loads(get(f"{server}/echo", data=b"x=1", timeout=60))
        assert (echo["method"], echo["body"]) == ("POST", "x=1")
        assert ["content-type", "application/x-www-form-urlencoded"] in echo["headers"]


@case
def urllib_follows_redirects():
    assert json.loads(get(f"{HTTP}/redirect"))["path"] == "/echo?redirected"
    elsewhere = f"{HTTP}/redirect?{urllib.parse.quote(HTTPS + '/echo?there')}"
    with urlopen(elsewhere) as response:
        assert json.load(response)["path"] == "/echo?there"
        assert response.url == f"{HTTPS}/echo?there"


@case
def urllib_reads_a_body_in_parts():
    for server in (HTTP, HTTPS):
        with urlopen(f"{server}/stream") as response:
            assert response.read(3) == STREAM[:3]
            assert response.read() == STREAM[3:]
        assert list(urlopen(f"{server}/stream")) == STREAM.splitlines(keepends=True)
        assert len(get(f"{server}/big")) == BIG


@case
def urllib_reports_the_reason_of_a_failure():
    for url, kind in (
        (DENIED, PermissionError),
        (NAMELESS, socket.gaierror),
        (CLOSED, ConnectionRefusedError),
        (WRONG_NAME, ssl.SSLCertVerificationError),
        (f"https://127.0.0.1:{HTTP_PORT}/", ssl.SSLError),
    ):
        error = raises(urllib.error.URLError, urlopen, url)
        assert isinstance(error.reason, kind), error
    raises(urllib.error.URLError, urlopen, DENIED, text="not among the allowed hosts")
    error = raises(urllib.error.HTTPError, urlopen, f"{HTTP}/missing")
    assert (error.code, error.read()) == (404, b"gone")
    raises(OSError, urlopen, f"{HTTP}/nonsense")


@case
def urllib_times_out():
    raises(TimeoutError, urlopen, f"{HTTP}/hang", timeout=0.05, text="try again")


@case
def urllib_retrieves_into_a_file():
    with tempfile.TemporaryDirectory() as folder:
        name, headers = urllib.request.urlretrieve(f"{HTTP}/big", f"{folder}/fetched")
        assert os.path.getsize(name) == int(headers["content-length"]) == BIG


@case
def pandas_reads_a_url():
    import pandas as pd

    assert pd.read_csv(f"{HTTP}/csv")["b"].tolist() == [2, 4]
    assert pd.read_json(f"{HTTPS}/json")["k"].tolist() == [1, 2]


@case
def xmlrpc_makes_its_calls():
    server = xmlrpc.client.ServerProxy(f"{HTTP}/missing")
    error = raises(xmlrpc.client.ProtocolError, server.function)
    assert error.errcode == 404


# http.client


@case
def http_client_keeps_its_connection():
    connection = http.client.HTTPSConnection("localhost", HTTPS_PORT, timeout=60)
    connection.connect()
    sock = connection.sock

    def request(*args, **kwargs):
        connection.request(*args, **kwargs)
        response = connection.getresponse()
        body = response.read()
        assert connection.sock is sock
        return response, body

    for number in range(3):
        assert json.loads(request("GET", f"/echo?{number}")[1])["path"] == f"/echo?{number}"
    response, body = request("HEAD", "/big")
    assert (body, response.headers["content-length"]) == (b"", str(BIG))
    response, body = request("GET", "/none")
    assert (response.status, body) == (204, b"")
    response, body = request("GET", "/not")
    assert (response.status, body, response.headers["etag"]) == (304, b"", '"x"')
    assert json.loads(request("POST", "/echo", body=iter([b"ab", b"cd"]))[1])["body"] == "abcd"
    echo = json.loads(request("PUT", "/echo", body="text", headers={"X-A": "1"})[1])
    assert echo["body"] == "text" and ["x-a", "1"] in echo["headers"]
    assert request("GET", "/stream")[1] == STREAM
    assert request("GET", "/")[1] == b"hello"
    connection.close()


@case
def http_client_detects_a_truncated_body():
    connection = http.client.HTTPConnection("127.0.0.1", HTTP_PORT)
    connection.request("GET", "/short")
    response = connection.getresponse()
    assert response.read(9) == b"only this"
    raises((OSError, http.client.IncompleteRead), response.read)


@case
def http_client_times_out_within_a_body():
    connection = http.client.HTTPConnection("127.0.0.1", HTTP_PORT)
    connection.request("GET", "/drip")
    response = connection.getresponse()
    assert response.read(6) == b"begins"
    connection.sock.settimeout(0.05)
    raises(TimeoutError, response.read, text="sent no more")


@case
def http_client_has_no_tunnel():
    for kind in (http.client.HTTPConnection, http.client.HTTPSConnection):
        connection = kind("127.0.0.1", HTTP_PORT)
        connection.set_tunnel("example.com")
        raises(OSError, connection.request, "GET", "/", text="proxies are not available")


# Sockets


@case
def a_socket_speaks_http():
    with connect() as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        received = b""
        while data := sock.recv(10):
            received += data
    assert received.startswith(b"HTTP/1.1 200 OK\r\n") and received.endswith(b"\r\n\r\nhello")
    raises(OSError, sock.recv, 1)


@case
def a_wrapped_socket_speaks_https():
    plain = socket.socket()
    raises(OSError, plain.recv, 1)
    plain.settimeout(60)
    plain.connect(("localhost", HTTPS_PORT))
    context = ssl.create_default_context()
    with context.wrap_socket(plain, server_hostname="localhost") as sock:
        assert isinstance(sock, ssl.SSLSocket)
        assert (plain.fileno(), sock.gettimeout()) == (-1, 60)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert sock.makefile("rb").read().endswith(b"\r\n\r\nhello")
        assert sock.recv(1) == b""


@case
def a_socket_sends_requests_as_clients_write_them():
    with connect() as sock:
        file = sock.makefile("rb")
        sock.sendall(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        )
        assert (file.readline(), file.readline()) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
        # The rest of the request, and the next one before the response was read.
        sock.sendall(b"abc" + b"GET /echo?next HTTP/1.1\r\nHost: x\r\n\r\n")
        for body, path in (("abc", "/echo"), ("", "/echo?next")):
            status, answer = read_response(file)
            echo = json.loads(answer)
            assert status == b"HTTP/1.1 200 OK\r\n"
            assert (echo["body"], echo["path"]) == (body, path)
    chunked = b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n"
    with connect() as sock:
        for byte in chunked:
            sock.sendall(bytes([byte]))
        echo = json.loads(read_response(sock.makefile("rb"))[1])
        assert echo["body"] == "abcde"
        assert not any(name == "t" for name, _ in echo["headers"])
    with connect() as sock:
        sock.sendall(b"GET /echo?\xc3\xa4 HTTP/1.1\r\n\r\n")
        assert json.loads(read_response(sock.makefile("rb"))[1])["path"] == "/echo?%C3%A4"


@case
def a_socket_can_be_polled():
    request = b"GET / HTTP/1.1\r\n\r\n"
    with connect() as sock:
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        assert poll.poll(0) == []
        assert select.select([sock], [sock], [], 0) == ([], [sock], [])
        sock.sendall(request)
        assert poll.poll() == [(sock.fileno(), select.POLLIN)]
        assert select.select([sock], [], []) == ([sock], [], [])
        poll.unregister(sock)
    with connect() as sock, selectors.PollSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        assert selector.select(0.001) == []
        sock.sendall(request)
        assert len(selector.select()) == 1


@case
def a_non_blocking_socket_has_no_data_before_a_request():
    with connect() as sock:
        sock.setblocking(False)
        raises(BlockingIOError, sock.recv, 1)
        assert "socket" in repr(sock)


@case
def a_name_is_its_own_address():
    assert socket.getaddrinfo("localhost", HTTPS_PORT)[0][4] == ("localhost", HTTPS_PORT)
    raises(socket.gaierror, socket.gethostbyname, "localhost", text="outside of the sandbox")
    error = raises(PermissionError, socket.getaddrinfo, "example.com", 443)
    assert error.errno == errno.EACCES


# Unsupported uses


@case
def only_http_can_be_written():
    for data in (
        b"\x00\x01\x02",
        b"EHLO me\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"\x16\x03\x01\x02",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\r\n",
        b"a" * 40,
        b"GET / HTTP/1.1\r\nno header\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"b" * 70_000,
    ):
        with connect() as sock:
            raises(OSError, sock.sendall, data)
            raises(OSError, sock.sendall, b"GET / HTTP/1.1\r\n\r\n")


@case
def mail_and_ftp_are_refused():
    raises(PermissionError, ftplib.FTP, "127.0.0.1", text="port 21")
    raises(OSError, smtplib.SMTP, "127.0.0.1", HTTP_PORT, text="HTTP and HTTPS requests only")
    ftp = ftplib.FTP()
    raises(OSError, ftp.connect, "127.0.0.1", HTTP_PORT, text="HTTP and HTTPS requests only")


@case
def udp_and_listening_are_refused():
    raises(OSError, socket.socket, socket.AF_INET, socket.SOCK_DGRAM, text="HTTP")
    sock = socket.socket()
    raises(OSError, sock.bind, ("127.0.0.1", 8000), text="cannot serve")
    raises(OSError, sock.listen)
    raises(OSError, sock.accept)
    raises(OSError, socket.create_server, ("127.0.0.1", 0))
    raises(OSError, socket.socketpair)
    raises(OSError, http.server.HTTPServer, ("", 8000), None, text="cannot serve")


@case
def websockets_are_refused():
    with connect() as sock:
        request = b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        raises(OSError, sock.sendall, request, text="WebSockets")


@case
def proxies_are_refused():
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": HTTP, "https": HTTP}))
    for url in ("http://example.com/", "https://example.com/"):
        raises(urllib.error.URLError, opener.open, url, text="proxies are not available")
    with connect() as sock:
        raises(OSError, sock.sendall, b"CONNECT example.com:443 HTTP/1.1\r\n\r\n", text="proxies")


@case
def bodies_and_heads_are_bounded():
    assert get(f"{HTTP}/count", data=b"x" * MAX_BODY) == b"%d" % MAX_BODY
    raises(OSError, urlopen, f"{HTTP}/count", data=b"x" * (MAX_BODY + 1), text="at most")
    raises(OSError, urlopen, f"{HTTP}/{'p' * 70_000}", text="at most")


# ssl


@case
def ssl_contexts_can_be_set_up():
    context = ssl.create_default_context()
    assert context.check_hostname and context.verify_mode == ssl.CERT_REQUIRED
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TLSv1_3
    context.set_ciphers("ALL")
    context.set_alpn_protocols(["http/1.1"])
    raises(ssl.SSLError, context.load_cert_chain, "cert.pem", text="client certificates")
    raises(FileNotFoundError, context.load_verify_locations, "/nowhere")
    assert ssl.Purpose.SERVER_AUTH.oid and ssl.HAS_SNI and ssl.get_default_verify_paths()


@case
def certificates_are_verified_in_any_context():
    context = ssl._create_unverified_context()
    error = raises(urllib.error.URLError, urlopen, WRONG_NAME, context=context)
    assert isinstance(error.reason, ssl.SSLCertVerificationError)


run_cases()
