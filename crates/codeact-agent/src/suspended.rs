//! Suspends a run whose code waits for user input, and resumes it.

use codeact_llm::Message;
use codeact_sandbox::{InputResponse, SandboxError, SuspendedTurn};
use codeact_sessions::NamedSession;
use serde::{Deserialize, Serialize};

use super::act::StepContext;
use super::action::{Mode, parse};
use super::context::{RunContext, SessionRef};
use super::error::AgentError;
use super::history::{History, Step};
use super::run::{Agent, Run};

/// The conversation of a suspended run, as the note of its suspended turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Conversation {
    task: String,
    opening: Vec<Message>,
    /// Replies and observations of the earlier steps.
    steps: Vec<(String, Option<String>)>,
    /// Reply of the suspended step.
    reply: String,
    has_input: bool,
}

impl Conversation {
    /// Returns `suspended` with the conversation as its note.
    pub(super) fn attach(
        suspended: &SuspendedTurn,
        step: &StepContext<'_>,
        has_input: bool,
    ) -> SuspendedTurn {
        let conversation = Self {
            task: step.task.to_owned(),
            opening: step.history.opening().to_vec(),
            steps: (step.history.steps.iter())
                .map(|step| (step.reply.clone(), step.observation.clone()))
                .collect(),
            reply: step.reply.to_owned(),
            has_input,
        };
        // Serialising plain data does not fail.
        suspended.with_note(serde_json::to_value(conversation).unwrap_or_default())
    }
}

impl Agent {
    /// Returns true if `suspended` was started by an agent, so that [`Agent::resume`] can resume it.
    pub fn is_own(suspended: &SuspendedTurn) -> bool {
        Conversation::deserialize(suspended.note()).is_ok()
    }

    /// Resumes a suspended run in `session` with the `response` to its request. [`Agent::max_steps`] counts from zero
    /// again. The sandbox must have the grants of the suspended run.
    ///
    /// # Errors
    ///
    /// As [`Agent::run_in`], and if `suspended` was not started by an agent.
    pub async fn resume(
        &self,
        session: &mut NamedSession,
        suspended: &SuspendedTurn,
        response: InputResponse,
    ) -> Result<Run, AgentError> {
        let run = self.resume_steps(session, suspended, response).await;
        self.finish(run)
    }

    async fn resume_steps(
        &self,
        session: &mut NamedSession,
        suspended: &SuspendedTurn,
        response: InputResponse,
    ) -> Result<Run, AgentError> {
        let conversation = Conversation::deserialize(suspended.note()).map_err(|_| {
            let why = "the suspended turn was not started by an agent; resume it without a model";
            SandboxError::setting(why)
        })?;
        let turn = session.prepare_resume(suspended, &self.sandbox, response)?;
        let mut history = History::new(conversation.opening);
        for (reply, observation) in conversation.steps {
            history.steps.push(Step {
                action: parse(&reply, Mode::Agent),
                reply,
                execution: None,
                observation,
            });
        }
        let mut context = RunContext::new(SessionRef::Named(session));
        context.has_input = conversation.has_input;
        let first = (conversation.reply, turn);
        self.go_on(&conversation.task, history, context, Some(first))
            .await
    }
}
