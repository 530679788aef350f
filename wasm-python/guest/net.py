"""Sockets for `http.client` and similar libraries, on top of the host's HTTP client.

The host resolves names: a socket address contains the name itself.
"""

import errno
import itertools
import socket
import sys

from _codeact import hostcall, tls, wire

_NO_NETWORK = "the sandbox has no network; use the data and tools you were given"
_FLAGS = getattr(socket, "SOCK_NONBLOCK", 0) | getattr(socket, "SOCK_CLOEXEC", 0)

_plain_socket = socket.socket

# The state of the open sockets, by descriptor. The descriptors are above those of files.
open_sockets = {}
_numbers = itertools.count(1 << 20)


class _SocketState:
    """State of one open socket: its connection and the peer's address, once it is connected."""

    connection = peer = None

    @property
    def is_readable(self):
        return self.connection is None or self.connection.is_readable


def _os_error(error):
    """Converts a refused host call to the exception that a socket raises."""
    message = str(error)
    # Without a network, the host has no tools for it.
    if error._kind == "unknown":
        return OSError(errno.ENOTSUP, _NO_NETWORK)
    # The host has no kind for this error.
    if "limit of" in message:
        return OSError(errno.EDQUOT, message)
    return ConnectionResetError(errno.ECONNRESET, message)


def call(name, args):
    """Makes a host call and returns its result. Raises OSError if the host refuses it."""
    try:
        return hostcall.call(name, args)
    except hostcall.ToolError as error:
        raise _os_error(error) from None


async def call_async(name, args):
    """Does the same as `call`. Other tasks run meanwhile."""
    try:
        return await hostcall.call_async(name, args)
    except hostcall.ToolError as error:
        raise _os_error(error) from None


def end_turn():
    """Aborts the responses that were not read: the next turn numbers its responses from the start."""
    for state in open_sockets.values():
        if state.connection is not None:
            state.connection.abort()


def reach(host=None, port=None, timeout=None):
    """Raises OSError if there is no network or the host denies a connection to this address."""
    _check(call("$http_reach", {"host": host, "port": port, "timeout": timeout}))


async def reach_async(host, port=None):
    """Does the same as `reach`. Other tasks run meanwhile."""
    _check(await call_async("$http_reach", {"host": host, "port": port, "timeout": None}))


def _check(reply):
    if reply and "failed" in reply:
        raise wire.failure(reply)


def _run_calls(steps):
    """Makes the host calls that the generator `steps` yields, and sends it the replies."""
    try:
        step = next(steps)
        while True:
            step = steps.send(call(*step))
    except StopIteration:
        pass
    finally:
        steps.close()


async def _run_calls_async(steps):
    try:
        step = next(steps)
        while True:
            step = steps.send(await call_async(*step))
    except StopIteration:
        pass
    finally:
        steps.close()


