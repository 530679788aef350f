//! What is run in one turn, and with what.

use std::sync::Arc;

use super::limits::Limits;
use super::stdin::Stdin;
use super::stop::Cancel;
use super::tape::Answers;
use crate::event::EventSink;

/// Python source and its surroundings. A plain string converts into one with every default:
/// nothing on stdin, no arguments, no variables.
#[derive(Debug, Clone)]
pub struct Turn {
    pub(crate) code: Arc<str>,
    pub(crate) name: Option<String>,
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) bind: Vec<(String, String)>,
    pub(crate) stdin: Option<Stdin>,
    pub(crate) agent: bool,
    pub(crate) keep_files: bool,
    pub(crate) transactional: bool,
    pub(crate) variables: bool,
    pub(crate) limits: Option<Limits>,
    pub(crate) events: EventSink,
    pub(crate) cancel: Cancel,
    pub(crate) answers: Option<Answers>,
    /// What [`Turn::asks`] was when the turn was written down.
    pub(crate) told_asks: Option<bool>,
}

impl Turn {
    /// `code`, with every default.
    pub fn new(code: impl Into<Arc<str>>) -> Self {
        Self {
            code: code.into(),
            name: None,
            argv: Vec::new(),
            env: Vec::new(),
            bind: Vec::new(),
            stdin: None,
            agent: false,
            keep_files: false,
            transactional: false,
            variables: false,
            limits: None,
            events: EventSink::none(),
            cancel: Cancel::new(),
            answers: None,
            told_asks: None,
        }
    }

    /// The file name in tracebacks. Default: `<turn N>`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// `sys.argv`, the program's name first. Default: as it was.
    #[must_use]
    pub fn argv(mut self, argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.argv = argv.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a variable to `os.environ`. Nothing of the host's environment is ever there.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Binds a global name to a string before the code runs.
    #[must_use]
    pub fn bind(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.bind.push((name.into(), text.into()));
        self
    }

    /// What stdin holds. Default: what an earlier turn of the session left unread, or nothing.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdin>) -> Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// Offers `final_answer(value)` to the code.
    #[must_use]
    pub fn agent(mut self) -> Self {
        self.agent = true;
        self
    }

    /// Puts the files that are in the home folder after the turn into [`Execution::files`].
    ///
    /// [`Execution::files`]: super::Execution::files
    #[must_use]
    pub fn keep_files(mut self) -> Self {
        self.keep_files = true;
        self
    }

    /// Takes the turn back also when it ends with an exception that was not caught. Default: what it
    /// did until then stays, as in a notebook.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.transactional = true;
        self
    }

    /// Puts the session's variables after the turn into [`Execution::variables`].
    ///
    /// [`Execution::variables`]: super::Execution::variables
    #[must_use]
    pub fn variables(mut self) -> Self {
        self.variables = true;
        self
    }

    /// Limits for this turn, instead of the session's.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Where output goes live.
    #[must_use]
    pub fn events(mut self, events: EventSink) -> Self {
        self.events = events;
        self
    }

    /// Who answers what the code asks of people, with `ask_user`, with `input` where the turn has no
    /// stdin, and before calls of tools that need approval. The turn's wall time stands still meanwhile.
    /// Default: nobody; the code gets an exception.
    #[must_use]
    pub fn answers(mut self, answers: Answers) -> Self {
        self.answers = Some(answers);
        self
    }

    /// Whether `input()` asks whoever answers the turn's questions: it has no stdin of its own.
    pub(crate) fn asks(&self) -> bool {
        let now = self.answers.is_some() && self.stdin.is_none();
        self.told_asks.unwrap_or(now)
    }

    /// A handle that can stop the turn.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }
}

impl From<&str> for Turn {
    fn from(code: &str) -> Self {
        Self::new(code)
    }
}

impl From<String> for Turn {
    fn from(code: String) -> Self {
        Self::new(code)
    }
}
