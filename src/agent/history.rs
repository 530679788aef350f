//! The conversation so far, and what of it is sent.

use super::action::Action;
use super::observation::shorten;
use crate::llm::{Message, Role};
use crate::sandbox::{Execution, Outcome};

/// Beyond this many bytes, the oldest observations are shortened: most models hold some
/// 100,000 of them, and an agent that no longer fits is worse than one that forgets a table.
const MAX_BYTES: usize = 100_000;
const SHORTENED: usize = 400;

/// One step of a run: a reply, what was made of it, and what the model was told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Step {
    /// The model's reply.
    pub reply: String,
    /// What was read in it.
    pub action: Action,
    /// What the code did, where there was code.
    pub execution: Option<Execution>,
    /// What the model was told; `None` at the end of the run.
    pub observation: Option<String>,
}

/// A run's conversation.
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

    /// System prompt and task.
    pub(super) fn opening(&self) -> &[Message] {
        &self.opening
    }

    /// What the model is sent now.
    pub(super) fn messages(&self) -> Vec<Message> {
        let mut messages = self.opening.clone();
        for step in &self.steps {
            // Servers refuse an empty message.
            let said = match step.reply.trim() {
                "" => "(no reply)",
                _ => &step.reply,
            };
            messages.push(Message::new(Role::Assistant, said));
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
            let short = shorten(&message.content, SHORTENED);
            bytes -= message.content.len().saturating_sub(short.len());
            message.content = short;
        }
        messages
    }

    /// Whether this very code has been run before.
    pub(super) fn has_run(&self, code: &str) -> bool {
        self.steps.iter().any(|step| {
            matches!(&step.action, Action::Code { source, .. } if source == code)
                && step.execution.is_some()
        })
    }

    /// Whether the code that was run last ended well and showed something.
    pub(super) fn has_result(&self) -> bool {
        let last = self.steps.iter().rev().find_map(|s| s.execution.as_ref());
        last.is_some_and(|execution| {
            matches!(
                execution.outcome,
                Outcome::Completed | Outcome::Exited { .. }
            ) && (execution.result.is_some() || !execution.transcript.is_empty())
        })
    }

    /// Whether any code has been run.
    pub(super) fn has_run_code(&self) -> bool {
        self.steps.iter().any(|step| step.execution.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_observations_are_shortened_first_and_the_last_is_kept() {
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
