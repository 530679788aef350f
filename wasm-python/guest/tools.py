"""`tools`: what the host offers, as Python functions that are made when they are first used."""

import importlib.abc
import importlib.machinery
import re
import sys
import typing

from _codeact import door

# What annotations may name.
_NAMES = {"Any": typing.Any, "Literal": typing.Literal, "__name__": "tools"}
_MOST_FOUND = 20

# The list as of this turn, and the functions made from it. The host may have others next time.
_list = None
_functions = {}
# The namespaces that should have tools, and why they have none.
_absent = {}


def forget():
    """A turn begins: what there is, is asked anew when it is needed."""
    global _list
    _list = None


def _names():
    """Each tool's name, with dots between its namespaces, and what it does in a line."""
    global _list, _absent
    if _list is None:
        told = door.listing()
        if "tools" not in told:
            raise door.ToolError(told.get("error", "the host does not tell its tools"))
        known = {name: summary for name, summary in told["tools"]}
        _absent = dict(told.get("absent", ()))
        if known != getattr(_names, "known", None):
            _functions.clear()
        _list = _names.known = known
    return _list


class Tools:
    """The functions that the host offers, or those of one namespace."""

    def __init__(self, prefix=""):
        object.__setattr__(self, "_prefix", prefix)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        full = self._prefix + name
        function = _functions.get(full)
        if function is not None and _list is not None:
            return function
        names = _names()
        if full in names:
            return _function(full)
        inner = full + "."
        if any(known.startswith(inner) for known in names):
            return Tools(inner)
        raise AttributeError(_missing(full, names), name=name, obj=None)

    def __getitem__(self, name):
        found = self
        for part in name.split("."):
            found = getattr(found, part)
        return found

    def __iter__(self):
        return iter(self._below())

    def __len__(self):
        return len(self._below())

    def __contains__(self, name):
        return name in self._below()

    def __dir__(self):
        tops = {name.partition(".")[0] for name in self._below()}
        return sorted(tops | ({"search", "describe"} if not self._prefix else set()))

    def __repr__(self):
        lines = [f"  {name}: {summary}" for name, summary in self._below().items()]
        head = f"<tools{'.' + self._prefix[:-1] if self._prefix else ''}: {len(lines)} functions"
        return "\n".join([head, *lines[:50], *(["  ..."] if len(lines) > 50 else [])]) + ">"

    def _below(self):
        cut = len(self._prefix)
        return {n[cut:]: s for n, s in _names().items() if n.startswith(self._prefix)}


class _Top(Tools):
    """All of them, with two ways to find one."""

    ToolError = door.ToolError
    ToolArgumentError = door.ToolArgumentError
    ToolDenied = door.ToolDenied

    def search(self, words, /):
        """The tools whose name or summary has these words, the best first, as "name: summary"."""
        wanted = [word.rstrip("s") or word for word in _words(words)]
        found = []
        for name, summary in _names().items():
            in_name, in_summary = _words(name), _words(summary)
            score = sum(
                3 * any(word in one for one in in_name) + any(word in one for one in in_summary)
                for word in wanted
            )
            if score or not wanted:
                found.append((-score, name, summary))
        return [f"{name}: {summary}" for _, name, summary in sorted(found)[:_MOST_FOUND]]

    def describe(self, name, /):
        """A tool's signature and all that is told of it, as text."""
        name = name if isinstance(name, str) else getattr(name, "tool", str(name))
        name = name.removeprefix("tools.")
        if name not in _names():
            raise AttributeError(_missing(name, _names()))
        function = _function(name)
        return f"tools.{function.header}\n\n{function.__doc__ or ''}".rstrip()


def _words(text):
    return [word.lower() for word in re.findall(r"[A-Za-z0-9]+", text)]


def _missing(name, names):
    top = name.partition(".")[0]
    if top in _absent:
        return f"there are no tools of {top!r}: {_absent[top]}"
    if not names:
        return f"there is no tool {name!r}: this code was given no tools"
    import difflib

    last = {full.rpartition(".")[2]: full for full in names}
    near = difflib.get_close_matches(name, names, 1)
    near += [last[one] for one in difflib.get_close_matches(name.rpartition(".")[2], last, 1)]
    if near:
        return f"there is no tool {name!r}; did you mean tools.{near[0]}?"
    if len(names) <= 20:
        return f"there is no tool {name!r}; there are: {', '.join(names)}"
    return f"there is no tool {name!r}; tools.search(words) finds one of {len(names)}"


def _function(full):
    function = _functions.get(full)
    if function is None:
        function = _functions[full] = _make(full, door.describe(full))
    return function


def _make(full, told):
    """A function with the signature that the host tells, which calls the tool."""
    params = told["params"]
    rest = told.get("rest")
    names = [name for _, name, _ in params]
    # Those that are left out where they are None.
    optional = [name for _, name, always in params if not always]

    def arguments(values, more=None):
        args = dict(zip(names, values))
        for name in optional:
            if args[name] is None:
                del args[name]
        return args | more if more else args

    scope = {
        **_NAMES,
        "__call__": lambda *values: door.call(full, arguments(*values)),
        "__acall__": lambda *values: door.acall(full, arguments(*values)),
        "__arguments__": arguments,
    }
    values = "".join(f"{param}, " for param, _, _ in params)
    sent = f"({values}), {rest}" if rest else f"({values})"
    header = told["header"]
    name = header.partition("(")[0]
    made = []
    for word, call in (
        ("def", "return __call__"),
        ("async def", "return await __acall__"),
        ("def", "return __arguments__"),
    ):
        source = f"{word} {header}:\n    {call}({sent})\n"
        exec(compile(source, "<codeact>/tools.py", "exec"), scope)
        made.append(scope.pop(name))
    function, function.aio, function.arguments = made
    for one in made:
        one.__doc__ = told["doc"]
        one.__qualname__ = full
        one.tool = full
    function.header = full.rpartition(".")[0] + "." * ("." in full) + header
    return function


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """`import tools`, where the code has no module of that name itself."""

    def find_spec(self, name, path=None, target=None):
        if name == "tools":
            return importlib.machinery.ModuleSpec(name, self)
        return None

    def create_module(self, spec):
        return tools

    def exec_module(self, module):
        pass


tools = _Top()


def install():
    """Makes `tools` and its exceptions known everywhere. Called while the image is made."""
    import builtins

    builtins.tools = tools
    for error in (door.ToolError, door.ToolArgumentError, door.ToolDenied):
        error.__module__ = "builtins"
        setattr(builtins, error.__name__, error)
    sys.meta_path.append(_Finder())
