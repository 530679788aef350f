"""Sockets whose other end is the host's HTTP client: what `http.client` and its like connect with.

Names are resolved by the host: an address holds the name itself.
"""

import errno
import itertools
import socket
import sys

from _codeact import door, tls, wire

_NO_NETWORK = "the sandbox has no network; use the data and tools you were given"
_FLAGS = getattr(socket, "SOCK_NONBLOCK", 0) | getattr(socket, "SOCK_CLOEXEC", 0)

_plain_socket = socket.socket

# The sockets that are open, by a number beyond those of files.
links = {}
_numbers = itertools.count(1 << 20)


class _Link:
    """What a socket's number stands for."""

    wire = peer = None

    @property
    def readable(self):
        return self.wire is None or self.wire.readable


def _refused(error):
    """The exception that a socket raises for a call that the host has not made."""
    message = str(error)
    # No network, or nothing of the kind: no tool of that name.
    if message.startswith("there is no "):
        return OSError(errno.ENOTSUP, _NO_NETWORK)
    if message.endswith("used up"):
        return OSError(errno.EDQUOT, message)
    return ConnectionResetError(errno.ECONNRESET, message)


def call(name, args):
    """Asks the host; without a network it refuses."""
    try:
        return door.call(name, args)
    except door.ToolError as error:
        raise _refused(error) from None


async def acall(name, args):
    """As `call`; others go on meanwhile."""
    try:
        return await door.acall(name, args)
    except door.ToolError as error:
        raise _refused(error) from None


def end():
    """The turn ends, and with it the responses that were not read: the next turn numbers its own anew."""
    for link in links.values():
        if link.wire is not None:
            link.wire.cut()


def reach(host=None, port=None, timeout=None):
    """Raises where there is no network, or where the host says no before any request."""
    _check(call("$http_reach", {"host": host, "port": port, "timeout": timeout}))


async def areach(host, port=None):
    _check(await acall("$http_reach", {"host": host, "port": port, "timeout": None}))


def _check(reply):
    if reply and "failed" in reply:
        raise wire.failure(reply)


def _carry(steps):
    """Makes the calls that a connection asks for."""
    try:
        step = next(steps)
        while True:
            step = steps.send(call(*step))
    except StopIteration:
        pass
    finally:
        steps.close()


async def _acarry(steps):
    try:
        step = next(steps)
        while True:
            step = steps.send(await acall(*step))
    except StopIteration:
        pass
    finally:
        steps.close()