class Socket(_plain_socket):
    """A TCP socket for HTTP and HTTPS requests."""

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        self._state = None
        self._io_refs = 0
        self._closed = True
        self._timeout = socket.getdefaulttimeout()
        if fileno is not None and fileno not in open_sockets:
            raise OSError(errno.EBADF, "not the descriptor of an open socket")
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
            open_sockets[fileno] = _SocketState()
        self._number, self._state = fileno, open_sockets[fileno]
        self._closed = False

    def __del__(self):
        if getattr(self, "_state", None) is not None:
            try:
                self._real_close()
            except Exception:
                # At the interpreter's exit, or in a turn without a network.
                pass

    family = property(lambda self: socket.AddressFamily(self._family))
    type = property(lambda self: socket.SocketKind(self._type))
    proto = property(lambda self: self._proto)
    timeout = property(lambda self: self._timeout)

    def _connection(self):
        if self._state is None:
            raise OSError(errno.EBADF, "Bad file descriptor")
        if self._state.connection is None:
            raise OSError(errno.ENOTCONN, "Socket is not connected")
        return self._state.connection

    # `ssl` overrides `send` and `recv`, but not these.

    def _send(self, data):
        self._connection().write(memoryview(data).cast("B"))

    def _receive(self, limit):
        connection = self._connection()
        if self._timeout == 0 and not connection.is_readable:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        _run_calls(connection.fill_buffer(self._timeout or None))
        return connection.read_buffer(limit)

    async def _receive_async(self, limit):
        connection = self._connection()
        await _run_calls_async(connection.fill_buffer(None))
        return connection.read_buffer(limit)

    def connect(self, address):
        host, port = self._peer(address)
        reach(host, port, self._timeout or None)
        self._set_connected(host, port)

    async def _connect_async(self, address):
        host, port = self._peer(address)
        await reach_async(host, port)
        self._set_connected(host, port)

    def _peer(self, address):
        if self._state is None:
            raise OSError(errno.EBADF, "Bad file descriptor")
        if self._state.connection is not None:
            raise OSError(errno.EISCONN, "Socket is connected")
        return host_name(address[0]), address[1]

    def _set_connected(self, host, port):
        self._state.connection = wire.Connection(host, port)
        self._state.peer = (host, port, 0, 0) if self._family == socket.AF_INET6 else (host, port)

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
            raise wire.unsupported("flags of recv are not supported in the sandbox")
        return self._receive(bufsize)

    def recv_into(self, buffer, nbytes=0, flags=0):
        view = memoryview(buffer).cast("B")
        # Not `self.recv`: a subclass may override it.
        data = Socket.recv(self, nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def shutdown(self, how):
        self._connection()

    def _real_close(self, _ss=None):
        number, state, self._state = self._number, self._state, None
        if state is None or open_sockets.get(number) is not state:
            return
        del open_sockets[number]
        if state.connection is not None:
            try:
                _run_calls(state.connection.close(self._timeout or None))
            except OSError:
                # The caller has closed the socket and does not expect errors of the network.
                pass

    def detach(self):
        self._closed = True
        number, self._state = self.fileno(), None
        return number

    def dup(self):
        raise wire.unsupported("sockets cannot be duplicated in the sandbox")

    def fileno(self):
        return -1 if self._state is None else self._number

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
        """Does nothing: there is no TCP connection to set options of."""

    def getsockopt(self, level, name, size=0):
        value = self._type if (level, name) == (socket.SOL_SOCKET, socket.SO_TYPE) else 0
        return bytes(size) if size else value

    def getpeername(self):
        self._connection()
        return self._state.peer

    def getsockname(self):
        return ("127.0.0.1", 0)

    def bind(self, address):
        # Port 0 is allowed: it is a `source_address`, which the host chooses. Other ports are for
        # listening.
        if address[1] != 0:
            raise wire.unsupported(
                "the sandbox cannot serve: it only makes HTTP and HTTPS requests"
            )

    def _refuse(self, *args, **kwargs):
        raise wire.unsupported()

    listen = accept = sendto = sendmsg = recvfrom = recvfrom_into = recvmsg = recvmsg_into = _refuse


Socket.__name__ = Socket.__qualname__ = "socket"
Socket.__module__ = "socket"


def host_name(host):
    """Returns a host's name in ASCII, as it is used in the network."""
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii")
    return host if host.isascii() else host.encode("idna").decode("ascii")


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    """Returns one address, which contains the name."""
    if host is not None:
        reach(host_name(host))
    return addresses(host, port, family, type)


def addresses(host, port, family, type):
    """Returns the result of `getaddrinfo` without checking that the host is allowed."""
    host = "localhost" if host is None else host_name(host)
    if isinstance(port, (bytes, bytearray)):
        port = port.decode("ascii")
    if isinstance(port, str):
        port = {"": 0, "http": 80, "https": 443}.get(port, port)
        if isinstance(port, str) and not (port.isascii() and port.isdigit()):
            raise socket.gaierror(socket.EAI_SERVICE, "Servname not supported")
    if type & ~_FLAGS not in (0, socket.SOCK_STREAM):
        raise socket.gaierror(
            socket.EAI_SOCKTYPE, "the sandbox's network supports only TCP, for HTTP and HTTPS"
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


# Constants that WASI does not define but libraries use.
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
    """Installs the sockets. Called while the image is made, before the warm list is imported."""
    if "http.client" in sys.modules:
        raise ImportError("http.client was imported before `ssl` was available: it has no HTTPS")
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
    _wrap_late_errors_in_urllib()


def _wrap_late_errors_in_urllib():
    """Makes urllib raise URLError for errors of connecting that occur after `connect`.

    It wraps only what `connect` raises, but the host connects when it makes the request.
    """
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
