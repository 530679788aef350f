//! Sources of the task and its input.

use crate::model_server::{Exchange, KEY, MODEL, ModelServer, run};
use crate::support::{FinishedCommand, codeact};

#[track_caller]
fn solve_with_input(task: &str, input: impl AsRef<[u8]>, script: Vec<Exchange>) -> FinishedCommand {
    let server = ModelServer::start(script);
    let done = run(&server, task).stdin(input).run();
    server.done();
    done.stdout_lacks(KEY).stderr_lacks(KEY)
}

#[test]
fn piped_input_is_in_the_prompt_and_bound_to_a_variable() {
    let first = "```python\nimport csv\nrows = list(csv.DictReader(stdin_text.splitlines()))\n```";
    let script = vec![
        Exchange::say(first)
            .sees("Task: sum n\n")
            .sees("`stdin_text` (a str of 16 bytes, 3 lines)")
            .sees("name,n\ná,1\nb,2"),
        // The variable lasts. The same text can be read from stdin once.
        Exchange::say(
            "```python\nimport sys\ntext = sys.stdin.read()\n\
             final_answer([sum(int(r['n']) for r in rows), text == stdin_text])\n```",
        ),
    ];
    let done = solve_with_input("sum n", "name,n\ná,1\nb,2\n", script).success();
    assert_eq!(done.json(), serde_json::json!([3, true]));
}

#[test]
fn long_input_is_shown_in_part_and_bound_in_full() {
    let input = format!("{}the end", "0123456789\n".repeat(100_000));
    let script = vec![
        Exchange::say("```python\nfinal_answer([len(stdin_text), stdin_text[-7:]])\n```")
            .sees("a str of 1100007 bytes, 100001 lines")
            .sees("shortened")
            .sees_no("the end")
            .check("it is short", |sent| sent.last().len() < 2_000),
    ];
    let done = solve_with_input("t", input, script).success();
    assert_eq!(done.json(), serde_json::json!([1_100_007, "the end"]));
}

#[test]
fn without_input_there_is_no_variable() {
    let script = vec![
        Exchange::say("```python\nfinal_answer('stdin_text' in globals())\n```")
            .sees_no("stdin_text"),
    ];
    solve_with_input("t", "", script)
        .success()
        .stdout("false\n");
}

#[test]
fn a_dash_reads_the_task_from_stdin() {
    let script = vec![
        Exchange::say("```python\nfinal_answer('stdin_text' in globals())\n```")
            .sees("Task: multiply 6\nby 7")
            .sees_no("stdin_text"),
    ];
    solve_with_input("-", "multiply 6\nby 7\n", script)
        .success()
        .stdout("false\n");
}

#[test]
fn an_empty_task_is_an_error_before_any_request() {
    for (task, input) in [("", "data"), (" \n", ""), ("-", ""), ("-", "\n\n")] {
        solve_with_input(task, input, Vec::new())
            .code(125)
            .stdout("")
            .stderr_contains("codeact: the task is empty; give it as an argument");
    }
}

#[test]
fn input_that_is_not_utf8_is_an_error_before_any_request() {
    solve_with_input("t", b"\xff\xfe", Vec::new())
        .code(125)
        .stderr_contains("stdin is not UTF-8 text");
    solve_with_input("-", b"\xff\xfe", Vec::new())
        .code(125)
        .stderr_contains("the task is not UTF-8 text");
}

#[test]
fn a_missing_task_and_an_invalid_limit_are_usage_errors() {
    codeact(["run"]).run().code(2).stderr_contains("<TASK>");
    codeact(["run", "t", "--max-steps", "0", "--model", MODEL])
        .run()
        .code(2)
        .stderr_contains("--max-steps");
}

#[test]
fn input_is_still_bound_after_the_first_turn_was_stopped() {
    let script = vec![
        Exchange::say("```python\nwhile True: pass\n```").sees("stdin_text"),
        Exchange::say("```python\nfinal_answer(stdin_text)\n```").sees("as they were before"),
    ];
    let server = ModelServer::start(script);
    let run = run(&server, "t").args(["--timeout", "2s"]);
    let done = run.stdin("the input").run();
    server.done();
    done.success().stdout("the input\n");
}
