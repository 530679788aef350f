//! The own API: requests that are repeated with an `Idempotency-Key`.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, api, refused};

async fn keyed(api: &Api, path: &str, key: &str, body: &Value) -> (StatusCode, bool, Value) {
    let request = api
        .request(Method::POST, path)
        .header("idempotency-key", key);
    let response = request.json(body).send().await.unwrap();
    let (status, replayed) = (
        response.status(),
        response.headers().contains_key("idempotency-replayed"),
    );
    let text = response.text().await.unwrap();
    (status, replayed, serde_json::from_str(&text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_does_not_run_the_code_twice() {
    let api = api().await;
    api.session("s").await;
    api.run("s", "n = 0").await;
    let path = "/v1/sessions/s/execute";
    let body = json!({"code": "n += 1; n"});
    let first = keyed(&api, path, "k", &body).await;
    let second = keyed(&api, path, "k", &body).await;
    assert_eq!((first.0, first.1), (StatusCode::OK, false));
    assert_eq!(
        (second.0, second.1, second.2),
        (StatusCode::OK, true, first.2)
    );
    assert_eq!(keyed(&api, path, "other", &body).await.2["result"], "2");
    let (status, _, error) = keyed(&api, path, "k", &json!({"code": "n += 10"})).await;
    refused(&(status, error), 422, "idempotency_key_reused");
    let (status, _, error) = keyed(&api, "/v1/execute", "k", &body).await;
    refused(&(status, error), 422, "idempotency_key_reused");
    assert_eq!(api.run("s", "n").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_waits_for_the_first() {
    let api = api().await;
    api.session("s").await;
    api.run("s", "n = 0").await;
    let body = json!({"code": "import time\nn += 1\nwhile True: time.sleep(0.01)", "limits": {"wall_ms": 60_000}});
    let path = "/v1/sessions/s/execute";
    let requests: Vec<_> = (0..4)
        .map(|_| {
            let (api, body) = (api.clone(), body.clone());
            tokio::spawn(async move { keyed(&api, path, "k", &body).await })
        })
        .collect();
    api.wait_for("s", "running").await;
    api.done("/v1/sessions/s/interrupt", json!({})).await;
    let mut results = Vec::new();
    for request in requests {
        results.push(request.await.unwrap());
    }
    assert!(
        results.iter().all(|result| result.2 == results[0].2),
        "{results:?}"
    );
    assert_eq!(results[0].2["status"], "cancelled");
    let turns = api.get("/v1/sessions/s/turns").await.1;
    assert_eq!(turns["turns"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_gets_the_result_later() {
    let api = api().await;
    api.session("s").await;
    let body = json!({"code": "import os, time\nn = 7\nwhile not os.path.exists('/tmp/go'): time.sleep(0.01)\nn"});
    let path = "/v1/sessions/s/execute";
    // A turn does not see files that are written meanwhile, so an interrupt ends it.
    let (first, first_body) = (api.clone(), body.clone());
    let request = tokio::spawn(async move { keyed(&first, path, "k", &first_body).await });
    api.wait_for("s", "running").await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    let (second, second_body) = (api.clone(), body.clone());
    let repeated = tokio::spawn(async move { keyed(&second, path, "k", &second_body).await });
    let stopped = api.done("/v1/sessions/s/interrupt", json!({})).await;
    assert_eq!(stopped["interrupted"], true, "the code still runs");
    let (status, _, execution) = repeated.await.unwrap();
    assert_eq!(
        (status, &execution["status"]),
        (StatusCode::OK, &json!("cancelled"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_sessions_and_forks_are_repeated_too() {
    let api = api().await;
    let body = json!({"metadata": {"n": 1}});
    let made = keyed(&api, "/v1/sessions", "a", &body).await;
    let again = keyed(&api, "/v1/sessions", "a", &body).await;
    assert_eq!((made.0, &made.2), (StatusCode::CREATED, &again.2));
    let id = made.2["id"].as_str().unwrap();
    let fork = format!("/v1/sessions/{id}/fork");
    let forks = keyed(&api, &fork, "b", &json!({"count": 2})).await;
    assert_eq!(
        keyed(&api, &fork, "b", &json!({"count": 2})).await.2,
        forks.2
    );
    let sessions = api.get("/v1/sessions").await.1;
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 3);
    let stream = || async {
        let request = api.request(Method::POST, "/v1/execute");
        let request = request
            .header("idempotency-key", "c")
            .header("accept", "text/event-stream");
        let response = request
            .json(&json!({"code": "import os; print(os.urandom(8))"}))
            .send()
            .await;
        response.unwrap().text().await.unwrap()
    };
    let first = stream().await;
    assert!(
        first.contains("event: output") && first.contains("event: result"),
        "{first}"
    );
    assert_eq!(stream().await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_can_be_repeated() {
    let api = api().await;
    let path = "/v1/sessions/s/execute";
    let body = json!({"code": "1"});
    assert_eq!(keyed(&api, path, "k", &body).await.0, 404);
    api.session("s").await;
    assert_eq!(keyed(&api, path, "k", &body).await.0, 200);
    let (status, _, error) = keyed(&api, path, &"x".repeat(256), &body).await;
    refused(&(status, error), 400, "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_tenants_are_separate() {
    let api = crate::api::api_with(|config| {
        config.tenants.push(crate::support::tenant("bob", BOB));
    })
    .await;
    let body = json!({"code": "import os; os.urandom(8)"});
    let alice = keyed(&api, "/v1/execute", "k", &body).await;
    let bob = keyed(&api.with_token(BOB), "/v1/execute", "k", &body).await;
    assert!(!bob.1 && bob.2["result"] != alice.2["result"]);
}

/// Token of a second tenant.
const BOB: &str = "e2b_ffffffffffffffffffffffffffffffffffffffff";
