"""Runs one turn: fetches it through the door, runs it in `__main__`, reports its end."""

import ast
import atexit
import builtins
import inspect
import json
import os
import sys

import _host
from _codeact import answer, displays, door, errors, loop, net, people, seeds, tools, variables

_main = sys.modules["__main__"].__dict__
_LONGEST_RESULT = 100_000
# Given back when memory has run out, so that the end of the turn can still be told.
_RESERVE = 256 * 1024
_reserve = bytearray(_RESERVE)

# What `json.loads` and `json.dumps` come down to, without their set-up: each turn pays for it.
_decode = json.JSONDecoder().scan_once
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def run():
    """One turn. Everything about it comes from the host and goes to the host."""
    turn, _ = _decode(str(_host.call(b'{"op":"begin"}'), "utf-8"), 0)
    _report(_run(turn))


def _report(end):
    global _reserve
    try:
        _send(end)
    except MemoryError:
        _reserve = None
        _send(_failed("MemoryError", "the sandbox's memory limit is reached"))
        _refill()


def _send(end):
    if end:
        # Lone surrogates have no place in JSON.
        frame = _encode({"op": "end"} | end).encode("utf-8", "replace")
    else:
        frame = b'{"op":"end"}'
    reply = _host.call(frame)
    if reply != b"{}":
        why = json.loads(reply).get("error", "no reason given")
        _host.call(_encode({"op": "end"} | _failed("RuntimeError", why)).encode("utf-8"))


def _run(turn):
    global _reserve
    code, name = turn["code"], turn["name"]
    if "first" in turn:
        seeds.reseed()
        if "site" in turn:
            sys.path.append(turn["site"])
    if "argv" in turn:
        sys.argv[:] = turn["argv"]
    for key, value in turn.get("env", ()):
        os.environ[key] = value
    _main.update(turn.get("bind", ()))
    people.asks = "asks" in turn
    tools.forget()
    if "agent" in turn:
        builtins.final_answer = answer.final_answer
        if not callable(_main.get("final_answer", len)):
            # A variable of that name would hide it for the rest of the session.
            del _main["final_answer"]
    errors.remember_source(name, code)
    end = {}
    try:
        _execute(code, name, end)
    except answer.Given:
        pass
    except SystemExit as leaving:
        end["exit"] = _status(leaving.code)
    except BaseException as error:
        try:
            end["error"] = errors.describe(error)
        except MemoryError:
            _reserve = None
            end = _failed("MemoryError", "the sandbox's memory limit is reached")
        except BaseException:
            # The exception's own class was made to fail when looked at.
            name = type.__dict__["__name__"].__get__(type(error))
            end = _failed(name, "an exception that cannot be shown")
    door.end()
    net.end()
    try:
        displays.figures()
    except BaseException as error:
        _complain(f"a figure could not be shown: {error}")
    # After the figures: matplotlib throws them away at exit.
    _at_exit(turn)
    given = answer.take()
    if given is not None:
        end["answer"] = given
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except BaseException:
            pass
    _refill()
    if "variables" in turn:
        try:
            end["variables"] = variables.look(_main)
        except BaseException:
            # Memory has run out, or the code has replaced what it needs.
            pass
    return end


def _refill():
    global _reserve
    if _reserve is None:
        try:
            _reserve = bytearray(_RESERVE)
        except MemoryError:
            pass


def _at_exit(turn):
    """What the end of a process runs, where the turn is all there will be."""
    if "last" in turn:
        try:
            atexit._run_exitfuncs()
        except BaseException:
            pass


def _execute(code, name, end):
    tree = compile(code, name, "exec", ast.PyCF_ONLY_AST | _AWAIT, True)
    body = tree.body
    last = None
    # As in a notebook: the final expression is shown, unless a semicolon follows it.
    if body and isinstance(body[-1], ast.Expr) and not _is_quiet(code, body[-1]):
        last = ast.Expression(body.pop().value)
    flags = _AWAIT
    if body or last is None:
        # Both are compiled before either runs, so that a syntax error leaves nothing done.
        body = compile(tree, name, "exec", flags, True)
        flags |= body.co_flags & _FUTURE
    if last is not None:
        last = compile(last, name, "eval", flags, True)
    codes = [code for code in (body, last) if code]
    if any(code.co_flags & inspect.CO_COROUTINE for code in codes):
        value = loop.run(_awaited(codes))
    else:
        for code in codes:
            value = eval(code, _main)
    if last is not None:
        if value is not None:
            _main["_"] = value
            end["result"] = errors.shorten(repr(value), _LONGEST_RESULT)
            displays.value(value)


async def _awaited(codes):
    """All of a turn that awaits at its top runs in the event loop."""
    for code in codes:
        value = eval(code, _main)
        if code.co_flags & inspect.CO_COROUTINE:
            value = await value
    return value


def _is_quiet(code, last):
    if ";" not in code:
        return False
    line = code.split("\n")[last.end_lineno - 1].encode("utf-8", "replace")
    return line[last.end_col_offset :].lstrip().startswith(b";")


def _future_flags():
    import __future__

    flags = 0
    for feature in __future__.all_feature_names:
        flags |= getattr(__future__, feature).compiler_flag
    return flags


_FUTURE = _future_flags()
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def _status(code):
    """What `sys.exit(code)` means to an operating system."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    _complain(code)
    return 1


def _complain(text):
    try:
        print(text, file=sys.stderr)
    except BaseException:
        pass


def _failed(kind, message):
    return {
        "error": {
            "type": kind,
            "message": message,
            "frames": [],
            "traceback": f"{kind}: {message}\n",
            "bases": [kind, "Exception", "BaseException", "object"],
        },
    }


def rehearse():
    """Runs each path once, so that what it loads and caches is in the image."""
    import io

    keep = sys.stdout, sys.stderr
    names = set(_main)
    turn = {"name": "<rehearsal>", "first": True}
    try:
        sys.stdout = sys.stderr = io.StringIO()
        for code in ("x = 1\nprint(x)\nx", "def f():\n    1 / 0\nf()", "raise SystemExit", "x ="):
            for _ in range(3):
                _encode(_run(turn | {"code": code}))
    finally:
        sys.stdout, sys.stderr = keep
    for name in set(_main) - names:
        del _main[name]
    errors.linecache.cache.clear()
