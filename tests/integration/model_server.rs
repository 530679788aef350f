//! A scripted chat-completions server that checks the requests it receives.
//!
//! Each [`Exchange`] has checks of the request and a response. Streams are split into small deltas and
//! smaller HTTP chunks, so that every text arrives in parts. A request that fails a check gets a response
//! with status 400, which ends the run; [`ModelServer::done`] reports the failure.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Codeact, FinishedCommand, codeact, ready};

/// The name that every request must ask for.
pub const MODEL: &str = "scripted";
/// The key that every request must contain and no output may show.
pub const KEY: &str = "sk-canary-5fd1e07c";

/// A received request.
pub struct Sent {
    head: String,
    pub body: Value,
}

impl Sent {
    /// Returns the text of message `n`, from 0.
    pub fn message(&self, n: usize) -> &str {
        self.body["messages"][n]["content"].as_str().unwrap_or("")
    }

    pub fn last(&self) -> &str {
        let count = self.body["messages"].as_array().map_or(0, Vec::len);
        self.message(count.saturating_sub(1))
    }

    /// Returns the first letter of each message's role: `suau` for a second request.
    pub fn roles(&self) -> String {
        let messages = self.body["messages"].as_array().into_iter().flatten();
        messages
            .filter_map(|m| m["role"].as_str()?.chars().next())
            .collect()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Checks that apply to every request for a reply.
    fn check_chat(&self) -> Result<(), String> {
        let bearer = format!("Bearer {KEY}");
        let roles = self.roles();
        let turns = roles.strip_prefix('s').unwrap_or("none");
        let alternate = turns.len() % 2 == 1 && "ua".repeat(turns.len()).starts_with(turns);
        for (holds, part) in [
            (
                self.head.starts_with("POST /v1/chat/completions "),
                "the path",
            ),
            (
                self.header("authorization") == Some(&bearer),
                "the key's header",
            ),
            (self.body["model"] == MODEL, "the model's name"),
            (self.body["stream"] == true, "`stream`"),
            // A server would apply a stop sequence inside strings as well.
            (self.body["stop"].is_null(), "`stop`"),
            (alternate, "the order of roles"),
        ] {
            if !holds {
                return Err(format!("{part} is not as expected"));
            }
        }
        Ok(())
    }
}

type Check = Box<dyn Fn(&Sent) -> Result<(), String> + Send>;

/// The checks of one request and its response.
pub struct Exchange {
    checks: Vec<Check>,
    answer: Vec<u8>,
    /// If true, the server keeps the connection open after the response until the client closes it.
    hold: bool,
    /// True for a request for a reply, false for the list of models.
    chat: bool,
}

impl Exchange {
    fn new(answer: Vec<u8>) -> Self {
        Self {
            checks: Vec::new(),
            answer,
            hold: false,
            chat: true,
        }
    }

    /// Responds with the reply `text` as a stream of small deltas.
    pub fn say(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let deltas: Vec<String> = chars.chunks(5).map(|c| c.iter().collect()).collect();
        Self::say_deltas(&deltas.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Responds with a stream of exactly these deltas.
    pub fn say_deltas(deltas: &[&str]) -> Self {
        Self::say_until(deltas, "stop")
    }

    /// Responds with a stream that ends with the reason `finish`.
    pub fn say_until(deltas: &[&str], finish: &str) -> Self {
        let mut events = deltas_of(deltas);
        events += &event(&json!({"choices": [{"delta": {}, "finish_reason": finish}]}));
        events += "data: [DONE]\n\n";
        let mut answer = stream(&events);
        answer.extend_from_slice(b"0\r\n\r\n");
        Self::new(answer)
    }

    /// Responds with a stream that stays open after `text`.
    pub fn say_and_hold(text: &str) -> Self {
        let mut exchange = Self::new(stream(&deltas_of(&[text])));
        exchange.hold = true;
        exchange
    }

    /// Responds with a stream that is cut off after `text`.
    pub fn break_off(text: &str) -> Self {
        Self::new(stream(&deltas_of(&[text])))
    }

    /// Responds with one JSON document, as servers without streaming do.
    pub fn say_json(text: &str) -> Self {
        let message = json!({"role": "assistant", "content": text});
        let body = json!({"choices": [{"message": message, "finish_reason": "stop"}]});
        Self::new(whole(200, "", &body))
    }

    /// Responds with an error. `headers` are complete lines, each with its line end.
    pub fn refuse(status: u16, headers: &str, message: &str) -> Self {
        let body = json!({"error": {"message": message, "type": "scripted"}});
        Self::new(whole(status, headers, &body))
    }

    /// Does not respond.
    pub fn hold() -> Self {
        let mut exchange = Self::new(Vec::new());
        exchange.hold = true;
        exchange
    }

    /// Responds to `GET …/models`.
    pub fn list(status: u16, names: &[&str]) -> Self {
        let names: Vec<_> = names.iter().map(|name| json!({"id": name})).collect();
        let mut exchange = Self::new(whole(status, "", &json!({"data": names})));
        exchange.chat = false;
        exchange.check("it asks for the list", |sent| {
            sent.head.starts_with("GET ") && sent.head.contains("/v1/models ")
        })
    }

    /// Adds a check: `holds` must return true for the request.
    pub fn check(mut self, name: &str, holds: impl Fn(&Sent) -> bool + Send + 'static) -> Self {
        let name = name.to_owned();
        self.checks.push(Box::new(move |sent| match holds(sent) {
            true => Ok(()),
            false => Err(format!("does not hold: {name}")),
        }));
        self
    }

    /// Adds a check: the last message must contain `text`.
    pub fn sees(self, text: &str) -> Self {
        let part = text.to_owned();
        self.check(&format!("the last message has {text:?}"), move |sent| {
            sent.last().contains(&part)
        })
    }

    /// Adds a check: the last message must not contain `text`.
    pub fn sees_no(self, text: &str) -> Self {
        let part = text.to_owned();
        self.check(&format!("the last message lacks {text:?}"), move |sent| {
            !sent.last().contains(&part)
        })
    }

    /// Adds a check: the previous reply must be in the history as exactly `text`.
    pub fn after(self, text: &str) -> Self {
        let expected = text.to_owned();
        self.check(&format!("the last reply is {text:?}"), move |sent| {
            let count = sent.roles().len();
            count >= 2 && sent.message(count - 2) == expected
        })
    }

    /// Adds a check: the first letters of the roles must be `roles`.
    pub fn roles(self, roles: &str) -> Self {
        let expected = roles.to_owned();
        self.check(&format!("the roles are {roles}"), move |sent| {
            sent.roles() == expected
        })
    }
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn deltas_of(deltas: &[&str]) -> String {
    let delta = |text: &&str| event(&json!({"choices": [{"delta": {"content": text}}]}));
    deltas.iter().map(delta).collect()
}

/// Returns the head of a stream, and `events` in chunks that split lines and characters.
fn stream(events: &str) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
        connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        .to_vec();
    for chunk in events.as_bytes().chunks(61) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn whole(status: u16, headers: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}connection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The server, on a free port of this machine.
pub struct ModelServer {
    /// The URL without a path.
    pub origin: String,
    state: Arc<State>,
    held: Receiver<()>,
}

struct State {
    script: Mutex<VecDeque<Exchange>>,
    failures: Mutex<Vec<String>>,
    holding: Sender<()>,
}

impl ModelServer {
    pub fn start(script: impl IntoIterator<Item = Exchange>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (holding, held) = channel();
        let state = Arc::new(State {
            script: Mutex::new(script.into_iter().collect()),
            failures: Mutex::default(),
            holding,
        });
        let shared = Arc::clone(&state);
        // The thread ends with the test process.
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(socket, &state));
            }
        });
        Self {
            origin,
            state,
            held,
        }
    }

