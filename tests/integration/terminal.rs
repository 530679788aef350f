//! Untrusted text does not control the terminal; in a pipe it is unchanged.

use std::path::Path;
use std::process::Command;

use crate::support::{codeact, exec, ready};
use crate::tools_command::script;

/// Sequences that control a terminal, and harmless ones at the end.
const HOSTILE: &str = r"\x1b]52;c;cHduZWQ=\x07\x1b]0;title\x07\x1b]8;;http://e.example\x1b\\\x1b[2J\x1b[3A\x1b[6n\x9b2J\u202e";

/// Runs `codeact` on a terminal and returns everything that the terminal gets.
fn on_terminal(typed: &str, args: &[&str], env: &[(&str, &Path)]) -> String {
    ready();
    let python = crate::support::native_python().unwrap();
    let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/terminal.py");
    let output = Command::new(python)
        .args([driver, typed, env!("CARGO_BIN_EXE_codeact")])
        .args(args)
        .env("TERM", "xterm")
        .env("CODEACT_HISTORY", "")
        .envs(env.iter().copied())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Checks that `seen` has the hostile text, with nothing of it in effect.
#[track_caller]
fn assert_escaped(seen: &str) {
    assert!(seen.contains(r"\u{1b}]52;c;cHduZWQ=\u{7}"), "{seen:?}");
    for sequence in [
        "\x1b]", "\x1b\\", "\x1b[2J", "\x1b[3A", "\x1b[6n", "\u{9b}", "\u{202e}", "\x07",
    ] {
        assert!(!seen.contains(sequence), "{sequence:?} in {seen:?}");
    }
}

#[test]
fn the_codes_output_does_not_control_a_terminal_and_keeps_colours() {
    let code = format!(
        "import sys\nprint('{HOSTILE}')\nprint('{HOSTILE}', file=sys.stderr)\n\
         print('\\x1b[1;32mgreen\\x1b[0m 1 %\\r2 %\\x08\\ttab \\x1b[31mred')"
    );
    let seen = on_terminal("", &["exec", "-c", &code], &[]);
    assert_escaped(&seen);
    assert_eq!(seen.matches(r"\u{1b}[2J").count(), 2, "{seen:?}");
    assert!(
        seen.contains("\x1b[1;32mgreen\x1b[0m 1 %\r2 %\x08\ttab \x1b[31mred\r\n\x1b[0m"),
        "{seen:?}"
    );
}

#[test]
fn a_sequence_in_several_writes_is_escaped_as_one() {
    let code = "import sys\nfor c in '\\x1b]0;title\\x07\\x1b[2J\\x1b[1mb\\x1b[0m':\n sys.stdout.write(c)\n sys.stdout.flush()";
    let seen = on_terminal("", &["exec", "-c", code], &[]);
    assert!(
        seen.contains("\\u{1b}]0;title\\u{7}\\u{1b}[2J\x1b[1mb\x1b[0m"),
        "{seen:?}"
    );
}

#[test]
fn raw_passes_everything_on_and_is_refused_where_the_user_is_asked() {
    let code = "print('\\x1b]0;title\\x07')";
    let seen = on_terminal("", &["exec", "--raw", "-c", code], &[]);
    assert!(seen.contains("\x1b]0;title\x07"), "{seen:?}");
    let seen = on_terminal("", &["exec", "--raw", "--approve", "ask", "-c", code], &[]);
    assert!(
        seen.contains("--raw lets the code control the terminal"),
        "{seen:?}"
    );
    assert!(!seen.contains('\x07'), "{seen:?}");
}

#[test]
fn a_pipe_gets_the_output_unchanged() {
    let all = "\x1b]0;title\x07\x1b[2J\u{9b}\u{202e}\x0c\r\n";
    exec()
        .code(
            &format!("print({all:?}, end='')")
                .replace("\\u{202e}", "\\u202e")
                .replace("\\u{9b}", "\\x9b")
                .replace("\\u{1b}", "\\x1b")
                .replace("\\u{7}", "\\x07")
                .replace("\\u{c}", "\\x0c"),
        )
        .run()
        .success()
        .stdout(all);
}

#[test]
fn a_recording_and_the_prompt_do_not_control_a_terminal() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("recording");
    let code = format!("print('{HOSTILE}')");
    exec()
        .arg("--record")
        .arg(&file)
        .code(&code)
        .run()
        .success();
    let file = file.to_str().unwrap();
    assert_escaped(&on_terminal("", &["replay", file], &[]));
    // Output, value and exception.
    let typed = format!("{code}\n'{HOSTILE}'\nraise ValueError('{HOSTILE}')\n:quit");
    let seen = on_terminal(&typed, &["repl"], &[]);
    // The editor itself moves the cursor.
    assert!(seen.contains(r"\u{1b}]52;c;cHduZWQ=\u{7}"), "{seen:?}");
    assert!(
        !seen.contains("\x1b]") && !seen.contains('\u{9b}') && !seen.contains("\x1b[2J"),
        "{seen:?}"
    );
}

