//! The loop.

use std::sync::Arc;

use serde_json::Value;

use super::act::{About, Done};
use super::action::{Action, Mode, parse};
use super::ask::Said;
use super::desk::{Desk, Place};
use super::history::{History, Step};
use super::prompt::Surroundings;
use super::{observation, prompt, tools_text};
use crate::error::Error;
use crate::event::{Event, EventSink};
use crate::llm::{Message, Model};
use crate::sandbox::{Answers, Cancel, Changes, Outcome, Sandbox, Session, Toolbox, Turn};
use crate::sessions::NamedSession;

/// How often an answer without code is refused.
const MAX_REFUSED: usize = 2;
/// How much of the task a refusal repeats, in characters.
const MAX_REMINDER: usize = 2000;

/// Lets a model solve tasks by writing Python that runs in a sandbox.
///
/// Defaults: 12 steps, no events, no input, randomness from the operating system, the sandbox's
/// limits for each piece of code.
#[derive(Clone)]
pub struct Agent {
    pub(super) model: Arc<dyn Model>,
    pub(super) sandbox: Sandbox,
    max_steps: u32,
    pub(super) keep_files: bool,
    pub(super) variables: bool,
    pub(super) stdin_text: Option<Arc<str>>,
    pub(super) answers: Option<Answers>,
    pub(super) env: Vec<(String, String)>,
    pub(super) seed: Option<u64>,
    pub(super) events: EventSink,
    pub(super) cancel: Cancel,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Ending {
    /// With an answer: the value given to `final_answer`, or the text of a reply without code.
    Answered(Value),
    /// The steps were used up before there was one.
    OutOfSteps,
    /// Its code waits for an answer; in a named session it is put away there, and
    /// [`Agent::resume_in`] goes on with it.
    Waiting,
    /// Somebody stopped it.
    Cancelled,
    /// In the one-shot form: the program did not end well, or the reply was no program.
    Failed(String),
}

/// A run and all it did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Run {
    /// How it ended.
    pub ending: Ending,
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// What the code changed in the sandbox's mounts, and left in its home folder. Nothing of it is
    /// written to the host before [`Changes::commit`].
    pub changes: Changes,
}

impl Run {
    fn new(history: History, desk: &mut Desk<'_>, ending: Ending) -> Self {
        Self {
            ending,
            steps: history.steps,
            changes: desk.session().changes(),
        }
    }

    /// The answer, if there is one.
    pub fn answer(&self) -> Option<&Value> {
        match &self.ending {
            Ending::Answered(value) => Some(value),
            _ => None,
        }
    }
}

impl Agent {
    /// An agent of `model` and `sandbox`, with every default.
    pub fn new(model: Arc<dyn Model>, sandbox: Sandbox) -> Self {
        Self {
            model,
            sandbox,
            max_steps: 12,
            keep_files: false,
            variables: false,
            stdin_text: None,
            answers: None,
            env: Vec::new(),
            seed: None,
            events: EventSink::none(),
            cancel: Cancel::new(),
        }
    }

    /// The most replies asked of the model. Default 12; at least 1.
    #[must_use]
    pub fn max_steps(mut self, steps: u32) -> Self {
        self.max_steps = steps.max(1);
        self
    }

    /// Input, bound to `stdin_text` in the code and shown to the model in part.
    #[must_use]
    pub fn stdin_text(mut self, text: impl Into<Arc<str>>) -> Self {
        self.stdin_text = Some(text.into());
        self
    }

    /// Who answers what the code asks of people. Default: nobody.
    #[must_use]
    pub fn answers(mut self, answers: Answers) -> Self {
        self.answers = Some(answers);
        self
    }

    /// Adds a variable to the environment that the code sees.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Makes the code's randomness follow from `seed`; also asked of the model, where it can.
    #[must_use]
    pub fn seed(mut self, seed: Option<u64>) -> Self {
        self.seed = seed;
        self
    }

    /// Whether each [`Execution`](crate::sandbox::Execution) carries the files that are there after it. Default: no.
    #[must_use]
    pub fn keep_files(mut self, keep: bool) -> Self {
        self.keep_files = keep;
        self
    }

