"""Exceptions as data: type, message, frames and traceback, without the runner's own frames."""

import codecs
import functools
import traceback

from _codeact import hints, sources

_OUR_FILES = "<codeact>/"
# A deep recursion has thousands of frames. These are enough to locate the error.
_FRAMES_AT_EACH_END = 20
_MAX_MESSAGE = 20_000
_MAX_TRACEBACK = 60_000
_MAX_LINE = 500
_MAX_CHAIN = 50
# Error handler for the encoding of JSON texts: JSON has no form for lone surrogates, so that they
# become text such as \\udcff, as Python prints them to stderr.
SURROGATES = "codeact.surrogates"
# CPython's advice for an interpreter that was started without site-packages.
_SITE_ADVICE = ". Site initialization is disabled"


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
    _add_source_line(error)
    # Lines are looked up when the report is formatted: the runner's own frames have none.
    report = traceback.TracebackException(
        kind, error, error.__traceback__, compact=True, lookup_lines=False
    )
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


def _add_source_line(error):
    # CPython reads the line of an error of the compiler, unlike that of one of the parser, from the
    # source file, and a turn has none.
    if isinstance(error, SyntaxError) and error.text is None and type(error.lineno) is int:
        if type(error.filename) is str:
            error.text = sources.line(error.filename, error.lineno)


def _drop_our_frames(report):
    todo = [report]
    for _ in range(_MAX_CHAIN):
        if not todo:
            return
        one = todo.pop()
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


def _escape_surrogates(error):
    text = error.object[error.start : error.end]
    return "".join(f"\\\\u{ord(one):04x}" for one in text), error.end


codecs.register_error(SURROGATES, _escape_surrogates)


def _without_site_advice(plain):
    @functools.wraps(plain)
    def init(self, *args, **kwargs):
        plain(self, *args, **kwargs)
        if isinstance(self._str, str):
            self._str = self._str.partition(_SITE_ADVICE)[0]

    return init


def install():
    """Removes CPython's advice on site-packages from all tracebacks. Called while the image is made."""
    kind = traceback.TracebackException
    kind.__init__ = _without_site_advice(kind.__init__)
