//! Questions to whoever runs the code: on the terminal, as events, or put away with the session.

use std::collections::HashSet;
use std::io::{BufRead, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::live::{Live, Written};
use super::{input, mounts};
use crate::report::human::shown;
use crate::sandbox::{Answers, Reply, Waiting};
use crate::text::one_line;

/// How much of a question, and of each argument of a call, is shown, in characters: none of them can push
/// another out of sight.
const MAX_SHOWN: usize = 1000;
/// So many arguments, and choices, are shown.
const MAX_LISTED: usize = 100;
/// The longest line that is read as an answer, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// Who is there to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Whoever sits at the terminal; with a session, a question can be put away.
    Terminal {
        session: bool,
    },
    /// Whoever reads the events on stdout, and answers on stdin.
    Events,
    /// Nobody now: the session's turn is put away with its question.
    Later,
    Nobody,
}

impl Asked {
    /// As the command was started: `interactive` has stdin for answers.
    pub(super) fn new(session: bool, interactive: bool) -> Self {
        if interactive {
            Self::Events
        } else if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
            Self::Terminal { session }
        } else if session {
            Self::Later
        } else {
            Self::Nobody
        }
    }

    /// What answers a turn's questions; where its output is on its way through `live`, each comes
    /// after what was written before it.
    pub(super) fn answers(self, live: Option<&Live>) -> Option<Answers> {
        let written = live.map(Live::written);
        // What was allowed for good, until the command ends.
        let allowed: Arc<Mutex<HashSet<String>>> = Arc::default();
        match self {
            Self::Nobody => None,
            Self::Later => Some(Answers::new(|_| async { Reply::Later })),
            Self::Events => Some(Answers::at_once(|request| async move {
                match tokio::task::spawn_blocking(move || by_event(&request)).await {
                    Ok(answer) => answer,
                    Err(_) => Err("the question could not be put".into()),
                }
            })),
            Self::Terminal { session: true } => Some(Answers::new(move |request| {
                let (allowed, written) = (allowed.clone(), written.clone());
                at_terminal(request, allowed, written, true)
            })),
            Self::Terminal { session: false } => Some(Answers::at_once(move |request| {
                let (allowed, written) = (allowed.clone(), written.clone());
                let asked = at_terminal(request, allowed, written, false);
                async move {
                    match asked.await {
                        Reply::Now(answer) => Ok(answer),
                        Reply::Refused(why) => Err(why),
                        Reply::Later => Err("there was no answer".into()),
                    }
                }
            })),
        }
    }
}

/// Tells what the session `name` waits for, and how it goes on.
pub(super) fn say_it_waits(name: &str, waiting: &Waiting) {
    let question = Question::read(waiting.request());
    let what = match question {
        Question::Text { .. } => "the code asks",
        Question::Call { .. } => "the code wants to call",
    };
    anstream::eprintln!(
        "codeact: {what}: {}\ncodeact: `codeact session resume {name}` answers, with the same tools and \
         mounts; `codeact session undo {name}` drops it",
        question.shown()
    );
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_SHOWN).collect();
    if short.len() < text.len() {
        let left = text.chars().count() - MAX_SHOWN;
        short += &format!("… ({left} more characters)");
    }
    short
}

/// What a question is about.
pub(super) enum Question<'a> {
    Text {
        question: &'a str,
        choices: Vec<&'a str>,
    },
    Call {
        tool: &'a str,
        arguments: &'a Value,
    },
}

impl<'a> Question<'a> {
    /// Reads a request, which the code chooses.
    pub(super) fn read(request: &'a Value) -> Self {
        match request.get("approve") {
            Some(call) => Self::Call {
                tool: call["tool"].as_str().unwrap_or("?"),
                arguments: &call["arguments"],
            },
            None => Self::Text {
                question: request["question"].as_str().unwrap_or_default(),
                choices: (request["choices"].as_array().into_iter().flatten())
                    .filter_map(Value::as_str)
                    .collect(),
            },
        }
    }

