//! A run that waits for an answer, and goes on from it.

use serde::{Deserialize, Serialize};

use super::act::About;
use super::action::{Mode, parse};
use super::desk::{Desk, Place};
use super::history::{History, Step};
use super::run::{Agent, Run};
use crate::error::Error;
use crate::llm::Message;
use crate::sandbox::{Reply, SandboxError, Waiting};
use crate::sessions::NamedSession;

/// A conversation whose last piece of code waits, as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Conversation {
    task: String,
    opening: Vec<Message>,
    /// What was said and observed before the step that waits.
    steps: Vec<(String, Option<String>)>,
    /// The reply of the step that waits.
    reply: String,
    has_input: bool,
}

impl Conversation {
    /// Keeps it with the turn that waits.
    pub(super) fn noted(waiting: &Waiting, about: &About<'_>, has_input: bool) -> Waiting {
        let conversation = Self {
            task: about.task.to_owned(),
            opening: about.history.opening().to_vec(),
            steps: (about.history.steps.iter())
                .map(|step| (step.reply.clone(), step.observation.clone()))
                .collect(),
            reply: about.reply.to_owned(),
            has_input,
        };
        // Plain data always becomes JSON.
        waiting.noted(serde_json::to_value(conversation).unwrap_or_default())
    }
}

impl Agent {
    /// Whether `waiting` is a piece of code of an agent's, which [`Agent::resume_in`] goes on with.
    pub fn is_own(waiting: &Waiting) -> bool {
        Conversation::deserialize(waiting.note()).is_ok()
    }

    /// Goes on with a run that was put away: its code gets `answer`, and the model what comes of it.
    /// [`Agent::max_steps`] counts anew. The sandbox must offer what it did.
    ///
    /// # Errors
    ///
    /// As [`Agent::run_in`], and when `waiting` is no agent's.
    pub async fn resume_in(
        &self,
        session: &mut NamedSession,
        waiting: &Waiting,
        answer: Reply,
    ) -> Result<Run, Error> {
        let run = self.resume(session, waiting, answer).await;
        self.finish(run)
    }

    async fn resume(
        &self,
        session: &mut NamedSession,
        waiting: &Waiting,
        answer: Reply,
    ) -> Result<Run, Error> {
        let talk = Conversation::deserialize(waiting.note()).map_err(|_| {
            SandboxError::Setting("the turn that waits is no agent's; run it by itself".into())
        })?;
        session.session = waiting.session(&self.sandbox, answer)?;
        let mut history = History::new(talk.opening);
        for (reply, observation) in talk.steps {
            history.steps.push(Step {
                action: parse(&reply, Mode::Agent),
                reply,
                execution: None,
                observation,
            });
        }
        let mut desk = Desk::new(Place::Named(session));
        desk.has_input = talk.has_input;
        let turn = waiting.turn();
        let first = (talk.reply, turn);
        self.go_on(&talk.task, history, desk, Some(first)).await
    }
}
