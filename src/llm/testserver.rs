//! A scripted HTTP server for tests: each connection carries one request and gets the script's
//! next answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What the server does once it has read a request.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    bytes: Vec<u8>,
    /// Keep the connection open until the client closes it.
    hang: bool,
}

impl Answer {
    /// A whole answer; `headers` are lines without their ends.
    pub fn new(status: u16, headers: &[&str], body: &str) -> Self {
        let headers: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
        let length = body.len();
        let bytes = format!(
            "HTTP/1.1 {status} X\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        Self {
            bytes: bytes.into_bytes(),
            hang: false,
        }
    }

    /// A completion as one JSON document.
    pub fn json(text: &str) -> Self {
        let body = serde_json::json!({
            "model": "served",
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        });
        Self::new(200, &["content-type: application/json"], &body.to_string())
    }

    /// A whole stream of these events' data.
    pub fn stream(data: &[&str]) -> Self {
        let mut answer = Self::broken_stream(data);
        answer.bytes.extend_from_slice(b"0\r\n\r\n");
        answer
    }

    /// A stream that breaks off after these events.
    pub fn broken_stream(data: &[&str]) -> Self {
        let mut bytes =
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\
            transfer-encoding: chunked\r\n\r\n"
                .to_vec();
        for data in data {
            let event = format!("data: {data}\r\n\r\n");
            let chunk = format!("{:x}\r\n{event}\r\n", event.len());
            bytes.extend_from_slice(chunk.as_bytes());
        }
        Self { bytes, hang: false }
    }

    /// The same, but silent in the end instead of closed.
    pub fn then_hang(mut self) -> Self {
        self.hang = true;
        self
    }
}

/// One request that came in.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Request line and headers, lower case.
    pub head: String,
    pub body: Value,
}

/// The server; it ends with the test's runtime.
pub(super) struct TestServer {
    pub url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    answers: Mutex<VecDeque<Answer>>,
    seen: Mutex<Vec<Seen>>,
    closed: Notify,
}

impl TestServer {
    /// Listens on a free port of this machine and answers as scripted; with 418 after that.
    pub async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        state.answers.lock().unwrap().extend(answers);
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Waits until a client has closed a connection that hangs.
    pub async fn closed(&self) {
        self.state.closed.notified().await;
    }
}

async fn serve(mut socket: TcpStream, state: Arc<State>) {
    let Some(seen) = read_request(&mut socket).await else {
        return;
    };
    state.seen.lock().unwrap().push(seen);
    let next = state.answers.lock().unwrap().pop_front();
    let answer = next.unwrap_or_else(|| Answer::new(418, &[], "the script has ended"));
    let _ = socket.write_all(&answer.bytes).await;
    let _ = socket.flush().await;
    if answer.hang {
        let mut rest = [0; 1024];
        while matches!(socket.read(&mut rest).await, Ok(1..)) {}
        state.closed.notify_one();
    } else {
        let _ = socket.shutdown().await;
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |n| n.parse().unwrap());
            let body = &bytes[end + 4..];
            if body.len() >= length {
                let body = serde_json::from_slice(body).unwrap_or(Value::Null);
                return Some(Seen { head, body });
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
