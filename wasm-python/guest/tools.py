"""`tools`: the host's tools as Python functions, which are made when they are first used."""

import importlib.abc
import importlib.machinery
import re
import sys
import typing

from _codeact import hostcall

# The names that annotations of tools can use.
_NAMES = {"Any": typing.Any, "Literal": typing.Literal, "__name__": "tools"}
_MAX_FOUND = 20

# The tools of this turn, and the functions made from them. The next turn may have other tools.
_list = None
_functions = {}
# The namespaces whose tools are unavailable, with the reason.
_unavailable = {}


def forget():
    """Clears the list of tools at the start of a turn. It is requested again when it is used."""
    global _list
    _list = None


def _names():
    """Returns the summary of each tool, by its full name with dots between namespaces."""
    global _list, _unavailable
    if _list is None:
        reply = hostcall.list_tools()
        if "tools" not in reply:
            raise hostcall.ToolError(reply.get("error", "the host returned no list of tools"))
        known = {name: summary for name, summary in reply["tools"]}
        _unavailable = dict(reply.get("absent", ()))
        if known != getattr(_names, "known", None):
            _functions.clear()
        _list = _names.known = known
    return _list


class Tools:
    """The host's tools, or those of one namespace."""

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
        raise AttributeError(_not_found(full, names), name=name, obj=None)

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
    """All tools, with `search` and `describe`."""

    ToolError = hostcall.ToolError
    ToolArgumentError = hostcall.ToolArgumentError
    ToolDenied = hostcall.ToolDenied

    def search(self, words, /):
        """Returns the tools whose name or summary contains these words, as "name: summary".

        The best match is first.
        """
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
        return [f"{name}: {summary}" for _, name, summary in sorted(found)[:_MAX_FOUND]]

    def describe(self, name, /):
        """Returns a tool's signature and documentation as text."""
        name = name if isinstance(name, str) else getattr(name, "tool", str(name))
        name = name.removeprefix("tools.")
        if name not in _names():
            raise AttributeError(_not_found(name, _names()))
        function = _function(name)
        return f"tools.{function.header}\n\n{function.__doc__ or ''}".rstrip()


def _words(text):
    return [word.lower() for word in re.findall(r"[^\W_]+", text)]


def _not_found(name, names):
    """Returns the message for a tool that does not exist."""
    top = name.partition(".")[0]
    if top in _unavailable:
        return f"the tools of {top!r} are not available: {_unavailable[top]}"
    if not names:
        return f"there is no tool {name!r}: this code was given no tools"
    import difflib

    last = {full.rpartition(".")[2]: full for full in names}
    near = difflib.get_close_matches(name, names, 1)
    near += [last[one] for one in difflib.get_close_matches(name.rpartition(".")[2], last, 1)]
    if near:
        return f"there is no tool {name!r}; did you mean tools.{near[0]}?"
    if len(names) <= 20:
        return f"there is no tool {name!r}; available tools: {', '.join(names)}"
    return f"there is no tool {name!r}; use tools.search(words) to find one of {len(names)} tools"


def _function(full):
    function = _functions.get(full)
    if function is None:
        function = _functions[full] = _make(full, hostcall.describe_tool(full))
    return function


class _Default:
    """The default of a parameter. It is shown in the signature and never sent: the tool has its own."""

    __slots__ = ("_text",)

    def __init__(self, value):
        self._text = repr(value)

    def __repr__(self):
        return self._text


def _make(full, description):
    """Returns a function that calls the tool, with the signature of the description."""
    params = description["params"]
    rest = description.get("rest")
    names = [name for _, name, _ in params]
    # The parameters whose schema has no null. None omits them, as their signature says.
    optional = frozenset(name for _, name, nullable in params if not nullable)

    def arguments(values, more=None):
        args = {
            name: value
            for name, value in zip(names, values)
            if type(value) is not _Default and (value is not None or name not in optional)
        }
        return args | more if more else args

    scope = {
        **_NAMES,
        "__call__": lambda *values: hostcall.call(full, arguments(*values)),
        "__acall__": lambda *values: hostcall.call_async(full, arguments(*values)),
        "__arguments__": arguments,
    }
    values = "".join(f"{param}, " for param, _, _ in params)
    passed = f"({values}), {rest}" if rest else f"({values})"
    header = description["header"]
    name = header.partition("(")[0]
    made = []
    for word, call in (
        ("def", "return __call__"),
        ("async def", "return await __acall__"),
        ("def", "return __arguments__"),
    ):
        source = f"{word} {header}:\n    {call}({passed})\n"
        exec(compile(source, "<codeact>/tools.py", "exec"), scope)
        made.append(scope.pop(name))
    function, function.aio, function.arguments = made
    for one in made:
        one.__doc__ = description["doc"]
        one.__qualname__ = full
        one.__defaults__ = tuple(map(_Default, one.__defaults__ or ()))
        one.tool = full
    function.header = full.rpartition(".")[0] + "." * ("." in full) + header
    return function


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes `import tools` work if the code has no module of that name."""

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
    """Makes `tools` and its exceptions builtins. Called while the image is made."""
    import builtins

    builtins.tools = tools
    for error in (hostcall.ToolError, hostcall.ToolArgumentError, hostcall.ToolDenied):
        error.__module__ = "builtins"
        setattr(builtins, error.__name__, error)
    sys.meta_path.append(_Finder())
