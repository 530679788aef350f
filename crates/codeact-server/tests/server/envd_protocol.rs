//! envd: requests that no SDK sends.

use serde_json::{Value, json};

use crate::envd_support::{Sandbox, envelope};

#[tokio::test(flavor = "multi_thread")]
async fn wrong_messages_and_envelopes_are_errors_of_the_protocol() {
    let sandbox = Sandbox::new().await;
    for body in ["{", "[]", r#"{"path": 1}"#, r#"{"path": "a\u0000b"}"#] {
        let sent = sandbox
            .request("POST", "/filesystem.Filesystem/Stat")
            .body(body);
        let response = sent
            .header("Content-Type", "application/json")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 400, "{body}");
        let error: Value = response.json().await.unwrap();
        assert_eq!(error["code"], "invalid_argument", "{body}");
    }
    let sent = sandbox
        .request("POST", "/filesystem.Filesystem/Stat")
        .body("x");
    let response = sent
        .header("Content-Type", "application/proto")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
    let start = br#"{"process": {"cmd": "true"}}"#;
    for body in [
        Vec::new(),
        b"{}".to_vec(),
        envelope(1, start),
        envelope(2, start),
        envelope(0, b"{"),
        envelope(0, b"{}"),
        envelope(0, start)[..20].to_vec(),
        [&[0, 0xff, 0xff, 0xff, 0xff][..], start].concat(),
        [envelope(0, start), envelope(0, start)].concat(),
        envelope(0, br#"{"process": {"cmd": "true", "envs": {"A=B": "x"}}}"#),
        envelope(0, br#"{"process": {"cmd": "true"}, "pty": {"size": {}}}"#),
    ] {
        let response = sandbox
            .stream("/process.Process/Start", body.clone())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        let answer = response.bytes().await.unwrap();
        assert_eq!(answer.first(), Some(&2), "{body:?}: {answer:?}");
        assert!(
            answer.windows(9).any(|bytes| bytes == b"\"error\":{"),
            "{body:?}: {answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_end_at_their_deadline() {
    let sandbox = Sandbox::new().await;
    let watch = envelope(0, br#"{"path": "/home/user"}"#);
    let sent = sandbox.stream("/filesystem.Filesystem/WatchDir", watch);
    let response = sent
        .header("Connect-Timeout-Ms", "200")
        .send()
        .await
        .unwrap();
    let answer = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
    assert!(
        answer.contains("\"start\"") && answer.contains("deadline_exceeded"),
        "{answer}"
    );
    let sent = sandbox
        .request("POST", "/process.Process/List")
        .json(&json!({}));
    let response = sent
        .header("Connect-Timeout-Ms", "soon")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_kept_alive() {
    let sandbox = Sandbox::new().await;
    let start = envelope(
        0,
        br#"{"process": {"cmd": "sleep", "args": ["2"]}, "stdin": false}"#,
    );
    let sent = sandbox.stream("/process.Process/Start", start);
    let response = sent
        .header("Keepalive-Ping-Interval", "1")
        .send()
        .await
        .unwrap();
    let answer = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
    assert!(
        answer.contains("\"keepalive\"") && answer.contains("\"exitCode\":0"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn input_comes_in_as_a_stream() {
    let sandbox = Sandbox::new().await;
    let start = json!({"process": {"cmd": "cat"}, "stdin": true, "tag": "t"}).to_string();
    let mut running = sandbox
        .stream("/process.Process/Start", envelope(0, start.as_bytes()))
        .send()
        .await
        .unwrap();
    // The first message is the start event.
    assert!(
        running
            .chunk()
            .await
            .unwrap()
            .unwrap()
            .windows(7)
            .any(|bytes| bytes == b"\"start\"")
    );
    let input = [
        envelope(0, br#"{"start": {"process": {"tag": "t"}}}"#),
        envelope(0, br#"{"data": {"input": {"stdin": "aGVsbG8K"}}}"#),
        envelope(0, br#"{"keepalive": {}}"#),
    ];
    let sent = sandbox
        .stream("/process.Process/StreamInput", input.concat())
        .send()
        .await
        .unwrap();
    assert_eq!(
        &sent.bytes().await.unwrap()[..],
        b"\0\0\0\0\x02{}\x02\0\0\0\x02{}"
    );
    let close = json!({"process": {"tag": "t"}});
    let closed = sandbox
        .request("POST", "/process.Process/CloseStdin")
        .json(&close)
        .send()
        .await
        .unwrap();
    assert_eq!(closed.status(), 200);
    let answer = String::from_utf8_lossy(&running.bytes().await.unwrap()).into_owned();
    assert!(
        answer.contains("aGVsbG8K") && answer.contains("\"exitCode\":0"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_bounded_also_when_they_are_decompressed() {
    let sandbox = Sandbox::new().await;
    // 80 MiB of zeros in 80 KB: more than a body may have.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..80 {
        std::io::Write::write_all(&mut bomb, &vec![0; 1 << 20]).unwrap();
    }
    let sent = sandbox
        .request("POST", "/files?path=bomb")
        .body(bomb.finish().unwrap());
    let sent = sent
        .header("Content-Type", "application/octet-stream")
        .header("Content-Encoding", "gzip");
    assert_eq!(sent.send().await.unwrap().status(), 413);
    let large = sandbox
        .request("POST", "/files?path=large")
        .body(vec![0; 9 << 20]);
    let response = large
        .header("Content-Type", "application/octet-stream")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 507);
    for (path, content, status) in [
        ("/files", "application/octet-stream", 400),
        ("/files?path=a", "text/plain", 415),
        ("/files?path=a", "multipart/form-data", 400),
        ("/files?path=a%00b", "application/octet-stream", 400),
        (
            "/files?path=a&username=mallory",
            "application/octet-stream",
            401,
        ),
    ] {
        let sent = sandbox
            .request("POST", path)
            .header("Content-Type", content)
            .body("x");
        assert_eq!(
            sent.send().await.unwrap().status(),
            status,
            "{path} {content}"
        );
    }
    let response = sandbox
        .request("GET", "/files?path=bomb")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_the_token_reaches_no_file_and_no_process() {
    let sandbox = Sandbox::new().await;
    for (method, path) in [
        ("GET", "/health"),
        ("GET", "/files?path=a"),
        ("POST", "/files?path=a"),
        ("POST", "/filesystem.Filesystem/Stat"),
        ("POST", "/process.Process/Start"),
        ("POST", "/process.Process/List"),
        ("POST", "/process.Process/StreamInput"),
    ] {
        for token in [None, Some("0".repeat(64))] {
            let url = format!("{}{path}", sandbox.served.url);
            let mut sent = sandbox.served.client.request(method.parse().unwrap(), url);
            sent = sent
                .header("E2b-Sandbox-Id", &sandbox.id)
                .header("E2b-Sandbox-Port", "49983");
            if let Some(token) = token {
                sent = sent.header("X-Access-Token", token);
            }
            let status = sent
                .header("Content-Type", "application/json")
                .body("{}")
                .send()
                .await
                .unwrap()
                .status();
            assert!(
                [401, 502].contains(&status.as_u16()),
                "{method} {path}: {status}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_one_change_of_its_session() {
    let sandbox = Sandbox::new().await;
    let turns = async || {
        let path = format!("/v1/sessions/{}/turns", sandbox.id);
        let answer: Value = sandbox
            .served
            .get(&path)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        answer["turns"].as_array().unwrap().len()
    };
    let run = async |source: &str| {
        let start =
            json!({"process": {"cmd": "bash", "args": ["-c", source]}, "stdin": false}).to_string();
        let response = sandbox
            .stream("/process.Process/Start", envelope(0, start.as_bytes()))
            .send()
            .await
            .unwrap();
        let answer = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
        assert!(answer.contains("\"exitCode\":0"), "{source}: {answer}");
    };
    let before = turns().await;
    run("mkdir -p d/e; for i in 1 2 3; do echo $i > d/e/$i; done; mv d/e/1 d/one; rm d/e/2; cp -r d c").await;
    assert_eq!(turns().await, before + 1);
    run("ls -R; cat d/one").await;
    assert_eq!(turns().await, before + 1, "reading is no change");
    run("test \"$(ls -R c d | tr '\\n' ' ')\" = 'c: e one  c/e: 3  d: e one  d/e: 3 '").await;
    let undone = sandbox.served.post(
        &format!("/v1/sessions/{}/undo", sandbox.id),
        &json!({"turns": 1}),
    );
    assert!(undone.send().await.unwrap().status().is_success());
    run("test ! -e d && test ! -e c").await;
}
