"""An HTTP/1.1 connection whose requests the host makes.

There is no TCP in the sandbox. The bytes that a client writes are parsed as HTTP/1.1 requests. The
host makes each request, and its response is converted to the bytes that a server would have sent.
"""

import errno
import re
import socket

from _codeact import tls

# Limits in bytes: the head of a request (its line and headers), its body, and one read from the host.
MAX_HEAD = 64 * 1024
MAX_BODY = 16 * 1024 * 1024
MAX_READ = 64 * 1024

_ONLY_HTTP = "the sandbox's network supports HTTP and HTTPS requests only"
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}(?: |$)")
_REQUEST_LINE = re.compile(rb"([^ ]+) ([^ ]+) HTTP/1\.([01])")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_END_OF_LINE = re.compile(rb"\r?\n")
_ABSOLUTE = re.compile(r"(?i)https?://([^/?#]*)(.*)", re.DOTALL)
# Headers of one connection: the host has another connection to the server.
_HOP_BY_HOP = {
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


def unsupported(message=_ONLY_HTTP):
    return OSError(errno.ENOTSUP, message)


def too_long(what, limit):
    return OSError(errno.EMSGSIZE, f"{what} can have at most {limit} bytes in the sandbox")


_CODES = {
    "denied": errno.EACCES,
    "connect": errno.ECONNREFUSED,
    "protocol": errno.EPROTO,
    "too_large": errno.EMSGSIZE,
    "limit": errno.EDQUOT,
}


def failure(reply):
    """Converts a failure of the host to the exception that a socket raises for it."""
    kind, message = reply["failed"], reply.get("message", "")
    if kind == "timeout":
        return TimeoutError(message or "timed out")
    if kind == "dns":
        error = socket.gaierror(socket.EAI_NONAME, message)
    elif kind == "tls" and "certificate" in message.lower():
        error = tls.SSLCertVerificationError(1, message)
    elif kind == "tls":
        error = tls.SSLError(1, message)
    else:
        error = OSError(_CODES.get(kind, errno.EIO), message)
    # With a real socket, `connect` raises it. Here the host connects when it makes the request.
    error.unreached = kind in ("denied", "dns", "connect", "tls")
    return error


class _Request:
    def __init__(self, method, target, http11, headers):
        self.method, self.target, self.http11, self.headers = method, target, http11, headers
        self.body = b""

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name]

    def tokens(self, name):
        return {token.strip().lower() for value in self.all(name) for token in value.split(",")}


