"""Summary of a session's variables, made without running the code's own functions."""

import types

_MAX_VARIABLES = 500
_MAX_TEXT = 80
_SCALARS = (int, float, complex, bool, bytes, type(None))
_HIDDEN = (types.ModuleType,)


def summarize(names):
    """Returns name, type and short form of each variable, in the order of assignment."""
    summary = []
    for name, value in list(names.items()):
        if name.startswith("_") or isinstance(value, _HIDDEN) or name == "final_answer":
            continue
        if len(summary) == _MAX_VARIABLES:
            break
        kind = type(value)
        try:
            summary.append((name[:200], kind.__qualname__[:200], _short(kind, value)))
        except Exception:
            summary.append((name[:200], "object", ""))
    return summary


def _short(kind, value):
    # Exact types only: the `repr` of a class that the code defines would run its code.
    if kind is str:
        return _cut(repr(value[:_MAX_TEXT]), len(value) > _MAX_TEXT)
    if kind is int:
        # The text of a huge number takes quadratic time.
        return repr(value) if value.bit_length() < 256 else f"{value.bit_length()} bits"
    if kind in _SCALARS:
        return _cut(repr(value[:_MAX_TEXT] if kind is bytes else value), False)
    if kind in (list, tuple, set, frozenset, dict):
        return f"{len(value)} items" if len(value) != 1 else "1 item"
    if kind in (types.FunctionType, type):
        return ""
    shape = None
    if kind.__module__.partition(".")[0] in ("numpy", "pandas", "scipy"):
        shape = getattr(value, "shape", None)
    if type(shape) is tuple:
        return " x ".join(str(int(n)) for n in shape[:8]) or "scalar"
    return ""


def _cut(text, more):
    if len(text) > _MAX_TEXT:
        text, more = text[:_MAX_TEXT], True
    return text + "..." if more else text
