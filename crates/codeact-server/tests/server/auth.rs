//! Tokens and tenants.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Served, TOKEN, bare_command, config, tenant};

const OTHER: &str = "e2b_ffffffffffffffffffffffffffffffffffffffff";

async fn two_tenants() -> Served {
    let mut config = config();
    let mut other = tenant("other", OTHER);
    other.is_operator = false;
    config.tenants = vec![tenant("local", TOKEN), other];
    Served::start(config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_needs_a_known_token() {
    let served = two_tenants().await;
    let url = format!("{}/v1/sessions", served.url);
    let status =
        async |request: reqwest::RequestBuilder| request.send().await.expect("an answer").status();
    let client = &served.client;
    assert_eq!(status(client.get(&url)).await, StatusCode::UNAUTHORIZED);
    for token in ["x", "", &TOKEN[1..], &TOKEN.to_uppercase(), "\u{e9}"] {
        let answer = status(client.get(&url).bearer_auth(token)).await;
        assert_eq!(answer, StatusCode::UNAUTHORIZED, "{token}");
    }
    for request in [
        client.get(&url).bearer_auth(TOKEN),
        client.get(&url).bearer_auth(OTHER),
        client
            .get(&url)
            .header("authorization", format!("token {TOKEN}")),
        client.get(&url).header("x-api-key", TOKEN),
        client.get(format!("{url}?token={TOKEN}")),
    ] {
        assert_eq!(status(request).await, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn token_guessing_is_slowed_down_and_locks_no_used_token_out() {
    let served = two_tenants().await;
    let url = format!("{}/v1/sessions", served.url);
    let answer = async |token: &str| {
        let request = served.client.get(&url).bearer_auth(token);
        request.send().await.expect("an answer")
    };
    assert_eq!(answer(TOKEN).await.status(), StatusCode::OK);
    let mut refused = None;
    for guess in 0..100 {
        let answer = answer(&format!("guess-{guess}")).await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some((guess, answer));
            break;
        }
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    let (guess, refusal) = refused.expect("a limit");
    assert_eq!(guess, 20);
    let after = refusal
        .headers()
        .get("retry-after")
        .and_then(|after| after.to_str().ok());
    let after: u64 = after.and_then(|after| after.parse().ok()).expect("a time");
    assert!((1..=60).contains(&after), "{after}");
    // Even the right token, if it would be a guess.
    assert_eq!(answer(OTHER).await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer(TOKEN).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_another_tenant_answer_as_unknown_ids() {
    let served = two_tenants().await;
    let made = served
        .post("/v1/sessions", &json!({"id": "secret-session"}))
        .send()
        .await;
    assert!(made.expect("an answer").status().is_success());
    let body = async |method: &str, path: &str, id: &str| {
        let path = path.replace("ID", id);
        let method = method.parse().expect("a method");
        let request = served
            .client
            .request(method, format!("{}{path}", served.url));
        let request = request.bearer_auth(OTHER).json(&json!({"code": "1"}));
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a text").replace(id, "ID");
        (status, text)
    };
    for (method, path) in [
        ("GET", "/v1/sessions/ID"),
        ("POST", "/v1/sessions/ID/execute"),
        ("POST", "/v1/sessions/ID/interrupt"),
        ("GET", "/v1/sessions/ID/variables"),
        ("GET", "/v1/sessions/ID/export"),
        ("DELETE", "/v1/sessions/ID"),
        ("GET", "/sandboxes/ID"),
        ("DELETE", "/sandboxes/ID"),
        ("GET", "/api/kernels/ID"),
    ] {
        let other = body(method, path, "secret-session").await;
        let unknown = body(method, path, "no-such-session").await;
        assert_eq!(other, unknown, "{method} {path}");
        assert!(!other.0.is_success(), "{method} {path}");
    }
    let list = served
        .client
        .get(format!("{}/v1/sessions", served.url))
        .bearer_auth(OTHER);
    let list = list
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a text");
    assert!(!list.contains("secret-session"), "{list}");
    let own = served
        .get("/v1/sessions/secret-session")
        .send()
        .await
        .expect("an answer");
    assert_eq!(own.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_of_one_tenant_is_not_used_by_another() {
    let mut config = config();
    let mut small = tenant("small", OTHER);
    small.quota.sessions = 1;
    config.tenants = vec![tenant("local", TOKEN), small];
    let served = Served::start(config).await;
    let make = async |token: &str| {
        let request = served.client.post(format!("{}/v1/sessions", served.url));
        request
            .bearer_auth(token)
            .json(&json!({}))
            .send()
            .await
            .expect("an answer")
    };
    assert!(make(TOKEN).await.status().is_success());
    assert!(make(TOKEN).await.status().is_success());
    assert!(make(OTHER).await.status().is_success());
    let refused = make(OTHER).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_narrow_the_grants_and_never_widen_them() {
    let mut config = config();
    let rules = ["*.example.com", "example.org:8443"].map(|rule| rule.parse().expect("a rule"));
    config.tenants[0].network = Some(codeact::tools::net::Network::new(rules.into(), Vec::new()));
    config.tenants[0].limits = codeact::sandbox::Limits::new()
        .with_wall(Duration::from_secs(300))
        .with_memory(256 << 20);
    let served = Served::start(config).await;
    let run = async |body: Value| {
        let answer = served
            .post("/v1/execute", &body)
            .send()
            .await
            .expect("an answer");
        (answer.status(), answer.text().await.expect("a text"))
    };
    for host in [
        "api.example.com",
        "*.eu.example.com:443",
        "example.org:8443",
    ] {
        let (status, text) = run(json!({"code": "print(1)", "hosts": [host]})).await;
        assert_eq!(status, StatusCode::OK, "{host}: {text}");
    }
    for host in [
        "example.com",
        "example.org",
        "evil.example",
        "*.com",
        "127.0.0.1",
        "localhost:8443",
    ] {
        let (status, text) = run(json!({"code": "print(1)", "hosts": [host]})).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{host}: {text}");
        assert!(text.contains("does not grant"), "{text}");
    }
    // A granted host that the request has left out.
    let code = "import urllib.request\ntry: urllib.request.urlopen('http://b.example.com')\n\
                except OSError as e: print(e)";
    let (_, text) = run(json!({"code": code, "hosts": ["a.example.com"]})).await;
    assert!(text.contains("not among the allowed hosts"), "{text}");
    let (status, text) = run(json!({"code": "print(1)", "packages": ["humanize"]})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    // More memory than the tenant has.
    let (_, text) =
        run(json!({"code": "b = bytes(400 << 20)", "limits": {"memory_bytes": 1u64 << 30}})).await;
    assert!(text.contains("MemoryError"), "{text}");
}

/// Returns the exit code and stderr of `codeact serve` with `args`, which fails.
fn refused(args: &[&str], token: Option<&str>) -> (Option<i32>, String) {
    let mut command = bare_command(args);
    if let Some(token) = token {
        command.env("CODEACT_TOKEN", token);
    }
    let done = command.output().expect("a process");
    assert!(done.stdout.is_empty(), "{done:?}");
    (
        done.status.code(),
        String::from_utf8_lossy(&done.stderr).into_owned(),
    )
}

#[test]
fn other_machines_are_not_served_without_a_token() {
    for args in [
        &["--listen", "0.0.0.0:0"][..],
        &["--listen", "[::]:0"],
        &["--listen", "192.0.2.1:0"],
        &["--listen", "0.0.0.0:0", "--no-token"],
    ] {
        let (code, stderr) = refused(args, None);
        assert_eq!(code, Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains("no token is configured"), "{stderr}");
    }
    let (code, stderr) = refused(&["--listen", "0.0.0.0:0"], Some("short"));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("can be guessed"), "{stderr}");
    let (code, stderr) = refused(
        &[
            "--no-token",
            "--allow-origin",
            "*",
            "--listen",
            "127.0.0.1:0",
        ],
        None,
    );
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("any web page could run code"), "{stderr}");
}

#[tokio::test]
async fn the_library_does_not_serve_other_machines_without_a_token() {
    let mut config = config();
    config.anonymous = Some(0);
    let server = codeact_server::Server::start(config, crate::support::sandbox().await).await;
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0")
        .await
        .expect("a listener");
    let served = server
        .expect("a server")
        .serve(listener, std::future::pending());
    let error = served.await.expect_err("a refusal").to_string();
    assert!(error.contains("other machines"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_that_cannot_be_added_are_errors_of_the_request() {
    let mut config = config();
    config.tenants[0].may_install = true;
    let served = Served::start(config).await;
    let too_many: Vec<_> = (0..100).map(|n| format!("p{n}")).collect();
    for packages in [
        json!(["not a package"]),
        json!(["x".repeat(5000)]),
        json!(too_many),
    ] {
        let body = json!({"code": "print(1)", "packages": packages});
        let answer = served
            .post("/v1/execute", &body)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{packages}");
    }
}
