"""One HTTP connection as its client sees it: bytes in, bytes out, and between them calls of the host.

There is no TCP in the sandbox. What a client writes is read as HTTP/1.1 requests, the host makes
each, and its answer is written out as the bytes that a server would have sent.
"""

import errno
import re
import socket

from _codeact import tls

# In bytes: a request's line and headers, its body, and what is asked of the host at a time.
MOST_HEAD = 64 * 1024
MOST_BODY = 16 * 1024 * 1024
MOST_READ = 64 * 1024

_ONLY_HTTP = "the sandbox's network passes HTTP and HTTPS requests only"
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}(?: |$)")
_REQUEST_LINE = re.compile(rb"([^ ]+) ([^ ]+) HTTP/1\.([01])")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_END_OF_LINE = re.compile(rb"\r?\n")
_ABSOLUTE = re.compile(r"(?i)https?://([^/?#]*)(.*)", re.DOTALL)
# They speak of the connection that ends here: the host has one of its own.
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


def too_long(what, most):
    return OSError(errno.EMSGSIZE, f"{what} can have {most} bytes at most in the sandbox")


_CODES = {
    "denied": errno.EACCES,
    "connect": errno.ECONNREFUSED,
    "protocol": errno.EPROTO,
    "too_large": errno.EMSGSIZE,
    "limit": errno.EDQUOT,
}


def failure(reply):
    """The exception that a socket raises elsewhere for what the host has said."""
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
    # Elsewhere `connect` would have raised it; here the host connects when it makes the request.
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


