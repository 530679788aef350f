"""Turns a function whose source is known into a generator that yields where the function would wait.

The generator has the calls that may wait as `yield from __codeact_call__(function, ...)`. Names decide
which calls these are: a call that is converted in vain costs time only, and one that is missed waits on
the stack. Functions that cannot wait are not converted, so that they run at their speed.
"""

import ast
import inspect
import linecache
import sys
import types

# The functions that converted code calls: for calls, managers of `with`, iterators of `for`, and the
# values of generator functions. They are free variables of the code.
_CALL, _ENTER, _LOOP = "__codeact_call__", "__codeact_enter__", "__codeact_loop__"
_ITEM, _ITEMS = "__codeact_item__", "__codeact_items__"
_HELPERS = _CALL, _ENTER, _LOOP, _ITEM, _ITEMS
_MAX_SOURCES = 200
_MAX_SOURCE = 2_000_000
_NOT_CONVERTIBLE = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE

# Names of functions and methods that wait, or that code calls in loops to wait.
_WAITS = frozenset(
    "acquire done empty exception full get get_nowait is_alive is_set join locked put put_nowait result "
    "run run_forever running shutdown sleep wait wait_for".split()
)
# Calls that depend on the frame that they are in.
_OF_FRAME = frozenset("dir eval exec globals locals super vars".split())
_SCOPES = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.Lambda,
    ast.ClassDef,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)

# Converted code by the code of the function: None if it cannot wait.
_converted = {}
_sources = {}
_cells = {}


def set_helpers(**helpers):
    """Sets the functions that converted code calls. Called while the image is made."""
    for name, function in helpers.items():
        _cells[f"__codeact_{name}__"] = types.CellType(function)


def is_generator(function):
    """True for a generator function. It is converted for `for` loops only."""
    return function.__code__.co_flags & inspect.CO_GENERATOR != 0


def convert(function):
    """Returns the generator function for `function`, or None if it does not wait or has no source.

    That of a generator function yields its values as items, among its waits.
    """
    code = function.__code__
    try:
        new = _converted[code]
    except KeyError:
        new = _converted[code] = _convert(function)
    if new is None:
        return None
    cells = _cells | dict(zip(code.co_freevars, function.__closure__ or ()))
    try:
        closure = tuple(cells[name] for name in new.co_freevars)
    except KeyError:
        return None
    steps = types.FunctionType(
        new, function.__globals__, function.__name__, function.__defaults__, closure
    )
    steps.__kwdefaults__ = function.__kwdefaults__
    return steps


def _convert(function):
    code = function.__code__
    if code.co_flags & _NOT_CONVERTIBLE:
        return None
    try:
        source = _source(function)
        if source is None:
            return None
        node, owner = source.find(code)
        if node is None:
            return None
        return _compile(node, owner, code, source.calls_of(node, function))
    except (SyntaxError, RecursionError, ValueError):
        return None


def _source(function):
    """Returns the analysed source of a function's file, or None if the function is a library's."""
    name = function.__code__.co_filename
    if name.startswith("<codeact>/"):
        return None
    top = (function.__module__ or "").partition(".")[0]
    if top != "__main__" and top in sys.stdlib_module_names:
        return None
    lines = linecache.getlines(name, function.__globals__)
    text = "".join(lines)
    if not text or len(text) > _MAX_SOURCE:
        return None
    key = name, hash(text)
    found = _sources.get(key)
    if found is None:
        if len(_sources) >= _MAX_SOURCES:
            _sources.clear()
        found = _sources[key] = _Source(text, function.__code__)
    return found


