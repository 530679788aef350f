//! `codeact repl`: reads blocks of Python and runs each as a turn that can be undone.
//!
//! `input` and `editor` read blocks on a thread of their own; `ask` asks CPython whether a block is complete, and for
//! names to complete; `branch` is a sequence of turns, in memory or on disk; `commands` parses lines that begin with `:`,
//! and `execute` runs them. This file has the loop.

mod ask;
mod branch;
mod commands;
mod editor;
mod event;
mod execute;
mod input;

use std::collections::BTreeMap;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use codeact::pack::Dirs;
use codeact::sandbox::{
    Cancel, Display, Limits, Outcome, Sandbox, Session, SessionOptions, Turn, TurnOptions, Usage,
};
use codeact::sessions::SessionStore;
use codeact_base::text::shown;

use super::args::{self, FileArgs, Global};
use super::exit_code::{self, exit_fast};
use super::output_pump::{LiveOutput, OutputPump};
use super::signals::cancellable;
use super::store::{self, Ran};
use super::tools::OwnConfig;
use super::turn_runner::{GrantArgs, Grants};
use super::user_input::PromptMode;
use super::{artifacts, mounts};
use crate::report;
use ask::Shape;
use branch::Branch;
use commands::Command;
use event::EditorEvent;
use input::Input;

/// Limit of the pictures that are stored for `:out` and `--out`, in bytes; the oldest are dropped.
const MAX_PICTURES: usize = 256 << 20;

struct Repl {
    sandbox: Sandbox,
    limits: Limits,
    store: Option<SessionStore>,
    /// The name of the current branch.
    current_name: String,
    current: Branch,
    others: BTreeMap<String, Branch>,
    pictures: Vec<(String, Display)>,
    /// Turns run by this command, in all branches.
    turns: u32,
    /// The exit code of the last turn that failed.
    status: u8,
    is_terminal: bool,
    quiet: bool,
    /// Variables of the code's environment.
    env: Vec<(String, String)>,
    prompt: PromptMode,
    live: LiveOutput,
}

/// The continuation after a block.
enum Next {
    Continue,
    /// The command ends with this exit code.
    End(u8),
    /// The reader of stdout has closed the pipe.
    BrokenPipe,
}

pub(super) async fn run(args: args::Repl, global: &Global) -> anyhow::Result<ExitCode> {
    let live = LiveOutput::new(args.tools.may_ask(), args.raw)?;
    let grants = GrantArgs {
        files: &args.files,
        script: None,
        tools: &args.tools,
        limits: &args.limits,
        own_config: OwnConfig::Used,
        prompt: PromptMode::new(false, false),
        diff: false,
        progress: report::progress(global.quiet),
        events: report::human::events(global.quiet),
    };
    let Grants {
        sandbox,
        tools,
        prompt,
    } = Grants::open(grants, global).await?;
    let (name, store, branch) = match args.session {
        Some(name) => {
            let store = store::store()?;
            let branch = Branch::open(&store, &name, &sandbox)?;
            (name, Some(store), branch)
        }
        None => {
            let session = sandbox.session_with(&SessionOptions::new().seed(args.seed))?;
            ("main".to_owned(), None, Branch::in_memory(session))
        }
    };
    let mut repl = Repl::new(sandbox, args.limits.limits(), (name, branch), store, global);
    repl.env = tools.env();
    repl.prompt = prompt;
    repl.live = live;
    let done = repl.run(&args.files).await;
    tools.close().await;
    done
}

/// Continues `session`, which runs in `sandbox`, interactively.
pub(super) async fn continue_session(
    sandbox: Sandbox,
    session: Session,
    limits: &args::LimitArgs,
    live: LiveOutput,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let branch = ("main".to_owned(), Branch::in_memory(session));
    let mut repl = Repl::new(sandbox, limits.limits(), branch, None, global);
    repl.live = live;
    repl.run(&FileArgs::default()).await
}

