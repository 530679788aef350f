"""Host calls: frames of JSON, followed by the bytes that it refers to."""

import asyncio
import datetime
import functools
import json
import pathlib
import re

import _host
from _codeact.answer import scientific


class ToolError(RuntimeError):
    """A tool failed, or the call was refused. The message comes from the tool or the host."""

    tool = None
    _kind = None


class ToolArgumentError(ToolError, ValueError):
    """The arguments do not match the tool's schema. The tool was not called."""


class ToolDenied(ToolError):
    """The call was not approved. The message is the reason."""


_EXCEPTIONS = {"arguments": ToolArgumentError, "denied": ToolDenied}
_BYTES = (bytes, bytearray, memoryview)
# The core of `json.loads`, without its checks of the input: it runs in each call.
_decode = json.JSONDecoder().scan_once

# The start of a text that is an integer of more than 64 bits, and its bytes in a reply.
_INTEGER_START = "\0codeact.int:"
_INTEGER_MARK = b'"\\u0000codeact.int:'

# The started calls that have not completed: their waiter and tool, by number.
pending = {}


def ask(request):
    """Sends a question to the user and returns the answer. Raises RuntimeError if it is refused."""
    reply = json.loads(_host.call(b'{"op":"ask","request":%b}' % _to_json(request)))
    if "error" in reply:
        raise RuntimeError(reply["error"])
    return reply["answer"]


def list_tools():
    """Returns the host's reply to a request for the list of tools."""
    return json.loads(_host.call(b'{"op":"tools"}'))


def describe_tool(tool):
    """Returns a tool's signature and documentation."""
    frame = b'{"op":"tool.describe","tool":%b}' % _to_json(tool)
    return _parse_without_blobs(_host.call(frame), tool)


def call(tool, args):
    """Calls a tool and waits for its result."""
    return _parse(_host.call(_frame(b"call", tool, args)), tool)


async def call_async(tool, args):
    """Calls a tool and awaits its result. Other tasks run meanwhile."""
    future = asyncio.get_running_loop().create_future()
    number = start(tool, args, _FutureWaiter(future))
    try:
        return await future
    except asyncio.CancelledError:
        cancel(number)
        raise


def start(tool, args, waiter):
    """Starts a call and returns its number. At its end, `waiter.done` or `waiter.failed` is called."""
    number = _parse_without_blobs(_host.call(_frame(b"start", tool, args)), tool)["call"]
    pending[number] = waiter, tool
    return number


def cancel(number):
    """Cancels a started call."""
    if pending.pop(number, None) is not None:
        _host.call(b'{"op":"tool.cancel","call":%d}' % number)


def wait(timeout):
    """Waits until a started call completes, at most `timeout` seconds. Returns False on timeout.

    Without started calls it returns False at once.
    """
    ns = "null" if timeout is None else str(max(0, int(timeout * 1e9)))
    reply = _host.call(b'{"op":"tool.wait","ns":%b}' % ns.encode())
    if reply == b"{}":
        return False
    reply, tail = _split(reply)
    number = reply.get("call")
    waiter, tool = pending.pop(number, (None, None))
    if waiter is None:
        # The host refuses further calls, so no started call can complete any more.
        if number is None:
            _fail_pending(reply.get("error", "the host did not reply"))
        return True
    try:
        value = _value(reply, tail, tool)
    except BaseException as error:
        waiter.failed(error)
    else:
        waiter.done(value)
    return True


def end_turn():
    """Fails the started calls, which end with the turn."""
    if pending:
        _fail_pending("the turn in which this call was started has ended")


def _fail_pending(reason):
    waiters = list(pending.values())
    pending.clear()
    for waiter, tool in waiters:
        try:
            waiter.failed(_failure(ToolError, reason, tool))
        except Exception:
            # The waiter's event loop is closed.
            pass


class _FutureWaiter:
    """Sets the result of an asyncio future when a call ends."""

    def __init__(self, future):
        self.future = future

    def is_waiting(self):
        # A future of a closed event loop raises here, and that would stop the loop that runs now.
        return not self.future.done() and not self.future.get_loop().is_closed()

    def done(self, value):
        if self.is_waiting():
            self.future.set_result(value)

    def failed(self, error):
        if self.is_waiting():
            self.future.set_exception(error)


def _failure(exception, message, tool):
    error = exception(message)
    error.tool = tool
    return error


def _parse_without_blobs(reply, tool):
    """Parses a reply that consists of JSON only."""
    reply = json.loads(reply)
    _check(reply, tool)
    return reply


def _parse(reply, tool):
    """Returns the value of a reply."""
    reply, tail = _split(reply)
    return _value(reply, tail, tool)


