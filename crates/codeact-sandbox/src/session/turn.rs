//! The input of a turn.

use serde::{Deserialize, Serialize};

use codeact_base::event::EventSink;

use crate::types::cancellation::Cancel;
use crate::types::limits::Limits;
use crate::types::stdin::Stdin;
use crate::types::user_input::InputHandler;

/// Byte order mark of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

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
    /// True if each character of `code` is one byte of a source file that declares its encoding (PEP 263).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) encoded: bool,
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
    /// True if everything that the code shows is a bundle.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) rich: bool,
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
                encoded: false,
                name: None,
                argv: Vec::new(),
                env: Vec::new(),
                bind: Vec::new(),
                stdin: false,
                asks: None,
                agent: false,
                variables: false,
                rich: false,
                transactional: false,
                last: false,
                limits: None,
            },
            stdin: None,
            options: TurnOptions::default(),
        }
    }

    /// Returns a turn that runs the content of a source file, with every default. As in CPython, the file can declare
    /// its encoding (PEP 263); without a declaration it is UTF-8, with or without a byte order mark.
    ///
    /// Returns `None` if the file declares no encoding and is not UTF-8.
    pub fn from_file_content(content: &[u8]) -> Option<Self> {
        if !declares_encoding(content) {
            let text = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
            return Some(Self::new(std::str::from_utf8(text).ok()?));
        }
        // The guest has Python's codecs and decodes it.
        let mut turn = Self::new(
            content
                .iter()
                .map(|byte| char::from(*byte))
                .collect::<String>(),
        );
        turn.spec.encoded = true;
        Some(turn)
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

    /// As [`Turn::env`], unless the turn sets the variable already.
    #[must_use]
    pub fn env_default(self, key: &str, value: &str) -> Self {
        match self.spec.env.iter().any(|(name, _)| name == key) {
            true => self,
            false => self.env(key, value),
        }
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

    /// If true, each thing that the code shows is a [`Bundle`](crate::Bundle) of
    /// [`Execution::bundles`](crate::Execution::bundles) and, as it is shown, an
    /// [`Event::Bundle`](codeact_base::event::Event::Bundle), for clients that show notebooks: the value of the final
    /// expression, figures, and the arguments of `display`, whose text is then not printed. Default: false.
    ///
    /// A bundle has the forms that IPython would give it. In addition, a data frame of pandas has
    /// `application/vnd.codeact.data+json` (its columns as lists), and a figure of matplotlib
    /// `application/vnd.codeact.chart+json` (its points, bars or wedges). A turn has at most 100 bundles; a note on stderr
    /// names what was left out.
    #[must_use]
    pub fn rich(mut self, rich: bool) -> Self {
        self.spec.rich = rich;
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

/// Returns true if a comment in the first two lines of `content` declares an encoding other than UTF-8, as PEP 263
/// specifies.
fn declares_encoding(content: &[u8]) -> bool {
    let content = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
    let lines = (content.split(|byte| *byte == b'\n')).flat_map(|line| {
        line.strip_suffix(b"\r")
            .unwrap_or(line)
            .split(|b| *b == b'\r')
    });
    for line in lines.take(2) {
        let Some(comment) = line.trim_ascii_start().strip_prefix(b"#") else {
            if line.trim_ascii().is_empty() {
                continue;
            }
            return false;
        };
        if let Some(name) = declared_encoding(comment) {
            return !matches!(name.to_ascii_lowercase().as_slice(), b"utf-8" | b"utf8");
        }
    }
    false
}

/// Returns the encoding that a comment declares with `coding:` or `coding=`.
fn declared_encoding(comment: &[u8]) -> Option<&[u8]> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (0..comment.len()).find_map(|at| {
        let rest = comment[at..].strip_prefix(b"coding")?;
        let (b':' | b'=', name) = rest.split_first()? else {
            return None;
        };
        let name = name.trim_ascii_start();
        let end = name.iter().position(|byte| !is_name(byte));
        let name = &name[..end.unwrap_or(name.len())];
        (!name.is_empty()).then_some(name)
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_declared_in_a_comment_of_the_first_two_lines() {
        for declared in [
            "# -*- coding: latin-1 -*-\n",
            "#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\n",
            "\n  # coding:koi8-r",
            "# coding \r\n# coding=latin-1",
            "# old\r# coding=latin-1\rx = 1",
        ] {
            assert!(declares_encoding(declared.as_bytes()), "{declared}");
        }
        for undeclared in [
            "",
            "x = 1\n# coding: latin-1",
            "\n\n# coding: latin-1",
            "# coding: utf-8\n# coding: latin-1",
            "# encoding of files",
            "coding = 1",
            "'# coding: latin-1'",
        ] {
            assert!(!declares_encoding(undeclared.as_bytes()), "{undeclared}");
        }
    }

    #[test]
    fn a_file_without_a_declaration_is_utf_8() {
        let turn = Turn::from_file_content(b"\xEF\xBB\xBFx = '\xC3\xA9'").unwrap();
        assert_eq!(turn.code(), "x = 'é'");
        assert!(Turn::from_file_content(b"x = '\xE9'").is_none());
    }
}
