"""What the scripts of this folder share: where the servers are, and cases that tell how they went.

The ports are the script's arguments: HTTP, HTTPS, one where nobody listens. Names of cases may
follow.
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
# Nobody listens there, though it is allowed.
CLOSED = f"http://127.0.0.1:{CLOSED_PORT}"
# No server is asked for it: a label has 63 characters at most. It is allowed at the port of HTTP.
NAMELESS = f"http://{'n' * 64}.test:{HTTP_PORT}"
# Allowed, and the server is there, but its certificate is for another name.
WRONG_NAME = f"https://wrong.localhost:{HTTPS_PORT}"
# The server is there, but this name for it is not allowed.
DENIED = f"http://denied.localhost:{HTTP_PORT}"

STREAM = b"".join(b"part %d\n" % number for number in range(5))
BIG = 300_000
# The most that a request's body may have, and the most responses that may be open at once.
MOST_BODY = 16 << 20
MOST_OPEN = 64

_cases = []


def case(function):
    """One thing that is to be so; an `async def` runs in an event loop of its own."""
    _cases.append(function)
    return function


def raises(kinds, function, *args, text="", **kwargs):
    """Asserts that the call raises one of `kinds` with `text` in its message, and returns it."""
    try:
        function(*args, **kwargs)
    except kinds as error:
        return _checked(error, text)
    raise AssertionError(f"{kinds} was not raised")


async def araises(kinds, awaitable, text=""):
    """As `raises`."""
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
    """Asserts that what is done meanwhile connects to nothing."""
    plain, plain_async = socket.socket.connect, asyncio.SelectorEventLoop.sock_connect

    def refuse(*args):
        raise AssertionError("a connection was made, though there is one in the pool")

    socket.socket.connect = asyncio.SelectorEventLoop.sock_connect = refuse
    try:
        yield
    finally:
        socket.socket.connect = plain
        asyncio.SelectorEventLoop.sock_connect = plain_async


def run_cases():
    """Runs the cases, or those that are named, and ends with status 1 if one failed."""
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