class Socket(_plain_socket):
    """A TCP socket that HTTP(S) requests can be written to."""

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        self._link = None
        self._io_refs = 0
        self._closed = True
        self._timeout = socket.getdefaulttimeout()
        if fileno is not None and fileno not in links:
            raise OSError(errno.EBADF, "not the number of an open socket")
        self._family = socket.AF_INET if family == -1 else family
        self._type = (socket.SOCK_STREAM if type == -1 else type) & ~_FLAGS
        self._proto = 0 if proto == -1 else proto
        if fileno is None:
            reach()
            if self._type != socket.SOCK_STREAM or self._family not in (
                socket.AF_INET,
                socket.AF_INET6,
            ):
                raise wire.unsupported()
            fileno = next(_numbers)
            links[fileno] = _Link()
        self._number, self._link = fileno, links[fileno]
        self._closed = False

    def __del__(self):
        if getattr(self, "_link", None) is not None:
            try:
                self._real_close()
            except Exception:
                # At the interpreter's end, or in a turn without a network.
                pass

    family = property(lambda self: socket.AddressFamily(self._family))
    type = property(lambda self: socket.SocketKind(self._type))
    proto = property(lambda self: self._proto)
    timeout = property(lambda self: self._timeout)

    def _wire(self):
        if self._link is None:
            raise OSError(errno.EBADF, "Bad file descriptor")
        if self._link.wire is None:
            raise OSError(errno.ENOTCONN, "Socket is not connected")
        return self._link.wire

    # Under the names that `ssl` does not replace.

    def _send(self, data):
        self._wire().write(memoryview(data).cast("B"))

    def _receive(self, most):
        wire_ = self._wire()
        if self._timeout == 0 and not wire_.readable:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        _carry(wire_.pull(self._timeout or None))
        return wire_.take(most)

    async def _areceive(self, most):
        wire_ = self._wire()
        await _acarry(wire_.pull(None))
        return wire_.take(most)

    def connect(self, address):
        host, port = self._peer(address)
        reach(host, port, self._timeout or None)
        self._join(host, port)

    async def _aconnect(self, address):
        host, port = self._peer(address)
        await areach(host, port)
        self._join(host, port)

    def _peer(self, address):
        if self._link is None:
            raise OSError(errno.EBADF, "Bad file descriptor")
        if self._link.wire is not None:
            raise OSError(errno.EISCONN, "Socket is connected")
        return name(address[0]), address[1]

    def _join(self, host, port):
        self._link.wire = wire.Wire(host, port)
        self._link.peer = (host, port, 0, 0) if self._family == socket.AF_INET6 else (host, port)

    def connect_ex(self, address):
        try:
            self.connect(address)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def send(self, data, flags=0):
        self._send(data)
        return memoryview(data).nbytes

    def sendall(self, data, flags=0):
        self._send(data)

    def recv(self, bufsize, flags=0):
        if bufsize < 0:
            raise ValueError("negative buffersize in recv")
        if flags:
            raise wire.unsupported("the sandbox's sockets have no flags for recv")
        return self._receive(bufsize)

    def recv_into(self, buffer, nbytes=0, flags=0):
        view = memoryview(buffer).cast("B")
        # Not the method: a subclass may have one of its own.
        data = Socket.recv(self, nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def shutdown(self, how):
        self._wire()

    def _real_close(self, _ss=None):
        number, link, self._link = self._number, self._link, None
        if link is None or links.get(number) is not link:
            return
        del links[number]
        if link.wire is not None:
            try:
                _carry(link.wire.leave(self._timeout or None))
            except OSError:
                # Nobody is left to hear of it, as with bytes that a network has lost.
                pass

    def detach(self):
        self._closed = True
        number, self._link = self.fileno(), None
        return number

    def dup(self):
        raise wire.unsupported("the sandbox's sockets cannot be duplicated")

    def fileno(self):
        return -1 if self._link is None else self._number

    def settimeout(self, value):
        if value is not None and value < 0:
            raise ValueError("Timeout value out of range")
        self._timeout = None if value is None else float(value)

    def gettimeout(self):
        return self._timeout

    def setblocking(self, flag):
        self._timeout = None if flag else 0.0

    def getblocking(self):
        return self._timeout != 0

    def setsockopt(self, *args):
        """They are about a TCP that is not there."""

    def getsockopt(self, level, name, size=0):
        value = self._type if (level, name) == (socket.SOL_SOCKET, socket.SO_TYPE) else 0
        return bytes(size) if size else value

    def getpeername(self):
        self._wire()
        return self._link.peer

    def getsockname(self):
        return ("127.0.0.1", 0)

    def bind(self, address):
        # As `source_address`, which the host chooses; not in order to listen.
        if address[1] != 0:
            raise wire.unsupported(
                "the sandbox cannot serve: it only makes HTTP and HTTPS requests"
            )

    def _refuse(self, *args, **kwargs):
        raise wire.unsupported()

    listen = accept = sendto = sendmsg = recvfrom = recvfrom_into = recvmsg = recvmsg_into = _refuse


Socket.__name__ = Socket.__qualname__ = "socket"
Socket.__module__ = "socket"


def name(host):
    """A host's name as it goes over the network."""
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii")
    return host if host.isascii() else host.encode("idna").decode("ascii")


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    """One address, which holds the name."""
    if host is not None:
        reach(name(host))
    return addresses(host, port, family, type)


def addresses(host, port, family, type):
    """The answer of `getaddrinfo`, for a host that may be reached."""
    host = "localhost" if host is None else name(host)
    if isinstance(port, (bytes, bytearray)):
        port = port.decode("ascii")
    if isinstance(port, str):
        port = {"": 0, "http": 80, "https": 443}.get(port, port)
        if isinstance(port, str) and not (port.isascii() and port.isdigit()):
            raise socket.gaierror(socket.EAI_SERVICE, "Servname not supported")
    if type & ~_FLAGS not in (0, socket.SOCK_STREAM):
        raise socket.gaierror(
            socket.EAI_SOCKTYPE, "the sandbox's network has TCP only, for HTTP(S)"
        )
    port = int(port or 0)
    family = family or (socket.AF_INET6 if ":" in host else socket.AF_INET)
    address = (host, port, 0, 0) if family == socket.AF_INET6 else (host, port)
    return [(socket.AddressFamily(family), socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)]


def _no_lookup(host, *args):
    reach()
    raise socket.gaierror(
        socket.EAI_FAIL, "names are resolved outside of the sandbox: connect to the name itself"
    )


def _refuse(*args, **kwargs):
    reach()
    raise wire.unsupported()


# WASI has no sockets to set these for; code names them all the same.
_CONSTANTS = {
    "SHUT_RD": 0,
    "SHUT_WR": 1,
    "SHUT_RDWR": 2,
    "SOMAXCONN": 128,
    "SO_REUSEADDR": 2,
    "SO_ERROR": 4,
    "SO_BROADCAST": 6,
    "SO_SNDBUF": 7,
    "SO_RCVBUF": 8,
    "SO_KEEPALIVE": 9,
    "SO_LINGER": 13,
    "SO_REUSEPORT": 15,
}


def install():
    """Puts the sockets in place. Called while the image is made, before the warm list is imported."""
    if "http.client" in sys.modules:
        raise ImportError("http.client was imported before there was an ssl: it has no HTTPS")
    for name, value in _CONSTANTS.items():
        if not hasattr(socket, name):
            setattr(socket, name, value)
    socket.socket = socket.SocketType = Socket
    socket.getaddrinfo = getaddrinfo
    for name in ("gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo"):
        setattr(socket, name, _no_lookup)
    for name in ("socketpair", "fromfd", "create_server"):
        setattr(socket, name, _refuse)
    tls.install()
    _explain_to_urllib()


def _explain_to_urllib():
    """It wraps what `connect` raises: also where that comes with the answer."""
    import urllib.error
    import urllib.request

    plain = urllib.request.AbstractHTTPHandler.do_open

    def do_open(self, *args, **kwargs):
        try:
            return plain(self, *args, **kwargs)
        except OSError as error:
            if getattr(error, "unreached", False):
                raise urllib.error.URLError(error) from None
            raise

    urllib.request.AbstractHTTPHandler.do_open = do_open
