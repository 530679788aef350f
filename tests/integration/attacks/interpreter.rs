//! Attempts to crash the interpreter. It may fail; the host must not.

use codeact::sandbox::Outcome;

use super::{attack, is_stopped, survives, traps};
use crate::support::{raised, shown};

#[test]
fn abort_is_a_trap() {
    traps("import os; os.abort()");
}

#[test]
fn os_exit_is_an_exit_that_is_rolled_back() {
    let e = attack("kept = 0; open('kept.txt', 'w').write('changed'); import os; os._exit(9)");
    assert_eq!(e.outcome, Outcome::Exited { code: 9 });
    assert!(e.rolled_back);
}

#[test]
fn crashes_by_faulthandler_are_traps_or_exceptions() {
    for crash in [
        "_sigsegv()",
        "_sigabrt()",
        "_fatal_error_c_thread()",
        "_stack_overflow()",
        "_read_null()",
    ] {
        let e = attack(&format!("import faulthandler; faulthandler.{crash}"));
        assert!(
            !matches!(e.outcome, Outcome::TimedOut { .. }),
            "{}",
            shown(&e)
        );
    }
}

#[test]
fn infinite_recursion_is_a_recursion_error() {
    let e = attack("def f(): return f()\nf()");
    raised(&e, "RecursionError");
}

#[test]
fn recursion_without_a_limit_raises_traps_or_times_out() {
    for code in [
        "import sys; sys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1)\nf(0)",
        "import sys; sys.setrecursionlimit(2**31 - 1)\nclass A:\n    def __repr__(self): return repr(self)\nrepr(A())",
        "import sys; sys.setrecursionlimit(10**8)\nclass A:\n    def __getattr__(self, n): return getattr(self, n + 'x')\nA().a",
        "import sys; sys.setrecursionlimit(10**8)\nf = lambda *a: max(*a, key=f)\nf(1, 2)",
    ] {
        let e = attack(code);
        assert!(
            matches!(
                e.outcome,
                Outcome::Raised(_) | Outcome::Trapped { .. } | Outcome::TimedOut { .. }
            ),
            "{}",
            shown(&e)
        );
    }
}

#[test]
fn deep_nesting_in_data_is_an_error_or_works() {
    for code in [
        "l = []\nfor _ in range(100000): l = [l]\nrepr(l)",
        "x = {}\nfor _ in range(100000): x = {1: x}\nstr(x)",
        "import json; json.loads('[' * 100000 + ']' * 100000)",
        "import json; json.loads('{\"a\":' * 100000)",
        "import json\nl = []\nfor _ in range(100000): l = [l]\njson.dumps(l)",
        "import copy\nl = []\nfor _ in range(100000): l = [l]\ncopy.deepcopy(l)",
        "import pickle\nl = []\nfor _ in range(100000): l = [l]\npickle.dumps(l)",
        "import marshal\nl = []\nfor _ in range(100000): l = [l]\nmarshal.dumps(l)",
        "l = []\nfor _ in range(100000): l = [l]\nm = []\nfor _ in range(100000): m = [m]\nl == m",
        "t = ()\nfor _ in range(200000): t = (t,)\nhash(t)",
        "f = int\nfor _ in range(100000): f = __import__('functools').partial(f)\nf()",
        "e = ValueError()\nfor _ in range(50000):\n    n = ValueError(); n.__cause__ = e; e = n\nraise e",
        "e = ValueError()\nfor _ in range(20000): e = ExceptionGroup('g', [e])\nraise e",
        "import re; re.compile('(' * 50000 + ')' * 50000)",
        "import xml.etree.ElementTree as E; E.fromstring('<a>' * 200000 + '</a>' * 200000)",
        "x = None\nfor _ in range(300000): x = (lambda v: lambda: v)(x)\ndel x",
        "isinstance(1, __import__('functools').reduce(lambda t, _: (t,), range(100000), str))",
        "d = ValueError\nfor _ in range(300): d = type('D', (d,), {})\nraise d('deep')",
    ] {
        let e = attack(code);
        assert!(
            !matches!(&e.outcome, Outcome::Trapped { reason } if reason.contains("did not report its result")),
            "{code}\n{}",
            shown(&e)
        );
    }
}

