//! The agent, its settings and its loop.

use std::sync::Arc;

use codeact_base::event::{Event, EventSink, RunEnding};
use codeact_llm::{Message, Model};
use codeact_sandbox::{
    Cancel, Changes, InputHandler, Outcome, Sandbox, SessionOptions, Toolbox, Turn,
};
use serde_json::Value;

use super::act::{StepContext, StepOutcome};
use super::action::{Action, Mode, parse};
use super::ask::ModelReply;
use super::context::{RunContext, SessionRef};
use super::error::AgentError;
use super::history::{History, Step};
use super::prompt::{self, PromptContext};
use super::{observation, tools_text};

/// Number of answers without code that are refused before one is accepted.
const MAX_REFUSED: usize = 2;
/// Limit of the task in a refusal, in characters.
const MAX_REMINDER: usize = 2000;

/// Lets a model solve tasks by writing Python that runs in a sandbox.
///
/// Defaults: 12 steps, no events, no input, no seed, and for each piece of code the limits of the sandbox.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use codeact_agent::{Agent, Ending};
/// use codeact_llm::{ModelOptions, resolve};
/// use codeact_sandbox::Sandbox;
///
/// let env = |name: &str| std::env::var(name).ok();
/// let model = resolve(ModelOptions::new(), &env).await?.model;
/// let agent = Agent::new(model, Sandbox::new().await?).max_steps(6);
/// let run = agent.run("How many primes are there below one million?").await?;
/// match &run.ending {
///     Ending::Answered(answer) => println!("{answer}"),
///     other => println!("no answer: {other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Agent {
    pub(super) model: Arc<dyn Model>,
    pub(super) sandbox: Sandbox,
    max_steps: u32,
    once: bool,
    pub(super) keep_files: bool,
    pub(super) variables: bool,
    pub(super) stdin_text: Option<Arc<str>>,
    pub(super) input: Option<InputHandler>,
    pub(super) env: Vec<(String, String)>,
    pub(super) seed: Option<u64>,
    pub(super) events: EventSink,
    pub(super) cancel: Cancel,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Ending {
    /// With an answer: the value passed to `final_answer`, or the text of a reply without code.
    Answered(Value),
    /// The steps were used up without an answer.
    OutOfSteps,
    /// The code waits for user input. In a named session the turn is saved, and [`Agent::resume`] resumes the run.
    Suspended,
    /// The run was stopped through its [`Cancel`].
    Cancelled,
    /// In a run with [`Agent::once`]: the program failed, or the reply was not a program. The text is the reason.
    Failed(String),
}

/// The result of a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Run {
    /// How it ended.
    pub ending: Ending,
    /// Steps in order.
    pub steps: Vec<Step>,
    /// Changes of the code in the mounts, and files in the home folder. They are written to the host by
    /// [`Changes::commit`] only.
    pub changes: Changes,
}

impl Run {
    fn new(history: History, context: &mut RunContext<'_>, ending: Ending) -> Self {
        Self {
            ending,
            steps: history.steps,
            changes: context.changes(),
        }
    }

    /// Returns the answer, if there is one.
    pub fn answer(&self) -> Option<&Value> {
        match &self.ending {
            Ending::Answered(value) => Some(value),
            _ => None,
        }
    }
}

impl Agent {
    /// Returns an agent with every default.
    pub fn new(model: Arc<dyn Model>, sandbox: Sandbox) -> Self {
        Self {
            model,
            sandbox,
            max_steps: 12,
            once: false,
            keep_files: false,
            variables: false,
            stdin_text: None,
            input: None,
            env: Vec::new(),
            seed: None,
            events: EventSink::none(),
            cancel: Cancel::new(),
        }
    }

    /// Sets the limit of the model's replies in a run, at least 1. Default: 12.
    #[must_use]
    pub fn max_steps(mut self, steps: u32) -> Self {
        self.max_steps = steps.max(1);
        self
    }

