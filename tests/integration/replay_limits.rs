//! Attacks: recordings and suspended turns from files that ask for more than the limits allow, and turns whose journal
//! grows without end.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use codeact::sandbox::{
    InputHandler, InputResponse, NeededLimit, SandboxError, SuspendedTurn, Turn, TurnOptions,
};
use codeact::{LimitName, Sandbox};
use serde_json::{Value, json};

use crate::model_server::{Exchange, solve};
use crate::support::{Codeact, FinishedCommand, codeact, exec, limits, ready, result, sandbox};

struct Recorded(tempfile::TempDir);

impl Recorded {
    fn new() -> Self {
        ready();
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("recording")
    }

    fn path(&self) -> String {
        self.file().display().to_string()
    }

    fn record(&self, code: &str) -> Codeact {
        exec().args(["--record", &self.path()]).code(code)
    }

    /// Changes the first turn of the recording.
    fn edit(&self, change: impl FnOnce(&mut Value)) {
        let text = fs::read_to_string(self.file()).unwrap();
        let (header, turn) = text.split_once('\n').unwrap();
        let mut turn: Value = serde_json::from_str(turn.lines().next().unwrap()).unwrap();
        change(&mut turn["turn"]);
        fs::write(self.file(), format!("{header}\n{turn}\n")).unwrap();
    }

    fn replay(&self, args: &[&str]) -> FinishedCommand {
        let replay = codeact(["replay", &self.path()]);
        replay.args(args.iter().copied()).run()
    }
}

/// Makes a turn run `code` with limits that are as large as the file can state.
fn without_limits(turn: &mut Value, code: &str) {
    let limits = turn["spec"]["limits"].as_object_mut().unwrap();
    limits["wall"] = json!({ "secs": 1_000_000_000, "nanos": 0 });
    for (name, limit) in limits {
        if name != "wall" && name != "fuel" {
            *limit = json!(u64::MAX);
        }
    }
    turn["spec"]["code"] = json!(code);
    turn["end"]["fuel"] = json!(u64::MAX);
}

#[test]
fn a_recording_cannot_widen_the_limits_of_a_replay() {
    let recorded = Recorded::new();
    recorded.record("print(1)").run().success();
    recorded.edit(|turn| without_limits(turn, "bytearray(2**31)"));
    let done = recorded.replay(&["--max-memory", "128M"]).code(125);
    for part in [
        "turn 1 needs larger limits: its limit of memory is 18446744073709551615 bytes, and 128 MiB are allowed",
        "bytes in files",
        "open files is 18446744073709551615, and 1024 are allowed",
        "--max-files 18446744073709551615",
    ] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
    assert_eq!(done.stdout, "");
}

#[test]
fn an_endless_loop_in_a_recording_ends_with_the_wall_time_of_the_replay() {
    let recorded = Recorded::new();
    recorded.record("print(1)").run().success();
    recorded.edit(|turn| {
        turn["spec"]["code"] = json!("while True: pass");
        turn["spec"]["limits"]["wall"]["secs"] = json!(u64::MAX);
        turn["end"]["fuel"] = json!(u64::MAX);
    });
    for args in [&["--timeout", "1s"][..], &["--timeout", "1s", "--check"]] {
        (recorded.replay(args).code(124))
            .stderr_contains("turn 1 needs larger limits: it has not ended after 1s of wall time")
            .stderr_contains("a larger --timeout allows it");
    }
}

#[test]
fn a_recording_with_larger_limits_names_the_flag_that_allows_it() {
    let recorded = Recorded::new();
    (recorded.record("print(len(bytearray(450 * 2**20)) >> 20)"))
        .args(["--max-memory", "700M", "--max-files", "20000"])
        .run()
        .success();
    (recorded.replay(&["--check"]).code(125))
        .stderr_contains("its limit of memory is 700 MiB, and 512 MiB are allowed")
        .stderr_contains("its limit of files is 20000, and 10000 are allowed")
        .stderr_contains("--max-memory 700M --max-files 20000 allows it");
    let allowed = ["--max-memory", "1G", "--max-files", "20000"];
    recorded.replay(&allowed).success().stdout("450\n");
}

#[test]
fn recorded_limits_that_are_smaller_apply_in_a_replay() {
    let recorded = Recorded::new();
    let code = "
try: bytearray(100 * 2**20)
except MemoryError: print('no memory')
import os
try:
    for n in range(9): open(str(n), 'w')
except OSError as e: print(n, e.strerror)
print('x' * 99)";
    let small = ["--max-memory", "128M", "--max-files", "3"];
    let first = (recorded.record(code).args(small))
        .args(["--max-output", "60", "--timeout", "100s"])
        .run()
        .success();
    assert!(
        first.stdout.starts_with("no memory\n3 No space"),
        "{first:?}"
    );
    let again = recorded.replay(&["--max-memory", "1G"]).success();
    assert_eq!(first.stdout, again.stdout);
}

