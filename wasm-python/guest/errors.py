"""Exceptions as data: type, message, frames and the traceback, without the runner's own frames."""

import linecache
import traceback

from _codeact import hints

_OURS = "<codeact>/"
# Enough to see where an error came from; a deep recursion has thousands.
_FRAMES_AT_EACH_END = 20
_LONGEST_MESSAGE = 20_000
_LONGEST_TRACEBACK = 60_000
_LONGEST_LINE = 500
_DEEPEST_CHAIN = 50


def shorten(text, longest):
    """`text` with its middle left out where it is longer than `longest` characters."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def describe(error):
    """What the host is told of an uncaught exception."""
    kind = type(error)
    _add_hint(error)
    report = traceback.TracebackException(kind, error, error.__traceback__, compact=True)
    _drop_our_frames(report)
    return {
        "type": _name(kind),
        "message": shorten(_message(error), _LONGEST_MESSAGE),
        "frames": _frames(report.stack),
        "traceback": shorten("".join(report.format()), _LONGEST_TRACEBACK),
        "bases": [base.__name__ for base in kind.__mro__[:20]],
    }


def _add_hint(error):
    try:
        hint = hints.hint(error)
        if hint is not None:
            error.add_note(f"({hint})")
    except Exception:
        # A hostile exception goes without.
        pass


def _drop_our_frames(report):
    todo = [report]
    for _ in range(_DEEPEST_CHAIN):
        if not todo:
            return
        one = todo.pop()
        if isinstance(one._str, str):
            # CPython's advice for an interpreter started without site-packages.
            one._str = one._str.partition(". Site initialization is disabled")[0]
        one.stack[:] = [frame for frame in one.stack if not frame.filename.startswith(_OURS)]
        todo += [link for link in (one.__cause__, one.__context__) if link is not None]
        todo += one.exceptions or ()


def _frames(stack):
    if len(stack) > 2 * _FRAMES_AT_EACH_END:
        stack = stack[:_FRAMES_AT_EACH_END] + stack[-_FRAMES_AT_EACH_END:]
    return [
        {
            "file": frame.filename[:_LONGEST_LINE],
            "line": frame.lineno or 0,
            "function": frame.name[:_LONGEST_LINE],
            "source": (frame.line or "")[:_LONGEST_LINE] or None,
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
    """Lets tracebacks and `inspect.getsource` show the lines of `code`, which no file holds."""
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
