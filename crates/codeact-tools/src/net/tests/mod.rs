//! Misbehaving servers on this machine, and networks that reach them.

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

use super::client::HttpResponse;
use super::failure::HttpFailure;
use super::request::HttpRequest;
use super::resolve::LookupFuture;
use super::{Connections, HostRule, HttpLimits, Lookup, Network, Secret};

/// A server on 127.0.0.1 that reports the requests that it receives.
struct Server {
    port: u16,
    requests: mpsc::UnboundedReceiver<String>,
}

impl Server {
    /// Returns a server that calls `answer` with the number of each connection, from 0, after its first request.
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

    /// Returns a server that sends the same response to each request, and closes.
    async fn responding(answer: impl Into<Vec<u8>>) -> Self {
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

    /// Returns the next request.
    async fn request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }
}

/// Returns the head of a request, and the body by its `content-length`.
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

/// Returns a complete response with `body`, after which the connection closes.
fn ok(headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Returns the next list for each lookup, and repeats the last one.
struct Scripted(Mutex<VecDeque<Vec<IpAddr>>>);

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter();
        let answers = answers.map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect());
        Arc::new(Self(Mutex::new(answers.collect())))
    }
}

impl Lookup for Scripted {
    fn addresses(&self, _: &str) -> LookupFuture {
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

/// Returns a network in which all names lead to 127.0.0.1.
fn network(allow: Vec<HostRule>, secrets: Vec<Secret>) -> Network {
    Network::with(
        allow,
        secrets,
        HttpLimits::default(),
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

/// Returns a body, read in chunks of at most `max` bytes.
async fn read_all(
    connections: &Connections,
    response: u32,
    max: usize,
) -> Result<Vec<u8>, HttpFailure> {
    let mut body = Vec::new();
    loop {
        let chunk = connections.read(response, max, None).await?;
        assert!(chunk.data.len() <= max);
        body.extend(chunk.data);
        if chunk.end {
            return Ok(body);
        }
    }
}

/// Returns the body of the response to `request`, as text.
async fn body_of(connections: &Connections, request: HttpRequest) -> String {
    let response = connections.request(request).await.unwrap();
    let body = read_all(connections, response.response, 1 << 16).await;
    String::from_utf8(body.unwrap()).unwrap()
}

/// Returns the message of the failure of `request`, and asserts its kind.
async fn failure(connections: &Connections, request: HttpRequest, kind: &str) -> String {
    let failure = connections.request(request).await.unwrap_err();
    assert_eq!(failure.kind, kind, "{}", failure.message);
    assert_eq!(failure.message.lines().count(), 1, "{}", failure.message);
    failure.message
}
