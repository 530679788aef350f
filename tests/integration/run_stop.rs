//! Ctrl-C during `codeact run`.
#![cfg(unix)]

use serde_json::Value;

use crate::model_server::{Exchange, KEY, ModelServer, run};
use crate::support::RunningCommand;

#[track_caller]
fn stopped(command: RunningCommand) -> Vec<Value> {
    let done = command.end().code(130).stderr_contains("codeact: stopped");
    let done = done.stderr_lacks(KEY).stdout_lacks(KEY);
    let lines = done.stdout.lines();
    lines.map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn ctrl_c_while_the_model_thinks_ends_with_130() {
    let before = Exchange::say("```python\nprint(1)\n```");
    for script in [
        vec![Exchange::hold()],
        vec![Exchange::say_and_hold("Let me ")],
        vec![before, Exchange::hold().roles("suau")],
    ] {
        let server = ModelServer::start(script);
        let mut command = run(&server, "t").spawn();
        command.end_input();
        server.wait_until_held();
        command.interrupt();
        assert!(stopped(command).is_empty());
        server.done();
    }
}

#[test]
fn ctrl_c_with_once_while_the_model_thinks_ends_with_130() {
    let server = ModelServer::start([Exchange::hold()]);
    let mut command = run(&server, "t").args(["--once", "-q"]).spawn();
    command.end_input();
    server.wait_until_held();
    command.interrupt();
    stopped(command);
    server.done();
}

#[test]
fn ctrl_c_while_the_code_runs_ends_with_130() {
    for (code, once) in [
        ("while True: pass", false),
        ("import time; time.sleep(1000)", false),
        (
            "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
            false,
        ),
        ("while True: pass", true),
    ] {
        let reply = format!("```python\nprint('begun')\n{code}\n```");
        let server = ModelServer::start([Exchange::say(&reply)]);
        let mut run = run(&server, "t").args(["--json", "--timeout", "100s"]);
        if once {
            run = run.arg("--once");
        }
        let mut command = run.spawn();
        command.end_input();
        while !command.line().contains("\"output\"") {}
        command.interrupt();
        let events = stopped(command);
        let last = events.last().unwrap();
        assert_eq!(last["type"], "finished");
        assert_eq!(last["answered"], false);
        server.done();
    }
}
