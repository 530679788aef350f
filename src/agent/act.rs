//! One action of the model's: its code, run, and how the run goes on from there.

use super::desk::{Desk, Place};
use super::history::History;
use super::observation;
use super::paused::Conversation;
use super::run::{Agent, Ending};
use crate::error::Error;
use crate::event::Event;
use crate::sandbox::{Execution, Outcome, Turn};

/// Where in a run some code stands.
pub(super) struct About<'a> {
    pub(super) task: &'a str,
    pub(super) history: &'a History,
    pub(super) reply: &'a str,
    pub(super) step: u32,
}

impl Agent {
    /// The turn of a new piece of code.
    fn turn(&self, source: &str, desk: &Desk<'_>) -> Turn {
        let mut turn = Turn::new(source).agent();
        if let Some(text) = &self.stdin_text
            && !desk.has_input
        {
            turn = turn
                .bind("stdin_text", &**text)
                .stdin(text.as_bytes().to_vec());
        }
        for (key, value) in &self.env {
            turn = turn.env(key, value);
        }
        if self.variables || matches!(desk.place, Place::Named(_)) {
            turn = turn.variables();
        }
        turn
    }

    /// Runs `source`: as `turn`, where that was begun before.
    pub(super) async fn execute(
        &self,
        desk: &mut Desk<'_>,
        step: u32,
        source: &str,
        turn: Option<Turn>,
    ) -> Result<Execution, Error> {
        self.events.emit(Event::CodeStarted {
            step,
            code: source.to_owned(),
        });
        let mut turn = turn
            .unwrap_or_else(|| self.turn(source, desk))
            .events(self.events.clone())
            .cancel(self.cancel.clone());
        if let Some(answers) = &self.answers {
            turn = turn.answers(answers.clone());
        }
        if self.keep_files {
            turn = turn.keep_files();
        }
        let execution = desk.session().run(turn).await?;
        if let Place::Named(kept) = &mut desk.place {
            kept.commit(source, &execution)?;
        }
        // A turn that was taken back took its input with it.
        desk.has_input |= !execution.rolled_back;
        Ok(execution)
    }

    /// Runs code and decides how to go on.
    pub(super) async fn act(
        &self,
        desk: &mut Desk<'_>,
        about: About<'_>,
        source: &str,
        turn: Option<Turn>,
    ) -> Result<Done, Error> {
        let repeated = about.history.has_run(source);
        let mut execution = self.execute(desk, about.step, source, turn).await?;
        if let Some(answer) = execution.answer.clone() {
            return Ok(Done::ended(Ending::Answered(answer), Some(execution)));
        }
        if execution.outcome == Outcome::Cancelled {
            return Ok(Done::ended(Ending::Cancelled, Some(execution)));
        }
        if let Some(waiting) = execution.waiting.take() {
            let waiting = Conversation::noted(&waiting, &about, desk.has_input);
            if let Place::Named(kept) = &mut desk.place {
                kept.put_away(&waiting)?;
            }
            execution.waiting = Some(waiting);
            return Ok(Done::ended(Ending::Waiting, Some(execution)));
        }
        let mut text = observation::text(&execution);
        if repeated {
            text += "\nYou have run exactly this code before. Do not run it again: change it, or \
                     call final_answer(value) with what you know.";
        }
        Ok(Done {
            note: observation::note(&execution),
            execution: Some(execution),
            observation: Some(text),
            ending: None,
        })
    }
}

/// What came of one action.
pub(super) struct Done {
    pub(super) execution: Option<Execution>,
    pub(super) observation: Option<String>,
    /// Why the run goes on, in a line for people.
    pub(super) note: Option<String>,
    pub(super) ending: Option<Ending>,
}

impl Done {
    pub(super) fn ended(ending: Ending, execution: Option<Execution>) -> Self {
        Self {
            execution,
            observation: None,
            note: None,
            ending: Some(ending),
        }
    }

    pub(super) fn told(text: String) -> Self {
        Self {
            execution: None,
            observation: Some(format!("{} {text}", observation::PREFIX)),
            note: text.split(". ").next().map(str::to_owned),
            ending: None,
        }
    }
}
