//! Texts of `codeact run` without a model, or with one that fails.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::model_server::{Exchange, KEY, MODEL, ModelServer};
use crate::texts::Page;

const ANSWER: &str = "The answer.\n```python\nfinal_answer({'a': 1})\n```";
const NO_FILE: &str = "--no-mcp-config";

/// The variables with the addresses of local servers.
const LOCAL: [&str; 4] = [
    "OLLAMA_HOST",
    "LLAMACPP_BASE_URL",
    "VLLM_BASE_URL",
    "LMSTUDIO_BASE_URL",
];

#[test]
fn without_a_model() {
    let mut page = Page::new();
    for (status, names) in [(404, &[][..]), (200, &[])] {
        let server = ModelServer::start((0..4).map(|_| Exchange::list(status, names)));
        page.hide_port(&server.origin);
        for name in LOCAL {
            page.set(name, format!("{}/{name}/v1", server.origin));
        }
        page.run(&["run", "t"]);
        server.done();
    }
    page.run_all(&[
        &["run", "t", "--model", "groq/some-model"],
        &["run", "t", "--model", "anthropic/claude"],
        &["run", "t", "--model", ""],
        &["run", "t", "--model", "recorded:missing.json"],
        &[
            "run",
            "t",
            "--model",
            "m",
            "--base-url",
            "ftp://user:hunter2@host",
        ],
        &["run", "t", "--model", "m", "--base-url", "not a url"],
        &["run", "t", "--model", "m", "--base-url", ""],
    ]);
    page.set("OPENAI_API_KEY", "bad\nkey");
    page.run(&[
        "run",
        "t",
        "--model",
        "m",
        "--base-url",
        "http://127.0.0.1:1/v1",
    ]);
    page.pinned("model_none");
}

#[test]
fn empty_tasks() {
    let mut page = Page::with_pack();
    page.write(
        "never.json",
        r#"{"version":1,"exchanges":[{"expect":["t"],"reply":"x"}]}"#,
    );
    page.run(&["run", "", "--model", "recorded:never.json"]);
    page.typed(&["run", "-", "--model", "recorded:never.json"], " \n");
    let latin = |command: crate::support::Codeact| command.stdin(b"\xff\n");
    page.run_with(&["run", "-", "--model", "recorded:never.json"], latin);
    page.run_with(&["run", "t", "--model", "recorded:never.json"], latin);
    page.pinned("model_no_task");
}

#[test]
fn a_model_that_refuses() {
    let mut page = Page::with_pack();
    let now = "retry-after: 0\r\n";
    let wrong_key = format!("Incorrect API key provided: {KEY}.");
    for (status, headers, message) in [
        (400, "", "not like this"),
        (401, "", &*wrong_key),
        (402, "", "insufficient credit"),
        (403, "", "not for you"),
        (404, "", "no such model"),
        (413, "", "too much"),
        (422, "", "unprocessable"),
        (429, "retry-after: 3600\r\n", "quota"),
    ] {
        page.part(&format!("the server answers with {status}"), message);
        refused(
            &mut page,
            (0..4).map(|_| Exchange::refuse(status, headers, message)),
        );
    }
    for (status, message) in [(429, "slow down"), (500, "oops"), (503, "down for repairs")] {
        page.part(&format!("the server always answers with {status}"), message);
        refused(
            &mut page,
            (0..5).map(|_| Exchange::refuse(status, now, message)),
        );
    }
    page.pinned("model_refuses");
}

#[test]
fn a_model_that_is_not_configured_or_missing() {
    let mut page = Page::with_pack();
    // No process listens at the lowest port.
    page.run(&[
        "run",
        "t",
        NO_FILE,
        "--model",
        "m",
        "--base-url",
        "http://127.0.0.1:1/v1",
    ]);
    for (status, names) in [
        (404, &[][..]),
        (200, &[]),
        (200, &["nomic-embed-text"]),
        (401, &[]),
    ] {
        let server = ModelServer::start([Exchange::list(status, names)]);
        page.hide_port(&server.origin);
        let url = server.url();
        page.run(&["run", "t", NO_FILE, "--base-url", &url]);
    }
    page.part("without a key", "");
    let origin =
        always(b"HTTP/1.1 401 X\r\nconnection: close\r\ncontent-length: 9\r\n\r\nwho is it");
    page.hide_port(&origin);
    let url = format!("{origin}/v1");
    page.run(&["run", "t", NO_FILE, "--model", "m", "--base-url", &url]);
    page.pinned("model_not_there");
}