#[test]
fn json_on_a_terminal_has_the_same_value_without_control_characters() {
    let code = format!("print('{HOSTILE}'); '\\x9b\\x7f\\u202e'");
    let seen = on_terminal("", &["exec", "--json", "-c", &code], &[]);
    assert!(!seen.trim_end().contains(char::is_control), "{seen:?}");
    let value: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert!(
        value["stdout"]
            .as_str()
            .unwrap()
            .contains("\u{9b}2J\u{202e}"),
        "{value}"
    );
}

#[test]
fn the_record_of_a_session_does_not_control_a_terminal() {
    let home = tempfile::tempdir().unwrap();
    let sessions = home.path().join("sessions");
    let code = format!(
        "x = '{HOSTILE}'\nprint(x)\nopen('\\x1b]0;t\\x07.txt', 'w').close()\nraise ValueError(x)"
    );
    exec()
        .args(["--session", "s"])
        .host_env("CODEACT_SESSIONS", &sessions)
        .code(&code)
        .run()
        .code(1);
    let env = [("CODEACT_SESSIONS", &*sessions)];
    assert_escaped(&on_terminal("", &["session", "show", "s"], &env));
    for args in [
        &["session", "log", "s"][..],
        &["session", "show", "s", "--json"],
    ] {
        let seen = on_terminal("", args, &env);
        assert!(
            !seen.contains('\x1b') && !seen.contains('\u{9b}') && !seen.contains('\u{202e}'),
            "{seen:?}"
        );
    }
}

#[test]
fn the_stderr_of_a_tools_program_is_bounded_and_does_not_control_a_terminal() {
    let home = tempfile::tempdir().unwrap();
    let loud = "if [ \"$1\" = --describe ]; then echo '{}'; exit; fi\n\
                printf '\\033]52;c;cHduZWQ=\\007\\n' >&2\nhead -c 100000 /dev/zero | tr '\\0' x >&2\necho 7";
    let loud = format!("loud={}", script(home.path(), "loud", loud));
    let args = ["exec", "--tool", &loud, "-c", "print(tools.loud())"];
    let seen = on_terminal("", &args, &[]);
    assert!(seen.contains(r"\u{1b}]52;c;cHduZWQ=\u{7}"), "{seen:?}");
    assert!(!seen.contains('\x07'));
    assert!(seen.contains("codeact: the stderr of loud was cut: 65536 bytes shown"));
    let ended = codeact(args).run().success();
    ended
        .stdout("7\n")
        .stderr_contains("\x1b]52;c;cHduZWQ=\x07");
}

#[test]
fn quiet_tells_that_output_was_cut() {
    let code = "import sys; print('x' * 99); print('y' * 99, file=sys.stderr)";
    exec()
        .args(["-q", "--max-output", "10"])
        .code(code)
        .run()
        .success()
        .stdout("xxxxxxxxxx")
        .stderr("yyyyyyyyyycodeact: stdout was cut: 10 bytes kept, 90 dropped; --max-output raises the limit\n\
                 codeact: stderr was cut: 10 bytes kept, 90 dropped; --max-output raises the limit\n");
}
