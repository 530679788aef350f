//! Questions of the prompt to CPython: whether a block is complete, and names that complete a word.

use std::time::Duration;

use codeact::sandbox::{Limits, Sandbox, Session, Turn};
use codeact_base::text::one_line;

/// Time limit of a question: after a second, the user has typed on.
const MAX_WAIT: Duration = Duration::from_secs(1);
const MAX_NAMES: usize = 500;

/// The state of a block that is being typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// More lines must follow.
    Incomplete,
    /// A compound statement, which a blank line ends.
    OpenBlock,
    /// It can be run.
    Complete,
}

/// Returns the shape of `block`. If the question fails, the block counts as complete: running it shows the error.
pub(super) async fn shape(sandbox: &Sandbox, block: &str) -> Shape {
    if block.trim().is_empty() {
        return Shape::Complete;
    }
    let session = sandbox.session().ok();
    match evaluate::<String>(session, &format!("shape({})", literal(block)))
        .await
        .as_deref()
    {
        Some("more") => Shape::Incomplete,
        Some("open") => Shape::OpenBlock,
        _ => Shape::Complete,
    }
}

/// Returns the names that begin with `word` in `session`. The question runs in a fork, so the session does not change.
pub(super) async fn names(session: &Session, word: &str) -> Vec<String> {
    let question = format!("names({}, {MAX_NAMES})", literal(word));
    let found: Vec<String> = evaluate(session.fork().ok(), &question)
        .await
        .unwrap_or_default();
    let plain = |name: &String| {
        let rest = name.strip_prefix(word).unwrap_or_default();
        !rest.is_empty() && one_line(rest) == rest
    };
    found.into_iter().filter(plain).collect()
}

/// Evaluates `expression` with the functions of `ask.py`.
async fn evaluate<T: serde::de::DeserializeOwned>(
    session: Option<Session>,
    expression: &str,
) -> Option<T> {
    // Printed, and inside a function, so that the session's names are neither used nor changed.
    let code = format!(
        "def __codeact_ask():\n    scope = {{}}\n    exec({}, scope)\n    import json\n    \
         print(json.dumps(eval({}, scope)))\n__codeact_ask()\n",
        literal(include_str!("ask.py")),
        literal(expression),
    );
    let limits = Limits::new().with_wall(MAX_WAIT);
    let execution = session?.run(Turn::new(code).limits(limits)).await.ok()?;
    serde_json::from_str(&execution.stdout.text).ok()
}

/// Returns `text` as a Python literal. Every JSON string is one.
fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
