//! A scripted HTTP server for tests. Each connection has one request and receives the next response of the script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A scripted response.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    bytes: Vec<u8>,
    /// True if the connection stays open until the client closes it.
    hang: bool,
}

impl Answer {
    /// Returns a complete response. `headers` are lines without line endings.
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

    /// Returns a completion as one JSON document.
    pub fn json(text: &str) -> Self {
        let body = serde_json::json!({
            "model": "served",
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        });
        Self::new(200, &["content-type: application/json"], &body.to_string())
    }

    /// Returns a complete stream of events with these data.
    pub fn stream(data: &[&str]) -> Self {
        let mut answer = Self::broken_stream(data);
        answer.bytes.extend_from_slice(b"0\r\n\r\n");
        answer
    }

    /// Returns a stream that is interrupted after these events.
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

    /// Keeps the connection open after the response.
    pub fn then_hang(mut self) -> Self {
        self.hang = true;
        self
    }
}

/// A received request.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Request line and headers in lower case.
    pub head: String,
    pub body: Value,
}

/// The server. It stops with the test's runtime.
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
    /// Listens on a free port of this machine. Responds with status 418 after the end of the script.
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

    /// Returns the requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Waits until a client has closed an open connection.
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
