"""`final_answer(value)`, with which an agent's code ends the task."""

import collections.abc
import datetime
import io
import math
import re
import sys
import types

_VIEWS = (collections.abc.KeysView, collections.abc.ValuesView, collections.abc.ItemsView)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+>$")
_MAX_VALUES = 100_000
_MAX_DEPTH = 50

_answer = None


class AnswerGiven(BaseException):
    """Ends the turn after `final_answer`. `except Exception` does not catch it."""


def final_answer(*value, **named):
    """Sets `value`, or several named values as a dict, as the answer to the task and ends the turn.

    The value is converted to JSON: numbers, strings, lists, dicts, numpy and pandas values keep
    their structure, and a missing value (NaN, NaT, NA) is null. Any other value is converted with
    `str`. Raises TypeError for an object without a text of its own, and ValueError for infinity
    and for an answer that is too large or contains itself.
    """
    global _answer
    if len(value) > 1 or (value and named):
        raise TypeError(
            "final_answer() takes one value, or named values that become a dict; pass several "
            "values as one list or dict"
        )
    if not value and not named:
        raise TypeError("final_answer() takes the answer as its argument: final_answer(value)")
    if value:
        (given,) = value
    elif len(named) == 1 and not named.keys().isdisjoint(("value", "answer")):
        (given,) = named.values()
    else:
        given = named
    _answer = {"value": plain(given)}
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
    if left[0] < 0:
        raise ValueError(
            f"the answer has more than {_MAX_VALUES:,} values; pass a summary, or write it to a file"
        )
    if depth < 0:
        raise ValueError(
            f"the answer is nested more than {_MAX_DEPTH} levels deep, or contains itself"
        )
    if value is None or isinstance(value, (bool, str)):
        return str(value) if type(value) not in (bool, type(None)) else value
    if isinstance(value, int):
        # The host supports 64 bits. A larger number becomes text, to stay exact.
        return int(value) if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError("JSON has no infinity; pass a text or None in place of it")
        return None if math.isnan(value) else float(value)
    if isinstance(value, dict):
        named = {}
        for key, one in value.items():
            name = key if type(key) is str else str(scientific(key))
            # 1 and "1" are two keys in Python and one in JSON.
            named[repr(key) if name in named else name] = _plain(one, depth - 1, left)
        return named
    if isinstance(value, (list, tuple, range, *_VIEWS)):
        return [_plain(v, depth - 1, left) for v in value]
    if isinstance(value, (set, frozenset)):
        try:
            value = sorted(value)
        except TypeError:
            value = list(value)
        return [_plain(v, depth - 1, left) for v in value]
    if _is_missing(value):
        return None
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    converted = scientific(value)
    if converted is not value:
        return _plain(converted, depth - 1, left)
    return _text(value)


def _is_missing(value):
    """Returns True for the missing values of pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and (value is pandas.NaT or value is pandas.NA)


def _text(value):
    """Returns the text of an object that has one."""
    text = str(value)
    # As `object.__repr__` writes it, and functions, generators and files.
    anonymous = isinstance(value, (type, types.ModuleType, io.IOBase))
    if anonymous or (text.startswith("<") and _ADDRESS.search(text)):
        kind = type(value).__qualname__
        what = "list(...) of it" if isinstance(value, collections.abc.Iterator) else "its contents"
        raise TypeError(
            f"an object of type {kind} cannot be an answer; pass {what}, as numbers, strings, "
            "lists and dicts"
        )
    return text


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
