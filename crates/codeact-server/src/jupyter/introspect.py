# Answers to the questions of a Jupyter client. Runs in a fork of the session, which is dropped afterwards.

import ast
import builtins
import importlib
import inspect as _inspect
import itertools
import json
import keyword
import re
import sys
import __main__

_MAX_MATCHES = 500
_MAX_TEXT = 100_000
_WORD = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*\.?$|$")
_IMPORT = re.compile(r"\s*(?:import|from)\s+([\w.]*)$")
_FROM = re.compile(r"\s*from\s+([\w.]+)\s+import\s+(?:.*,\s*)?(\w*)$")


def complete(code, cursor):
    """Returns the completions of the word before the cursor, and where it starts."""
    before = code[:cursor]
    line = before.rpartition("\n")[2]
    found = _FROM.match(line)
    if found:
        word = found[2]
        names = _module_names(found[1])
        matches = [name for name in names if name.startswith(word)]
        return {"matches": _limited(matches), "start": cursor - len(word)}
    found = _IMPORT.match(line)
    word = found[1] if found else _WORD.search(line)[0]
    names = _modules(word) if found else _names(word)
    return {"matches": _limited(names), "start": cursor - len(word)}


def _limited(names):
    unique = dict.fromkeys(name for name in names if not name.startswith("__codeact"))
    return list(itertools.islice(unique, _MAX_MATCHES))


def _names(word):
    import rlcompleter

    if not word:
        return sorted(name for name in vars(__main__) if not name.startswith("_"))
    completer = rlcompleter.Completer(vars(__main__))
    found = (completer.complete(word, i) for i in itertools.count())
    known = itertools.takewhile(lambda name: name is not None, found)
    return [name.rstrip(" ():") for name in known]


def _modules(word):
    import pkgutil

    parent, _, last = word.rpartition(".")
    if parent:
        return [f"{parent}.{name}" for name in _module_names(parent) if name.startswith(last)]
    names = set(sys.stdlib_module_names) | set(sys.modules)
    names.update(module.name for module in pkgutil.iter_modules())
    return sorted(n for n in names if n.startswith(word) and "." not in n and n[:1] != "_")


def _module_names(name):
    import pkgutil

    try:
        module = importlib.import_module(name)
    except Exception:
        return []
    names = set(dir(module))
    names.update(sub.name for sub in pkgutil.iter_modules(getattr(module, "__path__", [])))
    return sorted(n for n in names if not n.startswith("_"))


def inspect(code, cursor, detail):
    """Returns documentation of the name at the cursor, or None."""
    start = re.search(r"[\w.]*$", code[:cursor]).start()
    end = cursor + re.match(r"\w*", code[cursor:]).end()
    name = code[start:end].strip(".")
    if not name:
        # Inside the brackets of a call: the function.
        called = re.search(r"([\w.]+)\s*\([^()]*$", code[:cursor])
        name = called[1].strip(".") if called else ""
    if not name or keyword.iskeyword(name):
        return None
    value = vars(__main__)
    try:
        first, *rest = name.split(".")
        value = value[first] if first in value else getattr(builtins, first)
        for part in rest:
            value = getattr(value, part)
    except Exception:
        return None
    lines = []
    if callable(value):
        try:
            lines.append(f"Signature: {name}{_inspect.signature(value)}")
        except Exception:
            pass
    kind = type(value)
    lines.append(f"Type:      {kind.__name__}")
    if not callable(value):
        try:
            lines.append(f"Value:     {repr(value)[:1000]}")
        except Exception:
            pass
    text = None
    if detail:
        try:
            text = "Source:\n" + _inspect.getsource(value)
        except Exception:
            pass
    if text is None:
        text = _inspect.getdoc(value)
        text = f"Docstring:\n{text}" if isinstance(text, str) else "Docstring: <no docstring>"
    lines.append(text)
    return "\n".join(lines)[:_MAX_TEXT]


def is_complete(code):
    """Returns whether the code can be run, and the indent of the next line if it cannot."""
    import codeop
    import warnings

    if re.match(r"\s*[%!?]", code):
        return {"status": "complete"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiler = codeop.CommandCompiler()
            compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            done = compiler(code, "<input>", "exec") is not None
            tree = ast.parse(code) if done else None
    except (SyntaxError, ValueError, OverflowError):
        return {"status": "invalid"}
    except Exception:
        return {"status": "unknown"}
    last = code.rpartition("\n")[2]
    indent = last[: len(last) - len(last.lstrip())]
    opened = last.rstrip().endswith(":")
    if tree is not None and tree.body:
        block = hasattr(tree.body[-1], "body") and not isinstance(tree.body[-1], ast.Expr)
        if block and last.strip():
            # A blank line ends the block.
            return {"status": "incomplete", "indent": indent}
    if tree is not None:
        return {"status": "complete"}
    return {"status": "incomplete", "indent": indent + "    " * opened}


def expressions(texts):
    """Returns the value of each expression as a MIME bundle, or its error."""
    results = {}
    for name, text in texts.items():
        try:
            value = eval(text, vars(__main__))
            data = {"text/plain": repr(value)[:_MAX_TEXT]}
            results[name] = {"status": "ok", "data": data, "metadata": {}}
        except BaseException as error:
            kind = type(error).__name__
            results[name] = {
                "status": "error",
                "ename": kind,
                "evalue": str(error)[:1000],
                "traceback": [f"{kind}: {error}"[:1000]],
            }
    return results
