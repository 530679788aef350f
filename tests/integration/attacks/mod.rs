//! Attacks of hostile code. Each attack ends in an outcome and does not crash the host, its session continues,
//! and the sandbox's next run shows no trace of it.

mod files;
mod frames;
mod host_calls;
mod interpreter;
#[cfg(unix)]
mod mount_commits;
#[cfg(unix)]
mod mount_resources;
#[cfg(unix)]
mod mount_swaps;
mod mounts;
#[cfg(unix)]
mod packages;
mod resources;
mod tampering;
mod text;
mod tools;
mod tools_authors;
#[cfg(target_os = "linux")]
mod tools_memory;
mod tools_recorded;
mod unsupported;

use std::sync::OnceLock;
use std::time::Duration;

use codeact::sandbox::{Execution, Outcome, Turn};

use crate::support::{block_on, limits, result, sandbox, shown};

/// Code that returns all state that an earlier run could have changed.
const FINGERPRINT: &str = r"
import sys, os, builtins, atexit, gc, json, io, warnings, threading, signal
open_fds = []
for fd in range(20):
    try:
        os.fstat(fd); open_fds.append(fd)
    except OSError: pass
seen = [
    sorted(globals()), sorted(sys.modules), sorted(os.environ.items()), sorted(vars(builtins)),
    [sorted(os.listdir(d)) for d in ('/', '.', '/tmp', '/dev', '/mnt', '/usr', '/usr/local')],
    os.getcwd(), sys.argv, sys.path, len(sys.meta_path), len(sys.path_hooks), open_fds,
    sys.getrecursionlimit(), sys.gettrace(), sys.getprofile(), gc.isenabled(), gc.get_threshold(),
    atexit._ncallbacks(), warnings.filters, json.dumps({'a': [1]}), json.loads('[1]'),
    type(sys.stdin), type(sys.stdout), type(sys.stderr), sys.stdout.fileno(), sys.stderr.fileno(),
    sys.stdout.encoding, sys.stdout.errors, sys.displayhook, sys.excepthook.__module__,
    sys.unraisablehook.__module__, sorted(vars(sys.modules['_codeact'])), repr(print), repr(open),
    len(threading.enumerate()), sys.float_info.dig, sys.get_int_max_str_digits(),
    sys.getswitchinterval(), sys.dont_write_bytecode, (1).__class__.__mro__,
]
[str(s) for s in seen]
";

fn fingerprint() -> String {
    let e = block_on(sandbox().run(FINGERPRINT)).unwrap();
    result(&e).to_owned()
}

/// Returns the fingerprint of a sandbox in which no hostile code has run.
fn clean() -> &'static str {
    static CLEAN: OnceLock<String> = OnceLock::new();
    CLEAN.get_or_init(|| {
        let pristine = crate::support::sandbox_with(|_| ());
        let e = block_on(pristine.run(FINGERPRINT)).unwrap();
        result(&e).to_owned()
    })
}

/// Wall time for code that terminates, also on a busy machine.
const LONG: Duration = Duration::from_secs(60);
/// Wall time for code that does not terminate.
const BRIEF: Duration = Duration::from_secs(1);

/// Runs `code` as a turn of a session and as separate runs. Checks that the session continues with its earlier
/// state, and that later runs are clean. Returns the execution of the session's turn.
#[track_caller]
fn attack(code: &str) -> Execution {
    let (execution, after) = attempt(code, LONG);
    assert_eq!(after.outcome, Outcome::Completed, "{}", shown(&after));
    assert_eq!(after.stdout.text, "kept 41 k\n", "{}", shown(&after));
    execution
}

/// As [`attack`], for code that breaks the Python of its own session without being stopped: the next turn of that
/// session may have any outcome.
#[track_caller]
fn attack_on_itself(code: &str) -> Execution {
    attempt(code, LONG).0
}

#[track_caller]
fn attempt(code: &str, wall: Duration) -> (Execution, Execution) {
    let expected = clean();
    let turn = || {
        Turn::new(code).limits(limits(|l| {
            l.wall = wall;
            l.memory = 200 << 20;
        }))
    };
    let (execution, after) = block_on(async {
        let mut session = sandbox().session().unwrap();
        let before = "kept = 41; _ = open('kept.txt', 'w').write('k')";
        let e = session.run(before).await.unwrap();
        assert_eq!(e.outcome, Outcome::Completed);
        let execution = session.run(turn()).await.unwrap();
        let look = "print('kept', kept, open('kept.txt').read())";
        let after = session.run(look).await.unwrap();
        (execution, after)
    });
    // Later runs reuse the slot of a completed run.
    for _ in 0..2 {
        block_on(sandbox().run(turn())).unwrap();
        let now = fingerprint();
        assert!(
            now == expected,
            "a later run sees the attack:\n{now}\nexpected:\n{expected}"
        );
    }
    (execution, after)
}

/// As [`attack`]; asserts that the turn completed, and returns its stdout.
#[track_caller]
fn survives(code: &str) -> String {
    let e = attack(code);
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    e.stdout.text
}

/// As [`attack`]; asserts that the turn was stopped by its wall time and rolled back.
#[track_caller]
fn is_stopped(code: &str) -> Execution {
    let (e, after) = attempt(code, BRIEF);
    let limit = BRIEF;
    assert_eq!(e.outcome, Outcome::TimedOut { limit }, "{}", shown(&e));
    assert_eq!(after.stdout.text, "kept 41 k\n", "{}", shown(&after));
    assert!(e.rolled_back);
    e
}

/// As [`attack`]; asserts that the turn trapped and was rolled back.
#[track_caller]
fn traps(code: &str) -> Execution {
    let e = attack(code);
    assert!(
        matches!(e.outcome, Outcome::Trapped { .. }),
        "{}",
        shown(&e)
    );
    assert!(e.rolled_back);
    e
}

/// Runs each of `codes` as [`attack_on_itself`] and fails with all whose executions `accept` rejects.
#[track_caller]
fn each(codes: &[&str], accept: impl Fn(&Execution, &Execution) -> bool) {
    let mut bad = String::new();
    for code in codes {
        let (e, after) = attempt(code, LONG);
        if !accept(&e, &after) {
            let ended = [format!("{:?}", e.outcome), format!("{:?}", after.outcome)];
            let [e, after] = ended.map(|text| text.chars().take(200).collect::<String>());
            bad += &format!("{code}\n    ended as {e}\n    and the next turn as {after}\n");
        }
    }
    assert!(bad.is_empty(), "not expected:\n{bad}");
}

#[test]
fn two_clean_runs_have_the_same_fingerprint() {
    assert_eq!(fingerprint(), clean());
}
