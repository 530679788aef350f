"""The sockets of `net` for asyncio: transports that wait for the host while other tasks run."""

import asyncio
import socket
from asyncio import protocols, selector_events, trsock

from _codeact import net, wire


class Transport(asyncio.Transport):
    """Replaces asyncio's transports, which wait for sockets of the operating system."""

    _start_tls_compatible = True

    def __init__(self, loop, sock, protocol, waiter=None, extra=None, server=None, context=None):
        super().__init__(extra)
        self._extra["socket"] = trsock.TransportSocket(sock)
        self._extra["sockname"] = sock.getsockname()
        self._extra.setdefault("peername", sock.getpeername())
        self._loop, self._sock, self._protocol = loop, sock, protocol
        self._paused = self._closing = False
        self._reading = None
        loop.call_soon(protocol.connection_made, self)
        loop.call_soon(self._start_reading)
        if waiter is not None:
            loop.call_soon(_set_done, waiter)

    def __repr__(self):
        state = "closing" if self._closing else "open"
        return f"<{type(self).__name__} {state} to {self._extra['peername'][0]}>"

    # Reading. A task exists only while there is data to read, so that idle connections do not appear
    # in `asyncio.all_tasks()`.

    def _start_reading(self):
        if self._closing or self._paused or self._reading is not None:
            return
        if self._sock._connection().is_readable:
            self._reading = self._loop.create_task(self._read(), name="read HTTP connection")

    async def _read(self):
        try:
            while not (self._closing or self._paused) and self._sock._connection().is_readable:
                data = await self._sock._receive_async(wire.MAX_READ)
                if self._closing:
                    return
                if not data:
                    if not self._protocol.eof_received():
                        self.close()
                    return
                self._deliver(data)
        except OSError as error:
            self._force_close(error)
        except Exception as error:
            self._loop.call_exception_handler(
                {
                    "message": "an asyncio protocol raised an exception",
                    "exception": error,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
            self._force_close(error)
        finally:
            self._reading = None
        # Data may have become available since the last check.
        self._start_reading()

    def _deliver(self, data):
        if isinstance(self._protocol, asyncio.BufferedProtocol):
            protocols._feed_data_to_buffered_proto(self._protocol, data)
        else:
            self._protocol.data_received(data)

    def is_reading(self):
        return not (self._closing or self._paused)

    def pause_reading(self):
        self._paused = True

    def resume_reading(self):
        if self._paused:
            self._paused = False
            self._start_reading()

    # Writing. Data is written at once, to the buffer of the connection.

    def write(self, data):
        if self._closing:
            return
        try:
            self._sock._send(data)
        except OSError as error:
            self._force_close(error)
        else:
            self._start_reading()

    def writelines(self, list_of_data):
        self.write(b"".join(list_of_data))

    def can_write_eof(self):
        return True

    def write_eof(self):
        """Does nothing: HTTP marks the end of a request itself."""

    def get_write_buffer_size(self):
        return 0

    def get_write_buffer_limits(self):
        return 0, 0

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    # Closing.

    def is_closing(self):
        return self._closing

    def close(self):
        self._force_close(None)

    def abort(self):
        self._force_close(None)

    def _force_close(self, error):
        if self._closing:
            return
        self._closing = True
        if self._reading is not None and self._reading is not _current():
            self._reading.cancel()
        self._loop.call_soon(self._lost, error)

    def _lost(self, error):
        try:
            self._protocol.connection_lost(error)
        finally:
            self._sock.close()

    def set_protocol(self, protocol):
        self._protocol = protocol

    def get_protocol(self):
        return self._protocol


def _current():
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _set_done(waiter):
    if not waiter.cancelled():
        waiter.set_result(None)


async def _getaddrinfo(self, host, port, *, family=0, type=0, proto=0, flags=0):
    if host is not None:
        await net.reach_async(net.host_name(host))
    return net.addresses(host, port, family, type)


async def _getnameinfo(self, sockaddr, flags=0):
    return socket.getnameinfo(sockaddr, flags)


async def _sock_connect(self, sock, address):
    await sock._connect_async(address)


async def _sock_recv(self, sock, n):
    return await sock._receive_async(n)


async def _sock_recv_into(self, sock, buf):
    view = memoryview(buf).cast("B")
    data = await sock._receive_async(len(view))
    view[: len(data)] = data
    return len(data)


async def _sock_sendall(self, sock, data):
    sock.sendall(data)


async def _refuse(self, *args, **kwargs):
    net.reach()
    raise wire.unsupported()


def install():
    """Installs the transports in asyncio. Called while the image is made, after `net`."""
    selector_events._SelectorSocketTransport = Transport
    loop = asyncio.SelectorEventLoop
    loop.getaddrinfo, loop.getnameinfo = _getaddrinfo, _getnameinfo
    loop.sock_connect, loop.sock_sendall = _sock_connect, _sock_sendall
    loop.sock_recv, loop.sock_recv_into = _sock_recv, _sock_recv_into
    for name in ("sock_accept", "sock_sendto", "sock_recvfrom", "sock_recvfrom_into"):
        setattr(loop, name, _refuse)