/// Returns the file of the history: `CODEACT_HISTORY`, or one in the user's data folder. If the variable is empty,
/// there is no history.
fn history() -> Option<PathBuf> {
    if let Some(file) = std::env::var_os("CODEACT_HISTORY") {
        return (!file.is_empty()).then(|| file.into());
    }
    let dirs = Dirs::from_env(&|name| std::env::var_os(name)).ok()?;
    codeact_base::private::create_dir(&dirs.data).ok()?;
    Some(dirs.data.join("history"))
}

impl Repl {
    fn new(
        sandbox: Sandbox,
        limits: Limits,
        (current_name, current): (String, Branch),
        store: Option<SessionStore>,
        global: &Global,
    ) -> Self {
        Self {
            sandbox,
            limits,
            store,
            current_name,
            current,
            others: BTreeMap::new(),
            pictures: Vec::new(),
            turns: 0,
            status: 0,
            is_terminal: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
            quiet: global.quiet,
            env: Vec::new(),
            prompt: PromptMode::new(false, false),
            live: LiveOutput::Styled,
        }
    }

    /// Runs all blocks, then writes changes back and saves artifacts.
    async fn run(mut self, files: &FileArgs) -> anyhow::Result<ExitCode> {
        let mut input = match self.is_terminal {
            true => Input::terminal(history()),
            false => Input::pipe(),
        };
        if self.is_terminal {
            self.say("Python in a sandbox; :help shows the commands, Ctrl-D ends");
            if self.current.turns() > 0 {
                let turns = self.current.turns();
                self.say(&format!(
                    "{} continues after turn {turns}",
                    self.current_name
                ));
            }
        }
        let status = match self.run_blocks(&mut input).await? {
            Next::BrokenPipe => return Ok(exit_code::broken_pipe()),
            Next::End(status) => status,
            Next::Continue => 0,
        };
        let changes = self.current.session().changes();
        mounts::write_back(&changes, files, true, self.quiet, false).await?;
        if let Some(dir) = &files.out {
            let left = self.current.session().files();
            let saved = artifacts::save_all(dir, files.force, &self.pictures, &left)?;
            report::human::saved(&saved, self.quiet);
        }
        exit_fast(self);
        Ok(ExitCode::from(status))
    }

    /// Runs blocks until the end of the input.
    async fn run_blocks(&mut self, input: &mut Input) -> anyhow::Result<Next> {
        let mut held = None;
        loop {
            let block = match self.read_block(input, &mut held).await? {
                Some(block) => block,
                None if self.is_terminal => {
                    writeln!(std::io::stdout())?;
                    return Ok(Next::End(0));
                }
                None => return Ok(Next::End(self.status)),
            };
            if block.trim().is_empty() {
                continue;
            }
            let next = match commands::is_command(&block) {
                true => match Command::parse(&block) {
                    Ok(Command::Quit) if !self.is_terminal => Ok(Next::End(self.status)),
                    Ok(command) => self.command(command).await,
                    Err(e) => Err(e),
                },
                false => self.turn(block).await.map(|(next, _)| next),
            };
            match next {
                Ok(Next::Continue) => {}
                Ok(end) => return Ok(end),
                Err(e) if is_broken_pipe(&e) => return Ok(Next::BrokenPipe),
                Err(e) => self.report_error(&e),
            }
        }
    }

