//! Questions of the code to the user: on the terminal, as JSON lines, or left for later in a suspended turn.

use std::collections::HashSet;
use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};

use codeact::sandbox::{InputHandler, InputResponse, SuspendedTurn};
use codeact::wire::EventJson;
use codeact_base::text::{one_line, shown};
use serde_json::{Value, json};

use super::output_pump::{OutputPump, WriteProgress};
use super::{input, terminal};
use crate::report::{self, notice};

/// Limit of the shown length of a question, and of each argument of a call, in characters. Without it, one argument
/// could push the others off the screen.
const MAX_SHOWN: usize = 1000;
/// Limit of the shown arguments and choices.
const MAX_LISTED: usize = 100;
/// Limit of a line of JSON with an answer, in bytes.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// How the user is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PromptMode {
    /// On the terminal. In a session, the user can leave a question for later.
    Terminal { may_suspend: bool },
    /// By JSON lines on stdout, answered by JSON lines on stdin.
    JsonLines,
    /// Not now: the turn is suspended with its question.
    Suspend,
    /// Not at all.
    Unavailable,
}

impl PromptMode {
    /// Chooses the mode. `has_session` is true if a turn can be suspended, `interactive` if stdin is for answers.
    pub(super) fn new(has_session: bool, interactive: bool) -> Self {
        if interactive {
            Self::JsonLines
        } else if terminal::can_ask() {
            Self::Terminal {
                may_suspend: has_session,
            }
        } else if has_session {
            Self::Suspend
        } else {
            Self::Unavailable
        }
    }

    /// Returns a handler of the code's questions. If the code's output goes through `pump`, a question is shown after
    /// the output that precedes it.
    pub(super) fn input_handler(self, pump: Option<&OutputPump>) -> Option<InputHandler> {
        let may_suspend = match self {
            Self::Unavailable => return None,
            Self::Suspend => return Some(InputHandler::new(|_| async { InputResponse::Later })),
            Self::JsonLines => return Some(InputHandler::immediate(ask_as_json)),
            Self::Terminal { may_suspend } => may_suspend,
        };
        let progress = pump.map(OutputPump::progress);
        let approved = ApprovedTools::default();
        let ask = move |request| {
            ask_on_terminal(request, approved.clone(), progress.clone(), may_suspend)
        };
        if may_suspend {
            return Some(InputHandler::new(ask));
        }
        Some(InputHandler::immediate(move |request| {
            let response = ask(request);
            async move {
                match response.await {
                    InputResponse::Answer(answer) => Ok(answer),
                    InputResponse::Refused(why) => Err(why),
                    _ => Err("there was no answer".into()),
                }
            }
        }))
    }
}