    /// Returns the base URL for a client.
    pub fn url(&self) -> String {
        format!("{}/v1", self.origin)
    }

    /// Waits until a request has been received whose response is held.
    pub fn wait_until_held(&self) {
        let hang = Duration::from_secs(120);
        self.held.recv_timeout(hang).expect("a request to hold");
    }

    /// Asserts that every exchange was used and every check held.
    #[track_caller]
    pub fn done(self) {
        let failures = lock(&self.state.failures);
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        let left = lock(&self.state.script).len();
        assert_eq!(left, 0, "exchanges were not used");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut socket: TcpStream, state: &State) {
    let Some(sent) = read_request(&mut socket) else {
        return;
    };
    let exchange = lock(&state.script).pop_front();
    let checked = match &exchange {
        None => Err("the script has ended".to_owned()),
        Some(exchange) => {
            let chat = if exchange.chat {
                sent.check_chat()
            } else {
                Ok(())
            };
            chat.and_then(|()| exchange.checks.iter().try_for_each(|check| check(&sent)))
        }
    };
    // The client may close the connection early.
    match (checked, exchange) {
        (Ok(()), Some(exchange)) => {
            let _ = socket.write_all(&exchange.answer);
            if exchange.hold {
                let _ = state.holding.send(());
                let _ = socket.read(&mut [0]);
            }
        }
        (failed, _) => {
            let why = failed.unwrap_err();
            let messages = &sent.body["messages"];
            let failure = format!("the request: {why}\n{}\n{messages:#}", sent.head);
            lock(&state.failures).push(failure);
            let answer = whole(400, "", &json!({"error": {"message": why}}));
            let _ = socket.write_all(&answer);
        }
    }
}

fn read_request(socket: &mut TcpStream) -> Option<Sent> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let mut sent = Sent {
                head,
                body: Value::Null,
            };
            let length = sent.header("content-length");
            let length = length.and_then(|n| n.parse().ok()).unwrap_or(0);
            let body = &bytes[end + 4..];
            if body.len() >= length {
                sent.body = serde_json::from_slice(body).unwrap_or_default();
                return Some(sent);
            }
        }
        match socket.read(&mut buffer) {
            Ok(n @ 1..) => bytes.extend_from_slice(&buffer[..n]),
            _ => return None,
        }
    }
}

/// Returns `codeact run TASK` with the model of `server`.
pub fn run(server: &ModelServer, task: &str) -> Codeact {
    ready();
    codeact(["run", "--model", MODEL, "--base-url"])
        .arg(server.url())
        .arg(task)
        .host_env("OPENAI_API_KEY", KEY)
}

/// Runs `codeact run TASK` with `args` against `script`. Asserts that every exchange is used and that no
/// output shows the key.
#[track_caller]
pub fn solve(
    task: &str,
    args: &[&str],
    script: impl IntoIterator<Item = Exchange>,
) -> FinishedCommand {
    let server = ModelServer::start(script);
    let done = run(&server, task).args(args.iter().copied()).run();
    server.done();
    done.stdout_lacks(KEY).stderr_lacks(KEY)
}
