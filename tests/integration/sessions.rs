//! Named sessions: `--session` and `codeact session`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::model_server::{Exchange, ModelServer, run};
use crate::support::{Codeact, codeact, exec, ready};

/// A folder of sessions. Packs are shared with other tests.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        ready();
        Self(tempfile::tempdir().unwrap())
    }

    fn sessions(&self) -> &Path {
        self.0.path()
    }

    fn exec(&self, name: &str, code: &str) -> Codeact {
        let exec = exec().args(["--session", name]).code(code);
        exec.host_env("CODEACT_SESSIONS", self.sessions())
    }

    fn session<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Codeact {
        let command = codeact(["session"]).args(args);
        command.host_env("CODEACT_SESSIONS", self.sessions())
    }
}

#[test]
fn variables_and_files_last_from_process_to_process() {
    let home = Home::new();
    home.exec(
        "work",
        "import pandas as pd; df = pd.DataFrame({'a': [1, 2]}); open('f.txt', 'w').write('one')",
    )
    .run()
    .success();
    home.exec("work", "df['b'] = df.a * 2; it = iter([7, 8]); next(it)")
        .run()
        .success();
    home.exec(
        "work",
        "print(df.b.tolist(), next(it), open('f.txt').read())",
    )
    .run()
    .success()
    .stdout("[2, 4] 8 one\n");
    home.session(["list"])
        .run()
        .success()
        .stdout_contains("work")
        .stdout_contains("3 turns");
    let shown = home.session(["show", "work"]).run().success();
    for part in [
        "turn 1 (ok",
        "added f.txt (3 bytes)",
        "  = 7",
        "df: DataFrame  2 x 2",
    ] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }
    let log = home.session(["log", "work"]).run().success();
    assert_eq!(log.stdout.lines().count(), 3, "{}", log.stdout);
}

#[test]
fn undo_and_fork_restore_variables_and_files() {
    let home = Home::new();
    for n in 1..=4 {
        home.exec("s", &format!("x = {n}; open('n', 'w').write(str(x))"))
            .run()
            .success();
    }
    home.session(["undo", "s"]).run().success();
    home.exec("s", "print(x, open('n').read())")
        .run()
        .success()
        .stdout("3 3\n");
    home.session(["fork", "s@2", "t"]).run().success();
    home.exec("t", "print(x, open('n').read()); x = 'other'")
        .run()
        .success()
        .stdout("2 2\n");
    home.exec("s", "print(x)").run().success().stdout("3\n");
    home.session(["undo", "s", "9"])
        .run()
        .code(125)
        .stderr_contains("has only 5 turns");
    home.session(["fork", "s@99", "u"])
        .run()
        .code(125)
        .stderr_contains("turn 99");
    home.session(["fork", "s", "t"])
        .run()
        .code(125)
        .stderr_contains("already");
    home.session(["rm", "t"]).run().success();
    home.session(["show", "t"])
        .run()
        .code(125)
        .stderr_contains("no session t");
}

#[test]
fn a_stopped_turn_is_recorded_and_rolled_back() {
    let home = Home::new();
    home.exec("s", "x = 1").run().success();
    let stopped = home.exec("s", "x = 2\nwhile True: pass");
    stopped.args(["--timeout", "300ms"]).run().code(124);
    home.exec("s", "print(x)").run().success().stdout("1\n");
    home.session(["show", "s"])
        .run()
        .success()
        .stdout_contains("rolled back");
    home.exec("s", "x = 3; 1/0")
        .arg("--transactional")
        .run()
        .code(1);
    home.exec("s", "print(x)").run().success().stdout("1\n");
    home.exec("s", "x = 4; 1/0").run().code(1);
    home.exec("s", "print(x)").run().success().stdout("4\n");
}

#[test]
fn a_session_is_exported_and_imported_as_one_file() {
    let (home, other) = (Home::new(), Home::new());
    home.exec("s", "import numpy as np; a = np.arange(400_000)")
        .run()
        .success();
    home.exec("s", "a[0] = 5").run().success();
    let file = home.sessions().join("moved.zip");
    let path = file.to_str().unwrap();
    home.session(["export", "s", "-o", path]).run().success();
    other.session(["import", path, "there"]).run().success();
    other
        .exec("there", "print(int(a[0]), len(a))")
        .run()
        .success()
        .stdout("5 400000\n");
    other.session(["undo", "there", "2"]).run().success();
    other
        .exec("there", "print(int(a[0]))")
        .run()
        .success()
        .stdout("0\n");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&file, &bytes).unwrap();
    other
        .session(["import", path, "half"])
        .run()
        .code(125)
        .stderr_contains("damaged");
    other.session(["list"]).run().success().stdout_lacks("half");
}

#[test]
fn two_processes_cannot_use_one_session() {
    let home = Home::new();
    let mut first = home
        .exec("s", "print('begun', flush=True); input()")
        .spawn();
    assert_eq!(first.line(), "begun\n");
    home.exec("s", "pass")
        .run()
        .code(125)
        .stderr_contains("in use by another process");
    home.session(["undo", "s"])
        .run()
        .code(125)
        .stderr_contains("in use");
    first.write("\n");
    first.end().code(0);
    home.exec("s", "pass").run().success();
}

#[test]
fn a_damaged_snapshot_is_an_error_and_undo_goes_back_past_it() {
    let home = Home::new();
    home.exec("s", "x = 1").run().success();
    home.exec("s", "x = 2").run().success();
    let path = home.sessions().join("s/000002.snapshot");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    home.exec("s", "pass")
        .run()
        .code(125)
        .stderr_contains("checksum");
    home.session(["undo", "s"]).run().success();
    home.exec("s", "print(x)").run().success().stdout("1\n");
}

