//! `codeact demo` and recorded models.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Codeact, codeact, ready};

/// Checks the answer of the demo. The recording contains the code; the score is computed in the test.
#[track_caller]
fn assert_laptop_b(answer: &Value) {
    let name = answer["selected_laptop"].as_str().unwrap();
    assert!(name.ends_with('B'), "{answer}");
    assert_eq!(answer["scores"][name], 87.0, "{answer}");
}

/// Returns `codeact demo` with proxies that refuse all connections.
fn demo() -> Codeact {
    ready();
    let names = ["http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"];
    names.iter().fold(codeact(["demo"]), |run, name| {
        run.host_env(name, "http://127.0.0.1:1")
    })
}

#[test]
fn the_demo_answers_offline_and_reports_that_it_is_a_recording() {
    let done = demo().arg("--offline").run().success();
    assert_laptop_b(&done.json());
    let notices = done.stderr.lines().filter(|l| l.contains("recording"));
    assert_eq!(notices.count(), 1, "{}", done.stderr);
    done.stderr_contains("final_answer({");
}

#[test]
fn the_demo_needs_no_model_and_uses_none() {
    let done = demo()
        .host_env("CODEACT_MODEL", "recorded:/nonexistent.json")
        .host_env("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
        .run();
    assert_laptop_b(&done.success().json());
}

#[test]
fn the_demo_shows_its_reply_or_its_events_on_request() {
    demo()
        .arg("-v")
        .run()
        .success()
        .stderr_contains("```python\n");
    let done = demo().arg("--json").run().success();
    let events: Vec<Value> = (done.stdout.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = events.last().unwrap();
    assert_eq!(last["type"], "finished");
    assert_laptop_b(&last["answer"]);
}

fn recorded(name: &str) -> String {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cassettes");
    format!("recorded:{}", file.join(name).display())
}

fn run_recorded(name: &str, task: &str) -> Codeact {
    ready();
    codeact(["run", task, "--model"]).arg(recorded(name))
}

#[test]
fn a_recording_is_replayed_from_the_flag_or_the_variable() {
    run_recorded("primes.json", "Sum the primes below 100.")
        .run()
        .success()
        .stdout("1060\n")
        .stderr_contains("model: the recording ")
        .stderr_contains("primes.json");
    codeact(["run", "Sum the primes below 100.", "-q"])
        .host_env("CODEACT_MODEL", recorded("primes.json"))
        .run()
        .success()
        .stdout("1060\n")
        .stderr("");
}

#[test]
fn a_task_other_than_the_recorded_one_is_an_error() {
    run_recorded("primes.json", "Sum the squares below 50.")
        .run()
        .code(125)
        .stdout("")
        .stderr_contains("exchange 1 of 2")
        .stderr_contains("primes below 100")
        .stderr_contains("squares below 50");
}

#[test]
fn an_observation_other_than_the_recorded_one_is_an_error() {
    run_recorded("changed.json", "Print something.")
        .run()
        .code(125)
        .stdout("")
        .stderr_contains("exchange 2 of 2")
        .stderr_contains("what was never printed");
}

#[test]
fn a_recording_with_too_few_exchanges_is_an_error() {
    run_recorded("short.json", "Print something.")
        .run()
        .code(125)
        .stdout("")
        .stderr_contains("codeact: ")
        .stderr_contains("the recording ended after 1 exchanges")
        .stderr_contains("Output: something");
}

#[test]
fn a_missing_or_malformed_recording_is_an_error_with_its_path() {
    for (name, reason) in [
        ("missing.json", "No such file"),
        ("malformed.json", "expects"),
    ] {
        run_recorded(name, "t")
            .run()
            .code(125)
            .stderr_contains(name)
            .stderr_contains(reason);
    }
}
