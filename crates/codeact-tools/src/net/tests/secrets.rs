use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt;

use super::super::request::HttpRequest;
use super::super::{BadSecret, Secret};
use super::{Server, body_of, failure, get, header, network, ok, read_request, rule, with_headers};

const VALUE: &str = "sk-very/secret+0123";
const PLACEHOLDER: &str = "CODEACT_SECRET_KEY";
/// Time limit of waits for bytes that are held back.
const SHORT: Option<std::time::Duration> = Some(std::time::Duration::from_millis(200));

fn secret(server: &Server) -> Secret {
    Secret::new("KEY", VALUE.into(), server.rule()).unwrap()
}

/// Returns a server that sends the request back, in chunks of `size` bytes.
async fn echo(size: usize) -> Server {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Ok(request) = read_request(&mut stream).await else {
                continue;
            };
            let mut answer = "HTTP/1.1 200 OK\r\nConnection: close\r\n".to_owned();
            if let Some((_, key)) = request.split_once("x-key: ") {
                let key = key.lines().next().unwrap();
                answer += &format!("X-Key: <{key}>\r\n");
                answer += &format!("Location: http://elsewhere.test/?k={key}\r\n");
            }
            answer += "Transfer-Encoding: chunked\r\n\r\n";
            for chunk in request.as_bytes().chunks(size) {
                answer += &format!("{:x}\r\n", chunk.len());
                answer += std::str::from_utf8(chunk).unwrap();
                answer += "\r\n";
            }
            answer += "0\r\n\r\n";
            let _ = sender.send(request);
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Server { port, requests }
}

