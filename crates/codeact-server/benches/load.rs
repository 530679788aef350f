//! Load on a running server, over kept HTTP/1.1 connections. For `scripts/bench-server`.
//!
//! `load execute URL TOKEN N` times N executions one after the other; `throughput URL TOKEN CONNECTIONS SECONDS` counts
//! executions; `create URL TOKEN N` makes N sessions with one turn each; `wake URL TOKEN N` times the first turn of each of
//! the first N sessions; `burst URL TOKEN N` makes N of E2B's sandboxes at once, each with one execution; `soak URL TOKEN EXECUTIONS SESSIONS` runs and removes. Prints one JSON object.

#![allow(clippy::unwrap_used, reason = "a panic ends the measurement")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Connections of the modes that are not about one.
const CONNECTIONS: usize = 16;

/// One kept connection.
struct Connection {
    stream: TcpStream,
    address: String,
    token: String,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(url: &str, token: &str) -> Self {
        let address = url
            .strip_prefix("http://")
            .unwrap()
            .trim_end_matches('/')
            .to_owned();
        let stream = TcpStream::connect(&address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            address,
            token: token.to_owned(),
            buffer: Vec::new(),
        }
    }

    /// Sends a request and returns the status and the body.
    async fn request(&mut self, method: &str, path: &str, body: Option<&Value>) -> (u16, Vec<u8>) {
        self.request_with(method, path, "", body).await
    }

    /// As [`Connection::request`], with further header lines.
    async fn request_with(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<&Value>,
    ) -> (u16, Vec<u8>) {
        let body = body.map_or(String::new(), Value::to_string);
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/json\r\n"
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{headers}{kind}Content-Length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.buffer.clear();
        let head = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(
                self.stream.read_buf(&mut self.buffer).await.unwrap() > 0,
                "closed"
            );
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        if text.contains("transfer-encoding: chunked") {
            // The content has no empty chunk but the last.
            while !self.buffer.ends_with(b"\r\n0\r\n\r\n") {
                assert!(
                    self.stream.read_buf(&mut self.buffer).await.unwrap() > 0,
                    "closed"
                );
            }
            return (status, self.buffer[head..].to_vec());
        }
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
        while self.buffer.len() < head + length {
            assert!(
                self.stream.read_buf(&mut self.buffer).await.unwrap() > 0,
                "closed"
            );
        }
        (status, self.buffer[head..].to_vec())
    }

    async fn execute(&mut self, path: &str, code: &str) {
        let (status, body) = self
            .request("POST", path, Some(&json!({ "code": code })))
            .await;
        let body = String::from_utf8_lossy(&body);
        assert!(
            status == 200 && body.contains("\"status\":\"ok\""),
            "{status} {body}"
        );
    }
}

