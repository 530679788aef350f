//! Runs the code of a reply and decides how the run goes on.

use codeact_base::event::Event;
use codeact_sandbox::{Execution, Outcome, Turn, TurnOptions};

use super::context::{RunContext, SessionRef};
use super::error::AgentError;
use super::history::History;
use super::observation;
use super::run::{Agent, Ending};
use super::suspended::Conversation;

/// Position of a piece of code in a run.
pub(super) struct StepContext<'a> {
    pub(super) task: &'a str,
    pub(super) history: &'a History,
    pub(super) reply: &'a str,
    pub(super) step: u32,
}

impl Agent {
    /// Returns the turn of a new piece of code.
    fn turn(&self, source: &str, context: &RunContext<'_>) -> Turn {
        let mut turn = Turn::new(source)
            .final_answer(true)
            .variables(self.variables);
        if let Some(text) = &self.stdin_text
            && !context.has_input
        {
            turn = turn
                .bind("stdin_text", &**text)
                .stdin(text.as_bytes().to_vec());
        }
        for (key, value) in &self.env {
            turn = turn.env(key, value);
        }
        turn
    }

    /// Runs `source`. `turn` is its turn if it is resumed.
    pub(super) async fn execute(
        &self,
        context: &mut RunContext<'_>,
        step: u32,
        source: &str,
        turn: Option<Turn>,
    ) -> Result<Execution, AgentError> {
        self.events.emit(Event::CodeStarted {
            step,
            code: source.to_owned(),
        });
        let mut options = TurnOptions::new()
            .events(self.events.clone())
            .cancel(self.cancel.clone())
            .keep_files(self.keep_files);
        if let Some(handler) = &self.input {
            options = options.input_handler(handler.clone());
        }
        let turn = turn.unwrap_or_else(|| self.turn(source, context));
        let execution = context.run(turn.options(options)).await?;
        // If the turn was rolled back, so was the binding of the input.
        context.has_input |= !execution.rolled_back;
        Ok(execution)
    }

    /// Runs code and decides how to go on.
    pub(super) async fn act(
        &self,
        context: &mut RunContext<'_>,
        about: StepContext<'_>,
        source: &str,
        turn: Option<Turn>,
    ) -> Result<StepOutcome, AgentError> {
        let repeated = about.history.has_run(source);
        let mut execution = self.execute(context, about.step, source, turn).await?;
        if let Some(answer) = execution.answer.clone() {
            return Ok(StepOutcome::ended(
                Ending::Answered(answer),
                Some(execution),
            ));
        }
        if execution.outcome == Outcome::Cancelled {
            return Ok(StepOutcome::ended(Ending::Cancelled, Some(execution)));
        }
        if let Some(suspended) = execution.suspended.take() {
            let suspended = Conversation::attach(&suspended, &about, context.has_input);
            if let SessionRef::Named(session) = &context.session {
                session.save_suspended(&suspended)?;
            }
            execution.suspended = Some(suspended);
            return Ok(StepOutcome::ended(Ending::Suspended, Some(execution)));
        }
        let mut text = observation::text(&execution);
        if repeated {
            text += "\nYou have run exactly this code before. Do not run it again: change it, or \
                     call final_answer(value) with what you know.";
        }
        Ok(StepOutcome {
            note: observation::note(&execution),
            execution: Some(execution),
            observation: Some(text),
            ending: None,
        })
    }
}

/// Result of one step.
pub(super) struct StepOutcome {
    pub(super) execution: Option<Execution>,
    /// Text for the model.
    pub(super) observation: Option<String>,
    /// The reason why the run goes on, as one line for the user.
    pub(super) note: Option<String>,
    /// Set if the run ends.
    pub(super) ending: Option<Ending>,
}

impl StepOutcome {
    /// Returns the outcome of the last step.
    pub(super) fn ended(ending: Ending, execution: Option<Execution>) -> Self {
        Self {
            execution,
            observation: None,
            note: None,
            ending: Some(ending),
        }
    }

    /// Returns the outcome of a step without code: `text` is the observation.
    pub(super) fn observed(text: String) -> Self {
        Self {
            execution: None,
            observation: Some(format!("{} {text}", observation::PREFIX)),
            note: text.split(". ").next().map(str::to_owned),
            ending: None,
        }
    }
}
