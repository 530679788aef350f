//! Requests of the code for user input, and their handler.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The user's response to a request of the code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum InputResponse {
    /// The answer.
    Answer(Value),
    /// No answer, and the reason. The code gets it as an exception.
    Refused(String),
    /// No answer yet. The turn is stopped and rolled back, and [`Execution::suspended`](crate::Execution::suspended)
    /// can be resumed with the answer.
    Later,
}

type Response = Pin<Box<dyn Future<Output = InputResponse> + Send>>;

/// Handler of the requests of a turn for user input: questions of the code, and approvals of tool calls.
///
/// ```
/// use codeact_sandbox::{InputHandler, InputResponse, Turn};
/// use serde_json::{Value, json};
///
/// let handler = InputHandler::new(|request: Value| async move {
///     match request.get("approve") {
///         Some(call) if call["tool"] == "search" => InputResponse::Answer(json!(true)),
///         Some(_) => InputResponse::Later, // suspends the turn
///         None => InputResponse::Answer(json!("blue")),
///     }
/// });
/// let turn = Turn::new("ask_user('Which colour?')").input_handler(handler);
/// ```
#[derive(Clone)]
pub struct InputHandler {
    ask: Arc<dyn Fn(Value) -> Response + Send + Sync>,
    may_suspend: bool,
}

impl InputHandler {
    /// Returns a handler that calls `answer` with each request.
    ///
    /// A question is `{"question": TEXT, "choices": [TEXT, …] or null}`, and its answer a text. The code chooses the
    /// question and may add keys. A request for approval is `{"approve": {"tool": NAME, "arguments": {…}}}`. It comes
    /// from the host, and only the answer `true` approves the call.
    ///
    /// Because [`InputResponse::Later`] suspends the turn, the turn's journal stays in memory until it ends.
    /// [`InputHandler::immediate`] needs no journal.
    pub fn new<F>(answer: impl Fn(Value) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = InputResponse> + Send + 'static,
    {
        Self {
            ask: Arc::new(move |request| Box::pin(answer(request))),
            may_suspend: true,
        }
    }

    /// As [`InputHandler::new`], for a handler that never suspends: it returns the answer, or the reason of a refusal.
    pub fn immediate<F>(answer: impl Fn(Value) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Value, String>> + Send + 'static,
    {
        let ask = move |request| {
            let answer = answer(request);
            async move {
                answer
                    .await
                    .map_or_else(InputResponse::Refused, InputResponse::Answer)
            }
        };
        Self {
            may_suspend: false,
            ..Self::new(ask)
        }
    }

    /// Returns true if the handler may respond with [`InputResponse::Later`].
    pub(crate) fn may_suspend(&self) -> bool {
        self.may_suspend
    }

    /// Returns the response to `request`, or a refusal after `timeout`.
    pub(crate) async fn ask(&self, request: Value, timeout: Duration) -> InputResponse {
        match tokio::time::timeout(timeout, (self.ask)(request)).await {
            Ok(response) => response,
            Err(_) => {
                let minutes = timeout.as_secs() / 60;
                InputResponse::Refused(format!("there was no answer within {minutes} minutes"))
            }
        }
    }
}

impl fmt::Debug for InputHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InputHandler(..)")
    }
}
