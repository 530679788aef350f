use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::super::request::HttpRequest;
use super::super::{HttpLimits, Network};
use super::{Scripted, Server, failure, get, header, network, ok, read_all, with_headers};

/// Time limit of waits for events that do not happen.
const SHORT: Option<Duration> = Some(Duration::from_millis(50));

fn bounded(server: &Server, limits: HttpLimits) -> Network {
    Network::with(vec![server.rule()], vec![], limits, Scripted::new(&[]))
}

#[tokio::test]
async fn a_request_and_its_response_are_passed_on_unchanged() {
    let answer = "HTTP/1.1 418 whatever\r\nX-A: 1\r\nx-a: caf\u{e9}\r\nKeep-Alive: timeout=5\r\n\
                  Connection: close\r\nProxy-Authenticate: x\r\nContent-Length: 3\r\n\r\nabc";
    let answer: Vec<u8> = answer.chars().map(|c| u8::try_from(c).unwrap()).collect();
    let mut server = Server::responding(answer).await;
    let connections = network(vec![server.rule()], vec![]).open();
    let mut request = with_headers(
        get(server.url("/p%20q/../r?a=b c#fragment")),
        &[("X-One", "1"), ("x-one", "2"), ("User-Agent", "me")],
    );
    request.method = "PATCH".into();
    request.body = b"body".to_vec();
    let response = connections.request(request).await.unwrap();
    assert_eq!(
        (response.status, response.reason.as_str()),
        (418, "I'm a teapot")
    );
    let headers: Vec<_> = response
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        headers,
        [("x-a", "1"), ("x-a", "caf\u{e9}"), ("content-length", "3")]
    );
    assert_eq!(
        read_all(&connections, response.response, 1).await.unwrap(),
        b"abc"
    );

    let sent = server.request().await;
    assert!(sent.starts_with("PATCH /r?a=b%20c HTTP/1.1\r\n"), "{sent}");
    for line in [
        "x-one: 1\r\n",
        "x-one: 2\r\n",
        "user-agent: me\r\n",
        "content-length: 4\r\n",
    ] {
        assert!(sent.contains(line), "{sent}");
    }
    assert!(sent.ends_with("\r\n\r\nbody"), "{sent}");
}

#[tokio::test]
async fn headers_that_belong_to_the_host_are_removed() {
    let mut server = Server::responding(ok("", "")).await;
    let connections = network(vec![server.rule()], vec![]).open();
    let mut request = with_headers(
        get(server.url("/")),
        &[
            ("Host", "evil.test"),
            ("Content-Length", "0"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "upgrade"),
            ("Upgrade", "websocket"),
            ("Keep-Alive", "1"),
            ("Proxy-Authorization", "x"),
            ("TE", "trailers"),
            ("Trailer", "x"),
            ("Expect", "100-continue"),
        ],
    );
    request.method = "POST".into();
    request.body = b"GET /smuggled HTTP/1.1\r\n\r\n".to_vec();
    connections.request(request).await.unwrap();
    let sent = server.request().await.to_ascii_lowercase();
    let (head, _) = sent.split_once("\r\n\r\n").unwrap();
    let mut names: Vec<&str> = head
        .lines()
        .skip(1)
        .map(|l| l.split(':').next().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "content-length", "host"]);
    assert!(
        head.contains("content-length: 26") && !head.contains("evil"),
        "{head}"
    );
}

#[tokio::test]
async fn headers_and_requests_cannot_be_injected() {
    let mut server = Server::responding(ok("", "")).await;
    let connections = network(vec![server.rule()], vec![]).open();
    for (name, value) in [
        ("X", "a\r\nY: b"),
        ("X", "a\nb"),
        ("X", "a\0b"),
        ("X", "\u{20ac}"),
        ("X\r\nY", "a"),
        ("X:", "a"),
        ("", "a"),
    ] {
        let request = with_headers(get(server.url("/")), &[(name, value)]);
        failure(&connections, request, "protocol").await;
    }
    for method in ["", "GET / HTTP/1.1\r\nX: y\r\n\r\nGET", "A B"] {
        let request = HttpRequest {
            method: method.into(),
            ..get(server.url("/"))
        };
        failure(&connections, request, "protocol").await;
    }
    for method in ["CONNECT", "TRACE"] {
        let request = HttpRequest {
            method: method.into(),
            ..get(server.url("/"))
        };
        failure(&connections, request, "denied").await;
    }
    connections
        .request(get(server.url("/a\r\nX: y\r\n\r\nb")))
        .await
        .unwrap();
    let sent = server.request().await;
    assert!(sent.starts_with("GET /aX:%20yb HTTP/1.1\r\n"), "{sent}");
}

#[tokio::test]
async fn requests_are_limited() {
    let server = Server::responding(ok("", "")).await;
    let connections = network(vec![server.rule()], vec![]).open();
    let body = HttpRequest {
        body: vec![0; (16 << 20) + 1],
        ..get(server.url("/"))
    };
    failure(&connections, body, "too_large").await;
    failure(
        &connections,
        get(server.url(&"/a".repeat(9000))),
        "too_large",
    )
    .await;
    failure(
        &connections,
        with_headers(get(server.url("/")), &[("a", "b"); 101]),
        "too_large",
    )
    .await;
    let long = "x".repeat(65 << 10);
    failure(
        &connections,
        with_headers(get(server.url("/")), &[("a", &long)]),
        "too_large",
    )
    .await;
}