/// Prints the question of the suspended turn of the session `name`, and how to resume it.
pub(super) fn report_suspended(name: &str, suspended: &SuspendedTurn) {
    let question = Question::parse(suspended.request());
    let intro = match question {
        Question::Text { .. } => "the code asks",
        Question::Call { .. } => "the code wants to call",
    };
    notice!(
        "codeact: {intro}: {}\ncodeact: `codeact session resume {name}` resumes it with an answer, given the same \
         tools and mounts; `codeact session undo {name}` discards it",
        question.display()
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

/// A request of the code for user input.
pub(super) enum Question<'a> {
    /// A question, answered with text.
    Text {
        question: &'a str,
        choices: Vec<&'a str>,
    },
    /// A request for approval of a tool call.
    Call { tool: &'a str, arguments: &'a Value },
}

impl<'a> Question<'a> {
    /// Reads a request. Its content is chosen by the code.
    pub(super) fn parse(request: &'a Value) -> Self {
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

    /// Returns its text for a terminal, in one or several lines.
    pub(super) fn display(&self) -> String {
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

    /// Converts a typed line to a response.
    pub(super) fn response(&self, line: &str) -> InputResponse {
        let line = line.trim_end_matches(['\n', '\r']);
        match self {
            Self::Text { choices, .. } => {
                let number = line.trim().parse::<usize>().ok();
                let chosen = number.and_then(|number| choices.get(number.checked_sub(1)?));
                InputResponse::Answer(json!(chosen.copied().unwrap_or(line)))
            }
            Self::Call { .. } => match line.trim() {
                "y" | "Y" | "yes" | "Yes" => InputResponse::Answer(json!(true)),
                "" | "n" | "N" | "no" | "No" => InputResponse::Refused(NOT_APPROVED.into()),
                reason => InputResponse::Refused(reason.to_owned()),
            },
        }
    }
}

const NOT_APPROVED: &str = "the call was not approved";

/// Asks the question of a suspended turn on the terminal. The user can leave it suspended.
pub(super) async fn ask(request: Value) -> InputResponse {
    ask_on_terminal(request, ApprovedTools::default(), None, true).await
}

/// Tools that the user has approved until the command ends.
#[derive(Clone, Default)]
struct ApprovedTools(Arc<Mutex<HashSet<String>>>);

impl ApprovedTools {
    fn contains(&self, tool: &str) -> bool {
        let approved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        approved.contains(tool)
    }

    fn insert(&self, tool: &str) {
        let mut approved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        approved.insert(tool.to_owned());
    }
}

/// Asks on the terminal. The end of the input is a refusal.
async fn ask_on_terminal(
    request: Value,
    approved: ApprovedTools,
    progress: Option<WriteProgress>,
    may_suspend: bool,
) -> InputResponse {
    let question = Question::parse(&request);
    if let Question::Call { tool, .. } = question
        && approved.contains(tool)
    {
        return InputResponse::Answer(json!(true));
    }
    if let Some(progress) = progress {
        progress.catch_up().await;
    }
    terminal::prepare_prompt();
    let text = question.display();
    let prompt = match (&question, may_suspend) {
        (Question::Call { .. }, _) => {
            let later = if may_suspend {
                ", `:later` suspends the turn"
            } else {
                ""
            };
            format!(
                "codeact: the code wants to call {text}\n\
                 codeact: allow it? [y]es, [a]lways, [N]o, or say why not{later}: "
            )
        }
        (Question::Text { .. }, true) => {
            format!("codeact: the code asks (`:later` suspends the turn): {text}\n> ")
        }
        (Question::Text { .. }, false) => format!("codeact: the code asks: {text}\n> "),
    };
    let _ = anstream::stderr().lock().write_all(prompt.as_bytes());
    let Some(line) = input::terminal_line().await else {
        return InputResponse::Refused("there was no answer: stdin is at its end".into());
    };
    let Ok(line) = String::from_utf8(line) else {
        return InputResponse::Refused("the answer is not UTF-8 text".into());
    };
    match (line.trim(), &question) {
        (":later", _) if may_suspend => InputResponse::Later,
        ("a" | "always", Question::Call { tool, .. }) => {
            approved.insert(tool);
            InputResponse::Answer(json!(true))
        }
        _ => question.response(&line),
    }
}

/// Asks by a JSON line on stdout. The answer, or the reason for a refusal, is a JSON line on stdin.
async fn ask_as_json(request: Value) -> Result<Value, String> {
    match tokio::task::spawn_blocking(move || exchange_json(&request)).await {
        Ok(answer) => answer,
        Err(_) => Err("the question could not be asked".into()),
    }
}

fn exchange_json(request: &Value) -> Result<Value, String> {
    let event = match Question::parse(request) {
        Question::Text { question, choices } => EventJson::Question {
            question: question.to_owned(),
            choices: choices.into_iter().map(str::to_owned).collect(),
        },
        Question::Call { tool, arguments } => EventJson::Approval {
            tool: tool.to_owned(),
            arguments: arguments.clone(),
        },
    };
    report::json::print(&event)
        .map_err(|_| "the question could not be asked: stdout is closed".to_owned())?;
    let mut text = String::new();
    let stdin = std::io::stdin().lock();
    match std::io::Read::take(stdin, MAX_LINE_BYTES).read_line(&mut text) {
        Ok(0) => return Err("there are no more answers: stdin is at its end".into()),
        Ok(_) => {}
        Err(e) => return Err(format!("cannot read the answer: {e}")),
    }
    let is_approval = request.get("approve").is_some();
    parse_answer(&text, is_approval).unwrap_or_else(|| {
        Err(
            "the answer on stdin is not valid, expected a line such as {\"answer\": \"…\"} or \
             {\"approve\": false, \"reason\": \"…\"}"
                .into(),
        )
    })
}

/// Reads a JSON line with `answer`, or with `approve` and, if that is false, an optional `reason`. Returns `None` if
/// it is not such a line.
fn parse_answer(line: &str, is_approval: bool) -> Option<Result<Value, String>> {
    let value: Value = serde_json::from_str(line).ok()?;
    if is_approval {
        return Some(match value["approve"].as_bool()? {
            true => Ok(json!(true)),
            false => Err(value["reason"].as_str().unwrap_or(NOT_APPROVED).to_owned()),
        });
    }
    match value.get("answer")? {
        Value::Null => None,
        answer @ Value::String(_) => Some(Ok(answer.clone())),
        answer => Some(Ok(json!(answer.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_line_is_a_choice_an_answer_or_a_decision() {
        let request = json!({ "question": "Which?", "choices": ["red", "blue"] });
        let question = Question::parse(&request);
        let answer = |text: &str| InputResponse::Answer(json!(text));
        assert_eq!(question.response("2\n"), answer("blue"));
        assert_eq!(question.response("3\n"), answer("3"));
        assert_eq!(question.response("green\r\n"), answer("green"));

        let request = json!({ "approve": { "tool": "buy", "arguments": { "n": 1 } } });
        let call = Question::parse(&request);
        assert_eq!(call.display(), "buy(n=1)");
        assert_eq!(call.response("y\n"), InputResponse::Answer(json!(true)));
        let refused = |why: &str| InputResponse::Refused(why.into());
        assert_eq!(call.response("\n"), refused(NOT_APPROVED));
        assert_eq!(call.response("too dear\n"), refused("too dear"));
    }

    #[test]
    fn a_line_of_json_is_an_answer_or_a_decision() {
        let answer = |line: &str| parse_answer(line, false);
        assert_eq!(answer(r#"{"answer": "a"}"#), Some(Ok(json!("a"))));
        assert_eq!(answer(r#"{"answer": 5}"#), Some(Ok(json!("5"))));
        assert_eq!(answer(r#"{"answer": null}"#), None);
        let decision = |line: &str| parse_answer(line, true);
        assert_eq!(decision(r#"{"approve": true}"#), Some(Ok(json!(true))));
        let no = r#"{"approve": false, "reason": "no"}"#;
        assert_eq!(decision(no), Some(Err("no".into())));
        for line in ["", "5", "{}", r#"{"approve": 5}"#, "{\"approve\":"] {
            assert_eq!(decision(line), None, "{line}");
        }
    }

    #[test]
    fn a_long_argument_does_not_hide_the_others() {
        let request = json!({ "approve": { "tool": "buy", "arguments": {
            "a": "x".repeat(5000), "b": "\u{1b}[8m"
        } } });
        let text = Question::parse(&request).display();
        assert!(text.ends_with(r#"b="\u001b[8m")"#), "{text}");
        assert!(text.contains("more characters)"), "{text}");
    }
}
