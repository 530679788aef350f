//! Output while the code runs, and cancellation by Ctrl-C.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::support::{exec, ready};

#[test]
fn output_arrives_while_the_code_waits_for_its_input() {
    let mut child = exec()
        .code("print('question'); print('got', input()); print('more', input())")
        .spawn();
    assert_eq!(child.line(), "question\n");
    child.write("one\n");
    assert_eq!(child.line(), "got one\n");
    child.write("two\n");
    assert_eq!(child.line(), "more two\n");
    child.end().success();
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_busy_loop_with_130_and_preserves_the_output() {
    let mut child = exec()
        .code("print('begun', flush=True)\nprint('part', end='')\nwhile True: pass")
        .args(["--timeout", "100s"])
        .spawn();
    assert_eq!(child.line(), "begun\n");
    child.interrupt();
    child
        .end()
        .code(130)
        .stdout_contains("begun\n")
        .stderr_contains("codeact: stopped");
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_sleep_and_a_read() {
    for code in [
        "print('begun', flush=True)\nimport time; time.sleep(1000)",
        "print('begun', flush=True)\ninput()",
        "print('begun', flush=True)\nwhile True:\n    try:\n        while True: pass\n    except BaseException: pass",
    ] {
        let mut child = exec().code(code).args(["--timeout", "100s"]).spawn();
        assert_eq!(child.line(), "begun\n");
        child.interrupt();
        child.end().code(130);
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_with_json_still_prints_the_object() {
    let mut child = exec()
        .code("import sys; sys.stdin.buffer.read(2_000_000)\nwhile True: pass")
        .args(["--json", "--timeout", "100s"])
        .spawn();
    // More than the pipes can buffer: once all of it is written, the code is reading.
    child.write(&"x".repeat(2_000_000));
    child.interrupt();
    let done = child.end().code(130);
    assert_eq!(done.json()["status"], "cancelled");
}

#[test]
fn a_partial_line_before_an_endless_loop_is_not_lost() {
    for code in [
        "print('before', end='')\nwhile True: pass",
        "import sys; sys.stdout.write('before')\n10**10**8",
        "print('before', end='', flush=True)\nimport time; time.sleep(1000)",
    ] {
        exec()
            .code(code)
            .args(["--timeout", "1s"])
            .run()
            .code(124)
            .stdout("before")
            .stderr_contains("the wall time of 1 s is used up");
    }
}

#[test]
fn output_before_the_fuel_runs_out_or_a_trap_is_not_lost() {
    exec()
        .code("print('before', end='')\nwhile True: pass")
        .args(["--fuel", "100000000"])
        .run()
        .code(124)
        .stdout("before")
        .stderr_contains("the fuel budget of 100000000 is used up");
    exec()
        .code("print('before', end='')\nimport os; os.abort()")
        .run()
        .code(134)
        .stdout("before")
        .stderr_contains("the interpreter failed");
    exec()
        .code("print('before', end='')\nimport os; os._exit(4)")
        .run()
        .code(4)
        .stdout("before");
}

#[test]
fn truncated_output_is_reported_on_stderr_with_advice() {
    let done = exec()
        .code("for _ in range(100): print('x' * 99)")
        .args(["--max-output", "1000"])
        .run()
        .success()
        .stderr_contains("stdout was cut: 1000 bytes kept, 9000 dropped")
        .stderr_contains("--max-output");
    assert_eq!(done.stdout.len(), 1000);
    exec()
        .code("print('x' * 99)")
        .args(["--max-output", "10", "--quiet"])
        .run()
        .success()
        .stderr(
            "codeact: stdout was cut: 10 bytes kept, 90 dropped; --max-output raises the limit\n",
        );
}

#[test]
fn an_endless_print_is_truncated_and_then_stopped() {
    let done = exec()
        .code("while True: print('x' * 1000)")
        .args(["--timeout", "1s"])
        .run()
        .code(124)
        .stderr_contains("stdout was cut")
        .stderr_contains("the wall time of 1 s");
    assert_eq!(done.stdout.len(), 1 << 20);
}

#[test]
fn a_character_written_in_parts_is_shown_whole() {
    exec()
        .code("import os\nfor b in '€é😀\\n'.encode(): os.write(1, bytes([b]))")
        .run()
        .success()
        .stdout("€é😀\n");
}

#[test]
fn a_closed_stdout_ends_the_run() {
    ready();
    // As `head` does: reads some bytes and closes the pipe. The endless writer must exit.
    let mut child = Command::new(env!("CARGO_BIN_EXE_codeact"))
        .args(["exec", "--timeout", "100s", "--max-output", "1G", "-c"])
        .arg("while True: print('x' * 1000)")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(141));
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_codeact"))
        .args(["exec", "-c", "print(1)"])
        .stdin(Stdio::null())
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(125));
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(
        stderr.contains("cannot write the code's output"),
        "{stderr}"
    );
}

#[cfg(unix)]
#[test]
fn stdin_that_the_code_does_not_read_stays_for_the_next_process() {
    let script = format!(
        "printf 'a\\nb\\n' | ({} exec -c 'print(1)'; cat)",
        env!("CARGO_BIN_EXE_codeact")
    );
    let done = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "1\na\nb\n");
}