#[test]
fn deep_nesting_in_source_is_an_error_or_works() {
    for code in [
        "eval('(' * 100000 + ')' * 100000)",
        "eval('[' * 100000)",
        "compile('-' * 100000 + '1', 's', 'eval')",
        "compile('not ' * 100000 + '1', 's', 'eval')",
        "compile('+'.join(['1'] * 100000), 's', 'eval')",
        "compile('x' + '.a' * 100000, 's', 'eval')",
        "compile('f' + '()' * 100000, 's', 'eval')",
        "compile('lambda: ' * 50000 + '1', 's', 'eval')",
        "compile('\\n'.join(' ' * i + 'if 1:' for i in range(5000)), 's', 'exec')",
        "compile('a' + ' = a' * 100000, 's', 'exec')",
        "compile('if 1: pass\\n' + 'elif 1: pass\\n' * 20000, 's', 'exec')",
        "import ast; ast.literal_eval('-' * 100000 + '1')",
        "import ast\nn = ast.Constant(1)\nfor _ in range(100000): n = ast.UnaryOp(ast.USub(), n)\ncompile(ast.fix_missing_locations(ast.Expression(n)), 's', 'eval')",
        "compile(\"f'{\" * 200 + '1' + \"}'\" * 200, 's', 'eval')",
    ] {
        let e = attack(code);
        assert!(
            !matches!(&e.outcome, Outcome::Trapped { reason } if reason.contains("did not report its result")),
            "{code}\n{}",
            shown(&e)
        );
    }
}

#[test]
fn the_turn_itself_may_be_deeply_nested() {
    for code in [
        "(".repeat(100_000),
        format!("{}1", "-".repeat(100_000)),
        format!("x = {}1{}", "[".repeat(5000), "]".repeat(5000)),
        format!("1{}", " + 1".repeat(50_000)),
        (0..90)
            .map(|i| format!("{}if 1:\n", " ".repeat(i)))
            .collect(),
    ] {
        let e = attack(&code);
        assert!(matches!(
            e.outcome,
            Outcome::Raised(_)
                | Outcome::Trapped { .. }
                | Outcome::Completed
                | Outcome::TimedOut { .. }
        ));
    }
}

#[test]
fn invalid_bytecode_does_not_crash_the_host() {
    for code in [
        "f = lambda: 0\nf.__code__ = f.__code__.replace(co_code=bytes(range(256)) * 4)\nf()",
        "f = lambda: 0\nf.__code__ = f.__code__.replace(co_code=b'\\xff\\x00' * 100, co_stacksize=0)\nf()",
        "f = lambda: x\nf.__code__ = f.__code__.replace(co_consts=(), co_names=())\nf()",
        "import types; types.CodeType(0, 0, 0, 0, 2**31 - 1, 0, b'', (), (), (), '', '', '', 0, b'', b'')",
        "import marshal\nfor i in range(2000):\n    try:\n        marshal.loads(bytes([i % 256, i // 8 % 256]) * 50)\n    except Exception: pass",
        "import marshal, random\nr = random.Random(1)\nc = bytearray(marshal.dumps(compile('def f(a): return [a for a in range(a)]', '', 'exec')))\nfor _ in range(300):\n    d = bytearray(c); d[r.randrange(len(d))] = r.randrange(256)\n    try:\n        o = marshal.loads(bytes(d))\n    except Exception: pass",
    ] {
        attack(code);
    }
}

#[test]
fn corrupted_objects_stay_in_the_sandbox() {
    for code in [
        "import gc; [o for o in gc.get_objects() if type(o) is dict and o.clear()]",
        "import gc\nfor d in gc.get_objects():\n    for r in gc.get_referrers(d)[:1]: pass",
        "import gc; gc.collect(); gc.set_threshold(1); [[] for _ in range(1000)]; gc.unfreeze(); gc.collect()",
        "import sys; sys._clear_internal_caches() if hasattr(sys, '_clear_internal_caches') else None",
        "import sys; f = sys._getframe(); f.f_builtins.clear()",
        "import sys; f = sys._getframe()\nwhile f.f_back: f = f.f_back\nf.f_globals.clear()",
    ] {
        super::attack_on_itself(code);
    }
}

#[test]
fn a_trace_or_profile_function_stays_in_its_session() {
    let out = survives(
        "import sys
sys.settrace(lambda *a: None); sys.setprofile(lambda *a: None)
def f(): pass
f(); print('traced'); sys.settrace(None); sys.setprofile(None)",
    );
    assert_eq!(out, "traced\n");
    super::attack_on_itself("import sys\ndef t(*a): raise RuntimeError\nsys.settrace(t)");
    super::attack_on_itself("import sys\ndef t(*a): raise RuntimeError\nsys.setprofile(t)");
}

#[test]
fn code_that_catches_everything_is_stopped() {
    is_stopped("while True:\n    try:\n        while True: pass\n    except BaseException: pass");
    is_stopped("def f():\n    try:\n        f()\n    finally:\n        f()\nf()");
    is_stopped("class A:\n    def __del__(self): A()\nA()\nwhile True: pass");
}

#[test]
fn retained_generators_and_frames_are_harmless() {
    let out = survives(
        "import sys
def g():
    try:
        yield sys._getframe()
    finally:
        print('closed')
held = g(); frame = next(held)
try:
    1 / 0
except ZeroDivisionError as e: caught = e
async def co(): pass
c = co()
print(frame.f_code.co_name)",
    );
    assert_eq!(out, "g\n");
}