    /// In a line or a few, for a terminal.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text { question, choices } => {
                let mut text = shown(&shorten(question));
                for (number, choice) in (1..=MAX_LISTED).zip(choices) {
                    text += &format!("\n  {number}  {}", one_line(&shorten(choice)));
                }
                text
            }
            Self::Call { tool, arguments } => {
                let empty = serde_json::Map::new();
                let arguments = arguments.as_object().unwrap_or(&empty);
                let mut parts: Vec<_> = (arguments.iter().take(MAX_LISTED))
                    .map(|(name, value)| {
                        format!("{}={}", shorten(name), shorten(&value.to_string()))
                    })
                    .collect();
                if let Some(more) = arguments.len().checked_sub(MAX_LISTED + 1) {
                    parts.push(format!("… ({} more arguments)", more + 1));
                }
                one_line(&format!("{}({})", shorten(tool), parts.join(", ")))
            }
        }
    }

    /// What a typed line means.
    pub(super) fn answer(&self, line: &str) -> Reply {
        let line = line.trim_end_matches(['\n', '\r']);
        match self {
            Self::Text { choices, .. } => {
                let number = line.trim().parse::<usize>().ok();
                let chosen = number.and_then(|number| choices.get(number.checked_sub(1)?));
                Reply::Now(json!(chosen.copied().unwrap_or(line)))
            }
            Self::Call { .. } => match line.trim() {
                "y" | "Y" | "yes" | "Yes" => Reply::Now(json!(true)),
                "" | "n" | "N" | "no" | "No" => Reply::Refused("the call was not approved".into()),
                reason => Reply::Refused(reason.to_owned()),
            },
        }
    }
}

/// Asks on the terminal, where the question can stay open.
pub(super) async fn ask(request: Value) -> Reply {
    at_terminal(request, Arc::default(), None, true).await
}

/// Asks on the terminal. Without a line there is no answer.
async fn at_terminal(
    request: Value,
    allowed: Arc<Mutex<HashSet<String>>>,
    written: Option<Written>,
    session: bool,
) -> Reply {
    let question = Question::read(&request);
    let lock = || allowed.lock().unwrap_or_else(PoisonError::into_inner);
    if let Question::Call { tool, .. } = question
        && lock().contains(tool)
    {
        return Reply::Now(json!(true));
    }
    if let Some(written) = written {
        written.so_far().await;
    }
    mounts::before_asking();
    let later = if session {
        ", `:later` puts it away"
    } else {
        ""
    };
    let text = question.shown();
    let prompt = match question {
        Question::Call { .. } => format!(
            "codeact: the code wants to call {text}\n\
             codeact: allow it? [y]es, [a]lways, [N]o, or say why not{later}: "
        ),
        Question::Text { .. } => {
            let later = later
                .strip_prefix(", ")
                .map_or_else(String::new, |l| format!(" ({l})"));
            format!("codeact: the code asks{later}: {text}\n> ")
        }
    };
    let _ = anstream::stderr().lock().write_all(prompt.as_bytes());
    let Some(line) = input::terminal_line().await else {
        return Reply::Refused("nobody answered".into());
    };
    let Ok(line) = String::from_utf8(line) else {
        return Reply::Refused("the answer was no text".into());
    };
    match (line.trim(), &question) {
        (":later", _) if session => Reply::Later,
        ("a" | "always", Question::Call { tool, .. }) => {
            lock().insert((*tool).to_owned());
            Reply::Now(json!(true))
        }
        _ => question.answer(&line),
    }
}

/// Puts a question out as an event, and reads the answer from stdin: a line of JSON with `answer`, or
/// with `approve` and, where that is false, `reason`.
fn by_event(request: &Value) -> Result<Value, String> {
    let line = match Question::read(request) {
        Question::Text { question, choices } => {
            json!({ "type": "question", "question": question, "choices": choices })
        }
        Question::Call { tool, arguments } => {
            json!({ "type": "approval", "tool": tool, "arguments": arguments })
        }
    };
    let mut out = std::io::stdout().lock();
    (writeln!(out, "{line}").and_then(|()| out.flush()))
        .map_err(|_| "nobody reads the questions any more".to_owned())?;
    drop(out);
    let mut text = String::new();
    let stdin = std::io::stdin().lock();
    match std::io::Read::take(stdin, MAX_LINE).read_line(&mut text) {
        Ok(0) => return Err("nobody answers any more: stdin is at its end".into()),
        Ok(_) => {}
        Err(e) => return Err(format!("the answer cannot be read: {e}")),
    }
    let expected = "the answer on stdin was not as expected, a line such as {\"answer\": \"…\"} or \
                    {\"approve\": false, \"reason\": \"…\"}";
    let value: Value = serde_json::from_str(&text).map_err(|_| expected.to_owned())?;
    if request.get("approve").is_some() {
        match value["approve"].as_bool() {
            Some(true) => Ok(json!(true)),
            Some(false) => {
                let reason = value["reason"]
                    .as_str()
                    .unwrap_or("the call was not approved");
                Err(reason.to_owned())
            }
            None => Err(expected.to_owned()),
        }
    } else {
        match value.get("answer") {
            Some(answer @ Value::String(_)) => Ok(answer.clone()),
            Some(answer) if !answer.is_null() => Ok(json!(answer.to_string())),
            _ => Err(expected.to_owned()),
        }
    }
}