    /// Sets the input. The code has it as the variable `stdin_text` and as stdin, and the prompt has a preview of it.
    /// Default: none.
    #[must_use]
    pub fn stdin_text(mut self, text: impl Into<Arc<str>>) -> Self {
        self.stdin_text = Some(text.into());
        self
    }

    /// Sets the handler of the code's requests for user input and approval. Default: none.
    #[must_use]
    pub fn input_handler(mut self, handler: InputHandler) -> Self {
        self.input = Some(handler);
        self
    }

    /// If true, the run is a single program: the reply must be only Python, and its stdout is the answer.
    /// Default: false.
    #[must_use]
    pub fn once(mut self, once: bool) -> Self {
        self.once = once;
        self
    }

    /// Adds a variable to the environment of the code.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Sets the seed of the session's randomness. It is also sent to the model. Default: none.
    #[must_use]
    pub fn seed(mut self, seed: Option<u64>) -> Self {
        self.seed = seed;
        self
    }

    /// If true, each [`Execution`](codeact_sandbox::Execution) has the files in the home folder. Default: false.
    #[must_use]
    pub fn keep_files(mut self, keep: bool) -> Self {
        self.keep_files = keep;
        self
    }

    /// If true, each [`Execution`](codeact_sandbox::Execution) has the session's variables. In a named session it always
    /// has them. Default: false.
    #[must_use]
    pub fn variables(mut self, variables: bool) -> Self {
        self.variables = variables;
        self
    }

    /// Sets the sink of events. Default: none.
    #[must_use]
    pub fn events(mut self, events: EventSink) -> Self {
        self.events = events;
        self
    }

    /// Sets a handle that can stop the run.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Works on `task` until there is an answer or the steps are used up. All code runs in one fresh session.
    ///
    /// # Errors
    ///
    /// Returns [`AgentError`] if the model or the sandbox fails. A failure of the code is an observation, not an error.
    pub async fn run(&self, task: &str) -> Result<Run, AgentError> {
        let options = SessionOptions::new().seed(self.seed);
        match self.sandbox.session_with(&options) {
            Ok(mut session) => self.run_in(&mut session, task).await,
            Err(e) => self.finish(Err(e.into())),
        }
    }

    /// As [`Agent::run`], in `session`. The turns of a [`NamedSession`](codeact_sessions::NamedSession) are committed one
    /// by one.
    ///
    /// # Errors
    ///
    /// As [`Agent::run`], and if a turn cannot be committed.
    pub async fn run_in(
        &self,
        session: impl Into<SessionRef<'_>>,
        task: &str,
    ) -> Result<Run, AgentError> {
        let context = RunContext::new(session.into());
        let run = match self.once {
            true => self.run_program(task, context).await,
            false => self.run_steps(task, context).await,
        };
        self.finish(run)
    }

    async fn run_steps(&self, task: &str, context: RunContext<'_>) -> Result<Run, AgentError> {
        let system = prompt::system(&self.prompt_context());
        let history = self.open(system, task);
        self.go_on(task, history, context, None).await
    }

    /// The loop, from `history` on. `first` is the reply of the first step and its resumed turn.
    pub(super) async fn go_on(
        &self,
        task: &str,
        mut history: History,
        mut context: RunContext<'_>,
        mut first: Option<(String, Turn)>,
    ) -> Result<Run, AgentError> {
        for step in 1..=self.max_steps {
            let (reply, turn) = match first.take() {
                Some((text, turn)) => {
                    let incomplete = None;
                    (ModelReply { text, incomplete }, Some(turn))
                }
                None => match self.ask(step, &history).await? {
                    Some(reply) => (reply, None),
                    None => return Ok(Run::new(history, &mut context, Ending::Cancelled)),
                },
            };
            let action = read(&reply, Mode::Agent);
            let outcome = match &action {
                Action::Code { source, .. } => {
                    let about = StepContext {
                        task,
                        history: &history,
                        reply: &reply.text,
                        step,
                    };
                    self.act(&mut context, about, source, turn).await?
                }
                Action::Answer(text) => self.judge(&history, task, text),
                Action::Unreadable { reason } => StepOutcome::observed(reason.clone()),
            };
            if let Some(text) = &outcome.observation {
                self.events.emit(Event::Observation {
                    step,
                    text: text.clone(),
                    note: outcome.note.clone(),
                });
            }
            history.steps.push(Step {
                reply: reply.text,
                action,
                execution: outcome.execution,
                observation: outcome.observation,
            });
            if let Some(ending) = outcome.ending {
                return Ok(Run::new(history, &mut context, ending));
            }
        }
        Ok(Run::new(history, &mut context, Ending::OutOfSteps))
    }

