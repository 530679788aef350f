//! `codeact repl`, with a pipe and on a terminal.

use crate::support::{Codeact, FinishedCommand, codeact, exec, ready};

fn repl() -> Codeact {
    ready();
    codeact(["repl"])
}

fn typed(text: &str) -> FinishedCommand {
    repl().stdin(text).run()
}

#[test]
fn values_are_shown_and_the_last_is_underscore() {
    typed("x = 20\nx + 1\n_ * 2\nNone\n'a'\n")
        .success()
        .stdout("21\n42\n'a'\n")
        .stderr("");
}

#[test]
fn a_blank_line_or_another_statement_ends_a_block() {
    let block =
        "def f(x):\n    if x:\n        return 'yes'\n    else:\n        return 'no'\n\nf(1)\n";
    typed(block).success().stdout("'yes'\n");
    let no_blank = "try:\n    1/0\nexcept ZeroDivisionError:\n    print('caught')\nfinally:\n    \
                    print('end')\nfor i in range(2):\n    # a comment\n    print(i)\nprint('done')";
    typed(no_blank)
        .success()
        .stdout("caught\nend\n0\n1\ndone\n");
}

#[test]
fn open_brackets_strings_and_decorators_continue_on_the_next_line() {
    let text = "x = (1,\n\n2)\nx\ny = '''a\n\nb'''\ny\nimport functools\n@functools.cache\ndef f():\n    \
                return 7\n\nf()\nz = 1 + \\\n2\nz\n";
    typed(text).success().stdout("(1, 2)\n'a\\n\\nb'\n7\n3\n");
}

#[test]
fn an_error_does_not_end_the_repl_and_is_the_exit_code() {
    let done = typed("x = 1\n1/0\nx = = 2\nx\n").code(1);
    done.stdout("1\n")
        .stderr_contains("File \"<turn 2>\", line 1, in <module>")
        .stderr_contains("ZeroDivisionError: division by zero")
        .stderr_contains("SyntaxError: invalid syntax");
    typed("for i in range(2):\n")
        .code(1)
        .stderr_contains("IndentationError");
}

#[test]
fn exit_ends_the_repl_with_its_code() {
    typed("print('a')\nimport sys; sys.exit(7)\nprint('b')\n")
        .code(7)
        .stdout("a\n");
    typed("1/0\n:quit\nprint('b')\n").code(1).stdout("");
}

#[test]
fn a_timeout_rolls_back_its_block_only() {
    let text = "x = 1\nwhile True:\n    x += 1\n\nx\n";
    let done = repl().args(["--timeout", "1s"]).stdin(text).run().code(124);
    done.stdout("1\n")
        .stderr_contains("File \"<turn 2>\", line")
        .stderr_contains("stopped: the wall time of 1 s is used up");
}

#[test]
fn undo_and_fork_over_a_data_frame() {
    let text = "\
import pandas as pd
df = pd.DataFrame({'a': [1, 2]})
:fork what-if
df['a'] *= 10
df.a.tolist()
:switch main
df.a.tolist()
df.drop(columns='a', inplace=True)
list(df)
:undo 2
df.a.tolist()
:branches
:undo 100
";
    typed(text)
        .code(125)
        .stdout("[10, 20]\n[1, 2]\n[]\n[1, 2]\n* main  4 turns\n  what-if  4 turns\n")
        .stderr_contains("in what-if now; :switch main goes back")
        .stderr_contains("the number of turns to undo is 4");
}

#[test]
fn undo_restores_files_imports_and_generators() {
    let text = "\
g = iter('abc')
_ = open('f.txt', 'w').write('one')
h = open('f.txt')
h.read(1), next(g)
import colorsys
_ = open('f.txt', 'w').write('two')
:undo 3
h.read(), next(g)
import sys; 'colorsys' in sys.modules
:files
";
    typed(text)
        .success()
        .stdout("('o', 'a')\n('one', 'a')\nFalse\n           3  f.txt\n");
}

#[test]
fn a_state_is_saved_and_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state");
    let name = file.display();
    typed(&format!("x = [1]\n:save {name}\n")).success();
    typed(&format!("x = 5\n:load {name}\nx\n:undo 2\nx\n"))
        .success()
        .stdout("[1]\n5\n");
    typed(":load /nowhere/at/all\n1\n")
        .code(125)
        .stdout("1\n")
        .stderr_contains("cannot open /nowhere/at/all");
}