    /// Whether each [`Execution`](crate::sandbox::Execution) carries the session's variables after it. Default: no; in a named
    /// session it always does.
    #[must_use]
    pub fn variables(mut self, variables: bool) -> Self {
        self.variables = variables;
        self
    }

    /// Where events go.
    #[must_use]
    pub fn events(mut self, events: EventSink) -> Self {
        self.events = events;
        self
    }

    /// A handle that can stop the run.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Works on `task` until there is an answer or the steps are used up. All code runs in one
    /// session, whose variables last from step to step.
    ///
    /// # Errors
    ///
    /// [`Error`] when the model or the sandbox fails. What the code does is never an error.
    pub async fn run(&self, task: &str) -> Result<Run, Error> {
        let run = match self.sandbox.session_seeded(self.seed) {
            Ok(mut session) => {
                let desk = Desk::new(Place::Given(&mut session));
                self.run_steps(task, desk).await
            }
            Err(e) => Err(e.into()),
        };
        self.finish(run)
    }

    /// As [`Agent::run`], in a session that is kept: each piece of code is committed to it when it has
    /// run, with the variables and files of what ran before.
    ///
    /// # Errors
    ///
    /// As [`Agent::run`], and when a turn cannot be committed.
    pub async fn run_in(&self, session: &mut NamedSession, task: &str) -> Result<Run, Error> {
        let run = (self.run_steps(task, Desk::new(Place::Named(session)))).await;
        self.finish(run)
    }

    /// As [`Agent::run`], in `session`, with the variables and files that are there.
    ///
    /// # Errors
    ///
    /// As [`Agent::run`].
    pub async fn run_on(&self, session: &mut Session, task: &str) -> Result<Run, Error> {
        let run = (self.run_steps(task, Desk::new(Place::Given(session)))).await;
        self.finish(run)
    }

    async fn run_steps(&self, task: &str, desk: Desk<'_>) -> Result<Run, Error> {
        let system = prompt::system(&self.surroundings());
        let history = self.open(system, task);
        self.go_on(task, history, desk, None).await
    }

    /// The loop, from `history` on; `first` is a reply that was had, and the turn to run for it.
    pub(super) async fn go_on(
        &self,
        task: &str,
        mut history: History,
        mut desk: Desk<'_>,
        mut first: Option<(String, Turn)>,
    ) -> Result<Run, Error> {
        for step in 1..=self.max_steps {
            let (said, turn) = match first.take() {
                Some((text, turn)) => (Said { text, cut: None }, Some(turn)),
                None => match self.ask(step, &history).await? {
                    Some(said) => (said, None),
                    None => return Ok(Run::new(history, &mut desk, Ending::Cancelled)),
                },
            };
            let action = read(&said, Mode::Agent);
            let done = match &action {
                Action::Code { source, .. } => {
                    let about = About {
                        task,
                        history: &history,
                        reply: &said.text,
                        step,
                    };
                    self.act(&mut desk, about, source, turn).await?
                }
                Action::Answer(text) => self.judge(&history, task, text),
                Action::Unreadable { reason } => Done::told(reason.clone()),
            };
            if let Some(text) = &done.observation {
                self.events.emit(Event::Observation {
                    step,
                    text: text.clone(),
                    note: done.note.clone(),
                });
            }
            history.steps.push(Step {
                reply: said.text,
                action,
                execution: done.execution,
                observation: done.observation,
            });
            if let Some(ending) = done.ending {
                return Ok(Run::new(history, &mut desk, ending));
            }
        }
        Ok(Run::new(history, &mut desk, Ending::OutOfSteps))
    }

    /// The original, one-shot form: the reply must be one Python program, and what it prints is
    /// the answer.
    ///
    /// # Errors
    ///
    /// As [`Agent::run`].
    pub async fn run_once(&self, task: &str) -> Result<Run, Error> {
        let run = match self.sandbox.session_seeded(self.seed) {
            Ok(mut session) => {
                let desk = Desk::new(Place::Given(&mut session));
                self.run_program(task, desk).await
            }
            Err(e) => Err(e.into()),
        };
        self.finish(run)
    }