class _Source:
    """The functions of one file, and the names of those that may wait."""

    def __init__(self, text, code):
        flags = code.co_flags & _FUTURE
        tree = compile(text, code.co_filename, "exec", ast.PyCF_ONLY_AST | flags | _AWAIT, True)
        # The codes of the unchanged source, to check that it is still that of the function.
        self._codes = {}
        self._collect_codes(compile(tree, code.co_filename, "exec", flags | _AWAIT, True))
        self._nodes = {}
        self._functions = []
        self._collect(tree, None)
        self._defined = {name for name, _ in self._functions}
        self.waiting = set()
        self._find_waiting()

    def _collect_codes(self, code):
        for one in code.co_consts:
            if isinstance(one, types.CodeType):
                self._codes.setdefault((one.co_name, one.co_firstlineno), []).append(one)
                self._collect_codes(one)

    def _collect(self, node, owner):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                self._collect(child, child.name)
                continue
            if isinstance(child, (ast.FunctionDef, ast.Lambda)):
                name = getattr(child, "name", "<lambda>")
                first = min([child.lineno, *(d.lineno for d in getattr(child, "decorator_list", ()))])
                self._nodes.setdefault((name, first), []).append((child, owner))
                self._functions.append((name, child))
            self._collect(child, owner)

    def find(self, code):
        """Returns the node of a function and the name of its class, or two times None."""
        key = code.co_name, code.co_firstlineno
        nodes, codes = self._nodes.get(key, ()), self._codes.get(key, ())
        if len(nodes) == 1 and code in codes:
            return nodes[0]
        return None, None

    def _find_waiting(self):
        todo = []
        for name, node in self._functions:
            names, waits = set(), False
            own = _bound_names(node)
            for one in ast.walk(node):
                if isinstance(one, ast.Call):
                    names.add(_called_name(one.func))
                    waits = waits or _may_wait(one, own, ())
                    waits = waits or _calls_attribute(one.func, self._defined)
                elif _waits_as_statement(one):
                    waits = True
            if waits:
                self.waiting.add(name)
            else:
                todo.append((name, names))
        changed = True
        while changed:
            changed = False
            for name, names in todo:
                if name not in self.waiting and not names.isdisjoint(self.waiting):
                    self.waiting.add(name)
                    changed = True

    def calls_of(self, node, function):
        """Returns a function that decides whether a call in `node` may wait."""
        own = _bound_names(node).union(function.__code__.co_freevars)
        waiting, defined, names = self.waiting, self._defined, function.__globals__

        def may_wait(call):
            return (
                _may_wait(call, own, waiting)
                or _calls_attribute(call.func, defined)
                or _waits_elsewhere(call.func, names)
            )

        return may_wait


def _calls_attribute(function, defined):
    """True if `function` is an attribute of `self` that is no method of its file."""
    if not isinstance(function, ast.Attribute) or function.attr in defined:
        return False
    return isinstance(function.value, ast.Name) and function.value.id == "self"


def _waits_elsewhere(function, names):
    """True if `function` names a function of another file that may wait."""
    if isinstance(function, ast.Name):
        found = names.get(function.id)
    elif isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        module = names.get(function.value.id)
        found = module.__dict__.get(function.attr) if type(module) is types.ModuleType else None
    else:
        return False
    if type(found) is not types.FunctionType or found.__globals__ is names:
        return False
    source = _source(found)
    return source is not None and found.__name__ in source.waiting


def _bound_names(node):
    """Returns the variables of a function, whose values may be functions that wait."""
    args = node.args
    names = {one.arg for one in args.posonlyargs + args.args + args.kwonlyargs}
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            names.add(one.id)
    return names


def _called_name(function):
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def _may_wait(call, own, waiting):
    name = _called_name(call.func)
    if name is None or name in _OF_FRAME:
        return False
    if isinstance(call.func, ast.Name):
        return name in _WAITS or name in waiting or name in own
    root = call.func.value
    if isinstance(root, ast.Name) and root.id == "tools":
        return True
    if name not in _WAITS:
        return name in waiting
    if isinstance(root, (ast.Constant, ast.JoinedStr)):
        return False
    if name in ("get", "join", "exception") and call.args:
        # The methods of dicts, text and loggers, unless the argument is that of a wait.
        first = call.args[0]
        return isinstance(first, ast.Constant) and type(first.value) in (bool, int, float)
    return True


def _waits_as_statement(node):
    if isinstance(node, ast.With):
        return any(_may_be_lock(item.context_expr) for item in node.items)
    if isinstance(node, ast.While):
        return _waits_for_others(node)
    return isinstance(node, ast.For) and _calls_until(node)


def _may_be_lock(node):
    return isinstance(node, (ast.Name, ast.Attribute, ast.Subscript))


