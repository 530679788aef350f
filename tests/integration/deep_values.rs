//! Values that are nested deeply can be dropped, and recursion in C ends in Python's RecursionError, as in a native
//! CPython.

use codeact::sandbox::Outcome;

use crate::support::{block_on, exec, result, sandbox, shown};

/// Functions that wrap a value once, and operations on a nested one.
const SHAPES: &str = r#"
import collections, contextvars, copy, functools, itertools, json, marshal, operator, pickle, pprint, types

def error(attribute):
    def wrap(x):
        e = ValueError()
        setattr(e, attribute, x)
        return e
    return wrap

class Plain:
    def __init__(self, x): self.x = x

class Slots:
    __slots__ = "x"
    def __init__(self, x): self.x = x

class Destroyed(Plain):
    def __del__(self): self.x = None

def generator(x):
    def values(x=x): yield 1
    values = values()
    next(values)
    return values

async def coroutine(x): return x

def context(x):
    new = contextvars.Context()
    new.run(variable.set, x)
    return new

variable = contextvars.ContextVar("variable")
SHAPES = dict(
    list=lambda x: [x], tuple=lambda x: (x,), dict=lambda x: {1: x}, cause=error("__cause__"), context=error("__context__"),
    arguments=ValueError, group=lambda x: ExceptionGroup("m", [x or ValueError()]), instance=Plain, slots=Slots,
    destructor=Destroyed, generator=generator, closure=lambda x: lambda: x, partial=lambda x: functools.partial(print, x),
    deque=lambda x: collections.deque([x]), ordered=lambda x: collections.OrderedDict(a=x), iterator=lambda x: iter([x]),
    chain=lambda x: itertools.chain(x or []), map=lambda x: map(str, x or []), zip=lambda x: zip(x or []),
    filter=lambda x: filter(None, x or []), enumerate=lambda x: enumerate(x or []), cell=types.CellType, slice=slice,
    proxy=lambda x: types.MappingProxyType({1: x}), namespace=lambda x: types.SimpleNamespace(x=x), alias=lambda x: list[x],
    static=staticmethod, cached=lambda x: functools.lru_cache(None)(x or print), variables=context,
    function=lambda x: types.FunctionType(coroutine.__code__, {}, "f", (x,)),
)
OPERATIONS = dict(
    repr=repr, str=lambda x: str(ValueError(x)), equal=lambda x: x == nested(shape), less=lambda x: x < nested(shape),
    deepcopy=copy.deepcopy, copy=copy.copy, pickle=pickle.dumps, json=json.dumps, marshal=marshal.dumps, pprint=pprint.pformat,
    hash=hash, isinstance=lambda x: isinstance(1, x),
)

def nested(shape, levels=100_000):
    x = None
    for _ in range(levels): x = SHAPES[shape](x)
    return x
"#;

#[test]
fn a_million_levels_of_containers_exceptions_and_frames_are_dropped() {
    let code = "
for shape in ('list', 'tuple', 'dict', 'context', 'instance', 'generator', 'closure'):
    x = nested(shape, 1_000_000)
    del x
import sys
tracebacks = None
for _ in range(1_000_000): tracebacks = types.TracebackType(tracebacks, sys._getframe(), 0, 1)
del tracebacks
sys.setrecursionlimit(10**6)
def recurse(n): return recurse(n + 1)
try: recurse(0)
except RecursionError: print('ok')
";
    exec()
        .args(["--timeout", "300s", "--max-memory", "1G"])
        .code(&format!("{SHAPES}{code}"))
        .run()
        .success()
        .stdout("ok\n");
}

#[test]
fn every_kind_of_nested_value_is_dropped() {
    let code = "
for shape in SHAPES:
    x = nested(shape)
    del x
print(len(SHAPES))
";
    let args = ["--timeout", "300s"];
    exec()
        .args(args)
        .code(&format!("{SHAPES}{code}"))
        .run()
        .success()
        .stdout("30\n");
}

#[test]
fn an_operation_on_a_nested_value_returns_or_is_pythons_error() {
    let code = r#"
for shape in ("list", "tuple", "dict", "partial", "namespace", "ordered", "alias"):
    for name, operation in OPERATIONS.items():
        x = nested(shape)
        try: operation(x)
        except (RecursionError, ValueError, TypeError, pickle.PicklingError, AttributeError): pass
for text in ("(" * 10**5, "[" * 10**5 + "]" * 10**5, "-" * 10**5 + "1", "1+" * 10**5 + "1", "a" + ".a" * 10**5,
             "lambda:" * 10**5 + "1", "not " * 10**5 + "1", "a" + "()" * 10**5):
    try: compile(text, "x", "eval")
    except (SyntaxError, MemoryError, RecursionError): pass
for text in ("[" * 10**5 + "]" * 10**5, '{"a":' * 10**5 + "1" + "}" * 10**5):
    try: json.loads(text)
    except RecursionError: print("json")
for iterator in ("chain", "zip", "filter", "enumerate"):
    x = iter([1])
    for _ in range(50_000): x = SHAPES[iterator](x)
    next(x)
print("ok")
"#;
    exec()
        .args(["--timeout", "300s"])
        .code(&format!("{SHAPES}{code}"))
        .run()
        .success()
        .stdout("json\njson\nok\n");
}

#[test]
fn recursion_that_no_cpython_guards_is_a_trap_that_is_rolled_back() {
    block_on(async {
        let mut session = sandbox().session().unwrap();
        session.run("kept = 1").await.unwrap();
        let code = "kept = 2\nx = ()\nfor _ in range(2_000_000): x = (x,)\nhash(x)";
        let ended = session.run(code).await.unwrap();
        let Outcome::Trapped { reason } = &ended.outcome else {
            panic!("{}", shown(&ended));
        };
        assert!(reason.contains("call stack exhausted"), "{reason}");
        assert!(ended.rolled_back);
        assert_eq!(result(&session.run("kept").await.unwrap()), "1");
    });
}