#[tokio::test]
async fn an_endless_body_is_limited() {
    let server = Server::new(|number, mut stream| async move {
        // Once with a length, once without.
        let head = match number {
            0 => "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\n\r\n",
        };
        stream.write_all(head.as_bytes()).await?;
        for _ in 0..1 << 14 {
            stream.write_all(&[b'x'; 1 << 16]).await?;
        }
        Ok(())
    })
    .await;
    let limits = HttpLimits {
        response_body: 1 << 20,
        open: 1,
        ..HttpLimits::default()
    };
    let connections = bounded(&server, limits).open();
    for _ in 0..2 {
        let response = connections
            .request(get(server.url("/")))
            .await
            .unwrap()
            .response;
        let error = read_all(&connections, response, 1 << 20).await.unwrap_err();
        assert_eq!(error.kind, "too_large");
        // Its permit is free, and the failure stays.
        let error = connections.read(response, 1, None).await.unwrap_err();
        assert_eq!(error.kind, "too_large");
    }
}

#[tokio::test]
async fn a_server_without_a_response_is_a_timeout() {
    let server = Server::new(|_, mut stream| async move {
        stream.read_u8().await?;
        Ok(())
    })
    .await;
    let connections = network(vec![server.rule()], vec![]).open();
    let request = HttpRequest {
        timeout: SHORT,
        ..get(server.url("/"))
    };
    failure(&connections, request, "timeout").await;
    let limits = HttpLimits {
        wait: SHORT.unwrap(),
        ..HttpLimits::default()
    };
    let connections = bounded(&server, limits).open();
    let request = HttpRequest {
        timeout: Some(Duration::MAX),
        ..get(server.url("/"))
    };
    failure(&connections, request, "timeout").await;
}

#[tokio::test]
async fn a_name_server_without_a_response_is_a_timeout() {
    struct Silent;
    impl super::super::Lookup for Silent {
        fn addresses(&self, _: &str) -> super::super::resolve::LookupFuture {
            Box::pin(std::future::pending())
        }
    }
    let limits = HttpLimits {
        connect: SHORT.unwrap(),
        ..HttpLimits::default()
    };
    let rules = vec![super::rule("slow.test")];
    let connections = Network::with(rules, vec![], limits, Arc::new(Silent)).open();
    failure(&connections, get("http://slow.test/"), "timeout").await;
}

#[tokio::test]
async fn a_read_can_be_repeated_after_a_timeout() {
    let resume = Arc::new(Notify::new());
    let signal = Arc::clone(&resume);
    let server = Server::new(move |_, mut stream| {
        let signal = Arc::clone(&signal);
        async move {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
                .await?;
            signal.notified().await;
            stream.write_all(b"b").await
        }
    })
    .await;
    let connections = network(vec![server.rule()], vec![]).open();
    let response = connections
        .request(get(server.url("/")))
        .await
        .unwrap()
        .response;
    assert_eq!(
        connections.read(response, 9, None).await.unwrap().data,
        b"a"
    );
    let error = connections.read(response, 9, SHORT).await.unwrap_err();
    assert_eq!(error.kind, "timeout");
    resume.notify_one();
    assert_eq!(read_all(&connections, response, 9).await.unwrap(), b"b");
    // After its end, it returns the end again.
    assert!(connections.read(response, 9, None).await.unwrap().end);
    assert_eq!(
        connections
            .read(response + 1, 9, None)
            .await
            .unwrap_err()
            .kind,
        "protocol"
    );
}

#[tokio::test]
async fn open_responses_are_limited_until_they_are_closed() {
    let server = Server::new(|_, mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
            .await?;
        stream.read_u8().await?;
        Ok(())
    })
    .await;
    let limits = HttpLimits {
        open: 2,
        ..HttpLimits::default()
    };
    let connections = bounded(&server, limits).open();
    let first = connections
        .request(get(server.url("/")))
        .await
        .unwrap()
        .response;
    connections.request(get(server.url("/"))).await.unwrap();
    failure(&connections, get(server.url("/")), "limit").await;
    connections.close(first);
    connections.close(first);
    assert!(connections.read(first, 1, None).await.unwrap().end);
    connections.request(get(server.url("/"))).await.unwrap();
}

#[tokio::test]
async fn invalid_http_is_a_protocol_failure() {
    let headers = "X: y\r\n".repeat(101);
    for answer in [
        Vec::new(),
        b"\0\xff\xfe nonsense\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nX".to_vec(),
        b"HTTP/1.1 2000 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nA B\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_vec(),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec(),
        format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes(),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(1 << 20)).into_bytes(),
    ] {
        let server = Server::responding(answer).await;
        let connections = network(vec![server.rule()], vec![]).open();
        failure(&connections, get(server.url("/")), "protocol").await;
    }
}

#[tokio::test]
async fn an_incomplete_body_is_read_and_then_fails() {
    for (answer, whole) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", false),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz",
            false,
        ),
        ("HTTP/1.0 200 OK\r\n\r\nabc", true),
    ] {
        let server = Server::responding(answer).await;
        let connections = network(vec![server.rule()], vec![]).open();
        let response = connections.request(get(server.url("/"))).await.unwrap();
        assert_eq!(header(&response, "transfer-encoding"), None);
        let chunk = connections.read(response.response, 3, None).await.unwrap();
        assert_eq!(chunk.data, b"abc", "{answer}");
        match connections.read(response.response, 3, None).await {
            Ok(chunk) => assert!(whole && chunk.end, "{answer}"),
            Err(error) => assert!(!whole && error.kind == "protocol", "{answer} {error:?}"),
        }
    }
}