def _calls_until(node):
    """True for `for x in iter(function, end):`."""
    call = node.iter
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "iter"
        and len(call.args) == 2
        and not call.keywords
        and not node.orelse
        and _may_be_lock(call.args[0])
    )


def _waits_for_others(loop):
    """True for a loop whose condition is a variable that the loop does not change."""
    tested = [one for one in ast.walk(loop.test) if isinstance(one, (ast.Name, ast.Attribute))]
    if not tested or any(isinstance(one, ast.Call) for one in ast.walk(loop.test)):
        return False
    names = {one.id if isinstance(one, ast.Name) else one.attr for one in tested}
    for statement in loop.body:
        for one in ast.walk(statement):
            context = getattr(one, "ctx", None)
            if isinstance(context, (ast.Store, ast.Del)):
                target = one
                while isinstance(target, ast.Subscript):
                    target = target.value
                if _called_name(target) in names:
                    return False
            elif isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute):
                # A method may change the tested object: `while stack: stack.pop()`.
                if _called_name(one.func.value) in names:
                    return False
    return True


class _Rewriter(ast.NodeTransformer):
    """Rewrites the statements of one function, not those of functions inside it."""

    def __init__(self, may_wait, is_generator):
        self._may_wait, self._is_generator = may_wait, is_generator
        self._loops = 0
        self.changed = False

    def visit(self, node):
        return node if isinstance(node, _SCOPES) else super().visit(node)

    def visit_Call(self, node):
        waits = self._may_wait(node)
        self.generic_visit(node)
        if not waits:
            return node
        return self._yield_from(_CALL, [node.func, *node.args], node.keywords)

    def _yield_from(self, name, args, keywords=()):
        self.changed = True
        return ast.YieldFrom(ast.Call(ast.Name(name, ast.Load()), args, list(keywords)))

    def visit_With(self, node):
        locks = [item for item in node.items if _may_be_lock(item.context_expr)]
        self.generic_visit(node)
        for item in locks:
            item.context_expr = self._yield_from(_ENTER, [item.context_expr])
        return node

    def visit_While(self, node):
        waits = _waits_for_others(node)
        self.generic_visit(node)
        if waits:
            self.changed = True
            node.body.insert(0, ast.Expr(ast.Yield()))
        return node

    def visit_Yield(self, node):
        self.generic_visit(node)
        if self._is_generator:
            value = node.value or ast.Constant(None)
            node.value = ast.Call(ast.Name(_ITEM, ast.Load()), [value], [])
        return node

    def visit_YieldFrom(self, node):
        if not self._is_generator:
            return self.generic_visit(node)
        value = node.value
        waits = isinstance(value, ast.Call) and self._may_wait(value)
        self.generic_visit(value if waits else node)
        if waits:
            value = self._yield_from(_LOOP, [value.func, *value.args], value.keywords)
        else:
            value = node.value
        return ast.YieldFrom(ast.Call(ast.Name(_ITEMS, ast.Load()), [value], []))

    def visit_For(self, node):
        if _calls_until(node):
            return self._rewrite_calls_until(node)
        if isinstance(node.iter, ast.Call) and self._may_wait(node.iter):
            return self._rewrite_loop(node)
        return self.generic_visit(node)

    def _rewrite_loop(self, node):
        """Rewrites a loop over a generator, whose steps may wait."""
        call = node.iter
        self.generic_visit(call)
        of = self._new_name()
        loop = self._yield_from(_LOOP, [call.func, *call.args], call.keywords)
        advance = ast.Attribute(ast.Name(of, ast.Load()), "advance", ast.Load())
        value = ast.Attribute(ast.Name(of, ast.Load()), "value", ast.Load())
        body = self.visit_all(node.body)
        found = [
            _assign(of, loop),
            ast.While(
                ast.YieldFrom(ast.Call(advance, [], [])),
                [ast.Assign([node.target], value), *body],
                self.visit_all(node.orelse),
            ),
            # Closes the generator after a `break`.
            _assign(of, ast.Constant(None)),
        ]
        return [ast.copy_location(one, node) for one in found]

    def visit_all(self, statements):
        """Returns the rewritten statements."""
        changed = []
        for one in statements:
            new = self.visit(one)
            changed += new if isinstance(new, list) else [new]
        return changed

    def _new_name(self):
        self._loops += 1
        return f"__codeact_for_{self._loops}__"

    def _rewrite_calls_until(self, node):
        function, end = node.iter.args
        of = self._new_name()
        call = self._yield_from(_CALL, [ast.Name(of, ast.Load())])
        value, stop = f"{of}value__", f"{of}end__"
        node.body = self.visit_all(node.body)
        loop = ast.While(
            ast.Constant(True),
            [
                _assign(value, call),
                ast.If(
                    ast.Compare(
                        ast.Name(value, ast.Load()), [ast.Eq()], [ast.Name(stop, ast.Load())]
                    ),
                    [ast.Break()],
                    [],
                ),
                ast.Assign([node.target], ast.Name(value, ast.Load())),
                *node.body,
            ],
            [],
        )
        return [
            ast.copy_location(one, node)
            for one in (_assign(of, self.visit(function)), _assign(stop, self.visit(end)), loop)
        ]


