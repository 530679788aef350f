//! Attacks on the own API.

use std::io::{Read, Write};
use std::net::TcpStream;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, api, api_with, refused};
use crate::support::{HANG, TOKEN, tenant};

const BOB: &str = "e2b_ffffffffffffffffffffffffffffffffffffffff";

async fn execute_raw(api: &Api, body: Vec<u8>) -> (StatusCode, Value) {
    let request = api.request(Method::POST, "/v1/execute");
    let request = request
        .header("content-type", "application/json")
        .body(body);
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_other_tenants_answer_exactly_like_unknown_ones() {
    let api = api_with(|config| config.tenants.push(tenant("bob", BOB))).await;
    api.session("private").await;
    api.run("private", "secret = 1").await;
    let bob = api.with_token(BOB);
    let code = json!({"code": "1"});
    for (method, path, body) in [
        (Method::GET, "/v1/sessions/ID", None),
        (Method::PATCH, "/v1/sessions/ID", Some(json!({"env": {}}))),
        (Method::DELETE, "/v1/sessions/ID", None),
        (Method::POST, "/v1/sessions/ID/execute", Some(code.clone())),
        (Method::POST, "/v1/sessions/ID/interrupt", Some(json!({}))),
        (Method::POST, "/v1/sessions/ID/fork", Some(json!({}))),
        (Method::POST, "/v1/sessions/ID/undo", Some(json!({}))),
        (Method::POST, "/v1/sessions/ID/restart", Some(json!({}))),
        (Method::POST, "/v1/sessions/ID/pause", Some(json!({}))),
        (Method::GET, "/v1/sessions/ID/turns", None),
        (Method::GET, "/v1/sessions/ID/variables", None),
        (Method::GET, "/v1/sessions/ID/export", None),
        (Method::GET, "/v1/sessions/ID/files", None),
        (Method::GET, "/v1/sessions/ID/files/a.txt", None),
        (Method::DELETE, "/v1/sessions/ID/files/a.txt", None),
        (Method::GET, "/v1/sessions/ID/pictures/a.png", None),
        (
            Method::POST,
            "/v1/execute",
            Some(json!({"code": "1", "session": "ID"})),
        ),
    ] {
        let ask = async |id: &str| {
            let body = body
                .clone()
                .map(|body| serde_json::from_str(&body.to_string().replace("ID", id)).unwrap());
            bob.call(method.clone(), &path.replace("ID", id), body)
                .await
        };
        let (foreign, unknown) = (ask("private").await, ask("unknown").await);
        refused(&foreign, 404, "missing_session");
        let same = foreign.1.to_string().replace("private", "unknown");
        assert_eq!(
            (foreign.0, same),
            (unknown.0, unknown.1.to_string()),
            "{path}"
        );
    }
    let listed = bob.get("/v1/sessions").await.1;
    assert_eq!(listed["sessions"], json!([]));
    // The name is free for the other tenant.
    bob.session("private").await;
    assert_eq!(bob.run("private", "'secret' in globals()").await, "False");
    assert_eq!(api.run("private", "secret").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn giant_and_deep_bodies_are_refused() {
    let api = api_with(|config| config.body = 1 << 20).await;
    let giant = format!("{{\"code\": \"{}\"}}", "x".repeat(2 << 20));
    refused(
        &execute_raw(&api, giant.into_bytes()).await,
        413,
        "payload_too_large",
    );
    let deep = |open: &str| format!("{{\"code\": \"1\", \"metadata\": {}", open.repeat(100_000));
    refused(
        &execute_raw(&api, deep("[").into_bytes()).await,
        400,
        "invalid_request",
    );
    for open in ["[", "{\"a\":"] {
        let body = format!("{{\"metadata\": {}", open.repeat(100_000));
        let request = api.request(Method::POST, "/v1/sessions");
        let request = request
            .header("content-type", "application/json")
            .body(body);
        assert_eq!(request.send().await.unwrap().status(), 400);
    }
    let nested = format!(
        "{{\"metadata\": {{\"a\": {}{}}}}}",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let request = api.request(Method::POST, "/v1/sessions");
    let request = request
        .header("content-type", "application/json")
        .body(nested);
    assert_eq!(request.send().await.unwrap().status(), 400);
    let large = json!({"metadata": {"a": "x".repeat(20_000)}});
    refused(
        &api.post("/v1/sessions", large).await,
        400,
        "invalid_request",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_body_is_refused_at_the_limit() {
    let api = api_with(|config| config.body = 1 << 20).await;
    for (method, path) in [
        ("POST", "/v1/execute"),
        ("POST", "/v1/sessions"),
        ("PUT", "/v1/sessions/s/files/a"),
    ] {
        if path.contains("/s/") {
            api.session("s").await;
        }
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
             content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let address = api.served.address;
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(HANG)).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            // Far beyond the limit; the server closes the connection before.
            for _ in 0..4096 {
                if stream.write_all(chunk.as_bytes()).is_err() {
                    break;
                }
            }
            let mut answer = [0; 12];
            let _ = stream.read_exact(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        });
        let answer = answer.await.unwrap();
        // The reset of the connection can overtake the response.
        assert!(
            answer.starts_with("HTTP/1.1 413") || answer.starts_with('\0'),
            "{path}: {answer:?}"
        );
    }
    assert_eq!(api.post("/v1/execute", json!({"code": "1"})).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn collections_of_a_request_are_bounded() {
    let api = api().await;
    let object = |n: usize| -> Value {
        (0..n)
            .map(|i| (format!("V{i}"), json!("x")))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let list = |n: usize| json!((0..n).map(|i| format!("p{i}")).collect::<Vec<_>>());
    let files: Value = (0..2000)
        .map(|i| (format!("f{i}"), json!({"text": "x"})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    for (field, value) in [
        ("env", object(10_000)),
        ("files", files),
        ("packages", list(65)),
        ("hosts", list(101)),
        ("argv", list(1001)),
        ("return_files", list(101)),
        ("env", json!({"A=B": "1"})),
        ("env", json!({"": "1"})),
        ("env", json!({"A": "x\u{0}"})),
        ("env", json!({"A": "x".repeat(2 << 20)})),
        ("files", json!({"a": {"base64": "!"}})),
        ("files", json!({"a": {"text": "a", "base64": ""}})),
        ("files", json!({"a": {}})),
        ("return_files", json!(["/etc/passwd"])),
        ("return_files", json!(["../x"])),
        ("seed", json!(-1)),
        ("seed", json!(1e300)),
        ("limits", json!({"wall_ms": -1})),
        ("limits", json!({"walls": 1})),
        ("limits", json!({"memory_bytes": 1000})),
    ] {
        let response = api
            .post("/v1/execute", json!({"code": "1", field: value}))
            .await;
        refused(&response, 400, "invalid_request");
        assert!(
            response.1.to_string().contains(field),
            "{field}: {}",
            response.1
        );
        assert!(response.1.to_string().len() < 4000);
    }
    let twice = execute_raw(
        &api,
        br#"{"code": "1", "env": {"A": "1", "A": "2"}}"#.to_vec(),
    )
    .await;
    refused(&twice, 400, "invalid_request");
    let twice = execute_raw(&api, br#"{"code": "1", "code": "2"}"#.to_vec()).await;
    refused(&twice, 400, "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_utf_8_is_refused() {
    let api = api().await;
    for body in [
        &b"{\"code\": \"\xff\xfe\"}"[..],
        b"\xff\xfe{\x00}\x00",
        b"{\"code\": \"\\ud800\"}",
    ] {
        refused(
            &execute_raw(&api, body.to_vec()).await,
            400,
            "malformed_json",
        );
    }
    let quoted = execute_raw(&api, b"{\"code\": \"'\\u0000'\"}".to_vec()).await;
    assert_eq!(quoted.0, 200, "a NUL in the code is the concern of Python");
    assert_eq!(quoted.1["status"], "error");
}

#[tokio::test(flavor = "multi_thread")]
async fn forks_and_sessions_are_bounded() {
    let api = api_with(|config| config.tenants[0].quota.sessions = 5).await;
    api.session("s").await;
    let fork = |count: u64| api.post("/v1/sessions/s/fork", json!({"count": count}));
    for count in [0, 101, u64::from(u32::MAX)] {
        refused(&fork(count).await, 400, "invalid_request");
    }
    refused(&fork(u64::MAX).await, 400, "invalid_request");
    refused(&fork(5).await, 429, "quota");
    assert_eq!(fork(4).await.0, 201);
    refused(&fork(1).await, 429, "quota");
    refused(&api.post("/v1/sessions", json!({})).await, 429, "quota");
    let many = api
        .post("/v1/sessions/s/fork", json!({"count": 2, "id": "x"}))
        .await;
    refused(&many, 400, "invalid_request");
    let sessions = api.get("/v1/sessions").await.1;
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_above_those_of_the_tenant_are_lowered() {
    let api = api_with(|config| {
        let limits = &mut config.tenants[0].limits;
        limits.output = 10;
        limits.fuel = Some(50_000_000);
        limits.memory = 256 << 20;
    })
    .await;
    let high = json!({
        "wall_ms": u64::MAX, "fuel": u64::MAX, "memory_bytes": u64::MAX, "output_bytes": u64::MAX,
        "host_calls": u64::MAX, "host_call_bytes": u64::MAX, "file_bytes": u64::MAX, "files": u64::MAX,
        "open_files": u64::MAX,
    });
    let made = api
        .done("/v1/sessions", json!({"id": "s", "limits": high}))
        .await;
    api.session("plain").await;
    let plain = api.get("/v1/sessions/plain").await.1;
    assert_eq!(made["limits"], plain["limits"]);
    for path in [
        "/v1/execute",
        "/v1/sessions/s/execute",
        "/v1/sessions/plain/execute",
    ] {
        let written = api
            .done(path, json!({"code": "print('x' * 100)", "limits": high}))
            .await;
        assert_eq!(written["stdout"], "x".repeat(10), "{path}");
        let looping = api
            .done(path, json!({"code": "while True: pass", "limits": high}))
            .await;
        assert_eq!(looping["status"], "out_of_fuel", "{path}");
        let large = api
            .done(path, json!({"code": "bytes(1 << 30)", "limits": high}))
            .await;
        assert_eq!(large["error"]["type"], "MemoryError", "{path}: {large}");
    }
    // A session's own limits bound its turns as well.
    let low = json!({"id": "low", "limits": {"output_bytes": 3}});
    api.done("/v1/sessions", low).await;
    let body = json!({"code": "print('x' * 100)", "limits": high});
    assert_eq!(
        api.done("/v1/sessions/low/execute", body).await["stdout"],
        "xxx"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_cannot_widen_its_grants() {
    let api = api_with(|config| config.tenants[0].is_operator = false).await;
    let packages = api
        .post(
            "/v1/execute",
            json!({"code": "1", "packages": ["tabulate==0.9.0"]}),
        )
        .await;
    refused(&packages, 400, "setting");
    let hosts = api
        .post(
            "/v1/execute",
            json!({"code": "1", "hosts": ["example.com"]}),
        )
        .await;
    refused(&hosts, 400, "setting");
    for field in [
        "mounts",
        "tools",
        "secrets",
        "allow_net",
        "tenant",
        "is_operator",
    ] {
        let response = api.post("/v1/sessions", json!({ field: [] })).await;
        refused(&response, 400, "invalid_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_a_token_reach_nothing() {
    let api = api().await;
    api.session("s").await;
    for (method, path) in [
        (Method::GET, "/v1/sessions"),
        (Method::POST, "/v1/execute"),
        (Method::GET, "/v1/sessions/s"),
        (Method::GET, "/v1/sessions/s/export"),
        (Method::POST, "/v1/sessions/import"),
        (Method::PUT, "/v1/sessions/s/files/a"),
        (Method::POST, "/v1/runs"),
    ] {
        for token in [None, Some("wrong"), Some("")] {
            let mut request = api
                .client
                .request(method.clone(), format!("{}{path}", api.served.url));
            request = request
                .header("idempotency-key", "k")
                .json(&json!({"code": "1"}));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let response = request.send().await.unwrap();
            let status = response.status();
            refused(
                &(status, response.json().await.unwrap()),
                401,
                "unauthorized",
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_turns_are_bounded_in_bytes() {
    let api = api().await;
    api.session("s").await;
    for turn in 0..4 {
        api.run("s", &format!("{turn} #{}", "x".repeat(3 << 20)))
            .await;
    }
    let (mut after, mut seen, mut pages) = (0, Vec::new(), 0);
    loop {
        let path = format!("/v1/sessions/s/turns?after={after}");
        let (status, page) = api.get(&path).await;
        assert_eq!(status, 200);
        assert!(page.to_string().len() < (8 << 20) + 4096);
        let turns = page["turns"].as_array().unwrap();
        seen.extend(turns.iter().map(|turn| turn["turn"].as_u64().unwrap()));
        pages += 1;
        let Some(next) = page["next"].as_u64() else {
            break;
        };
        after = next;
    }
    assert_eq!((seen, pages), (vec![1, 2, 3, 4], 2));
}