class Wire:
    """A connection with `host`. `take` and `write` are the client's, `pull` asks the host."""

    def __init__(self, host, port):
        self._host, self._port = host, port
        self._tls = False
        self._written = bytearray()
        self._reader = self._requests()
        self._out = bytearray()
        # From when a request is whole until its response is: there is one at a time.
        self._asking = False
        self._request = None
        self._response = None
        # Of the response's body: bytes the client is still to be given, None when not known.
        self._left = 0
        self._chunked = self._last = False
        self.ended = False
        # Why it has ended, for those who go on to read: an OSError's arguments.
        self._broken = None

    @property
    def readable(self):
        """Whether a read would bring something: not so on a connection that waits in a pool."""
        return bool(self._out) or self.ended or self._asking

    def write(self, data):
        """The client sends."""
        if self.ended:
            raise BrokenPipeError(errno.EPIPE, "the connection was closed")
        self._written += data
        self._read_on()

    def take(self, most):
        """What has arrived for the client."""
        data = bytes(self._out[:most])
        del self._out[:most]
        return data

    def pull(self, timeout):
        """Yields the calls to make, and is sent their answers, until there is something to take."""
        if self._broken and not self._out:
            raise OSError(*self._broken)
        try:
            while not self._out and not self.ended:
                if self._request is not None:
                    # Taken first: a request whose answer is lost must not be made again.
                    request, self._request = self._request, None
                    self._begin(request, (yield "$http", self._asked(request, timeout)))
                elif not self._asking:
                    raise unsupported(
                        f"{_ONLY_HTTP}: there is nothing to read before a whole request"
                    )
                else:
                    args = {"response": self._response, "most": MOST_READ, "timeout": timeout}
                    self._carry_on((yield "$http_read", args))
                if self._left == 0:
                    if self._response is not None:
                        yield self._release()
                    self._asking = False
                    self.ended = self.ended or self._last
                    if not self.ended:
                        self._read_on()
        except BaseException:
            self.ended = True
            raise

    def leave(self, timeout):
        """As `pull`, for a client that goes away: what it has written is sent all the same."""
        self.ended = True
        if self._request is not None:
            request, self._request = self._request, None
            reply = yield "$http", self._asked(request, timeout)
            self._response = reply.get("response")
        if self._response is not None:
            yield self._release()

    def cut(self):
        """The host lets go of the response that is being read."""
        if self._response is not None:
            self._response, self.ended = None, True
            why = "the turn in which this response was asked for has ended"
            self._broken = errno.ECONNRESET, why

    def _release(self):
        response, self._response = self._response, None
        return "$http_close", {"response": response}

    # From the client to the host.

    def _read_on(self):
        try:
            next(self._reader)
        except BaseException as error:
            self.ended = True
            if isinstance(error, OSError):
                self._broken = error.args
            raise

    def _requests(self):
        """Reads requests, one after the other; yields where it needs more bytes."""
        while len(self._written) < len(tls.HELLO) and tls.HELLO.startswith(bytes(self._written)):
            yield
        if self._written.startswith(tls.HELLO):
            self._tls = True
            del self._written[: len(tls.HELLO)]
        while True:
            while self._asking:
                if len(self._written) > MOST_HEAD + MOST_BODY:
                    raise too_long("requests sent ahead", MOST_HEAD + MOST_BODY)
                yield
            request = yield from self._head()
            if request.all("transfer-encoding"):
                if request.tokens("transfer-encoding") != {"chunked"}:
                    raise unsupported("a request's Transfer-Encoding can only be chunked")
                self._expected(request, 1)
                request.body = yield from self._chunks()
            elif lengths := set(request.all("content-length")):
                size = lengths.pop()
                if lengths or not (size.isascii() and size.isdigit()):
                    raise unsupported("the request's Content-Length is not a number")
                # A longer text is longer than any limit, and slow to turn into a number.
                if len(size) > 12 or int(size) > MOST_BODY:
                    raise too_long("the body of a request", MOST_BODY)
                self._expected(request, int(size))
                request.body = yield from self._exactly(int(size))
            self._request, self._asking = request, True

    def _expected(self, request, size):
        if "100-continue" in request.tokens("expect") and len(self._written) < size:
            self._out += b"HTTP/1.1 100 Continue\r\n\r\n"

    def _head(self):
        while True:
            # Some end a request with a line too many.
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
            if len(self._written) > MOST_HEAD:
                raise too_long("the head of a request", MOST_HEAD)
            yield
        head = bytes(self._written[: end.start()])
        del self._written[: end.end()]
        if len(head) > MOST_HEAD:
            raise too_long("the head of a request", MOST_HEAD)
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
                raise unsupported(f"not a header of a request: {line[:80]!r}")
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
            # How a proxy is asked, and allowed to anybody who asks a server for its own pages.
            if absolute[1].lower() not in self._authorities():
                raise unsupported(
                    "proxies are not available in the sandbox: the host makes the requests"
                )
            target = absolute[2] if absolute[2].startswith("/") else "/" + absolute[2]
        if not target.startswith("/"):
            raise unsupported(f"{target!r} cannot be asked for: only paths that begin with a slash")
        return re.sub(r"[^!-~]", lambda odd: f"%{ord(odd[0]):02X}", target)

    def _exactly(self, size):
        while len(self._written) < size:
            yield
        data = bytes(self._written[:size])
        del self._written[:size]
        return data

    def _line(self):
        while not (end := _END_OF_LINE.search(self._written)):
            if len(self._written) > MOST_HEAD:
                raise too_long("a line of a request", MOST_HEAD)
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
                raise unsupported("a chunk of the request's body has no size")
            size = int(size, 16)
            if size == 0:
                break
            if len(body) + size > MOST_BODY:
                raise too_long("the body of a request", MOST_BODY)
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

    def _asked(self, request, timeout):
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

    # From the host to the client.

    def _begin(self, request, reply):
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
        self._left, self._chunked = size, False
        self._last = not request.http11 or "close" in request.tokens("connection")
        if request.method == "HEAD" or status in (204, 304):
            self._left = 0
        elif size is None:
            self._chunked = request.http11
            self._last = self._last or not self._chunked
            if self._chunked:
                lines.append("Transfer-Encoding: chunked")
        if self._last:
            lines.append("Connection: close")
        self._out += "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")

    def _carry_on(self, reply):
        if "failed" in reply:
            self._response = None
            raise failure(reply)
        data = reply["data"]
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        if data and self._chunked:
            self._out += b"%x\r\n%b\r\n" % (len(data), data)
        else:
            self._out += data
        if reply["end"]:
            self._response = None
            if self._chunked:
                self._out += b"0\r\n\r\n"
            # Less than was promised ends as a connection that breaks off.
            if self._left or (self._left is None and not self._chunked):
                self.ended = True
            self._left = 0