    /// Reads the next block; `None` at the end of the input. From a pipe, `held` is the first line of the block, which
    /// was read to find the end of the block before.
    async fn read_block(
        &mut self,
        input: &mut Input,
        held: &mut Option<String>,
    ) -> anyhow::Result<Option<String>> {
        let mut block = held.take().unwrap_or_default();
        loop {
            let shape = match input.is_terminal || commands::is_command(&block) {
                true => Shape::Complete,
                false => ask::shape(&self.sandbox, &block).await,
            };
            if shape == Shape::Complete && !block.trim().is_empty() {
                return Ok(Some(block));
            }
            let prompt = match self.others.len() {
                0 => ">>> ".to_owned(),
                _ => format!("{} >>> ", self.current_name),
            };
            input.prompt(&prompt);
            let line = loop {
                match input.next().await {
                    EditorEvent::ShapeRequest(block, reply) => {
                        let _ = reply.send(ask::shape(&self.sandbox, &block).await);
                    }
                    EditorEvent::NamesRequest(word, reply) => {
                        let _ = reply.send(ask::names(self.current.session(), &word).await);
                    }
                    EditorEvent::Text(line) => break line,
                    EditorEvent::Interrupted => return Ok(Some(String::new())),
                    EditorEvent::End if block.trim().is_empty() => return Ok(None),
                    // An incomplete block is run as well: its SyntaxError is the message.
                    EditorEvent::End => return Ok(Some(block)),
                    EditorEvent::Failed(why) => anyhow::bail!(why),
                }
            };
            if shape == Shape::OpenBlock && begins_another(&line) {
                *held = Some(line);
                return Ok(Some(block));
            }
            if !block.is_empty() {
                block.push('\n');
            }
            block += &line;
            if input.is_terminal {
                return Ok(Some(block));
            }
        }
    }

    /// Runs `code` as a turn and shows its result.
    async fn turn(&mut self, code: String) -> anyhow::Result<(Next, Usage)> {
        self.turns += 1;
        let cancel = Cancel::new();
        let pump = OutputPump::new(cancel.clone(), self.live);
        let mut options = TurnOptions::new()
            .cancel(cancel.clone())
            .events(pump.events());
        if let Some(handler) = self.prompt.input_handler(Some(&pump)) {
            options = options.input_handler(handler);
        }
        let mut turn = Turn::new(code).options(options);
        for (key, value) in &self.env {
            turn = turn.env(key, value);
        }
        if self.is_terminal {
            turn = turn.stdin(super::input::terminal_line_on_demand());
        }
        let ran = cancellable(&cancel, self.current.run(turn)).await;
        let is_read = pump.finish();
        let Ran {
            execution,
            not_committed,
        } = ran?;
        if !is_read? {
            return Ok((Next::BrokenPipe, execution.usage));
        }
        let mut out = std::io::stdout().lock();
        let last = execution.transcript.last();
        if self.is_terminal && last.is_some_and(|(_, text)| !text.ends_with('\n')) {
            // The prompt would overwrite an unfinished line.
            writeln!(out)?;
        }
        if let Some(result) = execution.result.as_deref() {
            writeln!(out, "{}", shown(result))?;
        }
        out.flush()?;
        drop(out);
        report::human::ending(&execution);
        for display in artifacts::pictures(&execution) {
            self.store_picture(display);
        }
        if let Some(error) = not_committed {
            return Err(error);
        }
        let status = exit_code::of(&execution);
        if status != 0 {
            self.status = status;
        }
        let next = match execution.outcome {
            Outcome::Exited { .. } => Next::End(status),
            _ => Next::Continue,
        };
        Ok((next, execution.usage))
    }

    /// Stores a picture for `:out`.
    fn store_picture(&mut self, picture: &Display) {
        let name = format!("turn-{}-{}", self.turns, picture.name);
        self.say(&format!(
            "{} ({} bytes) was shown; :out DIR saves it",
            picture.name,
            picture.bytes.len()
        ));
        self.pictures.push((name, picture.clone()));
        let mut bytes: usize = self.pictures.iter().map(|(_, p)| p.bytes.len()).sum();
        while bytes > MAX_PICTURES && self.pictures.len() > 1 {
            bytes -= self.pictures.remove(0).1.bytes.len();
        }
    }
}

/// Returns true if a line after a complete compound statement begins another statement.
fn begins_another(line: &str) -> bool {
    let word = line.split(|c: char| !c.is_alphanumeric()).next();
    let is_clause = matches!(word, Some("else" | "elif" | "except" | "finally"));
    !line.is_empty() && !line.starts_with([' ', '\t', '#']) && !is_clause
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}