    /// As [`Agent::run_once`], in `session`.
    ///
    /// # Errors
    ///
    /// As [`Agent::run`].
    pub async fn run_once_on(&self, session: &mut Session, task: &str) -> Result<Run, Error> {
        let run = (self.run_program(task, Desk::new(Place::Given(session)))).await;
        self.finish(run)
    }

    async fn run_program(&self, task: &str, mut desk: Desk<'_>) -> Result<Run, Error> {
        let system = prompt::system_once(&self.surroundings());
        let mut history = self.open(system, task);
        let Some(said) = self.ask(1, &history).await? else {
            return Ok(Run::new(history, &mut desk, Ending::Cancelled));
        };
        let action = read(&said, Mode::Once);
        let (execution, ending) = match &action {
            Action::Code { source, .. } => {
                let execution = self.execute(&mut desk, 1, source, None).await?;
                let ending = match &execution.outcome {
                    Outcome::Completed | Outcome::Exited { code: 0 } => {
                        Ending::Answered(Value::String(execution.stdout.text.clone()))
                    }
                    Outcome::Cancelled => Ending::Cancelled,
                    _ => Ending::Failed(observation::failure(&execution)),
                };
                (Some(execution), ending)
            }
            Action::Unreadable { reason } => (None, Ending::Failed(reason.clone())),
            Action::Answer(_) => (None, Ending::Failed("the reply is no program".into())),
        };
        history.steps.push(Step {
            reply: said.text,
            action,
            execution,
            observation: None,
        });
        Ok(Run::new(history, &mut desk, ending))
    }

    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            manifest: &self.sandbox.pack().manifest,
            limits: self.sandbox.limits(),
            mounts: self.sandbox.mounts(),
            packages: self.sandbox.packages(),
            tools: (self.sandbox.toolbox()).map_or_else(String::new, tools_text),
            about: self.sandbox.toolbox().and_then(Toolbox::about),
            people: self.answers.is_some(),
        }
    }

    fn open(&self, system: Message, task: &str) -> History {
        let task = prompt::task(task, self.stdin_text.as_deref());
        History::new(vec![system, task])
    }

    /// An answer without code counts when code has shown something, or when the model insists:
    /// else it is most often arithmetic done in the head, or the model answering the observation.
    fn judge(&self, history: &History, task: &str, text: &str) -> Done {
        let refused = (history.steps.iter())
            .filter(|step| matches!(step.action, Action::Answer(_)))
            .count();
        if history.has_result() || refused >= MAX_REFUSED {
            return Done::ended(Ending::Answered(Value::String(text.to_owned())), None);
        }
        let why = if history.has_run_code() {
            "That is no answer yet: the code has shown no result."
        } else {
            "You answered without running code, so nothing was calculated."
        };
        Done::told(format!(
            "{why} Write a ```python block that computes the answer from the task's data, all of \
             it, and calls final_answer(value) at its end. The task is: {}",
            observation::shorten(task, MAX_REMINDER)
        ))
    }

    /// Tells how the run ended, also where it ended in an error.
    pub(super) fn finish(&self, run: Result<Run, Error>) -> Result<Run, Error> {
        let (ending, reason) = match &run {
            Ok(run) => match &run.ending {
                Ending::Answered(_) => ("answered", None),
                Ending::OutOfSteps => ("out_of_steps", None),
                Ending::Waiting => ("waiting", None),
                Ending::Cancelled => ("cancelled", None),
                Ending::Failed(why) => ("failed", Some(why.clone())),
            },
            Err(error) => ("error", Some(error.to_string())),
        };
        let answer = run.as_ref().ok().and_then(Run::answer);
        let steps = run.as_ref().map_or(0, |run| run.steps.len());
        self.events.emit(Event::Finished {
            answered: answer.is_some(),
            ending,
            reason,
            answer: answer.cloned(),
            steps: u32::try_from(steps).unwrap_or(u32::MAX),
        });
        run
    }
}

fn read(said: &Said, mode: Mode) -> Action {
    match said.cut {
        Some(reason) => Action::Unreadable {
            reason: reason.into(),
        },
        None => parse(&said.text, mode),
    }
}