#[test]
fn variables_and_time_are_shown() {
    typed("x = 5\nimport os\n:vars\n")
        .success()
        .stdout("x: int  5\n");
    typed(":time 6 * 7\n")
        .success()
        .stdout_contains("42\n")
        .stdout_contains(" ms, ")
        .stdout_contains(" fuel, ");
}

#[test]
fn pictures_and_files_are_saved() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let text = "import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])\nplt.show()\n_ = open('a.txt', \
                'w').write('hi')\n";
    let by_command = format!("{text}:out {}\n", out.display());
    let names = |out: &std::path::Path| {
        let entries = std::fs::read_dir(out).unwrap();
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    typed(&by_command)
        .success()
        .stderr_contains("was shown; :out DIR saves it");
    assert_eq!(names(&out), ["a.txt", "turn-2-figure-1.png"]);
    let end = dir.path().join("end");
    let end_arg = end.display().to_string();
    repl().args(["--out", &end_arg]).stdin(text).run().success();
    assert_eq!(names(&end), ["a.txt", "turn-2-figure-1.png"]);
}

#[test]
fn a_named_session_is_saved_after_each_block() {
    let home = tempfile::tempdir().unwrap();
    let within = |c: Codeact| c.host_env("CODEACT_SESSIONS", home.path());
    let mut command = within(repl().args(["--session", "work"])).spawn();
    command.write("x = 41\nprint('there')\n");
    assert_eq!(command.line().trim_end(), "there");
    command.write("x += 1\nx\n");
    assert_eq!(command.line().trim_end(), "42");
    within(exec().args(["--session", "work"]).code("1"))
        .run()
        .code(125)
        .stderr_contains("in use");
    command.write(":undo 2\nx\n:fork other\nx = 0\n:switch work\nx\n");
    assert_eq!(command.line().trim_end(), "41");
    assert_eq!(command.line().trim_end(), "41");
    command.end_input();
    command.end().success();
    within(exec().args(["--session", "other"]).code("print(x)"))
        .run()
        .success()
        .stdout("0\n");
    within(codeact(["session", "log", "work"]))
        .run()
        .success()
        .stdout_contains("print('there')")
        .stdout_lacks("x += 1");
}

#[test]
fn changes_in_mounts_are_written_back_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.txt"), "one").unwrap();
    let mount = format!("{}:/mnt/d:commit", dir.path().display());
    let text =
        "_ = open('/mnt/d/a.txt', 'w').write('two')\n_ = open('/mnt/d/b', 'w').write('b')\n:undo\n";
    let args = ["--mount", &mount, "--yes"];
    repl().args(args).stdin(text).run().success();
    assert_eq!(
        std::fs::read_to_string(dir.path().join("a.txt")).unwrap(),
        "two"
    );
    assert!(!dir.path().join("b").exists());
}

#[test]
fn input_reads_nothing_from_the_pipe_that_holds_the_code() {
    typed("input()\nprint('next')\n")
        .code(1)
        .stdout("next\n")
        .stderr_contains("EOFError");
}

#[test]
fn a_usage_error_is_exit_code_2() {
    repl().args(["--session", "a", "--seed", "1"]).run().code(2);
    repl().args(["x.py"]).run().code(2);
}

#[cfg(unix)]
#[test]
fn on_a_terminal_the_repl_edits_completes_and_stops() {
    ready();
    let Some(python) = crate::support::native_python() else {
        panic!("expected a CPython 3.12 or later on this machine");
    };
    let home = tempfile::tempdir().unwrap();
    let history = home.path().join("history");
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/integration/repl_terminal.py"
    );
    let output = std::process::Command::new(python)
        .args([script, env!("CARGO_BIN_EXE_codeact")])
        .env("CODEACT_HISTORY", &history)
        .env("TERM", "xterm")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let saved = std::fs::read_to_string(&history).unwrap();
    assert!(saved.contains("alpha_beta = 5"), "{saved}");
    use std::os::unix::fs::PermissionsExt;
    let mode = history.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