/// As [`Page::solve`], but exchanges may stay unused.
fn refused(page: &mut Page, script: impl IntoIterator<Item = Exchange>) {
    let server = ModelServer::start(script);
    page.hide_port(&server.origin);
    let origin = server.url();
    page.set("OPENAI_API_KEY", KEY);
    page.run(&["run", "t", NO_FILE, "--model", MODEL, "--base-url", &origin]);
}

#[test]
fn a_model_that_fails_once() {
    let mut page = Page::with_pack();
    for first in [
        Exchange::refuse(429, "retry-after: 0\r\n", "slow down"),
        Exchange::refuse(500, "retry-after: 0\r\n", "oops"),
        Exchange::break_off("```python\nfinal_answer(0)\n"),
    ] {
        page.solve("t", &[NO_FILE], [first, Exchange::say(ANSWER)]);
    }
    page.pinned("model_fails_once");
}

/// Starts a server that responds to each request with `bytes`.
fn always(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let origin = format!(
        "http://{}",
        listener.local_addr().expect("it has an address")
    );
    // The thread ends with the test process.
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let mut seen = Vec::new();
            let mut buffer = [0; 16 << 10];
            // Reads the whole request, otherwise the client sees a reset connection. The head has the length.
            while !is_whole(&seen) {
                match socket.read(&mut buffer) {
                    Ok(n @ 1..) => seen.extend_from_slice(&buffer[..n]),
                    _ => break,
                }
            }
            // The client may close the connection early.
            let _ = socket.write_all(bytes);
        }
    });
    origin
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    });
    body.len() >= length.unwrap_or(0)
}

#[test]
fn a_model_that_answers_with_something_else() {
    let mut page = Page::with_pack();
    page.set("OPENAI_API_KEY", KEY);
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<html>Welcome</html>"[..],
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"ok\": true}",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n[1]",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: frob\n\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n\
          {\"error\": {\"message\": \"bad in the body\", \"type\": \"invalid_request_error\"}}",
        b"HTTP/1.1 301 X\r\nlocation: http://elsewhere.example/\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 404 X\r\nconnection: close\r\ncontent-length: 9\r\n\r\nnot found",
    ] {
        let text = String::from_utf8_lossy(answer).replace('\r', "");
        page.part("the server answers with", &text);
        let origin = always(answer);
        page.hide_port(&origin);
        let url = format!("{origin}/v1");
        page.run(&["run", "t", NO_FILE, "--model", "m", "--base-url", &url]);
    }
    page.part("the server says nothing", "");
    page.solve("t", &[NO_FILE], [Exchange::say_until(&[], "length")]);
    page.pinned("model_malformed");
}

#[test]
fn recorded_models() {
    let mut page = Page::with_pack();
    for (name, text) in [
        ("malformed.json", "{"),
        ("version.json", r#"{"version":9,"exchanges":[]}"#),
        ("shape.json", r#"{"version":1,"exchanges":[{"frob":1}]}"#),
        (
            "short.json",
            r#"{"version":1,"exchanges":[{"expect":["t"],"reply":"```python\nprint(1)\n```"}]}"#,
        ),
        (
            "other.json",
            r#"{"version":1,"exchanges":[{"expect":["another task"],"reply":"x"}]}"#,
        ),
        (
            "good.json",
            r#"{"version":1,"exchanges":[{"expect":["t"],"reply":"```python\nfinal_answer(1)\n```"}]}"#,
        ),
    ] {
        page.write(name, text);
        page.run(&["run", "t", NO_FILE, "--model", &format!("recorded:{name}")]);
    }
    page.pinned("model_recorded");
}