#[test]
fn a_turns_snapshot_has_its_changes_only_and_each_turn_can_be_restored() {
    let home = Home::new();
    let sizes = || {
        let entries = std::fs::read_dir(home.sessions().join("s")).unwrap();
        let mut sizes: Vec<_> = entries
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "snapshot"))
            .map(|entry| (entry.file_name(), entry.metadata().unwrap().len()))
            .collect();
        sizes.sort();
        sizes
    };
    let begin = "import os, numpy as np; n = 0; a = np.frombuffer(os.urandom(8 << 20), 'u1').copy(); \
                 a[:9999] = 0; open('f', 'wb').write(os.urandom(4 << 20))";
    home.exec("s", begin).run().success();
    for _ in 0..11 {
        let turn = "n += 1; a[n] = 7; f = open('f', 'r+b'); _ = f.seek(n * 99999); _ = \
                    f.write(b'codeact'); f.close()";
        home.exec("s", turn).run().success();
    }
    let sizes = sizes();
    let whole: Vec<_> = sizes.iter().filter(|(_, size)| *size > 12 << 20).collect();
    assert_eq!(whole.len(), 2, "{sizes:?}");
    assert!(
        sizes
            .iter()
            .all(|(_, size)| *size > 12 << 20 || *size < 3 << 20)
    );
    let look = "n, int((a[:9999] == 7).sum()), open('f', 'rb').read().count(b'codeact')";
    let look = format!("print({look})");
    for turn in [12, 10, 9, 4, 2] {
        let n = turn - 1;
        home.session(["fork", &format!("s@{turn}"), &format!("t{turn}")])
            .run()
            .success();
        home.exec(&format!("t{turn}"), &look)
            .run()
            .success()
            .stdout(&format!("{n} {n} {n}\n"));
    }
    // A damaged snapshot makes those based on it unusable, and no others.
    let path = home.sessions().join("t4/000003.snapshot");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    home.exec("t4", &look)
        .run()
        .code(125)
        .stderr_contains("checksum");
    home.exec("t12", &look).run().success().stdout("11 11 11\n");
    home.session(["undo", "t4", "3"]).run().success();
    home.exec("t4", &look).run().success().stdout("1 1 1\n");
    // The snapshots that the newest one is based on stay; the others are removed.
    home.session(["gc", "--keep", "1"]).run().success();
    home.exec("s", &look).run().success().stdout("11 11 11\n");
    home.session(["fork", "s@3", "gone"])
        .run()
        .code(125)
        .stderr_contains("no state after turn 3");
}

#[test]
fn manipulated_records_cannot_form_cycles() {
    let home = Home::new();
    home.exec("s", "x = 1").run().success();
    home.exec("s", "x = 2").run().success();
    let path = home.sessions().join("s/000002.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for over in ["2", "7", "4294967295"] {
        let bad = text.replace("\"over\":1", &format!("\"over\":{over}"));
        assert_ne!(bad, text);
        std::fs::write(&path, bad).unwrap();
        home.exec("s", "1")
            .run()
            .code(125)
            .stderr_contains("has an invalid base");
    }
}

#[test]
fn invalid_names_are_errors() {
    let home = Home::new();
    for name in ["../x", ".hidden", "a/b", "", "a b", "x."] {
        home.exec(name, "pass")
            .run()
            .code(125)
            .stderr_contains("invalid session name");
    }
}

#[test]
fn a_killed_process_loses_no_finished_turn() {
    let home = Home::new();
    home.exec("s", "n = 0").run().success();
    let mut done = 0;
    for round in 0..25_u64 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_codeact"))
            .args(["exec", "--quiet", "--session", "s", "-c", "n += 1"])
            .env("CODEACT_SESSIONS", home.sessions())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        // Spread over the duration of such a run. The assertions hold at any moment.
        std::thread::sleep(Duration::from_millis(round * 7 % 120));
        child.kill().unwrap();
        let finished = child.wait().unwrap().success();
        let printed = home.exec("s", "print(n)").run().success();
        let n: u64 = printed.stdout.trim().parse().unwrap();
        // A turn may be committed although its process was killed before it could report success.
        let least = done + u64::from(finished);
        assert!(
            (least..=done + 1).contains(&n),
            "round {round}: {n}, had {done}"
        );
        done = n;
    }
}

#[test]
fn mounts_are_not_part_of_a_session_and_are_granted_for_each_run() {
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "host").unwrap();
    let mount = |mode: &str| format!("{}:/m:{mode}", dir.path().display());
    let code = "open('/m/f', 'a').write(' and me'); text = open('/m/f').read()";
    let overlay = mount("overlay");
    home.exec("s", code)
        .args(["--mount", &overlay])
        .run()
        .success();
    let look = "import os; print(text, os.path.exists('/m'))";
    home.exec("s", look)
        .run()
        .success()
        .stdout("host and me False\n");
    home.exec("s", "print(open('/m/f').read())")
        .args(["--mount", &mount("ro")])
        .run()
        .success()
        .stdout("host\n");
    let commit = mount("commit");
    home.exec("s", "open('/m/f', 'w').write(text)")
        .args(["--mount", &commit, "--yes"])
        .run()
        .success();
    assert_eq!(
        std::fs::read_to_string(dir.path().join("f")).unwrap(),
        "host and me"
    );
}

#[test]
fn a_models_steps_are_turns_of_the_session() {
    let home = Home::new();
    home.exec("s", "price = 7").run().success();
    let reply = "I use the price.\n```python\ntotal = price * 6\nfinal_answer(total)\n```";
    let server = ModelServer::start([Exchange::say(reply)]);
    run(&server, "what do six cost?")
        .args(["--session", "s"])
        .host_env("CODEACT_SESSIONS", home.sessions())
        .run()
        .success()
        .stdout("42\n");
}
