//! The own API: events while the code runs, clients that disconnect or do not read.

use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::api::{Api, api, api_with, refused};
use crate::support::{HANG, TOKEN};

const NDJSON: &str = "application/x-ndjson";
const SSE: &str = "text/event-stream";

/// Reads a response line by line.
struct Lines {
    response: Response,
    buffer: Vec<u8>,
}

impl Lines {
    fn new(response: Response) -> Self {
        Self {
            response,
            buffer: Vec::new(),
        }
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.drain(..=at).collect::<Vec<u8>>();
                return Some(String::from_utf8(line[..at].to_vec()).unwrap());
            }
            self.buffer
                .extend_from_slice(&self.response.chunk().await.unwrap()?);
        }
    }

    async fn json(&mut self) -> Option<Value> {
        Some(serde_json::from_str(&self.next().await?).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn output_arrives_while_the_code_runs() {
    let api = api().await;
    api.session("s").await;
    // The code ends only when the test has seen its first line.
    let code = "import os, time\nprint('one', flush=True)\nwhile True: time.sleep(0.01)";
    let response = api
        .stream(NDJSON, "/v1/sessions/s/execute", json!({"code": code}))
        .await;
    assert_eq!(response.headers()["content-type"], NDJSON);
    let mut lines = Lines::new(response);
    let first = lines.json().await.unwrap();
    assert_eq!(
        (&first["type"], &first["stream"]),
        (&json!("output"), &json!("stdout"))
    );
    assert!(
        first["text"].as_str().unwrap().starts_with("one"),
        "{first}"
    );
    api.done("/v1/sessions/s/interrupt", json!({})).await;
    let last = loop {
        let event = lines.json().await.unwrap();
        if event["type"] != "keepalive" && event["type"] != "output" {
            break event;
        }
    };
    assert_eq!(
        (&last["type"], &last["status"]),
        (&json!("result"), &json!("cancelled"))
    );
    assert_eq!(last["session"], "s");
    assert_eq!(lines.json().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_have_names() {
    let api = api().await;
    let body =
        json!({"code": "import sys\nprint('a\\nb')\nsys.stderr.write('e')\n1", "rich": true});
    let response = api.stream(SSE, "/v1/execute", body).await;
    assert_eq!(response.headers()["content-type"], SSE);
    let text = response.text().await.unwrap();
    let mut events = Vec::new();
    for event in text.split_terminator("\n\n") {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        events.push(data);
    }
    let text = |stream: &str| -> String {
        let of_stream = events.iter().filter(|event| event["stream"] == stream);
        of_stream
            .map(|event| event["text"].as_str().unwrap())
            .collect()
    };
    assert_eq!(
        (text("stdout").as_str(), text("stderr").as_str()),
        ("a\nb\n", "e")
    );
    let mut kinds: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    kinds.dedup();
    assert_eq!(kinds, ["output", "bundle", "result"]);
    assert_eq!(events.last().unwrap()["stdout"], "a\nb\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_cannot_begin_has_a_status() {
    let api = api().await;
    let response = api
        .stream(NDJSON, "/v1/sessions/none/execute", json!({"code": "1"}))
        .await;
    let status = response.status();
    refused(
        &(status, response.json().await.unwrap()),
        404,
        "missing_session",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_stops_its_turn() {
    for accept in ["application/json", NDJSON, SSE] {
        let api = api().await;
        api.session("s").await;
        api.run("s", "x = 1").await;
        let running = api.clone();
        let request = tokio::spawn(async move {
            let body = json!({"code": "x = 2\nprint('on', flush=True)\nwhile True: pass"});
            let response = running.stream(accept, "/v1/sessions/s/execute", body).await;
            let mut lines = Lines::new(response);
            while lines.next().await.is_some() {}
        });
        api.wait_for("s", "running").await;
        request.abort();
        api.wait_for("s", "live").await;
        assert_eq!(api.run("s", "x").await, "1", "{accept}");
        let turns = api.get("/v1/sessions/s/turns").await.1;
        assert_eq!(turns["turns"][1]["status"], "cancelled", "{turns}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_without_a_session_frees_its_turn() {
    let api = api_with(|config| config.tenants[0].quota.turns = 1).await;
    let body = json!({"code": "print('on', flush=True)\nwhile True: pass"});
    let mut lines = Lines::new(api.stream(NDJSON, "/v1/execute", body).await);
    assert!(lines.next().await.is_some_and(|line| line.contains("on")));
    // Another turn is refused while it runs, and not afterwards.
    until(&api, 429).await;
    drop(lines);
    until(&api, 200).await;
}

/// Runs code until the response has this status.
async fn until(api: &Api, expected: u16) {
    let deadline = Instant::now() + HANG;
    while Instant::now() < deadline {
        if api.post("/v1/execute", json!({"code": "1"})).await.0 == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no response has the status {expected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_cannot_hold_the_output() {
    let api = api_with(|config| config.tenants[0].limits.output = 1 << 40).await;
    api.session("s").await;
    let body = json!({"code": "while True: print('x' * 100_000)"}).to_string();
    let address = api.served.address;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /v1/sessions/s/execute HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\n\
         accept: {NDJSON}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    // Nothing is read, so the turn is stopped, although the connection stays open.
    api.wait_for_turn("s", 1).await;
    let turns = api.get("/v1/sessions/s/turns").await.1;
    assert_eq!(turns["turns"][0]["status"], "cancelled");
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_filled_with_keepalives() {
    let api = api().await;
    api.session("s").await;
    let code = "import time\nwhile True: time.sleep(0.1)";
    for (accept, expected) in [(NDJSON, "{\"type\":\"keepalive\"}"), (SSE, ": keepalive")] {
        let body = json!({"code": code});
        let mut lines = Lines::new(api.stream(accept, "/v1/sessions/s/execute", body).await);
        assert_eq!(lines.next().await.as_deref(), Some(expected));
        api.done("/v1/sessions/s/interrupt", json!({})).await;
        while lines.next().await.is_some() {}
    }
}
