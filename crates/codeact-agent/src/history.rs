//! The conversation of a run, and the messages that are sent to the model.

use super::action::Action;
use super::observation::shorten;
use codeact_llm::{Message, Role};
use codeact_sandbox::{Execution, Outcome};

/// Size of the messages beyond which the oldest are shortened, in bytes. Most models accept about this much, and a model
/// that lacks an old table is better than a request that fails.
const MAX_BYTES: usize = 100_000;
/// Length of a shortened message, in characters.
const SHORTENED_CHARS: usize = 400;

/// One step of a run: a reply, its action and its observation.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Step {
    /// Reply of the model.
    pub reply: String,
    /// The parsed reply.
    pub action: Action,
    /// Result of the code, if the reply had code.
    pub execution: Option<Execution>,
    /// Observation that was sent to the model; `None` in the last step of a run.
    pub observation: Option<String>,
}

/// The conversation of a run.
#[derive(Debug)]
pub(super) struct History {
    /// System prompt and task.
    opening: Vec<Message>,
    pub(super) steps: Vec<Step>,
}

impl History {
    pub(super) fn new(opening: Vec<Message>) -> Self {
        Self {
            opening,
            steps: Vec::new(),
        }
    }

    /// Returns system prompt and task.
    pub(super) fn opening(&self) -> &[Message] {
        &self.opening
    }

    /// Returns the messages of the next request.
    pub(super) fn messages(&self) -> Vec<Message> {
        let mut messages = self.opening.clone();
        for step in &self.steps {
            // Servers refuse an empty message.
            let reply = match step.reply.trim() {
                "" => "(no reply)",
                _ => &step.reply,
            };
            messages.push(Message::new(Role::Assistant, reply));
            if let Some(observation) = &step.observation {
                messages.push(Message::new(Role::User, observation.clone()));
            }
        }
        let mut bytes: usize = messages.iter().map(|m| m.content.len()).sum();
        let last = messages.len().saturating_sub(2);
        for message in messages[..last].iter_mut().skip(self.opening.len()) {
            if bytes <= MAX_BYTES {
                break;
            }
            let short = shorten(&message.content, SHORTENED_CHARS);
            bytes -= message.content.len().saturating_sub(short.len());
            message.content = short;
        }
        messages
    }

    /// Returns true if exactly this code has run before.
    pub(super) fn has_run(&self, code: &str) -> bool {
        self.steps.iter().any(|step| {
            matches!(&step.action, Action::Code { source, .. } if source == code)
                && step.execution.is_some()
        })
    }

    /// Returns true if the last code ended without an error and had output or a value.
    pub(super) fn has_result(&self) -> bool {
        let last = self.steps.iter().rev().find_map(|s| s.execution.as_ref());
        last.is_some_and(|execution| {
            matches!(
                execution.outcome,
                Outcome::Completed | Outcome::Exited { .. }
            ) && (execution.result.is_some() || !execution.transcript.is_empty())
        })
    }

    /// Returns true if any code has run.
    pub(super) fn has_run_code(&self) -> bool {
        self.steps.iter().any(|step| step.execution.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_observations_are_shortened_and_the_last_is_not() {
        let mut history = History::new(vec![Message::new(Role::System, "s")]);
        for i in 0..4 {
            history.steps.push(Step {
                reply: format!("reply {i}"),
                action: Action::Answer(String::new()),
                execution: None,
                observation: Some(format!("{i}").repeat(40_000)),
            });
        }
        let messages = history.messages();
        let total: usize = messages.iter().map(|m| m.content.len()).sum();
        assert!(total <= MAX_BYTES, "{total}");
        assert_eq!(messages[0].content, "s");
        assert_eq!(messages.last().map(|m| m.content.len()), Some(40_000));
        assert!(messages[2].content.len() < 1000);
    }
}
