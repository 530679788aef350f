//! Servers on this machine that do what servers should not, and networks that reach them.

mod hosts;
mod redacting;
mod responses;
mod rules;
mod secrets;

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::address::Looking;
use super::client::HttpResponse;
use super::{Bounds, Connections, HostRule, HttpFailure, HttpRequest, Lookup, Network, Secret};

/// A server on 127.0.0.1 that is given each request's bytes and the connection.
struct Server {
    port: u16,
    requests: mpsc::UnboundedReceiver<String>,
}

impl Server {
    /// `answer` is called with each connection's number, from 0, after its first request was read.
    async fn new<F, A>(answer: F) -> Self
    where
        F: Fn(usize, TcpStream) -> A + Send + 'static,
        A: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok((mut stream, _)) = listener.accept().await {
                let Ok(request) = read_request(&mut stream).await else {
                    continue;
                };
                let _ = sender.send(request);
                tokio::spawn(answer(number, stream));
                number += 1;
            }
        });
        Self { port, requests }
    }

    /// Says the same every time, and closes.
    async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::new(move |_, mut stream| {
            let answer = answer.clone();
            async move {
                stream.write_all(&answer).await?;
                stream.shutdown().await
            }
        })
        .await
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn rule(&self) -> HostRule {
        rule(&format!("127.0.0.1:{}", self.port))
    }

    /// The next request that it got.
    async fn request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }
}

/// The head of a request, and the body that its `content-length` tells of.
async fn read_request(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok(text);
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// A whole answer with `body`, after which the connection closes.
fn ok(headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Says for each look-up what comes next, and then always the last.
struct Scripted(Mutex<VecDeque<Vec<IpAddr>>>);

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter();
        let answers = answers.map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect());
        Arc::new(Self(Mutex::new(answers.collect())))
    }
}

impl Lookup for Scripted {
    fn addresses(&self, _: &str) -> Looking {
        let mut answers = self.0.lock().unwrap();
        let answer = match answers.len() {
            1 => answers.front().cloned(),
            _ => answers.pop_front(),
        };
        let answer = answer.ok_or_else(|| io::ErrorKind::NotFound.into());
        Box::pin(std::future::ready(answer))
    }
}

fn rule(text: &str) -> HostRule {
    text.parse().unwrap()
}

/// A network whose names all lead to 127.0.0.1, unless `lookup` says otherwise.
fn network(allow: Vec<HostRule>, secrets: Vec<Secret>) -> Network {
    Network::with(
        allow,
        secrets,
        Bounds::default(),
        Scripted::new(&[&["127.0.0.1"]]),
    )
}

fn get(url: impl Into<String>) -> HttpRequest {
    HttpRequest {
        method: "GET".into(),
        url: url.into(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout: None,
    }
}

fn with_headers(mut request: HttpRequest, headers: &[(&str, &str)]) -> HttpRequest {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    request.headers = headers.iter().map(owned).collect();
    request
}

fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    let mut headers = response.headers.iter();
    headers.find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

/// All of a body, in pieces of at most `most`.
async fn read_all(
    connections: &Connections,
    response: u32,
    most: usize,
) -> Result<Vec<u8>, HttpFailure> {
    let mut body = Vec::new();
    loop {
        let chunk = connections.read(response, most, None).await?;
        assert!(chunk.data.len() <= most);
        body.extend(chunk.data);
        if chunk.end {
            return Ok(body);
        }
    }
}

/// The body of the answer to `request`, as text.
async fn body_of(connections: &Connections, request: HttpRequest) -> String {
    let response = connections.request(request).await.unwrap();
    let body = read_all(connections, response.response, 1 << 16).await;
    String::from_utf8(body.unwrap()).unwrap()
}

/// The failure of `request`, of which the kind was expected.
async fn failure(connections: &Connections, request: HttpRequest, kind: &str) -> String {
    let failure = connections.request(request).await.unwrap_err();
    assert_eq!(failure.kind, kind, "{}", failure.message);
    assert_eq!(failure.message.lines().count(), 1, "{}", failure.message);
    failure.message
}
