"""Common parts of the scripts in this folder: addresses of the servers, assertions, and a test runner.

The arguments of a script are the ports for HTTP, for HTTPS and without a listener, then optionally the
names of the cases to run.
"""

import asyncio
import contextlib
import inspect
import socket
import sys
import traceback

HTTP_PORT, HTTPS_PORT, CLOSED_PORT = map(int, sys.argv[1:4])
HTTP = f"http://127.0.0.1:{HTTP_PORT}"
HTTPS = f"https://localhost:{HTTPS_PORT}"
# Allowed, but no server listens on this port.
CLOSED = f"http://127.0.0.1:{CLOSED_PORT}"
# Allowed at the port of HTTP, but never resolved: a label has at most 63 characters.
NAMELESS = f"http://{'n' * 64}.test:{HTTP_PORT}"
# Allowed, and a server listens, but its certificate is for another name.
WRONG_NAME = f"https://wrong.localhost:{HTTPS_PORT}"
# A server listens, but this name is not allowed.
DENIED = f"http://denied.localhost:{HTTP_PORT}"

STREAM = b"".join(b"part %d\n" % number for number in range(5))
BIG = 300_000
# Limits: size of a request's body, and number of open responses.
MAX_BODY = 16 << 20
MAX_OPEN = 64

_cases = []


def case(function):
    """Registers a test case. An `async def` runs in a new event loop."""
    _cases.append(function)
    return function


def raises(kinds, function, *args, text="", **kwargs):
    """Asserts that the call raises one of `kinds` with `text` in its message. Returns the exception."""
    try:
        function(*args, **kwargs)
    except kinds as error:
        return _checked(error, text)
    raise AssertionError(f"{kinds} was not raised")


async def araises(kinds, awaitable, text=""):
    """Does the same as `raises` for an awaitable."""
    try:
        await awaitable
    except kinds as error:
        return _checked(error, text)
    raise AssertionError(f"{kinds} was not raised")


def _checked(error, text):
    assert text in str(error), f"{text!r} is not in {error!r}"
    return error


@contextlib.contextmanager
def no_new_connection():
    """Asserts that the body makes no new connection."""
    plain, plain_async = socket.socket.connect, asyncio.SelectorEventLoop.sock_connect

    def refuse(*args):
        raise AssertionError("a new connection was made instead of using the pool")

    socket.socket.connect = asyncio.SelectorEventLoop.sock_connect = refuse
    try:
        yield
    finally:
        socket.socket.connect = plain
        asyncio.SelectorEventLoop.sock_connect = plain_async


def run_cases():
    """Runs all cases or the named ones. Exits with status 1 if a case failed."""
    wanted = sys.argv[4:]
    chosen = [function for function in _cases if not wanted or function.__name__ in wanted]
    assert chosen, f"there are no cases {wanted}"
    failed = 0
    for function in chosen:
        try:
            result = function()
            if inspect.iscoroutine(result):
                asyncio.run(result)
        except BaseException:
            failed += 1
            print("FAILED", function.__name__)
            traceback.print_exc(limit=-6)
        else:
            print("ok", function.__name__)
    sys.exit(failed > 0)
