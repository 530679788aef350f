//! The own API: runs of an agent.

use std::sync::Arc;

use codeact::llm::RecordedModel;
use codeact_server::ModelConfig;
use serde_json::{Value, json};

use crate::api::{Api, api, api_with, refused};

async fn api_with_replies(replies: &[&str]) -> Api {
    let exchanges: Vec<Value> = replies
        .iter()
        .map(|reply| json!({"reply": reply}))
        .collect();
    let recording = json!({"version": 1, "exchanges": exchanges}).to_string();
    let model = Arc::new(RecordedModel::from_json(&recording).unwrap());
    api_with(|config| config.models = vec![ModelConfig::new("recorded", model)]).await
}

const REPLIES: &[&str] = &[
    "```python\nx = 20 + 1\nprint(x)\n```",
    "```python\nopen('a.txt', 'w').write('done')\nfinal_answer(x * 2)\n```",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_model_solves_a_task() {
    let api = api_with_replies(REPLIES).await;
    let body = json!({"task": "compute", "return_files": ["*.txt"], "env": {"A": "1"}});
    let run = api.done("/v1/runs", body).await;
    assert_eq!(
        (&run["ending"], &run["answer"]),
        (&json!("answered"), &json!(42)),
        "{run}"
    );
    assert_eq!(run["steps"].as_array().unwrap().len(), 2);
    assert_eq!(run["steps"][0]["execution"]["stdout"], "21\n");
    assert!(
        run["steps"][0]["observation"]
            .as_str()
            .unwrap()
            .contains("21")
    );
    assert_eq!(
        run["files"],
        json!([{"path": "a.txt", "bytes": 4, "text": "done"}])
    );
    assert_eq!(api.get("/v1/sessions").await.1["sessions"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_of_a_run_are_streamed() {
    let api = api_with_replies(REPLIES).await;
    let response = api
        .stream(
            "application/x-ndjson",
            "/v1/runs",
            json!({"task": "compute"}),
        )
        .await;
    let text = response.text().await.unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    for kind in [
        "step_started",
        "reply",
        "code_started",
        "output",
        "observation",
        "finished",
    ] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["answer"]),
        (&json!("result"), &json!(42))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_a_session_leaves_its_turns() {
    let api = api_with_replies(REPLIES).await;
    api.session("s").await;
    api.run("s", "before = 1").await;
    let body = json!({"task": "compute", "session": "s"});
    assert_eq!(api.done("/v1/runs", body).await["answer"], 42);
    assert_eq!(
        api.run("s", "before, x, open('a.txt').read()").await,
        "(1, 21, 'done')"
    );
    let turns = api.get("/v1/sessions/s/turns").await.1;
    assert_eq!(turns["turns"].as_array().unwrap().len(), 4);
    assert_eq!(turns["turns"][1]["code"], "x = 20 + 1\nprint(x)");
    let set = api
        .post("/v1/runs", json!({"task": "t", "session": "s", "seed": 1}))
        .await;
    refused(&set, 400, "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_leaves_the_session_as_it_was() {
    let api = api_with_replies(&["```python\nx = 1\n```"]).await;
    api.session("s").await;
    api.run("s", "x = 0").await;
    let failed = api
        .post("/v1/runs", json!({"task": "compute", "session": "s"}))
        .await;
    refused(&failed, 502, "model_failed");
    assert_eq!(api.run("s", "x").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_configured_models_are_used() {
    let plain = api().await;
    refused(
        &plain.post("/v1/runs", json!({"task": "t"})).await,
        501,
        "no_model",
    );
    let api = api_with_replies(REPLIES).await;
    for model in ["gpt-5", "recorded:/etc/passwd", ""] {
        let unknown = api
            .post("/v1/runs", json!({"task": "t", "model": model}))
            .await;
        refused(&unknown, 400, "invalid_request");
        assert!(unknown.1.to_string().contains("recorded"), "{}", unknown.1);
    }
    for body in [
        json!({"task": " "}),
        json!({"task": "t", "max_steps": 0}),
        json!({"task": "t", "max_steps": 101}),
        json!({"task": "t", "base_url": "http://127.0.0.1"}),
    ] {
        refused(&api.post("/v1/runs", body).await, 400, "invalid_request");
    }
    let steps = api
        .done(
            "/v1/runs",
            json!({"task": "t", "model": "recorded", "max_steps": 1}),
        )
        .await;
    assert_eq!(steps["ending"], "out_of_steps");
}