#[test]
fn a_secret_is_checked_and_its_value_is_not_shown() {
    let shown = |result: Result<Secret, BadSecret>| match result {
        Ok(secret) => format!("{secret:?} {secret:#?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    let host = || rule("a.test");
    for name in ["", "1A", "A-B", "A B", "Ä", "A\n", &"A".repeat(65)] {
        let result = Secret::new(name, VALUE.into(), host());
        assert!(matches!(result, Err(BadSecret::Name(_))), "{name}");
        assert!(!shown(result).contains(VALUE));
    }
    for value in [
        "",
        "short12",
        "line\nbreak",
        "trailing-newline\n",
        " leading-space",
        "trailing-space ",
        "\u{feff}byte-order-mark",
        "nul\0nul\0",
        &"x".repeat(4097),
    ] {
        let result = Secret::new("A", value.into(), host());
        assert!(result.is_err(), "{value:?}");
        assert!(value.is_empty() || !shown(result).contains(value));
    }
    let secret = Secret::new("_a1", VALUE.into(), host()).unwrap();
    assert_eq!(secret.placeholder(), "CODEACT_SECRET__a1");
    let network = network(vec![host()], vec![secret.clone()]);
    let text = format!("{} {network:?} {:?}", shown(Ok(secret)), network.redactor());
    assert!(!text.contains(VALUE) && text.contains("_a1"), "{text}");
}

#[tokio::test]
async fn a_secret_is_inserted_for_its_host_and_redacted_in_the_response() {
    for size in [1, 7, 1000] {
        let mut server = echo(size).await;
        let network = network(vec![server.rule()], vec![secret(&server)]);
        let connections = network.open();
        let mut request = with_headers(
            get(server.url(&format!(
                "/bot{PLACEHOLDER}/x?k={PLACEHOLDER}&m={PLACEHOLDER}"
            ))),
            &[("X-Key", PLACEHOLDER), ("Accept-Encoding", "gzip")],
        );
        request.method = "POST".into();
        request.body = format!("key={PLACEHOLDER}").into_bytes();
        let response = connections.request(request).await.unwrap();
        assert_eq!(header(&response, "x-key"), Some("<CODEACT_SECRET_KEY>"));
        let location = header(&response, "location").unwrap();
        assert_eq!(location, "http://elsewhere.test/?k=CODEACT_SECRET_KEY");
        let body = super::read_all(&connections, response.response, 5)
            .await
            .unwrap();
        let body = String::from_utf8(body).unwrap();

        let sent = server.request().await;
        let line = "POST /botsk-very%2Fsecret+0123/x?k=sk-very%2Fsecret%2B0123\
                    &m=sk-very%2Fsecret%2B0123 HTTP/1.1\r\n";
        assert!(sent.starts_with(line), "{sent}");
        assert!(sent.contains(&format!("x-key: {VALUE}\r\n")), "{sent}");
        assert!(sent.contains("accept-encoding: identity\r\n"), "{sent}");
        assert!(sent.ends_with(&format!("key={VALUE}")), "{sent}");

        let expected = sent
            .replace(VALUE, PLACEHOLDER)
            .replace("sk-very%2Fsecret+0123", PLACEHOLDER)
            .replace("sk-very%2Fsecret%2B0123", PLACEHOLDER);
        assert_eq!(body, expected);
        assert!(!body.contains("0123"), "{body}");
        let headers = format!("{:?}", response.headers);
        assert!(!headers.contains("0123"), "{headers}");
    }
}

#[tokio::test]
async fn a_header_with_a_secret_in_its_name_is_removed() {
    let server = Server::responding(ok("X-Another-SECRET: 1\r\nX-B: 2\r\n", "")).await;
    let secret = Secret::new("KEY", "Another-Secret".into(), server.rule()).unwrap();
    let connections = network(vec![server.rule()], vec![secret]).open();
    let response = connections.request(get(server.url("/"))).await.unwrap();
    let names: Vec<_> = response.headers.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["x-b"]);
}

#[tokio::test]
async fn a_placeholder_is_not_replaced_for_other_hosts() {
    let mut server = echo(100).await;
    let elsewhere = Server::responding(ok("", "")).await;
    let secrets = vec![
        secret(&elsewhere),
        // Bound to this host, and its name is a prefix of the other name.
        Secret::new("KE", "another-secret".into(), server.rule()).unwrap(),
    ];
    let connections = network(vec![server.rule(), elsewhere.rule()], secrets).open();
    let request = with_headers(
        get(server.url(&format!("/{PLACEHOLDER}"))),
        &[("X-Key", PLACEHOLDER)],
    );
    connections.request(request).await.unwrap();
    let sent = server.request().await;
    assert!(
        sent.starts_with(&format!("GET /{PLACEHOLDER} "))
            && sent.contains("x-key: CODEACT_SECRET_KEY\r\n")
    );
    // The same host at another port is another host.
    let wrong = rule(&format!("127.0.0.1:{}", elsewhere.port));
    assert!(
        !Secret::new("A", VALUE.into(), wrong)
            .unwrap()
            .is_for("127.0.0.1", server.port)
    );
    // A secret of one host is also redacted in responses of another host.
    let stored = Server::responding(ok("", VALUE)).await;
    let connections = network(vec![stored.rule()], vec![secret(&elsewhere)]).open();
    assert_eq!(
        body_of(&connections, get(stored.url("/"))).await,
        PLACEHOLDER
    );
}

#[tokio::test]
async fn a_secret_is_inserted_into_basic_authorization() {
    let mut server = echo(10).await;
    let connections = network(vec![server.rule()], vec![secret(&server)]).open();
    let basic = format!("Basic {}", STANDARD.encode(format!("user:{PLACEHOLDER}")));
    let request = with_headers(get(server.url("/")), &[("Authorization", &basic)]);
    let body = body_of(&connections, request).await;
    let encoded = STANDARD.encode(format!("user:{VALUE}"));
    let sent = server.request().await;
    assert!(
        sent.contains(&format!("authorization: Basic {encoded}\r\n")),
        "{sent}"
    );
    assert!(
        body.contains(PLACEHOLDER) && !body.contains(&encoded[10..20]),
        "{body}"
    );
    // Invalid base64 is sent unchanged.
    let request = with_headers(get(server.url("/")), &[("Authorization", "Basic ?")]);
    connections.request(request).await.unwrap();
    assert!(
        server
            .request()
            .await
            .contains("authorization: Basic ?\r\n")
    );
}

#[tokio::test]
async fn a_value_is_encoded_for_the_type_of_the_body() {
    let mut server = Server::responding(ok("", "")).await;
    let value = "quote\" and/slash";
    let secret = Secret::new("KEY", value.into(), server.rule()).unwrap();
    let connections = network(vec![server.rule()], vec![secret]).open();
    for (kind, sent) in [
        ("application/json; charset=utf-8", r#"[quote\" and/slash]"#),
        (
            "application/x-www-form-urlencoded",
            "[quote%22%20and%2Fslash]",
        ),
        ("text/plain", "[quote\" and/slash]"),
    ] {
        let mut request = with_headers(get(server.url("/")), &[("Content-Type", kind)]);
        request.method = "POST".into();
        request.body = format!("[{PLACEHOLDER}]").into_bytes();
        connections.request(request).await.unwrap();
        assert!(server.request().await.ends_with(sent), "{kind}");
    }
}

#[tokio::test]
async fn a_compressed_response_is_refused_if_it_may_contain_secrets() {
    let server = Server::responding(ok("Content-Encoding: GZip\r\n", "xxx")).await;
    let connections = network(vec![server.rule()], vec![secret(&server)]).open();
    // Also if the request has no secret, because the host may have stored it.
    failure(&connections, get(server.url("/")), "protocol").await;
    // Without secrets the guest receives it.
    let connections = network(vec![server.rule()], vec![]).open();
    let response = connections.request(get(server.url("/"))).await.unwrap();
    assert_eq!(header(&response, "content-encoding"), Some("GZip"));
}

#[tokio::test]
async fn a_secret_is_sent_over_plain_http_to_this_machine_only() {
    let host = rule("api.test");
    let secret = Secret::new("KEY", VALUE.into(), host.clone()).unwrap();
    let connections = network(vec![host], vec![secret]).open();
    let with_key = || with_headers(get("http://api.test/"), &[("X-Key", PLACEHOLDER)]);
    let message = failure(&connections, with_key(), "denied").await;
    assert!(
        message.contains("plain http") && !message.contains(VALUE),
        "{message}"
    );
}

#[tokio::test]
async fn inserted_secrets_are_limited() {
    let server = Server::responding(ok("", "")).await;
    let long = "x".repeat(4096);
    let secret = Secret::new("KEY", long, server.rule()).unwrap();
    let connections = network(vec![server.rule()], vec![secret]).open();
    let many = PLACEHOLDER.repeat(500);
    failure(
        &connections,
        get(server.url(&format!("/{many}"))),
        "too_large",
    )
    .await;
    failure(
        &connections,
        with_headers(get(server.url("/")), &[("X", &many)]),
        "too_large",
    )
    .await;
    let body = PLACEHOLDER.repeat(5000).into_bytes();
    failure(
        &connections,
        HttpRequest {
            body,
            ..get(server.url("/"))
        },
        "too_large",
    )
    .await;
}

#[tokio::test]
async fn a_failure_does_not_contain_a_secret() {
    // The server receives a secret in the URL, and its response is invalid.
    let server = Server::responding("HTTP/1.1 nonsense\r\n\r\n").await;
    let connections = network(vec![server.rule()], vec![secret(&server)]).open();
    let url = server.url(&format!("/{PLACEHOLDER}"));
    let message = failure(&connections, get(url), "protocol").await;
    assert!(!message.contains("secret"), "{message}");
}

#[tokio::test]
async fn a_secret_is_not_inserted_after_an_incomplete_escape() {
    let mut server = Server::responding(ok("", "")).await;
    let value = "tab-after-a-backslash";
    let secret = Secret::new("KEY", value.into(), server.rule()).unwrap();
    let connections = network(vec![server.rule()], vec![secret]).open();
    let url = server.url("/");
    let posted = |kind: &str, body: String| HttpRequest {
        method: "POST".into(),
        body: body.into_bytes(),
        ..with_headers(get(&url), &[("Content-Type", kind)])
    };
    for kind in [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
    ] {
        for before in [
            "\\", "\\\\\\", "\\u", "\\u00", "\\u004", "\\x4", "\\1", "%", "%4", "a%a",
        ] {
            let request = posted(kind, format!("{before}{PLACEHOLDER}"));
            let message = failure(&connections, request, "denied").await;
            assert!(
                message.contains("escape") && !message.contains(value),
                "{message}"
            );
        }
    }
    for (name, text) in [("url", "/%"), ("url", "/?a=%4"), ("header", "%")] {
        let request = match name {
            "url" => get(server.url(&format!("{text}{PLACEHOLDER}"))),
            _ => with_headers(
                get(server.url("/")),
                &[("X-Key", &format!("{text}{PLACEHOLDER}"))],
            ),
        };
        failure(&connections, request, "denied").await;
    }
    for before in [
        "", "\\\\", "\\n", "\\u0041", "\\b", "%41", "100% ", "u00", "\\\\1",
    ] {
        let request = posted("application/json", format!("{before}{PLACEHOLDER}"));
        connections.request(request).await.unwrap();
        let sent = server.request().await;
        assert!(sent.ends_with(&format!("{before}{value}")), "{sent}");
    }
    // A domain and a user are no escape.
    let basic = format!(
        "Basic {}",
        STANDARD.encode(format!("DOMAIN\\{PLACEHOLDER}"))
    );
    let request = with_headers(get(server.url("/")), &[("Authorization", &basic)]);
    connections.request(request).await.unwrap();
}

#[tokio::test]
async fn the_length_and_the_digest_of_a_response_with_secrets_are_hidden() {
    let headers = "ETag: x\r\nContent-MD5: x\r\nDigest: x\r\nRepr-Digest: x\r\nContent-Digest: x\r\n\
                   Content-Range: bytes 0-1/5\r\n";
    let server = Server::responding(ok(headers, "")).await;
    let elsewhere = Server::responding(ok("", "")).await;
    let head = |server: &Server| HttpRequest {
        method: "HEAD".into(),
        ..get(server.url("/"))
    };
    let bound = network(vec![server.rule()], vec![secret(&server)]).open();
    let response = bound.request(head(&server)).await.unwrap();
    let names: Vec<_> = response.headers.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["etag"]);
    // A host without secrets has no secrets in its responses.
    let both = vec![server.rule(), elsewhere.rule()];
    let unbound = network(both, vec![secret(&elsewhere)]).open();
    let response = unbound.request(head(&server)).await.unwrap();
    assert_eq!(header(&response, "content-length"), Some("0"));
    assert_eq!(header(&response, "digest"), Some("x"));
}

#[tokio::test]
async fn a_part_of_a_response_with_secrets_is_not_requested() {
    let server = Server::responding(ok("", "")).await;
    let connections = network(vec![server.rule()], vec![secret(&server)]).open();
    let part = || with_headers(get(server.url("/")), &[("Range", "bytes=0-3")]);
    let message = failure(&connections, part(), "denied").await;
    assert!(message.contains("Range"), "{message}");
    let connections = network(vec![server.rule()], vec![]).open();
    connections.request(part()).await.unwrap();
}

/// The attack that read a secret through the bytes that were held back: the reader sees for each guess of a beginning
/// whether the stream goes on.
#[tokio::test]
async fn a_stream_holds_back_the_same_for_every_guess() {
    for guess in ["", "s", "sk-very/secret+012", "xx-very/secret+012"] {
        let chunk = format!("{}{guess}", "-".repeat(100 - guess.len()));
        let server = Server::new(move |_, mut stream| {
            let chunk = chunk.clone();
            async move {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{chunk}");
                stream.write_all(head.as_bytes()).await?;
                std::future::pending().await
            }
        })
        .await;
        let elsewhere = rule("elsewhere.test");
        let secret = Secret::new("KEY", VALUE.into(), elsewhere).unwrap();
        let connections = network(vec![server.rule()], vec![secret]).open();
        let response = connections.request(get(server.url("/"))).await.unwrap();
        let mut received = 0;
        while let Ok(chunk) = (connections.read(response.response, 999, SHORT)).await {
            received += chunk.data.len();
        }
        assert_eq!(received, 100 - 63, "{guess}");
    }
}
