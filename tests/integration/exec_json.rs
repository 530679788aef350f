//! `--json`: one object on stdout with the same fields for every outcome.

use serde_json::{Value, json};

use crate::support::exec;

fn fields(object: &Value) -> Vec<&str> {
    let mut fields: Vec<&str> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    fields
}

#[track_caller]
fn check_shape(object: &Value, status: &str) {
    assert_eq!(object["status"], status, "{object}");
    assert_eq!(
        fields(object),
        [
            "changes",
            "displays",
            "error",
            "exit_code",
            "interrupted",
            "notes",
            "result",
            "status",
            "stderr",
            "stderr_dropped_bytes",
            "stdout",
            "stdout_dropped_bytes",
            "usage",
            "written_back"
        ]
    );
    let usage = &object["usage"];
    for field in ["fuel", "peak_memory_bytes", "host_calls", "host_call_bytes"] {
        assert!(usage[field].is_u64(), "{field}: {usage}");
    }
    assert!(usage["wall_ms"].as_f64().is_some_and(|ms| ms > 0.0));
}

#[test]
fn a_completed_run_has_its_output_and_result() {
    let done = exec()
        .code("import sys; print('out'); print('err', file=sys.stderr)\n[1, 'x']")
        .arg("--json")
        .run()
        .success()
        .stderr("");
    assert_eq!(done.stdout.matches('\n').count(), 1, "one line");
    let object = done.json();
    check_shape(&object, "ok");
    assert_eq!(object["stdout"], "out\n");
    assert_eq!(object["stderr"], "err\n");
    assert_eq!(object["result"], "[1, 'x']");
    assert_eq!(object["error"], Value::Null);
    assert_eq!(object["notes"], json!([]));
}

#[test]
fn only_a_final_expression_has_a_result() {
    for (code, result) in [
        ("1 + 1", json!("2")),
        ("'text'", json!("'text'")),
        ("x = 1", Value::Null),
        ("None", Value::Null),
        ("1 + 1;", Value::Null),
        ("1\nx = 2", Value::Null),
        ("print(1)", Value::Null),
        ("", Value::Null),
        ("# only a comment", Value::Null),
        ("'é日' # and a comment", json!("'é日'")),
        ("if True:\n    5", Value::Null),
    ] {
        let object = exec().code(code).json();
        check_shape(&object, "ok");
        assert_eq!(object["result"], result, "{code}");
    }
}

#[test]
fn a_long_result_is_shortened_with_a_notice() {
    let object = exec()
        .code("class A:\n    def __repr__(self): return 'x' * 10**7\nA()")
        .json();
    let result = object["result"].as_str().unwrap();
    assert!(result.len() < 200_000);
    assert!(result.contains("characters left out"));
}

#[test]
fn an_exception_has_type_message_frames_and_traceback() {
    let done = exec()
        .code("import json\ndef f():\n    json.loads('{')\nf()")
        .arg("--json")
        .run()
        .code(1)
        .stderr("");
    let object = done.json();
    check_shape(&object, "error");
    let error = &object["error"];
    assert_eq!(error["type"], "json.decoder.JSONDecodeError");
    assert!(error["message"].as_str().unwrap().starts_with("Expecting"));
    let frames = error["frames"].as_array().unwrap();
    assert_eq!(
        frames[0],
        json!({"file": "<string>", "line": 4, "function": "<module>", "source": "f()"})
    );
    assert_eq!(
        frames[1],
        json!({"file": "<string>", "line": 3, "function": "f", "source": "json.loads('{')"})
    );
    assert!(
        error["traceback"]
            .as_str()
            .unwrap()
            .ends_with("JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n")
    );
}

#[test]
fn a_syntax_error_has_its_position_and_no_frames() {
    let object = exec().code("x = = 1").json();
    check_shape(&object, "error");
    assert_eq!(object["error"]["type"], "SyntaxError");
    let traceback = object["error"]["traceback"].as_str().unwrap();
    assert!(traceback.contains("line 1"), "{traceback}");
}

#[test]
fn an_exit_has_its_code_and_no_error() {
    for (code, exit) in [
        ("import sys; print('a'); sys.exit(7)", 7),
        ("import os; print('a'); os._exit(7)", 7),
    ] {
        let done = exec().code(code).arg("--json").run().code(exit);
        let object = done.json();
        check_shape(&object, "exit");
        assert_eq!(object["exit_code"], exit);
        assert_eq!(object["stdout"], "a\n");
        assert_eq!(object["error"], Value::Null);
    }
}

#[test]
fn a_limit_or_trap_has_a_message_in_error() {
    for (status, exit, args) in [
        (
            "timeout",
            124,
            &["--timeout", "200ms", "-c", "while 1: pass"][..],
        ),
        (
            "out_of_fuel",
            124,
            &["--fuel", "50000000", "-c", "while 1: pass"],
        ),
        ("trap", 134, &["-c", "import os; os.abort()"]),
    ] {
        let done = exec().args(args.iter().copied()).arg("--json").run();
        assert_eq!(done.exit, Some(exit), "{status}: {done:?}");
        let object = done.json();
        check_shape(&object, status);
        assert_eq!(object["error"]["type"], Value::Null);
        assert!(object["error"]["message"].is_string(), "{object}");
    }
}

#[test]
fn a_memory_error_is_an_error_of_that_type() {
    let done = exec()
        .code("bytearray(2 * 10**9)")
        .arg("--json")
        .run()
        .code(137);
    let object = done.json();
    check_shape(&object, "error");
    assert_eq!(object["error"]["type"], "MemoryError");
}

#[test]
fn output_is_complete_after_a_timeout() {
    let object = exec()
        .code("import sys\nprint('line')\nprint('part', end='')\nprint('err', end='', file=sys.stderr)\nwhile True: pass")
        .args(["--timeout", "1s"])
        .json();
    check_shape(&object, "timeout");
    assert_eq!(object["stdout"], "line\npart");
    assert_eq!(object["stderr"], "err");
}

#[test]
fn truncated_output_is_counted_and_noted() {
    let object = exec()
        .code("import sys; print('x' * 5000); sys.stderr.write('e' * 10)")
        .args(["--max-output", "1K"])
        .json();
    check_shape(&object, "ok");
    assert_eq!(object["stdout"], "x".repeat(1024));
    assert_eq!(object["stdout_dropped_bytes"], 5001 - 1024);
    assert_eq!(object["stderr_dropped_bytes"], 0);
    let notes = object["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 1);
    assert!(notes[0].as_str().unwrap().contains("stdout was cut"));
}

#[test]
fn invalid_utf8_is_replaced_and_controls_are_escaped() {
    let object = exec()
        .code("import sys; sys.stdout.buffer.write(b'a\\xff\\x00\\x1b[31m'); sys.stdout.flush()")
        .json();
    assert_eq!(object["stdout"], "a\u{FFFD}\0\u{1b}[31m");
}
