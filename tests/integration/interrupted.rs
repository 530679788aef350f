//! Tracebacks of stopped turns, which the host reads from the guest's memory.

use std::time::Duration;

use codeact::sandbox::{Execution, Outcome, SessionOptions, Turn};

use crate::support::{block_on, exec, limits, sandbox};

/// Runs `code`, which does not terminate, and returns `function:line` of each frame.
fn stopped(code: &str) -> Vec<String> {
    let short = limits(|limits| limits.wall = Duration::from_millis(400));
    let turn = Turn::new(code).limits(short);
    let execution = block_on(sandbox().run(turn)).unwrap();
    assert!(
        matches!(execution.outcome, Outcome::TimedOut { .. }),
        "{execution:?}"
    );
    let traceback = execution.interrupted.expect("a traceback");
    let frames = traceback.frames.iter();
    frames
        .map(|f| format!("{}:{}", f.function, f.line))
        .collect()
}

#[test]
fn exec_prints_the_traceback_as_python_does_and_exits_124() {
    let code = "\
def inner(n):
    while True: n += 1

def outer(n):
    return inner(
        n + 1)

print('begun')
outer(3)";
    let done = exec()
        .args(["--timeout", "400ms"])
        .code(code)
        .run()
        .code(124);
    assert_eq!(done.stdout, "begun\n");
    let expected = "\
Traceback (most recent call last):
  File \"<string>\", line 9, in <module>
    outer(3)
  File \"<string>\", line 5, in outer
    return inner(
  File \"<string>\", line 2, in inner
    while True: n += 1
codeact: stopped: the wall time of 0.4 s is used up
";
    assert_eq!(done.stderr, expected);
}

#[test]
fn the_line_is_right_at_every_kind_of_place() {
    for (code, expected) in [
        ("while True: pass", &["<module>:1"][..]),
        ("x = 1\n\n\nwhile True: x += 1", &["<module>:4"]),
        ("import time\ntime.sleep(60)", &["<module>:2"]),
        ("n = 10**9\nsum(range(n * n))", &["<module>:2"]),
        (
            "def g():\n    yield 1\n    while True: pass\nfor x in g():\n    y = x",
            &["<module>:4", "g:3"],
        ),
        (
            "class A:\n    def m(self):\n        while True: pass\nA().m()",
            &["<module>:4", "m:3"],
        ),
        (
            "def late():\n    yield 1\n    while True: pass\n[x\n for x in late()\n if False]",
            &["<module>:5", "late:3"],
        ),
        (
            "f = lambda: f2()\ndef f2():\n    while True: pass\nf()",
            &["<module>:4", "<lambda>:1", "f2:3"],
        ),
        (
            "import re\n\nre.prefixmatch('(a*)*b', 'a' * 60)",
            &["<module>:3", "prefixmatch:*"],
        ),
        (
            "def größe():\n    while True: pass\ngröße()",
            &["<module>:3", "größe:2"],
        ),
    ] {
        let frames = stopped(code);
        assert_eq!(frames.len(), expected.len(), "{code}: {frames:?}");
        for (frame, expected) in frames.iter().zip(expected) {
            let same = frame == expected
                || expected
                    .strip_suffix('*')
                    .is_some_and(|begin| frame.starts_with(begin));
            assert!(same, "{code}: {frame} is not {expected}");
        }
    }
}

#[test]
fn high_line_numbers_are_right_and_deep_recursions_are_truncated() {
    let far = "\n".repeat(40_000) + "while True: pass";
    assert_eq!(stopped(&far), ["<module>:40001"]);
    let deep = "
def down(n):
    if n == 0:
        while True: pass
    down(n - 1)
down(200)";
    let frames = stopped(deep);
    assert_eq!(frames.len(), 40, "{frames:?}");
    assert_eq!((&*frames[0], &*frames[39]), ("<module>:6", "down:4"));
}

#[test]
fn imported_files_and_executed_strings_have_their_own_names() {
    let frames = stopped(
        "open('helper.py', 'w').write('def f():\\n\\n    while True: pass\\n')
import helper
helper.f()",
    );
    assert_eq!(frames, ["<module>:3", "f:3"]);
    assert_eq!(
        stopped("exec('\\nwhile True: pass')"),
        ["<module>:1", "<module>:2"]
    );
}

#[test]
fn the_same_fuel_budget_stops_at_the_same_line() {
    let code = "def f():\n    n = 0\n    while True:\n        n += 1\n        n ^= 3\nf()";
    let stopped_line = |fuel: u64| {
        let done = exec()
            .args(["--fuel", &fuel.to_string()])
            .code(code)
            .run()
            .code(124);
        assert!(
            done.stderr.contains("line 6, in <module>"),
            "{}",
            done.stderr
        );
        let line = done
            .stderr
            .lines()
            .find(|line| line.ends_with("in f"))
            .unwrap()
            .to_owned();
        assert!(
            (3..=5).any(|n| line.contains(&format!("line {n},"))),
            "{line}"
        );
        line
    };
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..6 {
        let fuel = 40_000_000 + i * 17;
        assert_eq!(stopped_line(fuel), stopped_line(fuel));
        seen.insert(stopped_line(fuel));
    }
    assert!(!seen.is_empty());
}

#[test]
fn only_a_stopped_turn_has_a_traceback_and_json_has_its_frames() {
    let json = exec().code("1/0").json();
    assert_eq!(json["interrupted"], serde_json::Value::Null);
    let code = "def f():\n    while True: pass\nf()";
    let json = exec().args(["--timeout", "300ms"]).code(code).json();
    let frames = &json["interrupted"]["frames"];
    assert_eq!(frames[1]["function"], "f");
    assert_eq!(frames[1]["line"], 2);
    assert_eq!(frames[1]["source"], "while True: pass");
}

#[test]
fn control_characters_in_a_frames_name_are_escaped() {
    let code = "exec(compile('while True: pass', 'a\\x1b[2J\\nb', 'exec'))";
    let done = exec()
        .args(["--timeout", "300ms"])
        .code(code)
        .run()
        .code(124);
    assert!(!done.stderr.contains('\x1b'), "{:?}", done.stderr);
    assert!(done.stderr.contains("\\u{1b}[2J\\nb"), "{:?}", done.stderr);
}

/// Each line that prints something prints its own number.
const STEPS: &str = "\
def c(n):
    print(2)
    return [k * n
            for k in range(3)]
class B:
    def __init__(self):
        print(7)
        self.n = sum(c(2))
    def __enter__(self): return self.n
    def __exit__(self, *error):
        print(11)
def g():
    for i in range(2):
        print(14)
        with B() as n:
            yield n + i
def a():
    try:
        for n in g():
            c(n)
        print(21)
        1 / 0
    except ZeroDivisionError:
        print(24)
    finally:
        c(1)
a()
print(28)
";

/// Runs [`STEPS`] under `sys.settrace` and prints each place it passed as JSON: the number of lines
/// printed before, and the frames.
const TRACED: &str = r#"
import json, sys
shown, places = 0, []
class Out:
    def write(self, text):
        global shown
        shown += text.count("\n")
    def flush(self): pass
def note(frame):
    frames = []
    while frame:
        if frame.f_code.co_filename == "<prog>":
            frames.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    if frames:
        places.append([shown, frames[::-1]])
def trace(frame, event, arg):
    if frame.f_code.co_filename != "<prog>":
        return None
    frame.f_trace_opcodes = True
    note(frame.f_back if event == "return" else frame)
    return trace
code = compile(steps, "<prog>", "exec")
out, sys.stdout = sys.stdout, Out()
sys.settrace(trace)
exec(code, {"__name__": "__main__"})
sys.settrace(None)
sys.stdout = out
print(json.dumps(places))
"#;

#[test]
fn a_thousand_stops_have_the_right_frames() {
    let traced = Turn::new(TRACED).bind("steps", STEPS);
    let traced = block_on(sandbox().run(traced)).unwrap();
    let places: Vec<(usize, Vec<String>)> = serde_json::from_str(&traced.stdout.text).unwrap();
    let run = |fuel: Option<u64>| {
        let limits = limits(|limits| limits.fuel = fuel);
        let turn = Turn::new(STEPS).name("<prog>").limits(limits);
        let options = SessionOptions::new().seed(1);
        let mut session = sandbox().session_with(&options).unwrap();
        block_on(session.run(turn.last(true))).unwrap()
    };
    // Before the code, while it is compiled, and after it there is no frame of the program; functions that
    // libraries have registered with atexit have frames.
    let own = |execution: &Execution| {
        let traceback = execution.interrupted.as_ref();
        let frames = &traceback.filter(|t| t.frames[0].file == "<prog>")?.frames;
        let frames = frames.iter().map(|f| format!("{}:{}", f.function, f.line));
        Some(frames.collect::<Vec<_>>())
    };
    // Most of the fuel of a short program is used by its compilation.
    let all = run(None).usage.fuel;
    let rough = (1..200).map(|part| all * part / 200);
    let within: Vec<u64> = rough.filter(|f| own(&run(Some(*f))).is_some()).collect();
    let (first, last) = (within[0] - all / 200, within[within.len() - 1] + all / 200);
    let (mut at, mut stops, mut seen) = (0, 0, std::collections::BTreeSet::new());
    for part in 0..1100 {
        let execution = run(Some(first + (last - first) * part / 1100));
        assert!(matches!(execution.outcome, Outcome::OutOfFuel { .. }));
        let Some(frames) = own(&execution) else {
            continue;
        };
        let shown = execution.stdout.text.lines().count();
        // Not before the previous stop. A line is printed while its place is the last.
        let found = places[at..].iter().position(|(before, place)| {
            // `settrace` does not report the first call of a generator, which only creates it.
            let making = place
                .split_last()
                .is_some_and(|(_, caller)| caller == frames);
            (*place == frames || making) && (*before..=before + 1).contains(&shown)
        });
        let Some(found) = found else {
            panic!(
                "{frames:?} with {shown} lines shown does not follow {:?}",
                places[at]
            );
        };
        at += found;
        stops += 1;
        seen.insert(frames);
    }
    assert!(
        stops > 800 && seen.len() > 25,
        "{stops} stops at {} places",
        seen.len()
    );
}