    /// Runs a single program; see [`Agent::once`].
    async fn run_program(
        &self,
        task: &str,
        mut context: RunContext<'_>,
    ) -> Result<Run, AgentError> {
        let system = prompt::system_once(&self.prompt_context());
        let mut history = self.open(system, task);
        let Some(reply) = self.ask(1, &history).await? else {
            return Ok(Run::new(history, &mut context, Ending::Cancelled));
        };
        let action = read(&reply, Mode::Once);
        let (execution, ending) = match &action {
            Action::Code { source, .. } => {
                let execution = self.execute(&mut context, 1, source, None).await?;
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
            Action::Answer(_) => (None, Ending::Failed("the reply is not a program".into())),
        };
        history.steps.push(Step {
            reply: reply.text,
            action,
            execution,
            observation: None,
        });
        Ok(Run::new(history, &mut context, ending))
    }

    fn prompt_context(&self) -> PromptContext<'_> {
        PromptContext {
            manifest: &self.sandbox.pack().manifest,
            limits: self.sandbox.limits(),
            mounts: self.sandbox.mounts(),
            packages: self.sandbox.packages(),
            tools: (self.sandbox.toolbox()).map_or_else(String::new, tools_text),
            about: self.sandbox.toolbox().and_then(Toolbox::about),
            user_input: self.input.is_some(),
        }
    }

    fn open(&self, system: Message, task: &str) -> History {
        let task = prompt::task(task, self.stdin_text.as_deref());
        History::new(vec![system, task])
    }

    /// Accepts an answer without code if code has had a result, or if the model repeats the answer. Other answers are
    /// refused, because most of them are mental arithmetic or a reply to the observation.
    fn judge(&self, history: &History, task: &str, text: &str) -> StepOutcome {
        let refused = (history.steps.iter())
            .filter(|step| matches!(step.action, Action::Answer(_)))
            .count();
        if history.has_result() || refused >= MAX_REFUSED {
            return StepOutcome::ended(Ending::Answered(Value::String(text.to_owned())), None);
        }
        let why = if history.has_run_code() {
            "That is no answer yet: the code has shown no result."
        } else {
            "You answered without running code, so nothing was calculated."
        };
        StepOutcome::observed(format!(
            "{why} Write a ```python block that computes the answer from the task's data, all of \
             it, and calls final_answer(value) at its end. The task is: {}",
            observation::shorten(task, MAX_REMINDER)
        ))
    }

    /// Emits the event of the run's end, and returns `run`.
    pub(super) fn finish(&self, run: Result<Run, AgentError>) -> Result<Run, AgentError> {
        let (ending, reason) = match &run {
            Ok(run) => match &run.ending {
                Ending::Answered(_) => (RunEnding::Answered, None),
                Ending::OutOfSteps => (RunEnding::OutOfSteps, None),
                Ending::Suspended => (RunEnding::Suspended, None),
                Ending::Cancelled => (RunEnding::Cancelled, None),
                Ending::Failed(why) => (RunEnding::Failed, Some(why.clone())),
            },
            Err(error) => (RunEnding::Error, Some(error.to_string())),
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

fn read(reply: &ModelReply, mode: Mode) -> Action {
    match reply.incomplete {
        Some(reason) => Action::Unreadable {
            reason: reason.into(),
        },
        None => parse(&reply.text, mode),
    }
}
