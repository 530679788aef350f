"""Values of the code as JSON, within limits, for the forms of a rich turn."""

import datetime
import math

# Limits of one form. The host allows more.
_MAX_VALUES = 100_000
_MAX_DEPTH = 50
# Cells of a table of pandas.
_MAX_CELLS = 50_000
_MAX_COLUMNS = 1000
_MAX_CELL_TEXT = 10_000
_MAX_COLUMN_NAME = 1000
_LARGEST = 1 << 64
_SMALLEST = -(1 << 63)
_ABSENT = ("NaTType", "NAType")


def clean(value):
    """Returns a copy of `value` that JSON can express. Raises TypeError or ValueError if there is none."""
    return _clean(value, [_MAX_VALUES], 0)


def _clean(value, left, depth):
    # The methods of the plain types, because subclasses can override them.
    left[0] -= 1
    if left[0] < 0:
        raise ValueError(f"it has more than {_MAX_VALUES} values")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return _integer(int.__add__(value, 0))
    if isinstance(value, float):
        return number(float.__add__(value, 0.0))
    if depth >= _MAX_DEPTH:
        raise ValueError(f"it is nested more than {_MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        return {_key(key): _clean(item, left, depth + 1) for key, item in dict.items(value)}
    if isinstance(value, list):
        return [_clean(item, left, depth + 1) for item in list.__iter__(value)]
    if isinstance(value, tuple):
        return [_clean(item, left, depth + 1) for item in tuple.__iter__(value)]
    if isinstance(value, (datetime.date, datetime.time)):
        return str(value.isoformat())
    if type(value).__module__ == "numpy":
        if getattr(value, "size", 1) > left[0]:
            raise ValueError(f"it has more than {_MAX_VALUES} values")
        return _clean(value.tolist(), left, depth + 1)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def number(value):
    """Returns a float, or None if it is not finite."""
    return value if math.isfinite(value) else None


def _integer(value):
    # The host reads no larger integers. As text they are exact.
    return value if _SMALLEST <= value < _LARGEST else str(value)


def _key(key):
    if isinstance(key, str):
        return str.__str__(key)
    if key is None or key is True or key is False:
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int):
        return str(int.__add__(key, 0))
    if isinstance(key, float):
        return repr(float.__add__(key, 0.0))
    raise TypeError(f"a key of type {type(key).__name__} has no form in JSON")


def table(frame):
    """Returns the columns of a data frame as lists by name, and the number of its rows that are left out."""
    rows, width = frame.shape
    if width > _MAX_COLUMNS:
        raise ValueError(f"it has {width} columns, at most {_MAX_COLUMNS} are allowed")
    count = min(rows, _MAX_CELLS // max(width, 1))
    columns = {}
    for at in range(width):
        column = frame.iloc[:count, at]
        columns[_column_name(frame.columns[at], columns)] = _cells(column)
    return columns, (rows - count if width else 0)


def _column_name(label, used):
    name = str(label)[:_MAX_COLUMN_NAME]
    unique, number = name, 0
    while unique in used:
        number += 1
        unique = f"{name}.{number}"
    return unique


def _cells(column):
    # Types of pandas itself have absent values also among integers.
    kind = column.dtype.kind if type(column.dtype).__module__.startswith("numpy") else "O"
    values = column.tolist()
    if kind in "biu":
        return values
    if kind == "f":
        return [value if math.isfinite(value) else None for value in values]
    return [_cell(value) for value in values]


def _cell(value):
    if value is None or type(value).__name__ in _ABSENT:
        return None
    if isinstance(value, str):
        return str.__str__(value)[:_MAX_CELL_TEXT]
    try:
        return clean(value)
    except (TypeError, ValueError):
        return str(value)[:_MAX_CELL_TEXT]
