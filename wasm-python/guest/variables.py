"""What a session holds, told without running anything of the code's own."""

import types

_MOST = 500
_LONGEST = 80
_SCALARS = (int, float, complex, bool, bytes, type(None))
_HIDDEN = (types.ModuleType,)


def look(names):
    """Name, type and a short form of each variable, in the order of their making."""
    told = []
    for name, value in list(names.items()):
        if name.startswith("_") or isinstance(value, _HIDDEN) or name == "final_answer":
            continue
        if len(told) == _MOST:
            break
        kind = type(value)
        try:
            told.append((name[:200], kind.__qualname__[:200], _short(kind, value)))
        except Exception:
            told.append((name[:200], "object", ""))
    return told


def _short(kind, value):
    # Exact types only: the `repr` of a class of the code's own would run its code.
    if kind is str:
        return _cut(repr(value[:_LONGEST]), len(value) > _LONGEST)
    if kind is int:
        # Huge ones take quadratic time.
        return repr(value) if value.bit_length() < 256 else f"{value.bit_length()} bits"
    if kind in _SCALARS:
        return _cut(repr(value[:_LONGEST] if kind is bytes else value), False)
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
    if len(text) > _LONGEST:
        text, more = text[:_LONGEST], True
    return text + "..." if more else text
