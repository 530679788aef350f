"""Calls of the host: JSON, and bytes as they are behind it."""

import asyncio
import datetime
import functools
import json
import pathlib
import re

import _host
from _codeact.answer import scientific


class ToolError(RuntimeError):
    """A tool has failed, or refuses; the message is its own."""

    tool = None


class ToolArgumentError(ToolError, ValueError):
    """The arguments are not what the tool takes; nothing was called."""


class ToolDenied(ToolError):
    """Somebody has said that this call may not be made; the message is their reason."""


_KINDS = {"arguments": ToolArgumentError, "denied": ToolDenied}
_BYTES = (bytes, bytearray, memoryview)
# What `json.loads` and `json.dumps` come down to, without their set-up: each call pays for it.
_decode = json.JSONDecoder().scan_once

# Calls that were started and are not done: their number, and whom to tell.
pending = {}


def ask(request):
    """Puts a question to whoever answers them; a refusal is a RuntimeError."""
    reply = json.loads(_host.call(b'{"op":"ask","request":%b}' % _text(request)))
    if "error" in reply:
        raise RuntimeError(reply["error"])
    return reply["answer"]


def listing():
    """Which tools there are."""
    return json.loads(_host.call(b'{"op":"tools"}'))


def describe(tool):
    """What a tool takes and gives."""
    frame = b'{"op":"tool.describe","tool":%b}' % _text(tool)
    return _plain(_host.call(frame), tool)


def call(tool, args):
    """Calls a tool and waits for its answer."""
    return _value(_host.call(_frame(b"call", tool, args)), tool)


async def acall(tool, args):
    """Calls a tool; others go on meanwhile."""
    future = asyncio.get_running_loop().create_future()
    number = start(tool, args, _Waiter(future))
    try:
        return await future
    except asyncio.CancelledError:
        cancel(number)
        raise


def start(tool, args, waiter):
    """Starts a call, whose end `waiter` is told by `done` or `failed`."""
    number = _plain(_host.call(_frame(b"start", tool, args)), tool)["call"]
    pending[number] = waiter, tool
    return number


def cancel(number):
    """Stops a call that was started."""
    if pending.pop(number, None) is not None:
        _host.call(b'{"op":"tool.cancel","call":%d}' % number)


def wait(timeout):
    """Waits until a started call is done, or for `timeout` seconds; whether one was."""
    ns = "null" if timeout is None else str(max(0, int(timeout * 1e9)))
    reply = _host.call(b'{"op":"tool.wait","ns":%b}' % ns.encode())
    if reply == b"{}":
        return False
    head, _, tail = reply.partition(b"\0")
    told, _ = _decode(str(head, "utf-8"), 0)
    number = told.get("call")
    waiter, tool = pending.pop(number, (None, None))
    if waiter is None:
        # The host refuses to go on: nobody would ever be told.
        if number is None:
            _abandon(told.get("error", "the host does not answer"))
        return True
    try:
        value = _open(told, tail, tool)
    except BaseException as error:
        waiter.failed(error)
    else:
        waiter.done(value)
    return True


def end():
    """The turn ends, and what it has started with it."""
    if pending:
        _abandon("the turn in which this call was started has ended")


def _abandon(why):
    waiting = list(pending.values())
    pending.clear()
    for waiter, tool in waiting:
        try:
            waiter.failed(_failure(ToolError, why, tool))
        except Exception:
            # Its event loop is closed: nobody waits.
            pass


class _Waiter:
    """Whoever awaits a call."""

    def __init__(self, future):
        self.future = future

    def waits(self):
        # Whoever runs another event loop by now is not to fail for one that is closed.
        return not self.future.done() and not self.future.get_loop().is_closed()

    def done(self, value):
        if self.waits():
            self.future.set_result(value)

    def failed(self, error):
        if self.waits():
            self.future.set_exception(error)


def _failure(kind, message, tool):
    error = kind(message)
    error.tool = tool
    return error


def _plain(reply, tool):
    """An answer without bytes that is all of a frame."""
    told = json.loads(reply)
    _check(told, tool)
    return told


def _value(reply, tool):
    head, _, tail = reply.partition(b"\0")
    told, _ = _decode(str(head, "utf-8"), 0)
    return _open(told, tail, tool)


def _check(told, tool):
    if "failed" in told:
        raise _failure(_KINDS.get(told["failed"], ToolError), told["message"], tool)
    if "error" in told:
        raise _failure(ToolError, told["error"], tool)


def _open(told, tail, tool):
    _check(told, tool)
    value = told["value"]
    if "blobs" in told:
        blobs, at = [], 0
        for size in told["blobs"]:
            blobs.append(tail[at : at + size])
            at += size
        value = _put(value, told["marker"], blobs)
    return value


def _put(value, marker, blobs):
    """`value` with the bytes in their places."""
    if isinstance(value, dict):
        if len(value) == 1 and marker in value:
            return blobs[value[marker]]
        return {key: _put(one, marker, blobs) for key, one in value.items()}
    if isinstance(value, list):
        return [_put(one, marker, blobs) for one in value]
    return value


def _frame(op, tool, args):
    blobs = None
    try:
        text = _encode(args)
    except _HasBytes:
        text, marker, blobs = _with_bytes(args)
    except RecursionError:
        raise ValueError("the arguments are nested too deeply, or in themselves") from None
    if _LONG.search(text):
        _check_numbers(args)
    frame = _head(op, tool) + text.encode("utf-8", "replace")
    if blobs is None:
        return frame + b"}"
    sizes = _text([len(blob) for blob in blobs])
    frame += b',"blobs":%b,"marker":%b}\0' % (sizes, _text(marker))
    return b"".join((frame, *blobs))


def _with_bytes(args):
    marker = "$bytes"
    while True:
        blobs = []

        def default(value):
            if isinstance(value, _BYTES):
                blobs.append(value if type(value) is bytes else bytes(value))
                return {marker: len(blobs) - 1}
            return _nearly_plain(value)

        text = _encoder(default)(args)
        # A key of the code's own that looks like the place of some bytes: another marker.
        if text.count(marker) == len(blobs):
            return text, marker, blobs
        marker += "_"


def _check_numbers(value):
    """The host reads integers of 64 bits; a longer one must not arrive as another number."""
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise ValueError(f"an integer of {value.bit_length()} bits is too long; pass it as text")
    elif isinstance(value, dict):
        for one in value.values():
            _check_numbers(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            _check_numbers(one)


def _text(value):
    return _encode(value).encode("utf-8", "replace")


@functools.lru_cache(1000)
def _head(op, tool):
    """How a frame about a tool begins."""
    return b'{"op":"tool.%b","tool":%b,"args":' % (op, _text(str(tool)))


class _HasBytes(Exception):
    pass


def _nearly_plain(value):
    """What JSON has no form for, in the form that is next to it."""
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
        f"{type(value).__qualname__} objects cannot be arguments of tools: numbers, text, bytes, "
        "lists and dicts can"
    )


def _without_bytes(value):
    if isinstance(value, _BYTES):
        raise _HasBytes
    return _nearly_plain(value)


def _encoder(default):
    # Without a look for circles, which end as a RecursionError.
    parts = json.encoder.c_make_encoder(
        None, default, json.encoder.encode_basestring, None, ":", ",", False, False, False
    )
    return lambda value: "".join(parts(value, 0))


_encode = _encoder(_without_bytes)
_LONG = re.compile("[0-9]{19}")
