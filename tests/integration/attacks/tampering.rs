//! Code that modifies the Python that runs it.

use codeact::sandbox::{Execution, Outcome};

use super::{attack, attack_on_itself, each, survives};
use crate::support::{result, shown};

/// Code that breaks the modules that the guest's turn runner uses.
const BREAKING: [&str; 20] = [
    "import json; json.dumps = None",
    "import json; json.loads = lambda *a: {}",
    "import json; json.dumps = lambda *a, **k: 'x' * 100",
    "import json; json.dumps = lambda *a, **k: 1 / 0",
    "import ast; ast.parse = None",
    "import builtins; vars(builtins).clear()",
    "import builtins; builtins.isinstance = None; builtins.len = None; builtins.str = None",
    "import builtins; builtins.compile = builtins.exec = builtins.eval = None",
    "import builtins; builtins.__import__ = None",
    "import sys; sys.modules.clear()",
    "import sys; del sys.modules['_codeact'], sys.modules['__main__']",
    "import sys; sys.modules['_codeact'] = None",
    "import sys; sys.stdout = sys.stderr = None",
    "import sys; del sys.stdout, sys.stderr",
    "import sys; sys.stdout = object()",
    "import _codeact; vars(_codeact).clear()",
    "from _codeact import turn; turn.run = None",
    "from _codeact import turn; turn._send = turn._report = lambda *a: None",
    "from _codeact import turn, errors; turn._run = lambda t: {'op': 'end', 'x': {1, 2}}",
    "from _codeact import errors; errors.describe = None\n1 / 0",
];

/// True if the turn is over in a way that its code could cause: an outcome of its own, or a trap that was rolled back.
/// Limits and cancellation are not: the code terminates within its limits.
fn is_contained(e: &Execution) -> bool {
    match &e.outcome {
        Outcome::Completed | Outcome::Raised(_) | Outcome::Exited { .. } => true,
        Outcome::Trapped { .. } => e.rolled_back,
        _ => false,
    }
}

#[test]
fn breaking_the_guests_modules_ends_the_turn_and_affects_only_its_session() {
    each(&BREAKING, |e, _| is_contained(e));
}

#[test]
fn a_turn_that_could_not_report_its_end_is_rolled_back() {
    // If the turn could not even report its end, it counts as a trap.
    each(&BREAKING, |e, after| {
        !matches!(e.outcome, Outcome::Trapped { .. })
            || (e.rolled_back && after.stdout.text == "kept 41 k\n")
    });
}

#[test]
fn an_exception_under_broken_builtins_never_hides_as_success() {
    let raising = BREAKING.map(|code| format!("{code}\nraise ValueError('mine')"));
    let raising = raising.each_ref().map(String::as_str);
    each(&raising, |e, _| match &e.outcome {
        Outcome::Raised(_) => true,
        Outcome::Trapped { .. } => e.rolled_back,
        _ => false,
    });
}

#[test]
fn names_of_main_can_be_removed() {
    attack_on_itself("for name in list(globals()): del globals()[name]");
    attack_on_itself("globals().clear()");
    attack_on_itself("__builtins__ = {}");
    attack_on_itself("__name__ = 5; __file__ = None; __builtins__ = None\nprint");
}

#[test]
fn changed_streams_lose_no_earlier_output() {
    let e = attack_on_itself("import sys; print('before'); sys.stdout = sys.stderr = None");
    assert_eq!(e.stdout.text, "before\n");
    let e = attack(
        "import sys, io; print('a'); keep = sys.stdout; sys.stdout = io.StringIO(); print('b'); sys.stdout = keep; print('c')",
    );
    assert_eq!(e.stdout.text, "a\nc\n");
}

#[test]
fn a_stream_whose_methods_raise_or_exit_ends_the_turn() {
    let codes = [
        "1 / 0",
        "raise SystemExit(3)",
        "raise KeyboardInterrupt",
        "import os; os._exit(4)",
        "raise MemoryError",
    ];
    let codes = codes.map(|body| {
        format!(
            "import sys
class Stream:
    def write(self, text): {body}
    def flush(self): {body}
sys.stdout = Stream()"
        )
    });
    each(&codes.each_ref().map(String::as_str), |e, _| {
        is_contained(e)
    });
}

