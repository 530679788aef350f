//! Clients that hold connections and memory: without a token, without requests, and without reading.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::support::{HANG, Served, TOKEN, config, until};

/// Connects, with a limit of all reads.
fn connect(served: &Served) -> TcpStream {
    let stream = TcpStream::connect(served.address).expect("a connection");
    stream.set_read_timeout(Some(HANG)).expect("a limit");
    stream
}

/// Sends the head of a request with a body of 60 MiB, and as much of the body as the server takes. Returns its bytes.
fn send_body(served: &Served, head: &str) -> usize {
    let mut stream = connect(served);
    let length = 60 << 20;
    let head = format!(
        "{head}\nHost: {}\nContent-Length: {length}\n\n",
        served.address
    );
    stream
        .write_all(head.replace('\n', "\r\n").as_bytes())
        .expect("room");
    let part = vec![b'x'; 1 << 20];
    let parts = 0..length >> 20;
    parts
        .map_while(|_| stream.write_all(&part).ok())
        .map(|()| 1 << 20)
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_without_a_token_are_not_read() {
    let served = Served::start(config()).await;
    let form = "\nContent-Type: application/x-www-form-urlencoded";
    let e2b = "\nContent-Type: application/json\nE2b-Sandbox-Id: abc\nE2b-Sandbox-Port: 49999\nX-Access-Token: wrong";
    for (path, headers) in [
        ("/login", form),
        ("/execute", e2b),
        ("/contexts", e2b),
        ("/v1/execute", "\nContent-Type: application/json"),
        ("/v1/sessions/x/execute", "\nContent-Type: application/json"),
        (
            "/v1/runs",
            "\nContent-Type: application/json\nIdempotency-Key: k",
        ),
        ("/v1/sessions/import", ""),
        ("/run_code", "\nContent-Type: application/json"),
        ("/run_jupyter", "\nContent-Type: application/json"),
        ("/exec", "\nContent-Type: application/json"),
        ("/exec/programmatic", "\nContent-Type: application/json"),
        ("/upload", "\nContent-Type: multipart/form-data; boundary=b"),
        ("/api/kernels", "\nContent-Type: application/json"),
        ("/api/sessions", "\nContent-Type: application/json"),
        ("/api/contents/x", "\nContent-Type: application/json"),
        ("/sandboxes", "\nContent-Type: application/json"),
        ("/v2/sandboxes", "\nContent-Type: application/json"),
    ] {
        let sent = tokio::task::block_in_place(|| {
            send_body(&served, &format!("POST {path} HTTP/1.1{headers}"))
        });
        // The buffers of the system take some of it.
        assert!(sent < 50 << 20, "{path}: {sent}");
    }
}

/// Reads frames of HTTP/2 until the server closes the connection, and answers pings. Blocks.
fn answer_pings(mut stream: TcpStream) -> usize {
    let mut frames = 0;
    let mut head = [0; 9];
    while stream.read_exact(&mut head).is_ok() {
        frames += 1;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut content = vec![0; length as usize];
        if stream.read_exact(&mut content).is_err() {
            break;
        }
        let (kind, flags) = (head[3], head[4]);
        let answer = match (kind, flags & 1) {
            // SETTINGS and PING without ACK.
            (4, 0) => [&[0, 0, 0, 4, 1, 0, 0, 0, 0][..], &[]].concat(),
            (6, 0) => [&[0, 0, 8, 6, 1, 0, 0, 0, 0][..], &content].concat(),
            _ => continue,
        };
        if stream.write_all(&answer).is_err() {
            break;
        }
    }
    frames
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_connection_that_only_answers_pings_is_closed() {
    let served = Served::start(config()).await;
    let mut stream = connect(&served);
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .expect("room");
    // It returns only when the server closes the connection.
    let frames = tokio::task::spawn_blocking(move || answer_pings(stream)).await;
    assert!(frames.expect("no panic") > 0, "the server speaks HTTP/2");
}

/// Returns the number of running turns.
async fn running(served: &Served) -> String {
    let answer = served.get("/metrics").send().await.expect("an answer");
    let text = answer.text().await.expect("a text");
    let line = text
        .lines()
        .find(|line| line.starts_with("codeact_turns_running "));
    line.expect("a count").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_stops_if_its_client_hangs_up_after_pipelining_a_request() {
    let served = Served::start(config()).await;
    let made = served
        .post("/v1/sessions", &json!({"id": "s"}))
        .send()
        .await;
    assert!(made.expect("an answer").status().is_success());
    let body = json!({"code": "while True: pass"}).to_string();
    let request = format!(
        "POST /v1/sessions/s/execute HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}GET /healthz HTTP/1.1\r\n\
         Host: {address}\r\n\r\n",
        body.len(),
        address = served.address,
    );
    let mut stream = connect(&served);
    stream.write_all(request.as_bytes()).expect("room");
    let runtime = tokio::runtime::Handle::current();
    let wait = |count: &'static str| {
        let look = || (runtime.block_on(running(&served)) == count).then_some(());
        tokio::task::block_in_place(|| until(count, look));
    };
    wait("codeact_turns_running 1");
    drop(stream);
    wait("codeact_turns_running 0");
}

/// Starts the command under a limit of open files, and returns it with the shell's command line.
#[cfg(target_os = "linux")]
fn under_limit(limit: &str) -> Served {
    let inner = crate::support::command(&["--no-token"]);
    let mut outer = std::process::Command::new("sh");
    outer
        .args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")])
        .arg(inner.get_program())
        .args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    Served::spawn(&mut outer)
}

#[cfg(target_os = "linux")]
#[test]
fn the_limit_of_open_files_is_raised_or_less_is_served() {
    let mut raised = under_limit("-Sn 300");
    let id = raised.child().expect("a process").id();
    let limits = std::fs::read_to_string(format!("/proc/{id}/limits")).expect("limits");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let words: Vec<_> = line.expect("a limit").split_whitespace().collect();
    let (soft, hard) = (words[3], words[4]);
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    assert!(number(soft) >= number(hard).min(3000), "{soft} {hard}");
    drop(raised);
    let stderr = under_limit("-n 300").kill();
    assert!(
        stderr.contains("limit of open files is too low"),
        "{stderr}"
    );
}
