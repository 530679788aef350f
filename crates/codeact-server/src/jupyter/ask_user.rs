//! Questions of running code to the user: `input()`, `ask_user()` and approvals of tool calls.

use std::sync::Arc;

use codeact::sandbox::InputHandler;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::kernel::{Job, Kernel};
use super::request::Channel;

/// Limit of a prompt, in characters. The code chooses it.
const MAX_PROMPT_CHARS: usize = 10_000;

/// Returns a handler that asks the client of `job`. If it does not allow stdin, or disconnects, the code gets an
/// exception.
pub(super) fn handler(kernel: &Arc<Kernel>, job: &Job, allowed: bool) -> InputHandler {
    let ask = Asker {
        kernel: Arc::downgrade(kernel),
        socket: job.socket.clone(),
        header: job.request.header.clone(),
        one_at_a_time: Arc::default(),
        allowed,
    };
    InputHandler::immediate(move |request| {
        let ask = ask.clone();
        async move { ask.ask(request).await }
    })
}

#[derive(Clone)]
struct Asker {
    kernel: std::sync::Weak<Kernel>,
    socket: Arc<super::socket::Socket>,
    header: Arc<Value>,
    one_at_a_time: Arc<Mutex<()>>,
    allowed: bool,
}

impl Asker {
    async fn ask(self, request: Value) -> Result<Value, String> {
        if !self.allowed {
            return Err("the client of this kernel does not support input requests".into());
        }
        let gone = "the client of this kernel has disconnected";
        let _turn = self.one_at_a_time.lock().await;
        let kernel = self.kernel.upgrade().ok_or(gone)?;
        let approval = request.get("approve");
        let content = json!({ "prompt": prompt(&request), "password": false });
        let reply = self.socket.expect_input();
        kernel.send(
            &self.socket,
            Channel::Stdin,
            &self.header,
            "input_request",
            content,
        );
        let text = reply.await.map_err(|_| gone)?;
        Ok(match approval {
            Some(_) => is_yes(&text).into(),
            None => text.into(),
        })
    }
}

/// Returns the text that is shown to the user.
fn prompt(request: &Value) -> String {
    let text = match (request.get("approve"), request.get("question")) {
        (Some(call), _) => format!("Allow the call {call}? [y/N] "),
        (None, Some(Value::String(question))) => {
            let choices = request.get("choices").filter(|choices| choices.is_array());
            match choices {
                Some(choices) => format!("{question} {choices} "),
                None => question.clone(),
            }
        }
        (None, _) => String::new(),
    };
    text.chars().take(MAX_PROMPT_CHARS).collect()
}

fn is_yes(text: &str) -> bool {
    ["y", "yes"].contains(&text.trim().to_lowercase().as_str())
}
