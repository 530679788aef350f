"""`final_answer(value)`, with which an agent's code ends the task."""

import datetime
import math
import sys

_MAX_VALUES = 100_000
_MAX_DEPTH = 50

_answer = None


class AnswerGiven(BaseException):
    """Ends the turn after `final_answer`. `except Exception` does not catch it."""


def final_answer(value=None, /, **named):
    """Sets `value`, or the named values as a dict, as the answer to the task and ends the turn.

    The value is converted to JSON: numbers, strings, lists, dicts, numpy and pandas values keep
    their structure, any other value is converted with `str`.
    """
    global _answer
    _answer = {"value": plain(named if value is None and named else value)}
    raise AnswerGiven


def take():
    """Returns and clears the answer since the last call, or None."""
    global _answer
    answer, _answer = _answer, None
    return answer


def plain(value):
    """Converts `value` to values that JSON supports."""
    return _plain(value, _MAX_DEPTH, [_MAX_VALUES])


def _plain(value, depth, left):
    left[0] -= 1
    if left[0] < 0 or depth < 0:
        return "..."
    if value is None or isinstance(value, (bool, str)):
        return str(value) if type(value) not in (bool, type(None)) else value
    if isinstance(value, int):
        # The host supports 64 bits. A larger number becomes text, to stay exact.
        return int(value) if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        named = {}
        for key, one in value.items():
            name = key if type(key) is str else str(scientific(key))
            # 1 and "1" are two keys in Python and one in JSON.
            named[repr(key) if name in named else name] = _plain(one, depth - 1, left)
        return named
    if isinstance(value, (list, tuple)):
        return [_plain(v, depth - 1, left) for v in value]
    if isinstance(value, (set, frozenset)):
        try:
            value = sorted(value)
        except TypeError:
            value = list(value)
        return [_plain(v, depth - 1, left) for v in value]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    converted = scientific(value)
    if converted is not value:
        return _plain(converted, depth - 1, left)
    return str(value)


def scientific(value):
    """Converts a numpy or pandas value to a builtin one. Returns any other value unchanged."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, numpy.generic):
            return value.item()
        if isinstance(value, numpy.ndarray):
            return value.tolist()
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        if isinstance(value, pandas.DataFrame):
            return value.to_dict("records")
        if isinstance(value, pandas.Series):
            return value.to_dict()
        if isinstance(value, pandas.Index):
            return value.tolist()
    return value
