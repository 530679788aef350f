//! E2B's protocol on the wire: tenants, host names, requests of the wrong form, restarts and clients that hang up.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use crate::e2b::server;
use crate::support::{Served, config, tenant};

/// Makes a sandbox, and returns the answer.
async fn create(server: &Served, key: &str) -> serde_json::Value {
    let request = server.client.post(format!("{}/v2/sandboxes", server.url));
    let body = serde_json::json!({"templateID": "base"});
    let answer = request
        .header("x-api-key", key)
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

fn text<'a>(value: &'a serde_json::Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sandboxes_of_other_tenants_are_like_unknown_ones() {
    let mut config = config();
    config.tenants = vec![tenant("one", "token-of-one"), tenant("two", "token-of-two")];
    let server = Served::start(config).await;
    let made = create(&server, "token-of-one").await;
    let id = text(&made, "sandboxID");
    let api = async |method: &str, path: &str, key: &str| {
        let request = server
            .client
            .request(method.parse().unwrap(), format!("{}{path}", server.url));
        let answer = request
            .header("x-api-key", key)
            .json(&serde_json::json!({"timeout": 60}));
        let answer = answer.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    for (method, rest) in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/timeout"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/connect"),
        ("POST", "/fork"),
        ("POST", "/snapshots"),
        ("PUT", "/network"),
        ("GET", "/metrics"),
        ("GET", "/logs"),
    ] {
        let (status, body) = api(method, &format!("/sandboxes/{id}{rest}"), "token-of-two").await;
        let (unknown, other) =
            api(method, &format!("/sandboxes/unknown{rest}"), "token-of-two").await;
        assert_eq!(
            (status, body.replace(id, "unknown")),
            (unknown, other),
            "{method} {rest}"
        );
        assert_eq!(status, 404, "{method} {rest}");
    }
    assert_eq!(api("GET", "/v2/sandboxes", "token-of-two").await.1, "[]");
    // The data plane: neither the other tenant's key nor the token of its sandbox is of use.
    let other = create(&server, "token-of-two").await;
    let data = async |id: &str, name: &str, token: &str| {
        let request = server.client.get(format!("{}/contexts", server.url));
        let request = request
            .header("e2b-sandbox-id", id)
            .header("e2b-sandbox-port", "49999");
        let answer = request.header(name, token).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    for (name, token) in [
        ("x-api-key", "token-of-two"),
        ("x-access-token", text(&other, "envdAccessToken")),
        (
            "e2b-traffic-access-token",
            text(&other, "trafficAccessToken"),
        ),
        ("x-access-token", "token-of-one"),
        ("x-access-token", ""),
    ] {
        let (status, body) = data(id, name, token).await;
        let unknown = data("unknown", name, token).await;
        assert_eq!((status, body.replace(id, "unknown")), unknown, "{name}");
        assert_eq!(status, 502, "{name}");
    }
    for (name, token) in [
        ("x-api-key", "token-of-one"),
        ("x-access-token", text(&made, "envdAccessToken")),
        (
            "e2b-traffic-access-token",
            text(&made, "trafficAccessToken"),
        ),
    ] {
        assert_eq!(data(id, name, token).await.0, 200, "{name}");
    }
    assert_eq!(data(id, "x-other", "x").await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_names_a_sandbox_and_a_port() {
    let mut config = config();
    config.hosts = vec!["sandboxes.example".to_owned()];
    let server = Served::start(config).await;
    let made = create(&server, &server.token).await;
    let (id, token) = (text(&made, "sandboxID"), text(&made, "envdAccessToken"));
    let ask = |host: String, path: &str| {
        let answer = server.raw(format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Access-Token: {token}\r\nConnection: close\r\n\r\n"
        ));
        answer.lines().next().unwrap_or_default().to_owned()
    };
    assert!(ask(format!("49999-{id}.sandboxes.example"), "/contexts").contains("200"));
    // Other ports are closed, and the paths behind the prefix cannot be asked for.
    assert!(ask(format!("8000-{id}.sandboxes.example"), "/").contains("502"));
    assert!(ask(format!("49999-{id}.sandboxes.example"), "/e2b/49983/health").contains("404"));
    assert!(ask("localhost".to_owned(), "/e2b/49999/contexts").contains("404"));
    assert!(ask(format!("49999-{id}.evil.example"), "/contexts").contains("403"));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_the_wrong_form_are_refused() {
    let server = server().await;
    let made = create(&server, &server.token).await;
    let (id, token) = (
        text(&made, "sandboxID").to_owned(),
        text(&made, "envdAccessToken"),
    );
    let deep = "[".repeat(100_000);
    let long = format!("{{\"templateID\": \"{}\"}}", "x".repeat(2 << 20));
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("[]", 400),
        ("{\"templateID\": 1}", 400),
        ("{\"templateID\": \"../../etc\"}", 400),
        ("{\"templateID\": \"base\", \"timeout\": -5}", 400),
        ("{\"templateID\": \"base\", \"timeout\": 99999999999}", 400),
        ("{\"templateID\": \"base\", \"metadata\": {\"a\": 1}}", 400),
        (
            "{\"templateID\": \"base\", \"envVars\": {\"A=B\": \"x\"}}",
            400,
        ),
        (
            "{\"templateID\": \"base\", \"autoPauseMemory\": false}",
            400,
        ),
        (&deep, 400),
        (&long, 413),
    ] {
        let request = server.client.post(format!("{}/sandboxes", server.url));
        let request = request.header("x-api-key", &server.token);
        let request = request.header("content-type", "application/json");
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let shown: String = body.chars().take(80).collect();
        assert_eq!(answer.status(), status, "{shown}");
        let error: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(error["code"], status, "{shown}");
        assert!(error["message"].is_string(), "{shown}");
    }
    for body in [
        "",
        "{",
        "{\"code\": 1}",
        "{\"code\": \"1\", \"env_vars\": {\"\": \"x\"}}",
        &deep,
    ] {
        let request = server.client.post(format!("{}/execute", server.url));
        let request = request
            .header("e2b-sandbox-id", &id)
            .header("e2b-sandbox-port", "49999");
        let request = request.header("content-type", "application/json");
        let answer = request
            .header("x-access-token", token)
            .body(body.to_owned());
        assert_eq!(answer.send().await.unwrap().status(), 400);
    }
    for path in ["..%2f..%2fx", "%00", "a.b", &"x".repeat(5000)] {
        let request = server.request("GET", &format!("/sandboxes/{path}"));
        assert_eq!(request.send().await.unwrap().status(), 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sandboxes_survive_a_restart_of_the_server() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().to_str().unwrap().to_owned();
    let token = "e2b_00112233445566778899aabbccddeeff00112233";
    let start = move || {
        let mut command = crate::support::command(&["--state", &folder]);
        Served::spawn(command.env("CODEACT_TOKEN", token))
    };
    let first = tokio::task::spawn_blocking(start.clone()).await.unwrap();
    let made = create(&first, token).await;
    let execute = async |server: &Served, code: &str| {
        let request = server.client.post(format!("{}/execute", server.url));
        let request = request
            .header("e2b-sandbox-id", text(&made, "sandboxID"))
            .header("e2b-sandbox-port", "49999")
            .header("x-access-token", text(&made, "envdAccessToken"));
        let answer = request
            .json(&serde_json::json!({"code": code}))
            .send()
            .await
            .unwrap();
        answer.text().await.unwrap()
    };
    execute(&first, "x = 41").await;
    first.kill();
    let second = tokio::task::spawn_blocking(start).await.unwrap();
    let lines = execute(&second, "x + 1").await;
    let line = |text: &str| lines.lines().any(|line| line.contains(text));
    assert!(
        line("\"text\":\"42\"") && line("\"execution_count\":2"),
        "{lines}"
    );
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_stops_its_code() {
    let server = server().await;
    let made = create(&server, &server.token).await;
    let id = text(&made, "sandboxID").to_owned();
    let execute = |code: &str| {
        let request = server.client.post(format!("{}/execute", server.url));
        let request = request
            .header("e2b-sandbox-id", &id)
            .header("e2b-sandbox-port", "49999")
            .header("x-access-token", text(&made, "envdAccessToken"));
        request.json(&serde_json::json!({"code": code}))
    };
    let request = execute("print('started', flush=True)\nimport time\ntime.sleep(10_000)");
    let mut running = request.send().await.unwrap();
    loop {
        let part = running.chunk().await.unwrap().unwrap();
        if String::from_utf8_lossy(&part).contains("started") {
            break;
        }
    }
    drop(running);
    // The next execution waits for the end of the first one, which nothing else ends.
    let answer = execute("'next'")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(answer.contains("\"text\":\"next\""), "{answer}");
    let metrics = server.request("GET", &format!("/sandboxes/{id}/metrics"));
    let metrics: serde_json::Value = metrics.send().await.unwrap().json().await.unwrap();
    assert_eq!(metrics[0]["cpuUsedPct"], 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_through_the_own_api_has_no_token_of_the_sandbox() {
    let server = server().await;
    let made = create(&server, &server.token).await;
    let path = format!("/v1/sessions/{}/fork", text(&made, "sandboxID"));
    for body in [
        serde_json::json!({"id": "one"}),
        serde_json::json!({"id": "two", "metadata": {"a": 1}}),
    ] {
        let id = text(&body, "id").to_owned();
        let forked = server.post(&path, &body).send().await.unwrap();
        assert_eq!(forked.status(), 201);
        let sandbox = server.client.get(format!("{}/sandboxes/{id}", server.url));
        let sandbox = sandbox.header("x-api-key", &server.token).send();
        assert_eq!(sandbox.await.unwrap().status(), 404, "{id}");
    }
}