def _split(reply):
    """Returns the parsed JSON of a reply, and the bytes after it."""
    head, _, tail = reply.partition(b"\0")
    parsed, _ = _decode(str(head, "utf-8"), 0)
    if _INTEGER_MARK in head and "value" in parsed:
        parsed["value"] = _insert_integers(parsed["value"])
    return parsed, tail


def _insert_integers(value):
    """Returns `value` with integers of more than 64 bits in place of their marked texts."""
    if isinstance(value, dict):
        return {key: _insert_integers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_insert_integers(one) for one in value]
    if isinstance(value, str) and value.startswith(_INTEGER_START):
        return int(value.removeprefix(_INTEGER_START))
    return value


def _check(reply, tool):
    """Raises the exception that a reply describes, if it describes one."""
    if "failed" in reply:
        kind = reply["failed"]
        error = _failure(_EXCEPTIONS.get(kind, ToolError), reply["message"], tool)
        error._kind = kind
        raise error
    if "error" in reply:
        raise _failure(ToolError, reply["error"], tool)


def _value(reply, tail, tool):
    """Returns the value of a parsed reply; `tail` has its bytes."""
    _check(reply, tool)
    value = reply["value"]
    if "blobs" in reply:
        blobs, at = [], 0
        for size in reply["blobs"]:
            blobs.append(tail[at : at + size])
            at += size
        value = _insert_blobs(value, reply["marker"], blobs)
    return value


def _insert_blobs(value, marker, blobs):
    """Returns `value` with bytes in place of the marker objects."""
    if isinstance(value, dict):
        if len(value) == 1 and marker in value:
            return blobs[value[marker]]
        return {key: _insert_blobs(one, marker, blobs) for key, one in value.items()}
    if isinstance(value, list):
        return [_insert_blobs(one, marker, blobs) for one in value]
    return value


def _frame(op, tool, args):
    blobs = None
    try:
        text = _encode(args)
    except _HasBytes:
        text, marker, blobs = _extract_blobs(args)
    except RecursionError:
        raise ValueError("the arguments are nested too deeply, or contain themselves") from None
    if _LONG_INTEGER.search(text):
        _check_integers(args)
    frame = _frame_head(op, tool) + text.encode("utf-8", "replace")
    if blobs is None:
        return frame + b"}"
    sizes = _to_json([len(blob) for blob in blobs])
    frame += b',"blobs":%b,"marker":%b}\0' % (sizes, _to_json(marker))
    return b"".join((frame, *blobs))


def _extract_blobs(args):
    """Returns `args` as JSON with marker objects in place of bytes, the marker, and the bytes."""
    marker = "$bytes"
    while True:
        blobs = []

        def default(value):
            if isinstance(value, _BYTES):
                blobs.append(value if type(value) is bytes else bytes(value))
                return {marker: len(blobs) - 1}
            return _jsonable(value)

        text = _encoder(default)(args)
        # If the arguments contain the marker themselves, tries a longer one.
        if text.count(marker) == len(blobs):
            return text, marker, blobs
        marker += "_"


def _check_integers(value):
    """Raises ValueError for an integer of more than 64 bits, which the host cannot represent."""
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise ValueError(
                f"an integer of {value.bit_length()} bits is too large, at most 64 bits are "
                "supported; pass it as text"
            )
    elif isinstance(value, dict):
        for one in value.values():
            _check_integers(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            _check_integers(one)


def _to_json(value):
    return _encode(value).encode("utf-8", "replace")


@functools.lru_cache(1000)
def _frame_head(op, tool):
    """Returns the start of a frame for a call of `tool`, up to the arguments."""
    return b'{"op":"tool.%b","tool":%b,"args":' % (op, _to_json(str(tool)))


class _HasBytes(Exception):
    """Raised if arguments contain bytes."""


def _jsonable(value):
    """Converts a value that JSON does not support to the closest one that it does."""
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, pathlib.PurePath):
        return str(value)
    plain = scientific(value)
    if plain is not value:
        return plain
    raise TypeError(
        f"{type(value).__qualname__} objects cannot be tool arguments; use numbers, text, bytes, "
        "lists or dicts"
    )


def _jsonable_without_bytes(value):
    if isinstance(value, _BYTES):
        raise _HasBytes
    return _jsonable(value)


def _encoder(default):
    # Without the check for reference cycles: they raise RecursionError.
    parts = json.encoder.c_make_encoder(
        None, default, json.encoder.encode_basestring, None, ":", ",", False, False, False
    )
    return lambda value: "".join(parts(value, 0))


_encode = _encoder(_jsonable_without_bytes)
_LONG_INTEGER = re.compile("[0-9]{19}")
