//! A client of Jupyter's WebSocket.

#![allow(clippy::unwrap_used, reason = "a panic is how a test helper fails")]

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::{HANG, Served};

/// A connection to a kernel.
pub struct Connection {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next: u32,
}

/// Makes a kernel and returns its identifier.
pub async fn kernel(served: &Served) -> String {
    let response = served.request("POST", "/api/kernels").send().await.unwrap();
    assert_eq!(response.status(), 201);
    let model: Value = response.json().await.unwrap();
    model["id"].as_str().unwrap().to_owned()
}

impl Connection {
    /// Connects to a kernel.
    pub async fn open(served: &Served, kernel: &str) -> Self {
        Self::try_open(served, kernel, &served.token).await.unwrap()
    }

    /// Connects to a kernel with a token. The error is the status of the response.
    pub async fn try_open(served: &Served, kernel: &str, token: &str) -> Result<Self, u16> {
        use tokio_tungstenite::tungstenite::Error;
        let address = served.address;
        let url = format!("ws://{address}/api/kernels/{kernel}/channels?token={token}");
        let request = url.into_client_request().unwrap();
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(Self { socket, next: 0 }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("cannot connect: {error}"),
        }
    }

    /// Sends a request and returns its identifier.
    pub async fn send(&mut self, channel: &str, kind: &str, content: Value) -> String {
        self.next += 1;
        let id = format!("{kind}-{}", self.next);
        let message = json!({
            "header": { "msg_id": id, "msg_type": kind, "session": "s", "username": "u", "version": "5.3" },
            "parent_header": {}, "metadata": {}, "content": content, "channel": channel, "buffers": [],
        });
        self.frame(Message::text(message.to_string())).await;
        id
    }

    pub async fn frame(&mut self, frame: Message) {
        self.socket.send(frame).await.unwrap();
    }

    pub async fn execute(&mut self, code: &str) -> String {
        self.send("shell", "execute_request", json!({ "code": code }))
            .await
    }

    /// Returns the next message of the kernel.
    pub async fn next(&mut self) -> Value {
        loop {
            let frame = tokio::time::timeout(HANG, self.socket.next()).await;
            match frame.expect("a message").expect("an open socket").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a message: {other:?}"),
            }
        }
    }

    /// Returns the messages about the request `id` up to its reply and the state idle.
    pub async fn until_idle(&mut self, id: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        let (mut replied, mut idle) = (false, false);
        while !replied || !idle {
            let message = self.next().await;
            if message["parent_header"]["msg_id"] != id {
                continue;
            }
            replied |= message["channel"] != "iopub" && message["channel"] != "stdin";
            idle |= message["content"]["execution_state"] == "idle";
            messages.push(message);
        }
        messages
    }

    /// Runs code and returns the messages about it.
    pub async fn run(&mut self, code: &str) -> Vec<Value> {
        let id = self.execute(code).await;
        self.until_idle(&id).await
    }

    /// Sends a request on the shell channel and returns the content of its reply.
    pub async fn ask(&mut self, kind: &str, content: Value) -> Value {
        let id = self.send("shell", kind, content).await;
        let messages = self.until_idle(&id).await;
        let reply = messages
            .into_iter()
            .find(|message| message["channel"] == "shell");
        reply.unwrap()["content"].take()
    }

    /// Reads until the server closes the connection; returns the close frame.
    pub async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            match tokio::time::timeout(HANG, self.socket.next())
                .await
                .expect("the end")
            {
                Some(Ok(Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

/// Returns the content of the first message of this type.
pub fn content<'a>(messages: &'a [Value], kind: &str) -> &'a Value {
    let found = messages.iter().find(|message| message["msg_type"] == kind);
    &found.unwrap_or_else(|| panic!("no {kind} in {messages:?}"))["content"]
}

/// Returns what was written to stdout.
pub fn stdout(messages: &[Value]) -> String {
    let texts = messages
        .iter()
        .filter(|message| message["content"]["name"] == "stdout");
    texts
        .filter_map(|message| message["content"]["text"].as_str())
        .collect()
}