class Connection:
    """A connection to `host`. The client calls `write` and `read_buffer`.

    `fill_buffer` and `close` are generators. Each yields host calls, as a name and arguments, and
    expects their replies.
    """

    def __init__(self, host, port):
        self._host, self._port = host, port
        self._tls = False
        self._written = bytearray()
        self._parser = self._parse_requests()
        self._buffer = bytearray()
        # True from the end of a request to the end of its response. There is one request at a time.
        self._is_busy = False
        self._request = None
        self._response = None
        # The remaining bytes of the response's body, None if unknown.
        self._remaining = 0
        self._is_chunked = self._is_last = False
        self.has_ended = False
        # The arguments of the OSError for reads after the end.
        self._error_args = None

    @property
    def is_readable(self):
        """True if a read would return data or the end. An idle connection in a pool is not readable."""
        return bool(self._buffer) or self.has_ended or self._is_busy

    def write(self, data):
        """Adds bytes that the client sends."""
        if self.has_ended:
            raise BrokenPipeError(errno.EPIPE, "the connection was closed")
        self._written += data
        self._parse()

    def read_buffer(self, limit):
        """Removes and returns at most `limit` received bytes."""
        data = bytes(self._buffer[:limit])
        del self._buffer[:limit]
        return data

    def fill_buffer(self, timeout):
        """Makes host calls until there are received bytes or the connection has ended."""
        if self._error_args and not self._buffer:
            raise OSError(*self._error_args)
        try:
            while not self._buffer and not self.has_ended:
                if self._request is not None:
                    # Cleared first: a request whose response is lost must not be made again.
                    request, self._request = self._request, None
                    self._receive_head(request, (yield "$http", self._arguments(request, timeout)))
                elif not self._is_busy:
                    raise unsupported(
                        f"{_ONLY_HTTP}: no data arrives before a whole request is written"
                    )
                else:
                    args = {"response": self._response, "most": MAX_READ, "timeout": timeout}
                    self._receive_body((yield "$http_read", args))
                if self._remaining == 0:
                    if self._response is not None:
                        yield self._close_response()
                    self._is_busy = False
                    self.has_ended = self.has_ended or self._is_last
                    if not self.has_ended:
                        self._parse()
        except BaseException:
            self.has_ended = True
            raise

    def close(self, timeout):
        """Closes the connection. A request that was written but not made is still made."""
        self.has_ended = True
        if self._request is not None:
            request, self._request = self._request, None
            reply = yield "$http", self._arguments(request, timeout)
            self._response = reply.get("response")
        if self._response is not None:
            yield self._close_response()

    def abort(self):
        """Ends the connection if a response is being read, because the host has dropped it."""
        if self._response is not None:
            self._response, self.has_ended = None, True
            why = "the turn that requested this response has ended"
            self._error_args = errno.ECONNRESET, why

    def _close_response(self):
        response, self._response = self._response, None
        return "$http_close", {"response": response}

    # Requests: from the client to the host.

    def _parse(self):
        try:
            next(self._parser)
        except BaseException as error:
            self.has_ended = True
            if isinstance(error, OSError):
                self._error_args = error.args
            raise

    def _parse_requests(self):
        """Parses requests, one after another. Yields when it needs more bytes."""
        while len(self._written) < len(tls.HELLO) and tls.HELLO.startswith(bytes(self._written)):
            yield
        if self._written.startswith(tls.HELLO):
            self._tls = True
            del self._written[: len(tls.HELLO)]
        while True:
            while self._is_busy:
                if len(self._written) > MAX_HEAD + MAX_BODY:
                    raise too_long("pipelined requests", MAX_HEAD + MAX_BODY)
                yield
            request = yield from self._head()
            if request.all("transfer-encoding"):
                if request.tokens("transfer-encoding") != {"chunked"}:
                    raise unsupported("the only supported Transfer-Encoding of a request is chunked")
                self._send_continue(request, 1)
                request.body = yield from self._chunks()
            elif lengths := set(request.all("content-length")):
                size = lengths.pop()
                if lengths or not (size.isascii() and size.isdigit()):
                    raise unsupported("the Content-Length of a request must be a number")
                # A number of more than 12 digits is above any limit, and slow to convert.
                if len(size) > 12 or int(size) > MAX_BODY:
                    raise too_long("the body of a request", MAX_BODY)
                self._send_continue(request, int(size))
                request.body = yield from self._exactly(int(size))
            self._request, self._is_busy = request, True

    def _send_continue(self, request, size):
        if "100-continue" in request.tokens("expect") and len(self._written) < size:
            self._buffer += b"HTTP/1.1 100 Continue\r\n\r\n"

    def _head(self):
        while True:
            # Some clients send an extra line end after a request.
            del self._written[: len(self._written) - len(self._written.lstrip(b"\r\n"))]
            if end := _END_OF_HEAD.search(self._written):
                break
            line = _END_OF_LINE.search(self._written)
            known = (
                _REQUEST_LINE.fullmatch(self._written[: line.start()])
                if line
                else (not self._written or _METHOD.match(self._written))
            )
            if not known:
                raise unsupported()
            if len(self._written) > MAX_HEAD:
                raise too_long("the head of a request", MAX_HEAD)
            yield
        head = bytes(self._written[: end.start()])
        del self._written[: end.end()]
        if len(head) > MAX_HEAD:
            raise too_long("the head of a request", MAX_HEAD)
        first, *lines = _END_OF_LINE.split(head)
        parts = _REQUEST_LINE.fullmatch(first)
        if parts is None:
            raise unsupported()
        headers = []
        for line in lines:
            if line[:1] in b" \t" and headers:
                headers[-1][1] += " " + line.strip().decode("latin-1")
                continue
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or not name.strip():
                raise unsupported(f"invalid header in a request: {line[:80]!r}")
            headers.append([name.strip(), value.strip()])
        method, target, minor = (part.decode("latin-1") for part in parts.groups())
        request = _Request(method, self._target(method, target), minor == "1", headers)
        if "websocket" in request.tokens("upgrade"):
            raise unsupported(f"{_ONLY_HTTP}: WebSockets are not available")
        return request

    def _target(self, method, target):
        if method == "CONNECT":
            raise unsupported(
                "proxies are not available in the sandbox: the host makes the requests"
            )
        if absolute := _ABSOLUTE.fullmatch(target):
            # The form of requests to a proxy. It is also allowed for the server itself.
            if absolute[1].lower() not in self._authorities():
                raise unsupported(
                    "proxies are not available in the sandbox: the host makes the requests"
                )
            target = absolute[2] if absolute[2].startswith("/") else "/" + absolute[2]
        if not target.startswith("/"):
            raise unsupported(
                f"invalid target of a request: {target!r}; expected a path that begins with a slash"
            )
        return re.sub(r"[^!-~]", lambda char: f"%{ord(char[0]):02X}", target)

    def _exactly(self, size):
        while len(self._written) < size:
            yield
        data = bytes(self._written[:size])
        del self._written[:size]
        return data

    def _line(self):
        while not (end := _END_OF_LINE.search(self._written)):
            if len(self._written) > MAX_HEAD:
                raise too_long("a line of a request", MAX_HEAD)
            yield
        line = bytes(self._written[: end.start()])
        del self._written[: end.end()]
        return line

    def _chunks(self):
        body = bytearray()
        while True:
            line = yield from self._line()
            size = line.partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", size):
                raise unsupported("a chunk of the request's body has no valid size")
            size = int(size, 16)
            if size == 0:
                break
            if len(body) + size > MAX_BODY:
                raise too_long("the body of a request", MAX_BODY)
            body += yield from self._exactly(size)
            if (yield from self._line()):
                raise unsupported("a chunk of the request's body is longer than its size")
        while (yield from self._line()):
            pass
        return bytes(body)

    def _authorities(self):
        host = f"[{self._host}]" if ":" in self._host else self._host
        port = 443 if self._tls else 80
        return {f"{host}:{self._port}".lower()} | ({host.lower()} if self._port == port else set())

    def _arguments(self, request, timeout):
        host = f"[{self._host}]" if ":" in self._host else self._host
        named = request.tokens("connection")
        own = self._authorities()
        return {
            "method": request.method,
            "url": f"http{'s' if self._tls else ''}://{host}:{self._port}{request.target}",
            "headers": [
                [name, value]
                for name, value in request.headers
                if (lower := name.lower()) not in _HOP_BY_HOP
                and lower not in named
                and not (lower == "host" and value.lower() in own)
            ],
            "body": request.body,
            "timeout": timeout,
        }

    # Responses: from the host to the client.

    def _receive_head(self, request, reply):
        if "failed" in reply:
            raise failure(reply)
        self._response, status = reply["response"], reply["status"]
        lines = [f"HTTP/1.1 {status} {reply.get('reason') or ''}"]
        lengths = set()
        for name, value in reply["headers"]:
            if name.lower() == "content-length":
                lengths.add(value)
            elif name.lower() not in _HOP_BY_HOP:
                lines.append(f"{name}: {value}")
        size = lengths.pop() if len(lengths) == 1 else ""
        size = int(size) if size.isascii() and size.isdigit() and len(size) < 19 else None
        if size is not None:
            lines.append(f"Content-Length: {size}")
        self._remaining, self._is_chunked = size, False
        self._is_last = not request.http11 or "close" in request.tokens("connection")
        if request.method == "HEAD" or status in (204, 304):
            self._remaining = 0
        elif size is None:
            self._is_chunked = request.http11
            self._is_last = self._is_last or not self._is_chunked
            if self._is_chunked:
                lines.append("Transfer-Encoding: chunked")
        if self._is_last:
            lines.append("Connection: close")
        self._buffer += "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")

    def _receive_body(self, reply):
        if "failed" in reply:
            self._response = None
            raise failure(reply)
        data = reply["data"]
        if self._remaining is not None:
            data = data[: self._remaining]
            self._remaining -= len(data)
        if data and self._is_chunked:
            self._buffer += b"%x\r\n%b\r\n" % (len(data), data)
        else:
            self._buffer += data
        if reply["end"]:
            self._response = None
            if self._is_chunked:
                self._buffer += b"0\r\n\r\n"
            # A body that is shorter than announced ends the connection.
            if self._remaining or (self._remaining is None and not self._is_chunked):
                self.has_ended = True
            self._remaining = 0