def _assign(name, value):
    return ast.Assign([ast.Name(name, ast.Store())], value)


def _compile(node, owner, code, may_wait):
    """Returns the code of the generator function, or None if the function does not wait."""
    rewriter = _Rewriter(may_wait, code.co_flags & inspect.CO_GENERATOR)
    # A copy: other functions may be in this one.
    node = _copy(node)
    body = [ast.Return(node.body)] if isinstance(node, ast.Lambda) else node.body
    for one in body:
        if not hasattr(one, "lineno"):
            ast.copy_location(one, node)
    new = rewriter.visit_all(body)
    if not rewriter.changed:
        return None
    for one in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
        one.annotation = None
    for one in (node.args.vararg, node.args.kwarg):
        if one is not None:
            one.annotation = None
    # The function's own defaults are used.
    node.args.defaults = [ast.Constant(None) for _ in node.args.defaults]
    node.args.kw_defaults = [one and ast.Constant(None) for one in node.args.kw_defaults]
    function = ast.copy_location(_function(code.co_name, node.args, new), node)
    inner = function
    if owner is not None:
        # Private names are those of the class.
        inner = ast.ClassDef(name=owner, bases=[], keywords=[], body=[function], decorator_list=[])
        inner.type_params = []
        ast.copy_location(inner, node)
    names = dict.fromkeys([*code.co_freevars, *_HELPERS])
    # A class gives `__class__` to its methods itself.
    names.pop("__class__" if owner is not None else "", None)
    args = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(name) for name in names],
        kwonlyargs=[],
        kw_defaults=[],
        defaults=[],
    )
    # The code is only compiled here. A name that was global in the function stays global in it, also if it is that of the
    # function or of its class.
    bound = {function.name, inner.name} - {"<lambda>"} - names.keys()
    statements = [ast.Global(sorted(bound)), inner] if bound else [inner]
    outer = ast.copy_location(_function("outer", args, statements), node)
    tree = ast.fix_missing_locations(ast.Module([outer], []))
    module = compile(tree, code.co_filename, "exec", code.co_flags & _FUTURE, True)
    found = _find_code(module, code.co_name, owner)
    if found is None or not found.co_flags & inspect.CO_GENERATOR:
        return None
    return found.replace(co_qualname=code.co_qualname, co_firstlineno=code.co_firstlineno)


def _function(name, args, body):
    function = ast.FunctionDef(name=name, args=args, body=body, decorator_list=[])
    function.type_params = []
    return function


def _copy(node):
    import copy

    return copy.deepcopy(node)


def _find_code(code, name, owner):
    for part in ["outer", owner, name] if owner is not None else ["outer", name]:
        codes = [one for one in code.co_consts if isinstance(one, types.CodeType)]
        codes = [one for one in codes if one.co_name == part]
        if not codes:
            return None
        code = codes[0]
    return code


def _future_flags():
    import __future__

    flags = 0
    for feature in __future__.all_feature_names:
        flags |= getattr(__future__, feature).compiler_flag
    return flags


_FUTURE = _future_flags()
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
