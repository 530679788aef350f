//! What hostile code tries. Each attack is an outcome, never a crash of the host; the session it
//! ran in goes on, and the sandbox's next run shows nothing of it.

mod absent;
mod door;
mod files;
mod frames;
mod interpreter;
#[cfg(unix)]
mod mount_commits;
#[cfg(unix)]
mod mount_resources;
#[cfg(unix)]
mod mount_swaps;
mod mounts;
mod resources;
mod tampering;
mod text;
mod tools;
mod tools_authors;
#[cfg(target_os = "linux")]
mod tools_memory;
mod tools_taped;

use std::sync::OnceLock;
use std::time::Duration;

use codeact::sandbox::{Execution, Outcome, Turn};

use crate::support::{block_on, limits, result, sandbox, shown};

/// All a fresh run can see that a former one could have changed.
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

/// What a fresh run shows in a sandbox where nothing hostile ever ran.
fn clean() -> &'static str {
    static CLEAN: OnceLock<String> = OnceLock::new();
    CLEAN.get_or_init(|| {
        let pristine = crate::support::sandbox_with(|_| ());
        let e = block_on(pristine.run(FINGERPRINT)).unwrap();
        result(&e).to_owned()
    })
}

/// Enough for whatever ends by itself, also on a busy machine.
const LONG: Duration = Duration::from_secs(60);
/// For what never ends.
const BRIEF: Duration = Duration::from_secs(1);

/// Runs `code` as a turn of a session and as a run of its own. The session goes on, with what it
/// had before, and later runs are clean. Returns what the session's turn did.
#[track_caller]
fn attack(code: &str) -> Execution {
    let (execution, after) = attempt(code, LONG);
    assert_eq!(after.outcome, Outcome::Completed, "{}", shown(&after));
    assert_eq!(after.stdout.text, "kept 41 k\n", "{}", shown(&after));
    execution
}

/// As [`attack`], for code that wrecks the Python of its own session without being stopped: the
/// next turn there has an outcome, whichever.
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
    // The slot of a run that came to rest is used again by whoever is next.
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

/// As [`attack`]; asserts that it completed and tells its stdout.
#[track_caller]
fn survives(code: &str) -> String {
    let e = attack(code);
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    e.stdout.text
}

/// As [`attack`]; asserts that it was stopped by its wall time and taken back.
#[track_caller]
fn is_stopped(code: &str) -> Execution {
    let (e, after) = attempt(code, BRIEF);
    let limit = BRIEF;
    assert_eq!(e.outcome, Outcome::TimedOut { limit }, "{}", shown(&e));
    assert_eq!(after.stdout.text, "kept 41 k\n", "{}", shown(&after));
    assert!(e.rolled_back);
    e
}

/// As [`attack`]; asserts that it trapped and was taken back.
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

/// Runs each of `codes` as an attack on itself and names all whose outcome is not accepted.
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
fn two_clean_runs_look_alike() {
    assert_eq!(fingerprint(), clean());
}
