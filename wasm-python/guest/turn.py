"""Runs one turn: requests it from the host, runs it in `__main__` and reports its end."""

import ast
import atexit
import builtins
import inspect
import json
import os
import sys

import _host
from _codeact import (
    answer,
    bundles,
    displays,
    errors,
    event_loop,
    fonts,
    hostcall,
    net,
    notebook,
    seeds,
    sources,
    threads,
    tools,
    user_input,
    variables,
)

_main = sys.modules["__main__"].__dict__
_MAX_RESULT = 100_000
# Folder of the added packages that is on the path.
_site = None
# Freed when memory is exhausted, so that the end of the turn can still be reported.
_RESERVE_BYTES = 256 * 1024
_reserve = bytearray(_RESERVE_BYTES)

# The core of `json.loads` and `json.dumps`, without their set-up: it runs in each turn.
_decode = json.JSONDecoder().scan_once
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def run():
    """Runs one turn. All inputs come from the host, and the result is sent to the host."""
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
        frame = _encode({"op": "end"} | end).encode("utf-8", errors.SURROGATES)
    else:
        frame = b'{"op":"end"}'
    reply = _host.call(frame)
    if reply != b"{}":
        why = json.loads(reply).get("error", "the host rejected the turn's result")
        _host.call(_encode({"op": "end"} | _failed("RuntimeError", why)).encode("utf-8"))


def _run(turn):
    global _reserve
    code, name = turn["code"], turn["name"]
    source = code
    if "encoded" in turn:
        # The bytes of the file. If they cannot be decoded, compiling them raises CPython's error.
        source = code.encode("latin-1")
        text = sources.decode(source)
        if text is not None:
            source = code = text
    if "first" in turn:
        seeds.reseed()
    if "site" in turn and turn["site"] != _site:
        _add_site(turn["site"])
    if "argv" in turn:
        sys.argv[:] = turn["argv"]
        if name == turn["argv"][0] and not name.startswith("<"):
            _main["__file__"] = "/home/user/" + os.path.basename(name)
    for key, value in turn.get("env", ()):
        os.environ[key] = value
    _main.update(turn.get("bind", ()))
    user_input.input_asks_user = "asks" in turn
    tools.forget()
    if "rich" in turn or bundles.active:
        bundles.begin("rich" in turn)
    if "agent" in turn:
        builtins.final_answer = answer.final_answer
        # A definition of that name in earlier code would hide the function for the rest of the session.
        _main.pop("final_answer", None)
    name = sources.remember(name, code)
    end = {}
    try:
        try:
            _execute(source, code, name, end)
        finally:
            threads.end_turn()
    except answer.AnswerGiven:
        pass
    except SystemExit as leaving:
        end["exit"] = _status(leaving.code)
    except BaseException as error:
        try:
            if isinstance(error, MemoryError):
                # To describe it takes memory, and there is none left.
                _reserve = None
            end["error"] = errors.describe(error)
        except MemoryError:
            _reserve = None
            end = _failed("MemoryError", "the sandbox's memory limit is reached")
        except BaseException:
            # The exception's class raises when its attributes are read.
            name = type.__dict__["__name__"].__get__(type(error))
            end = _failed(name, "the exception cannot be displayed")
    hostcall.end_turn()
    net.end_turn()
    try:
        displays.figures()
    except BaseException as error:
        _complain(f"a figure could not be displayed: {error}")
    notebook.end_turn()
    # After the figures: matplotlib closes them at exit.
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
            end["variables"] = variables.summarize(_main)
        except BaseException:
            # Memory is exhausted, or the code has replaced a function that the summary needs.
            pass
    return end


def _add_site(site):
    """Makes the added packages importable: in the first turn, or after the session got other ones."""
    global _site
    _site = site
    sys.path.append(site)
    try:
        fonts.add(site)
    except BaseException:
        # Earlier code has replaced a function that it needs.
        pass


def _refill():
    global _reserve
    if _reserve is None:
        try:
            _reserve = bytearray(_RESERVE_BYTES)
        except MemoryError:
            pass


def _at_exit(turn):
    """Runs the functions of `atexit` in the last turn of a session."""
    if "last" in turn:
        try:
            atexit._run_exitfuncs()
        except BaseException:
            pass


def _execute(source, code, name, end):
    # The host reads this variable for the traceback of a stopped turn.
    source_texts = sources.flat
    tree, code = _parse(source, code, name)
    body = tree.body
    last = None
    # As in a notebook: the final expression is displayed, unless a semicolon follows it.
    if body and isinstance(body[-1], ast.Expr) and not _is_quiet(code, body[-1]):
        last = ast.Expression(body.pop().value)
    flags = _AWAIT
    if body or last is None:
        # Both are compiled before either runs, so that after a syntax error nothing has run.
        body = compile(tree, name, "exec", flags, True)
        flags |= body.co_flags & _FUTURE
    if last is not None:
        last = compile(last, name, "eval", flags, True)
    codes = [code for code in (body, last) if code]
    if any(code.co_flags & inspect.CO_COROUTINE for code in codes):
        value = event_loop.run(_run_async(codes))
    else:
        for code in codes:
            value = eval(code, _main)
    if last is not None:
        if value is not None:
            _main["_"] = value
            end["result"] = text = errors.shorten(repr(value), _MAX_RESULT)
            displays.result(value, text)


def _parse(source, code, name):
    """Returns the syntax tree of the turn, and the text that it has the positions of."""
    flags = ast.PyCF_ONLY_AST | _AWAIT
    try:
        return compile(source, name, "exec", flags, True), code
    except SyntaxError:
        # The lines of notebooks, such as `%matplotlib inline`, become statements.
        code = notebook.translate(code)
        if code is None:
            raise
    try:
        return compile(code, name, "exec", flags, True), code
    except SyntaxError as error:
        # The line as it was written.
        if type(error.lineno) is int:
            error.text = sources.line(name, error.lineno) or error.text
        raise


async def _run_async(codes):
    """Runs all code of a turn that has a top-level `await`."""
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
    """Returns the exit status of `sys.exit(code)`."""
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
    """Runs each path once, so that the image contains what the path imports and caches."""
    import io

    streams = sys.stdout, sys.stderr
    names = set(_main)
    turn = {"name": "<rehearsal>", "first": True}
    try:
        sys.stdout = sys.stderr = io.StringIO()
        for code in ("x = 1\nprint(x)\nx", "def f():\n    1 / 0\nf()", "raise SystemExit", "x ="):
            for _ in range(3):
                _encode(_run(turn | {"code": code}))
    finally:
        sys.stdout, sys.stderr = streams
    for name in set(_main) - names:
        del _main[name]
    sources.forget_all()