#[test]
fn special_methods_that_raise_are_exceptions_of_the_code() {
    for (code, kind) in [
        (
            "class A:\n    def __repr__(self): 1 / 0\nA()",
            "ZeroDivisionError",
        ),
        (
            "class A:\n    def __repr__(self): return 5\nA()",
            "TypeError",
        ),
        (
            "class A:\n    def __repr__(self): raise KeyboardInterrupt\nA()",
            "KeyboardInterrupt",
        ),
        (
            "class E(Exception):\n    def __str__(self): 1 / 0\nraise E",
            "E",
        ),
        (
            "class E(Exception):\n    def __str__(self): return 5\nraise E",
            "E",
        ),
        (
            "class E(Exception):\n    def __str__(self): raise SystemExit(4)\nraise E",
            "E",
        ),
        ("class E(BaseException): pass\nraise E", "E"),
        (
            "class M(type):\n    __module__ = property(lambda s: 1 / 0)\nclass E(Exception, metaclass=M): pass\nraise E",
            "E",
        ),
    ] {
        let e = attack(code);
        let Outcome::Raised(error) = &e.outcome else {
            panic!("{code}: {}", shown(&e));
        };
        assert!(error.kind.ends_with(kind), "{code}: {}", shown(&e));
    }
}

#[test]
fn an_exception_with_hostile_attributes_is_reported() {
    let codes = [
        "class E(Exception): pass\nE.__name__ = 'x' * 10**6\nraise E",
        "class E(Exception): pass\nE.__qualname__ = '\\ud800\\0'\nraise E",
        "class E(Exception): pass\nE.__module__ = 5\nraise E",
        "e = ValueError(); e.__notes__ = 5\nraise e",
        "e = ValueError(); e.__notes__ = ['x' * 10**6] * 10\nraise e",
        "raise SyntaxError('m', ('f', 'x', 'y', 'z'))",
        "raise SyntaxError('m', ('f', 10**9, -5, 'text'))",
        "e = SyntaxError(); e.text = 5; e.lineno = 'x'; e.offset = []\nraise e",
        "e = ImportError(); e.name = 5; e.path = []\nraise e",
        "class S(str):\n    def __str__(self): 1 / 0\nraise ValueError(S('x'))",
        "raise UnicodeDecodeError('u', b'x', 5, 10**9, 'r')",
        "e = ValueError('loop'); e.__cause__ = e\nraise e",
        "a = ValueError('a'); b = ValueError('b'); a.__context__ = b; b.__context__ = a\nraise a",
        "class E(ExceptionGroup):\n    exceptions = property(lambda s: 1 / 0)\nraise E('g', [ValueError()])",
    ];
    each(&codes, |e, _| matches!(e.outcome, Outcome::Raised(_)));
}

#[test]
fn an_exit_with_a_hostile_status_exits_or_raises() {
    let codes = [
        "class A:\n    def __str__(self): 1 / 0\nraise SystemExit(A())",
        "raise SystemExit('\\ud800')",
        "raise SystemExit(10**100)",
        "raise SystemExit(['a', 5])",
        "e = SystemExit(); del e.code\nraise e",
        "import sys; sys.stderr = None; sys.exit('text')",
    ];
    each(&codes, |e, _| {
        matches!(e.outcome, Outcome::Exited { .. } | Outcome::Raised(_))
    });
}

#[test]
fn atexit_functions_cannot_delay_the_end_of_the_turn() {
    let e = attack("import atexit\natexit.register(lambda: 1 / 0)\natexit.register(exit, 3)\n1");
    assert_eq!(result(&e), "1");
    let e = super::attempt(
        "import atexit\ndef f():\n    while True: pass\natexit.register(f)",
        super::BRIEF,
    )
    .0;
    assert!(!matches!(e.outcome, Outcome::Raised(_)), "{}", shown(&e));
}

#[test]
fn objects_with_finalizers_are_harmless() {
    let out = survives(
        "class A:
    def __del__(self): print('dying')
a = A(); del a
class B:
    def __del__(self): 1 / 0
b = B(); del b
print('on')",
    );
    assert_eq!(out, "dying\non\n");
}
