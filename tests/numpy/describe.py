"""Evaluates expressions and describes their values: types, dtypes, values, warnings, exceptions.

Runs in the sandbox and in a native CPython. `scripts/numpy-differential` and tests/integration/numpy.rs use it.
"""

import io
import math
import sys
import warnings

import numpy as np
import pandas as pd


def describe(value, depth=0):
    """Returns a text of `value` that shows each type and dtype in it."""
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return f"array({[describe(item, depth + 1) for item in value.ravel()]}, object, {value.shape})"
        return f"array({value.tolist()}, {value.dtype}, {value.shape})"
    if isinstance(value, np.generic):
        return f"{value.dtype}({value.item()!r})"
    if isinstance(value, np.dtype):
        return f"dtype({value})"
    if isinstance(value, pd.DataFrame):
        columns = {str(name): f"{column.dtype} {column.tolist()}" for name, column in value.items()}
        return f"frame({columns}, index={describe(value.index)})"
    if isinstance(value, pd.Series):
        return f"series({value.tolist()}, {value.dtype}, index={describe(value.index)})"
    if isinstance(value, pd.Index):
        return f"{type(value).__name__}({value.tolist()}, {value.dtype})"
    if isinstance(value, (tuple, list)) and depth < 4:
        return f"{type(value).__name__}({', '.join(describe(item, depth + 1) for item in value)})"
    if isinstance(value, dict) and depth < 4:
        items = (f"{key!r}: {describe(item, depth + 1)}" for key, item in value.items())
        return f"dict({', '.join(items)})"
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, type):
        return f"type({value.__name__})"
    return f"{type(value).__name__}({value!r})"


def evaluate(expression):
    """Returns the description of the value of `expression`, and of the warnings that it emits, on one line."""
    # Each expression has its own generators, so that it does not depend on those before it.
    np.random.seed(7)
    scope = {"np": np, "pd": pd, "io": io, "math": math, "rng": np.random.default_rng(7), "csv": csv, "in_state": in_state}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            text = describe(eval(expression, scope))
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
    texts = [f"{warning.category.__name__}: {warning.message}" for warning in caught]
    return " | ".join([text, *texts]).replace("\n", "\\n")


def csv(text, **options):
    """Returns the frame of a CSV text in which `;` separates lines."""
    return pd.read_csv(io.StringIO(text.replace(";", "\n")), **options)


def in_state(expression, **state):
    """Returns the value of `expression` with this error state of numpy, and what the error function received."""
    calls = []
    with np.errstate(**state, call=lambda kind, flags: calls.append((kind, flags))):
        value = eval(expression)
    return (value, calls) if calls else value


def expressions(path):
    """Returns the expressions of a file: its lines without comments and empty ones."""
    with open(path, encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    return [line for line in lines if line and not line.startswith("#")]


def main(path):
    for expression in expressions(path):
        print(f"{expression}\t{evaluate(expression)}")


if __name__ == "__main__":
    main(sys.argv[1])
