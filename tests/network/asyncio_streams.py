"""HTTP and HTTPS with asyncio streams and sockets."""

import asyncio
import socket
import ssl
import sys

sys.path.append("/mnt")

from checks import (
    BIG,
    CLOSED_PORT,
    HTTP_PORT,
    HTTPS_PORT,
    STREAM,
    araises,
    case,
    run_cases,
)

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def exchange(host, port, request=LAST, **kwargs):
    reader, writer = await asyncio.open_connection(host, port, **kwargs)
    writer.write(request)
    await writer.drain()
    data = await reader.read()
    writer.close()
    await writer.wait_closed()
    return data


@case
async def streams_speak_http_and_https():
    assert (await exchange("127.0.0.1", HTTP_PORT)).endswith(b"\r\n\r\nhello")
    assert (await exchange("localhost", HTTPS_PORT, ssl=True)).endswith(b"\r\n\r\nhello")


@case
async def a_stream_can_be_switched_to_tls():
    reader, writer = await asyncio.open_connection("localhost", HTTPS_PORT)
    await writer.start_tls(ssl.create_default_context(), server_hostname="localhost")
    writer.write(GET.replace(b"/", b"/big", 1))
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(BIG) == b"x" * BIG
    writer.write(GET)
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(5) == b"hello"
    writer.close()
    await writer.wait_closed()


@case
async def requests_can_be_pipelined():
    reader, writer = await asyncio.open_connection("127.0.0.1", HTTP_PORT)
    writer.write(GET.replace(b"/", b"/stream", 1))
    await asyncio.sleep(0)
    writer.write(LAST)
    data = await reader.read()
    assert data.count(b"HTTP/1.1 200 OK") == 2
    last = STREAM.splitlines(keepends=True)[-1]
    assert data.index(last) < data.index(b"\r\n0\r\n\r\nHTTP/1.1 200 OK")
    assert data.endswith(b"\r\n\r\nhello")
    writer.close()


@case
async def a_loop_has_socket_functions():
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", HTTP_PORT))
        await loop.sock_sendall(sock, b"GET / HTTP/1.0\r\n\r\n")
        assert await loop.sock_recv(sock, 8) == b"HTTP/1.1"
        view = bytearray(7)
        assert await loop.sock_recv_into(sock, view) == 7 and view == b" 200 OK"


@case
async def unreachable_servers_raise():
    await araises(PermissionError, exchange("127.0.0.1", 1), text="not among the allowed hosts")
    await araises(ConnectionRefusedError, exchange("127.0.0.1", CLOSED_PORT))
    wrong = exchange("wrong.localhost", HTTPS_PORT, ssl=True)
    await araises(ssl.SSLCertVerificationError, wrong)
    reader, writer = await asyncio.open_connection("127.0.0.1", HTTP_PORT)
    writer.write(b"EHLO x\r\n")
    await araises(OSError, reader.read(), text="HTTP and HTTPS requests only")
    hanging = exchange("127.0.0.1", HTTP_PORT, GET.replace(b"/", b"/hang", 1))
    await araises(TimeoutError, asyncio.wait_for(hanging, 0.05))


@case
async def serving_and_udp_are_refused():
    await araises(OSError, asyncio.start_server(None, "127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    address = ("127.0.0.1", HTTP_PORT)
    udp = loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
    await araises(OSError, udp)


@case
async def a_failing_protocol_loses_its_connection():
    loop = asyncio.get_running_loop()
    reported = []
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
    lost = loop.create_future()

    class Failing(asyncio.Protocol):
        def connection_made(self, transport):
            transport.write(GET)

        def data_received(self, data):
            raise KeyError("its own")

        def connection_lost(self, error):
            lost.set_result(error)

    await loop.create_connection(Failing, "127.0.0.1", HTTP_PORT)
    error = await lost
    assert isinstance(error, KeyError) and reported == [error]


@case
async def no_task_is_left():
    for _ in range(3):
        await exchange("127.0.0.1", HTTP_PORT)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


run_cases()
