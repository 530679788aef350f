"""Exceptions as data: type, message, frames and traceback, without the runner's own frames."""

import linecache
import traceback

from _codeact import hints

_OUR_FILES = "<codeact>/"
# A deep recursion has thousands of frames. These are enough to locate the error.
_FRAMES_AT_EACH_END = 20
_MAX_MESSAGE = 20_000
_MAX_TRACEBACK = 60_000
_MAX_LINE = 500
_MAX_CHAIN = 50


def shorten(text, limit):
    """Returns `text` without its middle if it has more than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def describe(error):
    """Returns the report of an uncaught exception for the host."""
    kind = type(error)
    _add_hint(error)
    report = traceback.TracebackException(kind, error, error.__traceback__, compact=True)
    _drop_our_frames(report)
    return {
        "type": _name(kind),
        "message": shorten(_message(error), _MAX_MESSAGE),
        "frames": _frames(report.stack),
        "traceback": shorten("".join(report.format()), _MAX_TRACEBACK),
        "bases": [base.__name__ for base in kind.__mro__[:20]],
    }


def _add_hint(error):
    try:
        hint = hints.hint(error)
        if hint is not None:
            error.add_note(f"({hint})")
    except Exception:
        # A hostile exception class can fail here. Its exception gets no hint.
        pass


def _drop_our_frames(report):
    todo = [report]
    for _ in range(_MAX_CHAIN):
        if not todo:
            return
        one = todo.pop()
        if isinstance(one._str, str):
            # CPython's advice for an interpreter that was started without site-packages.
            one._str = one._str.partition(". Site initialization is disabled")[0]
        one.stack[:] = [frame for frame in one.stack if not frame.filename.startswith(_OUR_FILES)]
        todo += [link for link in (one.__cause__, one.__context__) if link is not None]
        todo += one.exceptions or ()


def _frames(stack):
    if len(stack) > 2 * _FRAMES_AT_EACH_END:
        stack = stack[:_FRAMES_AT_EACH_END] + stack[-_FRAMES_AT_EACH_END:]
    return [
        {
            "file": frame.filename[:_MAX_LINE],
            "line": frame.lineno or 0,
            "function": frame.name[:_MAX_LINE],
            "source": (frame.line or "")[:_MAX_LINE] or None,
        }
        for frame in stack
    ]


def _name(kind):
    module = kind.__module__
    if module in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{module}.{kind.__qualname__}"


def _message(error):
    try:
        return str(error)
    except BaseException as failed:
        return f"<str() of the exception raised {type(failed).__name__}>"


def remember_source(name, code):
    """Registers `code`, which is in no file, so that tracebacks and `inspect` show its lines."""
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
