# Introspection: signatures, annotations, type hints, source-free code facts, ast and eval.
import ast
import inspect
import types
import typing


def scale(values: list[int], /, factor: float = 1.5, *more: str, strict: bool = False, **rest) -> dict[str, int]:
    """Scales values."""
    return {}


signature = inspect.signature(scale)
print(signature)
print([(p.name, p.kind.name) for p in signature.parameters.values()])
print(signature.bind([1], 2, "x", strict=True, k=1).arguments)
print(sorted(typing.get_type_hints(scale).items(), key=str), inspect.getdoc(scale))
print(typing.get_origin(dict[str, int]), typing.get_args(dict[str, int]), int | None, isinstance(3, int | str))
print(inspect.isgeneratorfunction(scale), callable(scale), scale.__code__.co_argcount, scale.__kwdefaults__, scale.__qualname__)
try:
    signature.bind()
except TypeError as error:
    print(type(error).__name__)
tree = ast.parse("x = 1 + y * 2")
print([type(n).__name__ for n in ast.walk(tree) if isinstance(n, (ast.BinOp, ast.Name))], ast.literal_eval("{'a': [1, -2.5, None]}"))
print(ast.unparse(tree), eval("a + b", {"a": 1}, {"b": 2}))
space = {}
exec(compile("def f():\n    return 'made'", "<made>", "exec"), space)
print(space["f"](), types.SimpleNamespace(a=1, b="x"), type(space["f"]).__name__)
for bad in ("1 +", "def", "x = = 1", "  y"):
    try:
        compile(bad, "<bad>", "exec")
    except SyntaxError as error:
        print(type(error).__name__, error.lineno)
try:
    ast.literal_eval("open('x')")
except ValueError as error:
    print(type(error).__name__)
T = typing.TypeVar("T")


class Stack(typing.Generic[T]):
    pass


print(Stack[int].__args__, typing.cast(int, "x"), sorted(m for m, _ in inspect.getmembers(Stack) if m == "__doc__"))
