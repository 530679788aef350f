//! `codeact run --once`: the reply is a program, and its stdout is the answer.

use serde_json::Value;

use crate::model_server::{Exchange, solve};

#[test]
fn stdout_of_the_program_is_the_answer() {
    let first = Exchange::say("```python\nfor n in (2, 3):\n    print(n, n * n)\n```")
        .roles("su")
        .check("only a program is asked for", |sent| {
            sent.message(0).contains("only the program")
                && !sent.message(0).contains("final_answer")
        });
    solve("squares", &["--once"], [first])
        .success()
        .stdout("2 4\n3 9\n");
}

#[test]
fn a_program_without_a_fence_is_accepted_and_stderr_is_no_answer() {
    let program = "import sys\nprint('note', file=sys.stderr)\nprint('ok')\nsys.exit(0)";
    solve("t", &["--once"], [Exchange::say(program)])
        .success()
        .stdout("ok\n")
        .stderr_contains("note\n");
}

#[test]
fn a_reply_that_is_not_one_program_is_exit_code_1() {
    for (reply, reason) in [
        ("The answer is 42.", "prose"),
        (
            "Sure:\n```python\nprint(42)\n```",
            "prose around the code block",
        ),
        (
            "```python\nprint(4)\n```\n```python\nprint(2)\n```",
            "more than one",
        ),
        ("```bash\necho 42\n```", "only Python"),
    ] {
        solve("t", &["--once"], [Exchange::say(reply)])
            .code(1)
            .stdout("")
            .stderr_contains(reason);
    }
}

#[test]
fn a_program_that_fails_is_no_answer() {
    for (program, sign) in [
        ("print('begun')\n1 / 0", "ZeroDivisionError"),
        ("print('begun')\nimport sys; sys.exit(3)", "exit status 3"),
        ("print('begun')\nwhile True: pass", "longer than 2 seconds"),
    ] {
        let reply = format!("```python\n{program}\n```");
        let args = ["--once", "--timeout", "2s"];
        solve("t", &args, [Exchange::say(&reply)])
            .code(1)
            .stdout("")
            .stderr_contains(sign);
    }
}

#[test]
fn json_ends_with_the_answer() {
    let done = solve(
        "t",
        &["--once", "--json"],
        [Exchange::say("```python\nprint(42)\n```")],
    );
    let done = done.success();
    let last: Value = serde_json::from_str(done.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["type"], &last["answer"]),
        (&"finished".into(), &"42\n".into())
    );
}
