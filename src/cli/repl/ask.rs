//! What the prompt asks of CPython: whether a block is complete, and what a word can go on to.

use std::time::Duration;

use crate::sandbox::{Limits, Sandbox, Session, Turn};

/// Longer than this, and the user has typed on.
const WAIT: Duration = Duration::from_secs(1);
const MOST_NAMES: usize = 500;

/// What is to be done with a block so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// More lines must follow.
    More,
    /// A compound statement, which a blank line ends.
    Open,
    /// It can be run.
    Done,
}

/// The shape of `block`. Whatever goes wrong, running the block will tell.
pub(super) async fn shape(sandbox: &Sandbox, block: &str) -> Shape {
    if block.trim().is_empty() {
        return Shape::Done;
    }
    let session = sandbox.session().ok();
    match ask::<String>(session, &format!("shape({})", literal(block)))
        .await
        .as_deref()
    {
        Some("more") => Shape::More,
        Some("open") => Shape::Open,
        _ => Shape::Done,
    }
}

/// What `word` can go on to in `session`, which does not change: a copy looks.
pub(super) async fn names(session: &Session, word: &str) -> Vec<String> {
    let question = format!("names({}, {MOST_NAMES})", literal(word));
    let found: Vec<String> = ask(session.fork().ok(), &question)
        .await
        .unwrap_or_default();
    let plain = |name: &String| {
        let rest = name.strip_prefix(word).unwrap_or_default();
        !rest.is_empty() && !rest.contains(char::is_control)
    };
    found.into_iter().filter(plain).collect()
}

async fn ask<T: serde::de::DeserializeOwned>(
    session: Option<Session>,
    question: &str,
) -> Option<T> {
    // Printed, and in a function of its own: the session's names are neither used nor changed.
    let code = format!(
        "def __codeact_ask():\n    scope = {{}}\n    exec({}, scope)\n    import json\n    \
         print(json.dumps(eval({}, scope)))\n__codeact_ask()\n",
        literal(include_str!("ask.py")),
        literal(question),
    );
    let limits = Limits {
        wall: WAIT,
        ..Limits::default()
    };
    let execution = session?.run(Turn::new(code).limits(limits)).await.ok()?;
    serde_json::from_str(&execution.stdout.text).ok()
}

/// A JSON string is a Python literal, too.
fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
