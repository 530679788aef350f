//! Questions about the session of a kernel: completions, documentation, values of expressions.
//!
//! They run guest code in a fork of the session, which is dropped afterwards, so they change nothing.

use std::sync::Arc;
use std::time::Duration;

use codeact::sandbox::{Limits, Outcome, Turn};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::kernel::Kernel;
use super::request::Request;

/// Functions of the guest that answer the questions.
const GUEST: &str = include_str!("introspect.py");
/// Time limit of a question.
const MAX_TIME: Duration = Duration::from_secs(5);
/// Limit of the question and the answer together, in bytes.
const MAX_CALL_BYTES: u64 = 8 << 20;
/// Limit of what code writes while it answers, in bytes. Nothing reads it.
const MAX_OUTPUT_BYTES: u64 = 64 << 10;
/// Limit of the code of a question, in bytes.
const MAX_CODE_BYTES: usize = 1 << 20;
/// Limit of the user expressions of one execution.
const MAX_EXPRESSIONS: usize = 100;

#[derive(Deserialize)]
struct Question {
    code: String,
    /// In characters; `None`: the end.
    cursor_pos: Option<usize>,
    detail_level: Option<u8>,
}

impl Question {
    fn of(request: &Request) -> Option<Self> {
        let question: Self = request.content().ok()?;
        (question.code.len() <= MAX_CODE_BYTES).then_some(question)
    }

    fn cursor(&self) -> usize {
        let end = self.code.chars().count();
        self.cursor_pos.unwrap_or(end).min(end)
    }
}

/// Returns the content of a `complete_reply`.
pub(super) async fn complete(kernel: &Arc<Kernel>, request: &Request) -> Value {
    let question = Question::of(request);
    let cursor = question.as_ref().map_or(0, Question::cursor);
    let found = match &question {
        Some(question) => {
            let call = format!("complete({}, {cursor})", literal(&question.code));
            ask(kernel, &call).await
        }
        None => None,
    };
    let found = found.unwrap_or_else(|| json!({ "matches": [], "start": cursor }));
    json!({
        "status": "ok",
        "matches": found["matches"],
        "cursor_start": found["start"],
        "cursor_end": cursor,
        "metadata": {},
    })
}

/// Returns the content of an `inspect_reply`.
pub(super) async fn inspect(kernel: &Arc<Kernel>, request: &Request) -> Value {
    let text = match Question::of(request) {
        Some(question) => {
            let detail = question.detail_level.unwrap_or(0);
            let cursor = question.cursor();
            let call = format!("inspect({}, {cursor}, {detail})", literal(&question.code));
            ask(kernel, &call).await.filter(Value::is_string)
        }
        None => None,
    };
    match text {
        Some(text) => json!({
            "status": "ok",
            "found": true,
            "data": { "text/plain": text },
            "metadata": {},
        }),
        None => json!({ "status": "ok", "found": false, "data": {}, "metadata": {} }),
    }
}

/// Returns the content of an `is_complete_reply`.
pub(super) async fn is_complete(kernel: &Arc<Kernel>, request: &Request) -> Value {
    let answer = match Question::of(request) {
        Some(question) => {
            let call = format!("is_complete({})", literal(&question.code));
            ask(kernel, &call).await
        }
        None => None,
    };
    answer.unwrap_or_else(|| json!({ "status": "unknown" }))
}

/// Returns the values of `expressions`, as an `execute_reply` has them.
pub(super) async fn user_expressions(
    kernel: &Arc<Kernel>,
    expressions: &Map<String, Value>,
) -> Value {
    if expressions.is_empty() {
        return json!({});
    }
    let texts: Map<String, Value> = (expressions.iter())
        .filter(|(_, expression)| expression.is_string())
        .take(MAX_EXPRESSIONS)
        .map(|(name, expression)| (name.clone(), expression.clone()))
        .collect();
    let texts = Value::Object(texts).to_string();
    if texts.len() > MAX_CODE_BYTES {
        return json!({});
    }
    let call = format!("expressions(json.loads({}))", literal(&texts));
    ask(kernel, &call).await.unwrap_or_else(|| json!({}))
}

/// Evaluates `call` in a fork of the session. `None` if it fails or takes too long.
async fn ask(kernel: &Arc<Kernel>, call: &str) -> Option<Value> {
    let cancel = kernel.interruptible();
    // Inside a function, so that the names of the session are neither used nor changed. Printing is not used, because
    // the code of the session may print too.
    let code = format!(
        "def __codeact_ask():\n    scope = {{}}\n    exec({}, scope)\n    return eval({}, scope)\n\
         final_answer(__codeact_ask())\n",
        literal(GUEST),
        literal(call),
    );
    let limits = Limits::new()
        .with_wall(MAX_TIME)
        .with_host_call_bytes(MAX_CALL_BYTES)
        .with_output(MAX_OUTPUT_BYTES);
    let limits = kernel.grants.narrow_limits(&limits);
    let turn = Turn::new(code).final_answer(true).limits(limits);
    // It counts as a turn of the tenant, and uses its fuel.
    let execution = kernel.handle.run_fork(turn, &cancel).await.ok()?;
    match execution.outcome {
        Outcome::Completed => execution.answer,
        _ => None,
    }
}

/// Returns `text` as a Python literal. Every JSON string is one.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}