#[test]
fn the_fuel_of_a_replay_is_limited() {
    let recorded = Recorded::new();
    recorded.record("print(sum(range(10**5)))").run().success();
    (recorded.replay(&["--fuel", "1000"]).code(125))
        .stderr_contains("units of fuel, and 1000 are allowed")
        .stderr_contains("--fuel ");
    recorded.replay(&["--fuel", "100000000000"]).success();
    // A recording that states less than its code uses is not what was recorded.
    recorded.edit(|turn| turn["end"]["fuel"] = json!(1));
    (recorded.replay(&["--fuel", "1000"]).code(1)).stderr_contains("uses more fuel");
}

#[test]
fn a_run_of_an_agent_is_replayed_with_its_recorded_limits() {
    let recorded = Recorded::new();
    let path = recorded.path();
    let limits = [
        "--record",
        &path,
        "--max-memory",
        "200M",
        "--timeout",
        "77s",
    ];
    let code =
        "```python\ntry: bytearray(150 * 2**20)\nexcept MemoryError: final_answer('small')\n```";
    let first = solve("How much?", &limits, [Exchange::say(code)]).success();
    assert_eq!(first.stdout, "small\n");
    assert_eq!(recorded.replay(&[]).success().stdout, first.stdout);
    let small = recorded.replay(&["--max-memory", "128M"]).code(125);
    small.stderr_contains("its limit of memory is 200 MiB, and 128 MiB are allowed");
}

/// Returns a turn that was suspended with these limits of memory and wall time, from a file.
async fn suspended(memory: u64, wall: Duration) -> SuspendedTurn {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("suspended");
    let later = InputHandler::new(|_| async { InputResponse::Later });
    let limits = limits(|limits| (limits.memory, limits.wall) = (memory, wall));
    let turn = Turn::new("x = ask_user('?')\nwhile x == 'loop': pass\nx")
        .limits(limits)
        .input_handler(later);
    let execution = sandbox().session().unwrap().run(turn).await.unwrap();
    execution.suspended.unwrap().save(&file).unwrap();
    SuspendedTurn::load(&file).unwrap()
}

async fn resumed(
    sandbox: &Sandbox,
    suspended: &SuspendedTurn,
    answer: &str,
) -> Result<String, SandboxError> {
    let response = InputResponse::Answer(json!(answer));
    let options = TurnOptions::new();
    let (_, execution) = suspended.resume(sandbox, response, options).await?;
    Ok(match execution.result {
        Some(_) => result(&execution).to_owned(),
        None => execution.outcome.status().to_string(),
    })
}

#[tokio::test]
async fn a_suspended_turn_cannot_widen_the_limits_of_the_sandbox() {
    let larger = suspended(600 << 20, Duration::from_secs(300)).await;
    let refused = resumed(&sandbox(), &larger, "yes").await.unwrap_err();
    let SandboxError::NeedsMore { turn: 1, limits } = &refused else {
        panic!("{refused}");
    };
    let needed = |limit: &NeededLimit| (limit.name, limit.needed, limit.allowed);
    let memory = (LimitName::Memory, Some(600 << 20), 512 << 20);
    assert_eq!(limits.iter().map(needed).collect::<Vec<_>>(), [memory]);
    let equal = suspended(512 << 20, Duration::from_secs(10_000)).await;
    assert_eq!(resumed(&sandbox(), &equal, "yes").await.unwrap(), "'yes'");
    let short = crate::support::sandbox_with(|limits| limits.wall = Duration::from_secs(2));
    let stopped = resumed(&short, &equal, "loop").await.unwrap();
    assert_eq!(stopped, "timeout");
}

/// A loop that learns something from outside in each pass.
const CLOCK_LOOPS: [&str; 2] = [
    "import time\nwhile True: time.time()",
    "import time\nwhile True: time.time(); time.monotonic()",
];

#[test]
fn a_loop_of_clock_readings_takes_little_memory_and_ends_as_a_timeout() {
    let recorded = Recorded::new();
    for code in CLOCK_LOOPS {
        (recorded
            .record(code)
            .args(["--timeout", "2s"])
            .run()
            .code(124))
        .stderr_contains("Traceback")
        .stderr_lacks("recording");
        let bytes = fs::metadata(recorded.file()).unwrap().len();
        assert!(bytes < 8 << 20, "{bytes}");
        recorded.replay(&["--timeout", "300s"]).code(124);
        // Without a terminal the turn could be suspended, so it has a journal as well.
        (exec()
            .args(["--session", "clocks", "--timeout", "2s"])
            .code(code))
        .host_env("CODEACT_SESSIONS", recorded.0.path())
        .run()
        .code(124);
    }
}
