//! `--record` and `codeact replay`: the same output and memory, without the host's files, tools and clock.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::model_server::{Exchange, solve};
use crate::support::{Codeact, FinishedCommand, codeact, exec, ready};

/// A folder for recordings.
struct Recordings(tempfile::TempDir);

impl Recordings {
    fn new() -> Self {
        ready();
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn record(&self, code: &str) -> Codeact {
        let file = self.file("recording").display().to_string();
        exec().args(["--record", &file]).code(code)
    }

    /// Runs and records `recorded`, and replays it. Output and exit code must be equal.
    fn same(&self, recorded: Codeact) -> FinishedCommand {
        let first = recorded.run();
        let again = self.replay(&[]);
        assert_eq!(first.stdout, again.stdout);
        assert_eq!(first.stderr, again.stderr);
        assert_eq!(first.exit, again.exit);
        first
    }

    fn replay(&self, args: &[&str]) -> FinishedCommand {
        let file = self.file("recording").display().to_string();
        codeact(["replay", &file]).args(args.iter().copied()).run()
    }

    /// Changes the line `number`, from 1, of the recording.
    fn edit(&self, number: usize, change: impl FnOnce(&mut Value)) {
        let text = fs::read_to_string(self.file("recording")).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut line = serde_json::from_str(&lines[number - 1]).unwrap();
        change(&mut line);
        lines[number - 1] = line.to_string();
        fs::write(self.file("recording"), lines.join("\n") + "\n").unwrap();
    }
}

#[test]
fn time_and_randomness_are_replayed() {
    let recordings = Recordings::new();
    let code = "
import datetime, os, random, time, uuid
import numpy as np
print(datetime.datetime.now(), time.time_ns(), time.perf_counter(), time.monotonic())
print(random.random(), np.random.rand(3), os.urandom(8).hex(), uuid.uuid4(), hash('a'), id(object()))
open('f', 'w').write('x'); print(os.stat('f').st_mtime_ns)
time.sleep(0.01)
start = time.perf_counter()
while time.perf_counter() < start + 0.02: pass
print(time.perf_counter() - start)
print({str(i) for i in range(20)})";
    recordings.same(recordings.record(code)).success();
    recordings
        .replay(&["--check"])
        .success()
        .stdout_contains("1 turn, the same output, the same memory (sha256 ");
}

#[test]
fn a_replay_needs_no_input_and_no_mounted_files() {
    let recordings = Recordings::new();
    let data = recordings.file("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("a.csv"), "x,y\n1,2\n3,4\n").unwrap();
    fs::create_dir(data.join("sub")).unwrap();
    fs::write(data.join("sub/b.txt"), "bee").unwrap();
    let single = recordings.file("single.txt");
    fs::write(&single, "one file").unwrap();
    let code = "
import os, sys
import pandas as pd
print(input(), sys.stdin.read())
print(sorted(os.walk('/mnt/data')), os.stat('/mnt/data/a.csv').st_mtime)
print(pd.read_csv('/mnt/data/a.csv').sum().to_dict())
print(open('/mnt/data/sub/b.txt').read(), open('/mnt/single.txt').read())
try:
    open('/mnt/data/none')
except OSError as e:
    print(e)
with open('/mnt/data/a.csv', 'a') as f: f.write('5,6')
os.remove('/mnt/data/sub/b.txt')
print(open('/mnt/data/a.csv').read(), os.listdir('/mnt/data/sub'))";
    let mounts = [
        "--quiet",
        "--mount",
        &format!("{}:/mnt/data:overlay", data.display()),
        "--mount",
        &single.display().to_string(),
    ];
    let first = (recordings.record(code).args(mounts).stdin("line\nrest")).run();
    fs::remove_dir_all(&data).unwrap();
    fs::remove_file(&single).unwrap();
    let again = recordings.replay(&["--quiet"]).success();
    assert_eq!(first.success().stdout, again.stdout);
    again
        .stdout_contains("line rest")
        .stdout_contains("one file");
}

#[test]
fn the_outcome_is_replayed() {
    let recordings = Recordings::new();
    recordings.same(recordings.record("print(1)\n1/0")).code(1);
    recordings
        .same(recordings.record("import sys; sys.exit(7)"))
        .code(7);
    recordings
        .same(recordings.record("import os; os._exit(3)"))
        .code(3);
    recordings
        .same(recordings.record("import os; os.abort()"))
        .code(134);
    let fuel = recordings
        .record("while True: pass")
        .args(["--fuel", "100000000"]);
    recordings.same(fuel).code(124);
    let atexit = "import atexit; atexit.register(print, 'bye')";
    recordings
        .same(recordings.record(atexit))
        .success()
        .stdout("bye\n");
}

#[test]
fn a_timeout_is_replayed_at_the_same_instruction() {
    let recordings = Recordings::new();
    for code in [
        "def f(n):\n    t = 0\n    while True:\n        t += n\n        if t % 999 == 0: print(t)\nf(3)",
        "import time\nwhile True: time.sleep(0.001)",
        "import time; time.sleep(100)",
        "while True: open('x', 'w').write('a' * 100000)",
    ] {
        let done = recordings.same(recordings.record(code).args(["--timeout", "300ms"]));
        done.code(124).stderr_contains("Traceback");
    }
    // Waiting for input that never arrives.
    let mut command = recordings
        .record("print('on', flush=True); input()")
        .spawn();
    assert_eq!(command.line().trim_end(), "on");
    command.interrupt();
    let first = command.end().code(130);
    let again = recordings.replay(&[]).code(130);
    assert_eq!(again.stdout, "on\n");
    assert_eq!(first.stderr, again.stderr);
}

#[test]
fn the_first_divergence_is_reported() {
    let recordings = Recordings::new();
    let code = "import time; time.time(); time.time(); print('one\\ntwo')";
    let edited = |code: &str| {
        recordings.edit(2, |line| line["turn"]["spec"]["code"] = json!(code));
        recordings.replay(&["--check"]).code(1).stdout("")
    };
    recordings.record(code).run().success();
    edited("import time; time.time(); time.monotonic(); print('one\\ntwo')").stderr_contains(
        "turn 1 is not what was recorded: call 2 is a reading of the monotonic clock, and a reading of the wall clock was recorded",
    );
    edited("import time; time.time(); print('one\\ntwo')")
        .stderr_contains("recorded call 2, a reading of the wall clock, was not made");
    edited("import time; [time.time() for _ in range(3)]; print('one\\ntwo')")
        .stderr_contains("call 3 is a reading of the wall clock, and was not recorded");
    edited("import time; time.time(); time.time(); print('one\\n2')")
        .stderr_contains("its stdout differs from line 2 on");
    edited("import time; time.time(); time.time(); print('one\\ntwo'); x = 1")
        .stderr_contains("its memory differs");
    edited("import time; time.time(); time.time(); print('one\\ntwo'); 1/0")
        .stderr_contains("it ended with ZeroDivisionError, and the recorded turn without an error");
    edited("import time; time.time(); time.time(); print('one\\ntwo')\nwhile True: pass")
        .stderr_contains("it uses more fuel than the recorded turn");
}

#[test]
fn an_invalid_recording_is_an_error() {
    let recordings = Recordings::new();
    let refused = |bytes: &[u8], why: &str| {
        fs::write(recordings.file("recording"), bytes).unwrap();
        recordings.replay(&[]).code(125).stderr_contains(why);
    };
    refused(b"", "it is empty");
    refused(b"hello\n", "it is not a recording of codeact");
    refused(b"{\"codeact_recording\":99}\n", "it has version 99");
    refused(
        b"{\"codeact_recording\":3}\n",
        "line 1 is damaged: missing field",
    );
    recordings.record("print(1)").run().success();
    let whole = fs::read(recordings.file("recording")).unwrap();
    refused(&whole[..whole.len() - 50], "it ends within its first turn");
    // A complete line without its line break counts.
    fs::write(recordings.file("recording"), &whole[..whole.len() - 1]).unwrap();
    recordings
        .replay(&["--check"])
        .success()
        .stdout_contains("1 turn");
    // An incomplete line after it, as of a killed process, is ignored.
    let killed = [&whole[..], b"{\"turn\":{\"number\":"].concat();
    fs::write(recordings.file("recording"), killed).unwrap();
    recordings
        .replay(&["--check"])
        .success()
        .stdout_contains("1 turn");
    fs::write(recordings.file("recording"), &whole).unwrap();
    recordings.edit(2, |line| line["turn"]["journal"] = json!("AAAA"));
    recordings
        .replay(&[])
        .code(125)
        .stderr_contains("line 2 is damaged");
    fs::write(recordings.file("recording"), &whole).unwrap();
    recordings.edit(1, |line| line["start"] = json!("AAAA"));
    recordings.replay(&[]).code(125).stderr_contains("snapshot");
    codeact(["replay", "/nowhere/at/all"])
        .run()
        .code(125)
        .stderr_contains("cannot open /nowhere/at/all");
    codeact(["replay"]).run().code(2);
}

#[cfg(unix)]
#[test]
fn a_recording_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let recordings = Recordings::new();
    recordings.record("print(1)").run().success();
    let mode = fs::metadata(recordings.file("recording"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn a_recording_that_cannot_be_written_is_an_error() {
    ready();
    exec()
        .args(["--record", "/nowhere/at/all"])
        .code("print(1)")
        .run()
        .code(125)
        .stdout("")
        .stderr_contains("cannot write /nowhere/at/all");
    if Path::new("/dev/full").exists() {
        exec()
            .args(["--record", "/dev/full"])
            .code("print(1)")
            .run()
            .code(125)
            .stderr_contains("cannot use the recording /dev/full");
    }
}

#[test]
fn until_continues_interactively() {
    let recordings = Recordings::new();
    let home = recordings.file("sessions");
    let session = |c: Codeact| (c.args(["--session", "work"])).host_env("CODEACT_SESSIONS", &home);
    session(exec().code("import time; x = time.time_ns()"))
        .run()
        .success();
    // The recording starts within a session. Its file contains the state.
    let first = session(recordings.record("print(x); x += 1"))
        .run()
        .success();
    fs::remove_dir_all(&home).unwrap();
    let file = recordings.file("recording").display().to_string();
    let typed = |until: &str| {
        let replay = codeact(["replay", "--until", until, &file]);
        replay
            .stdin("print(x)\n1 / 0\nx = 'free'\nx\n")
            .run()
            .code(1)
    };
    let x: i64 = first.stdout.trim().parse().unwrap();
    typed("0").stdout(&format!("{x}\n'free'\n"));
    typed("1").stdout(&format!("{}\n'free'\n", x + 1));
    codeact(["replay", "--until", "2", &file])
        .run()
        .code(125)
        .stderr_contains("the recording has 1 turn,");
}

#[test]
fn replaying_an_agents_run_needs_no_model() {
    let recordings = Recordings::new();
    let file = recordings.file("recording").display().to_string();
    let first = solve(
        "How late is it?",
        &["--record", &file],
        [
            Exchange::say("```python\nimport time\nt = time.time()\nprint(t)\n```"),
            Exchange::say("```python\n1 / 0\n```"),
            Exchange::say("```python\nfinal_answer(t)\n```"),
        ],
    )
    .success();
    let again = recordings.replay(&[]).success();
    assert_eq!(first.stdout, again.stdout);
    // Without the line that names the model.
    let steps = first.stderr.split_once('\n').unwrap().1;
    assert_eq!(steps, again.stderr);
    recordings
        .replay(&["--check"])
        .success()
        .stdout_contains("3 turns, the same output, the same memory");
    recordings.edit(3, |line| {
        line["turn"]["end"]["stdout"]["text"] = json!("0\n")
    });
    recordings
        .replay(&[])
        .code(1)
        .stderr_contains("turn 1 is not what was recorded: its stdout differs");
}

#[test]
fn endings_of_agents_are_recorded() {
    let recordings = Recordings::new();
    let file = recordings.file("recording").display().to_string();
    let same = |first: FinishedCommand| {
        let again = recordings.replay(&[]);
        assert_eq!(first.stdout, again.stdout);
        assert_eq!(first.exit, again.exit);
        let last =
            |done: &FinishedCommand| done.stderr.lines().last().unwrap_or_default().to_owned();
        assert_eq!(last(&first), last(&again));
    };
    let code = || Exchange::say("```python\nprint(1)\n```");
    same(
        solve(
            "t",
            &["--record", &file, "--max-steps", "2"],
            [code(), code()],
        )
        .code(1),
    );
    same(solve("t", &["--record", &file, "--once"], [code()]).success());
    let raises = Exchange::say("```python\n1/0\n```");
    same(solve("t", &["--record", &file, "--once"], [raises]).code(1));
}

#[test]
fn the_recordings_in_the_repository_replay() {
    ready();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cassettes");
    let mut files: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|path| path.ends_with(".recording"))
        .collect();
    files.sort();
    assert!(files.len() >= 3, "{files:?}");
    let count = files.len();
    let mut args = vec!["replay", "--check"];
    args.extend(files.iter().map(String::as_str));
    let done = codeact(args).run().success();
    let same = done
        .stdout
        .lines()
        .filter(|line| line.contains("the same output"));
    assert_eq!(same.count(), count, "{}", done.stdout);
}

#[test]
fn packages_of_a_recording_are_taken_from_the_cache() {
    let recordings = Recordings::new();
    let code = "import rich.table; print(rich.table.Table().__class__.__name__)";
    let done = recordings.same(
        recordings
            .record(code)
            .args(["--quiet", "--with", "rich==14.0.0"]),
    );
    assert_eq!(done.stdout, "Table\n");
}
