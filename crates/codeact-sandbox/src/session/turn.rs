//! The input of a turn.

use serde::{Deserialize, Serialize};

use codeact_base::event::EventSink;

use crate::types::cancellation::Cancel;
use crate::types::limits::Limits;
use crate::types::stdin::Stdin;
use crate::types::user_input::InputHandler;

/// Python source, its surroundings and its limits. A string converts into a turn with every default: empty stdin, no
/// arguments, no variables, the session's limits.
///
/// ```
/// use codeact_sandbox::{Limits, Turn};
/// use std::time::Duration;
///
/// let limits = Limits::default().with_wall(Duration::from_secs(5));
/// let turn = Turn::new("import sys; print(sys.argv)").argv(["job.py", "3"]).limits(limits);
/// ```
#[derive(Debug, Clone)]
pub struct Turn {
    pub(crate) spec: TurnSpec,
    pub(crate) stdin: Option<Stdin>,
    pub(crate) options: TurnOptions,
}

/// Specification of a turn, as data: the same in a live turn, a recording and a suspended turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TurnSpec {
    pub(crate) code: String,
    /// The file name in tracebacks; `None`: `<turn N>`.
    pub(crate) name: Option<String>,
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) bind: Vec<(String, String)>,
    /// True if the turn has a stdin of its own.
    pub(crate) stdin: bool,
    /// True if `input()` is a request for user input; `None`: decided when the turn starts.
    pub(crate) asks: Option<bool>,
    pub(crate) agent: bool,
    pub(crate) variables: bool,
    pub(crate) transactional: bool,
    pub(crate) last: bool,
    /// `None`: those of the session.
    pub(crate) limits: Option<Limits>,
}

/// Handlers and options of the host for a turn. They are not part of its specification: a suspended or recorded turn
/// does not include them, and they are passed again when it is resumed or replayed.
#[derive(Debug, Clone, Default)]
pub struct TurnOptions {
    pub(crate) keep_files: bool,
    pub(crate) events: EventSink,
    pub(crate) cancel: Cancel,
    pub(crate) input: Option<InputHandler>,
}

impl TurnSpec {
    /// Returns true if the turn has no fuel budget.
    pub(crate) fn fuel_is_unlimited(&self) -> bool {
        self.limits
            .as_ref()
            .is_none_or(|limits| limits.fuel.is_none())
    }
}

impl TurnOptions {
    /// Returns the defaults: no events, no cancellation, no input handler, no files in the result.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the sink of live output and tool events. Default: none.
    #[must_use]
    pub fn events(mut self, events: EventSink) -> Self {
        self.events = events;
        self
    }

    /// Sets a handle that can stop the turn.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Sets the handler of requests of the code: `ask_user`, `input` if the turn has no stdin, and approvals of tool
    /// calls. The turn's wall time is paused meanwhile. Default: none; the code gets an exception.
    #[must_use]
    pub fn input_handler(mut self, handler: InputHandler) -> Self {
        self.input = Some(handler);
        self
    }

    /// If true, [`Execution::files`](crate::Execution::files) has the files in the home folder after the turn.
    /// Default: false.
    #[must_use]
    pub fn keep_files(mut self, keep: bool) -> Self {
        self.keep_files = keep;
        self
    }
}

impl Turn {
    /// Returns a turn that runs `code`, with every default.
    pub fn new(code: impl Into<String>) -> Self {
        Self {
            spec: TurnSpec {
                code: code.into(),
                name: None,
                argv: Vec::new(),
                env: Vec::new(),
                bind: Vec::new(),
                stdin: false,
                asks: None,
                agent: false,
                variables: false,
                transactional: false,
                last: false,
                limits: None,
            },
            stdin: None,
            options: TurnOptions::default(),
        }
    }

    /// Returns the turn of `spec`, for a replay.
    pub(crate) fn from_spec(spec: TurnSpec, options: TurnOptions) -> Self {
        Self {
            stdin: spec.stdin.then(Stdin::default),
            spec,
            options,
        }
    }

    /// Returns the Python source.
    pub fn code(&self) -> &str {
        &self.spec.code
    }

    /// Sets the file name in tracebacks. Default: `<turn N>`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.spec.name = Some(name.into());
        self
    }

    /// Sets `sys.argv`; the first item is the program's name. Default: unchanged.
    #[must_use]
    pub fn argv(mut self, argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.spec.argv = argv.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a variable to `os.environ`. The host's environment is never visible.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.spec.env.push((key.into(), value.into()));
        self
    }

    /// Binds a global name to a string before the code runs.
    #[must_use]
    pub fn bind(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.spec.bind.push((name.into(), text.into()));
        self
    }

    /// Sets stdin. Default: the rest of the stdin of an earlier turn of the session, or empty.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdin>) -> Self {
        self.stdin = Some(stdin.into());
        self.spec.stdin = true;
        self
    }

    /// If true, the code has the function `final_answer(value)`, whose argument is
    /// [`Execution::answer`](crate::Execution::answer). Default: false.
    #[must_use]
    pub fn final_answer(mut self, offer: bool) -> Self {
        self.spec.agent = offer;
        self
    }

    /// As [`TurnOptions::keep_files`].
    #[must_use]
    pub fn keep_files(mut self, keep: bool) -> Self {
        self.options.keep_files = keep;
        self
    }

    /// If true, an uncaught exception rolls the turn back as well. Default: false; variables and files stay as they
    /// were when it was raised, as in a notebook.
    #[must_use]
    pub fn transactional(mut self, transactional: bool) -> Self {
        self.spec.transactional = transactional;
        self
    }

    /// If true, [`Execution::variables`](crate::Execution::variables) has the session's variables after the turn.
    /// Default: false.
    #[must_use]
    pub fn variables(mut self, list: bool) -> Self {
        self.spec.variables = list;
        self
    }

    /// If true, this is the session's last turn: functions registered with `atexit` run at its end, as in a process
    /// that ends. Default: false.
    #[must_use]
    pub fn last(mut self, last: bool) -> Self {
        self.spec.last = last;
        self
    }

    /// Sets the limits of this turn. Default: those of the session.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.spec.limits = Some(limits);
        self
    }

    /// Sets all options of the host.
    #[must_use]
    pub fn options(mut self, options: TurnOptions) -> Self {
        self.options = options;
        self
    }

    /// As [`TurnOptions::events`].
    #[must_use]
    pub fn events(mut self, events: EventSink) -> Self {
        self.options = self.options.events(events);
        self
    }

    /// As [`TurnOptions::input_handler`].
    #[must_use]
    pub fn input_handler(mut self, handler: InputHandler) -> Self {
        self.options = self.options.input_handler(handler);
        self
    }

    /// As [`TurnOptions::cancel`].
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.options = self.options.cancel(cancel);
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