fn percentiles(mut times: Vec<f64>) -> Value {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    json!({"n": times.len(), "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99)})
}

/// Calls `work` for each number below `n`, from several connections. Returns the times in milliseconds.
async fn spread<F>(
    url: &str,
    token: &str,
    n: usize,
    work: impl Fn(Connection, Vec<usize>) -> F,
) -> Vec<f64>
where
    F: Future<Output = Vec<f64>> + Send + 'static,
{
    let mut tasks = Vec::new();
    for first in 0..CONNECTIONS {
        let connection = Connection::open(url, token).await;
        let numbers = (first..n).step_by(CONNECTIONS).collect();
        tasks.push(tokio::spawn(work(connection, numbers)));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    times
}

async fn timed(work: impl Future<Output = ()>) -> f64 {
    let begun = Instant::now();
    work.await;
    begun.elapsed().as_secs_f64() * 1e3
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<_> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let [mode, url, token, numbers @ ..] = args.as_slice() else {
        // `cargo test --benches` and the like run it without arguments.
        return;
    };
    let number = |at: usize| numbers[at].parse::<usize>().unwrap();
    let result = match mode.as_str() {
        "execute" => {
            let mut connection = Connection::open(url, token).await;
            let mut times = Vec::new();
            for round in 0..number(0) + 50 {
                let time = timed(connection.execute("/v1/execute", "print(1+1)")).await;
                if round >= 50 {
                    times.push(time);
                }
            }
            percentiles(times)
        }
        "throughput" => {
            let until = Instant::now() + Duration::from_secs(number(1) as u64);
            let mut tasks = Vec::new();
            for _ in 0..number(0) {
                let mut connection = Connection::open(url, token).await;
                tasks.push(tokio::spawn(async move {
                    let mut runs = 0;
                    while Instant::now() < until {
                        connection.execute("/v1/execute", "print(1+1)").await;
                        runs += 1;
                    }
                    runs
                }));
            }
            let mut runs = 0;
            for task in tasks {
                runs += task.await.unwrap();
            }
            json!({"runs": runs, "per_second": runs as f64 / number(1) as f64})
        }
        "create" => {
            let times = spread(
                url,
                token,
                number(0),
                |mut connection, numbers| async move {
                    let mut times = Vec::new();
                    for number in numbers {
                        times.push(
                            timed(async {
                                let id = json!({ "id": format!("bench-{number}") });
                                let made =
                                    connection.request("POST", "/v1/sessions", Some(&id)).await;
                                assert!(made.0 < 300, "{}", String::from_utf8_lossy(&made.1));
                                let path = format!("/v1/sessions/bench-{number}/execute");
                                connection.execute(&path, "x = 1").await;
                            })
                            .await,
                        );
                    }
                    times
                },
            )
            .await;
            percentiles(times)
        }
        "wake" => {
            let mut connection = Connection::open(url, token).await;
            let mut times = Vec::new();
            for at in 0..number(0) {
                let path = format!("/v1/sessions/bench-{at}/execute");
                times.push(timed(connection.execute(&path, "x += 1")).await);
            }
            percentiles(times)
        }
        "burst" => {
            let mut connections = Vec::new();
            for _ in 0..number(0) {
                connections.push(Connection::open(url, token).await);
            }
            let begun = Instant::now();
            let mut tasks = Vec::new();
            for mut connection in connections {
                tasks.push(tokio::spawn(async move {
                    let new = json!({"templateID": "code-interpreter-v1", "timeout": 300});
                    let made = connection.request("POST", "/v2/sandboxes", Some(&new)).await;
                    let made: Value = serde_json::from_slice(&made.1).unwrap();
                    let id = made["sandboxID"].as_str().unwrap();
                    let token = made["envdAccessToken"].as_str().unwrap_or_default();
                    let headers = format!(
                        "E2b-Sandbox-Id: {id}\r\nE2b-Sandbox-Port: 49999\r\nX-Access-Token: {token}\r\n"
                    );
                    let code = json!({"code": "print(1 + 1)"});
                    let ran = connection.request_with("POST", "/execute", &headers, Some(&code));
                    let (status, body) = ran.await;
                    let body = String::from_utf8_lossy(&body);
                    assert!(status == 200 && body.contains("2\\n"), "{status} {body}");
                    begun.elapsed().as_secs_f64() * 1e3
                }));
            }
            let mut times = Vec::new();
            for task in tasks {
                times.push(task.await.unwrap());
            }
            let all = times.iter().copied().fold(0.0, f64::max);
            let mut result = percentiles(times);
            result["all_ms"] = json!(all);
            result
        }
        "soak" => {
            let runs = number(0);
            spread(url, token, runs, |mut connection, numbers| async move {
                for _ in numbers {
                    connection
                        .execute("/v1/execute", "print(sum(range(100)))")
                        .await;
                }
                Vec::new()
            })
            .await;
            spread(
                url,
                token,
                number(1),
                |mut connection, numbers| async move {
                    for number in numbers {
                        let id = json!({ "id": format!("soak-{number}") });
                        let made = connection.request("POST", "/v1/sessions", Some(&id)).await;
                        assert!(made.0 < 300, "{}", String::from_utf8_lossy(&made.1));
                        let path = format!("/v1/sessions/soak-{number}");
                        connection
                            .execute(&format!("{path}/execute"), "x = 1")
                            .await;
                        let removed = connection.request("DELETE", &path, None).await;
                        assert!(removed.0 < 300, "{}", String::from_utf8_lossy(&removed.1));
                    }
                    Vec::new()
                },
            )
            .await;
            json!({"executions": runs, "sessions": number(1)})
        }
        other => panic!("unknown mode {other}"),
    };
    println!("{result}");
}
