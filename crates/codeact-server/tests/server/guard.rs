//! Requests that a web page in a browser could cause, and heads that are not what they seem.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Served, TOKEN, config, tenant};

/// Starts a server that needs no token, as a page would find it.
async fn open() -> Served {
    let mut config = config();
    config.anonymous = Some(0);
    Served::start(config).await
}

/// Sends a request head, `%` of which is the server's address, and returns the status.
async fn status(served: &Served, head: &str) -> u16 {
    let request = head
        .replace('%', &served.address.to_string())
        .replace('\n', "\r\n");
    let answer = raw(served, request.into_bytes()).await;
    let line = answer.lines().next().unwrap_or_default().to_owned();
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no status: {answer:?}"))
}

async fn raw(served: &Served, request: Vec<u8>) -> String {
    raw_to(served.address, request).await
}

async fn raw_to(address: std::net::SocketAddr, request: Vec<u8>) -> String {
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream
            .set_read_timeout(Some(Duration::from_secs(120)))
            .expect("a limit");
        let _ = stream.write_all(&request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
    .expect("no panic")
}

fn get(headers: &str) -> String {
    format!("GET /healthz HTTP/1.1\nConnection: close\n{headers}\n\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cross_origin_post_is_refused_before_code_runs() {
    let served = open().await;
    let code = json!({"code": "print(1)"});
    let own = served.url.clone();
    let other_port = format!("http://127.0.0.1:{}", served.address.port() ^ 1);
    for origin in [
        "https://evil.example",
        "http://localhost:3000",
        "null",
        "file://",
        "",
        "http://127.0.0.1",
        &other_port,
        &own.replace("http://", "https://"),
        &format!("{own}.evil.example"),
    ] {
        for method in ["POST", "GET", "OPTIONS", "PUT", "DELETE"] {
            let request = served
                .request(method, "/v1/execute")
                .header("origin", origin);
            let answer = request.json(&code).send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method} {origin}");
            assert!(
                answer
                    .headers()
                    .get("access-control-allow-origin")
                    .is_none()
            );
        }
    }
    let same = served.post("/v1/execute", &code).header("origin", &own);
    assert_eq!(
        same.send().await.expect("an answer").status(),
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cross_origin_websocket_is_refused() {
    let served = open().await;
    let upgrade = "GET /api/kernels/x/channels HTTP/1.1\nHost: %\nConnection: Upgrade\nUpgrade: websocket\n\
                   Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nOrigin: http://localhost:3000\n\n";
    let head = upgrade.replace("Connection: Upgrade", "Connection: Upgrade, close");
    assert_eq!(status(&served, &head).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_an_origin_header_is_found_by_its_fetch_metadata() {
    let served = open().await;
    let of = |site: &str, mode: &str, dest: &str| {
        get(&format!(
            "Host: %\nSec-Fetch-Site: {site}\nSec-Fetch-Mode: {mode}\nSec-Fetch-Dest: {dest}"
        ))
    };
    assert_eq!(
        status(&served, &of("cross-site", "no-cors", "image")).await,
        403
    );
    assert_eq!(
        status(&served, &of("same-site", "no-cors", "script")).await,
        403
    );
    assert_eq!(
        status(&served, &of("cross-site", "navigate", "iframe")).await,
        403
    );
    assert_eq!(
        status(&served, &of("cross-site", "navigate", "document")).await,
        200
    );
    assert_eq!(
        status(&served, &of("same-origin", "cors", "empty")).await,
        200
    );
    assert_eq!(
        status(&served, &of("none", "navigate", "document")).await,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dns_rebinding_by_the_host_header_is_refused() {
    let served = open().await;
    for host in [
        "evil.example",
        "evil.example:8642",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil-localhost",
        "x.localhost",
        "8000-.localhost",
        "-a.localhost",
        "123456-a.localhost",
    ] {
        assert_eq!(
            status(&served, &get(&format!("Host: {host}"))).await,
            403,
            "{host}"
        );
    }
    for host in ["a b", "a/b", "a@127.0.0.1", "[::1", "", "127.0.0.1:x"] {
        assert_eq!(
            status(&served, &get(&format!("Host: {host}"))).await,
            400,
            "{host}"
        );
    }
    for host in [
        "%",
        "localhost",
        "LOCALHOST:1",
        "localhost.",
        "127.0.0.1",
        "[::1]:8642",
    ] {
        assert_eq!(
            status(&served, &get(&format!("Host: {host}"))).await,
            200,
            "{host}"
        );
    }
    // Of a sandbox, which does not exist.
    assert_eq!(
        status(&served, &get("Host: 49999-abc.localhost")).await,
        404
    );
    let page = get("Host: evil.example\nOrigin: http://evil.example");
    assert_eq!(status(&served, &page).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_origins_that_the_operator_allows_are_served() {
    let mut config = config();
    config.hosts = vec!["codeact.example".into()];
    config.origins = vec!["https://app.example".into()];
    let served = Served::start(config).await;
    for host in ["codeact.example", "CODEACT.example:443"] {
        assert_eq!(
            status(&served, &get(&format!("Host: {host}"))).await,
            200,
            "{host}"
        );
    }
    for host in [
        "x.codeact.example",
        "codeact.example.evil",
        "49983-a.b.codeact.example",
    ] {
        assert_eq!(
            status(&served, &get(&format!("Host: {host}"))).await,
            403,
            "{host}"
        );
    }
    let sandbox = get("Host: 49983-a1b2.codeact.example");
    assert_eq!(status(&served, &sandbox).await, 404);
    // A proxy in front of the server speaks HTTPS.
    let own = get("Host: codeact.example\nOrigin: https://codeact.example");
    assert_eq!(status(&served, &own).await, 200);
    let preflight = served
        .client
        .request(
            reqwest::Method::OPTIONS,
            format!("{}/v1/execute", served.url),
        )
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization, content-type",
        )
        .header("access-control-request-private-network", "true");
    let answer = preflight.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    assert_eq!(
        header("access-control-allow-origin"),
        Some("https://app.example")
    );
    assert_eq!(header("access-control-allow-methods"), Some("POST"));
    assert_eq!(
        header("access-control-allow-headers"),
        Some("authorization, content-type")
    );
    assert_eq!(header("access-control-allow-private-network"), Some("true"));
    assert_eq!(header("access-control-allow-credentials"), None);
    // The token is needed all the same.
    let request = served.client.post(format!("{}/v1/execute", served.url));
    let answer = request
        .header("origin", "https://app.example")
        .json(&json!({"code": "1"}));
    let answer = answer.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_simple_forms_are_refused() {
    let served = open().await;
    for content in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "TEXT/PLAIN; charset=utf-8",
    ] {
        let request = served
            .request("POST", "/v1/execute")
            .header("content-type", content);
        let answer = request
            .body(r#"{"code": "1"}"#)
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            answer.status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{content}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn smuggled_requests_are_refused() {
    let served = open().await;
    let hidden = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    for head in [
        "Transfer-Encoding: chunked\nContent-Length: 4",
        "Content-Length: 4\nContent-Length: 5",
        "Content-Length: 4, 5",
        "Content-Length: +4",
        "Transfer-Encoding: identity, chunked, identity",
        "Transfer-Encoding: xchunked",
    ] {
        let head = format!(
            "POST /v1/execute HTTP/1.1\nHost: %\nContent-Type: application/json\n{head}\n\n"
        );
        let head = head
            .replace('%', &served.address.to_string())
            .replace('\n', "\r\n");
        let answer = raw(
            &served,
            [head.as_bytes(), b"0\r\n\r\n", hidden.as_bytes()].concat(),
        )
        .await;
        // One refusal, and the connection is closed: nothing after the head is read as another request.
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{head}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 400"), "{head}: {answer}");
    }
    let port = served.address.port();
    for head in [
        format!(
            "GET http://evil.example/healthz HTTP/1.1\nHost: 127.0.0.1:{port}\nConnection: close\n\n"
        ),
        format!(
            "GET /healthz HTTP/1.1\nHost: 127.0.0.1:{port}\nHost: localhost\nConnection: close\n\n"
        ),
        "GET /healthz HTTP/1.1\nConnection: close\n\n".into(),
        "GET /healthz HTTP/1.0\nConnection: close\n\n".into(),
        "GET /healthz HTTP/1.1\nHost: 127.0.0.1\n : x\nConnection: close\n\n".into(),
        "GET /healthz HTTP/1.1\nHost: 127.0.0.1\nA : x\nConnection: close\n\n".into(),
        "GET /healthz HTTP/1.1\nHost: 127.0.0.1\nA: x\n y\nConnection: close\n\n".into(),
    ] {
        assert_eq!(status(&served, &head).await, 400, "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_and_too_large_headers_are_refused() {
    let served = open().await;
    let many: String = (0..200).map(|n| format!("x-{n}: 1\n")).collect();
    assert_eq!(
        status(&served, &get(&format!("Host: %\n{}", many.trim_end()))).await,
        431
    );
    let large = "x".repeat(1 << 20);
    assert_eq!(
        status(&served, &get(&format!("Host: %\nX: {large}"))).await,
        431
    );
    let path = "x".repeat(20_000);
    let long = format!("GET /{path} HTTP/1.1\nHost: %\nConnection: close\n\n");
    assert_eq!(status(&served, &long).await, 414);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_end_is_given_up() {
    let served = open().await;
    let mut given_up = tokio::task::JoinSet::new();
    for start in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n",
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    ] {
        let address = served.address;
        // Each returns only when the server closes the connection.
        given_up.spawn(async move { (start, raw_to(address, start.into()).await) });
    }
    for (start, answer) in given_up.join_all().await {
        assert!(!answer.contains("200 OK"), "{start}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_body_is_cut_at_the_limit() {
    let mut config = config();
    config.body = 1 << 20;
    let served = Served::start(config).await;
    let chunk = bytes(64 << 10);
    let endless = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
    let request = served
        .request("POST", "/v1/execute")
        .header("content-type", "application/json");
    let sent = request
        .body(reqwest::Body::wrap_stream(endless))
        .send()
        .await;
    // The server may close the connection before the client has read the answer.
    if let Ok(answer) = sent {
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    let head = format!(
        "POST /v1/execute HTTP/1.1\nHost: %\nAuthorization: Bearer {TOKEN}\nContent-Type: application/json\n\
         Content-Length: 9000000000\nConnection: close\n\n"
    );
    assert_eq!(status(&served, &head).await, 413);
    let healthy = served.get("/healthz").send().await.expect("an answer");
    assert_eq!(healthy.status(), StatusCode::OK);
}

fn bytes(count: usize) -> Vec<u8> {
    vec![b' '; count]
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_refused_and_not_queued() {
    let mut config = config();
    config.connections = 2;
    config.tenants = vec![tenant("local", TOKEN)];
    let served = Served::start(config).await;
    let held: Vec<_> = (0..2)
        .map(|_| TcpStream::connect(served.address).expect("a connection"))
        .collect();
    // The server accepts in the order of the connections.
    let answer = raw(&served, Vec::new()).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(held);
    let deadline = std::time::Instant::now() + crate::support::HANG;
    while status_or_none(&served).await != Some(StatusCode::OK) {
        assert!(
            std::time::Instant::now() < deadline,
            "the slots are not given back"
        );
    }
}

async fn status_or_none(served: &Served) -> Option<StatusCode> {
    Some(served.get("/healthz").send().await.ok()?.status())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_an_identifier_in_its_response() {
    let served = open().await;
    let id = async |given: Option<&str>| {
        let mut request = served.get("/healthz");
        if let Some(given) = given {
            request = request.header("x-request-id", given);
        }
        let answer = request.send().await.expect("an answer");
        let id = answer
            .headers()
            .get("x-request-id")
            .and_then(|id| id.to_str().ok());
        id.expect("an identifier").to_owned()
    };
    assert_ne!(id(None).await, id(None).await);
    assert_eq!(id(Some("client-1.a_B")).await, "client-1.a_B");
    for bad in ["a b", "\"x\"", "", &"x".repeat(65)] {
        assert_ne!(id(Some(bad)).await, bad, "{bad}");
    }
}
