//! `codeact repl`: one block of Python after another, each a turn that can be undone.
//!
//! `input` and `editor` read blocks on a thread of their own; `ask` answers what the prompt wants to
//! know of CPython and the session; `branch` is a line of turns; `commands` are the lines that begin
//! with `:`. Here is the loop.

mod ask;
mod branch;
mod commands;
mod editor;
mod input;

use std::collections::BTreeMap;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;

use super::args::{self, FileArgs, Global};
use super::live::Live;
use super::people::Asked;
use super::tools::OwnConfig;
use super::{artifacts, exit, mounts, session, settings, tools};
use crate::pack::Dirs;
use crate::report;
use crate::sandbox::{Cancel, Display, Limits, Outcome, Sandbox, Session, Turn, Usage};
use crate::sessions::SessionStore;
use ask::Shape;
use branch::Branch;
use commands::Command;
use input::{Input, Said};

/// Pictures kept for `:out` and `--out`, in bytes; the oldest go first.
const MOST_PICTURES: usize = 256 << 20;

struct Repl {
    sandbox: Sandbox,
    limits: Limits,
    store: Option<SessionStore>,
    /// The name of the branch that goes on.
    at: String,
    here: Branch,
    others: BTreeMap<String, Branch>,
    pictures: Vec<(String, Display)>,
    /// Turns run here, in all branches.
    turns: u32,
    /// The exit code of the last turn that failed.
    status: u8,
    is_terminal: bool,
    quiet: bool,
    /// Variables of the code's environment.
    env: Vec<(String, String)>,
    /// Who answers the code's questions.
    asked: Asked,
    /// Whether what the code prints must not steer the terminal: it will be asked on.
    tame: bool,
}

/// What comes after a block.
enum Next {
    Go,
    /// Everything ends with this exit code.
    End(u8),
    /// Nobody reads stdout any more.
    Unread,
}

pub(super) async fn run(args: args::Repl, global: &Global) -> anyhow::Result<ExitCode> {
    let progress = report::progress(global.quiet);
    let limits = args.limits.limits();
    let sandbox = settings::sandbox(global, progress, &args.files.packages)
        .limits(limits.clone())
        .build()
        .await?;
    let sandbox = match mounts::grant(sandbox, &args.files, false) {
        Ok(sandbox) => sandbox,
        Err(e) => return Ok(exit::wrong(&e)),
    };
    let events = report::human::events(global.quiet);
    let granted = tools::grant(sandbox, &args.tools, OwnConfig::Used, events, global.quiet).await?;
    let asked = Asked::new(false, false);
    tools::warn_without_people(&args.tools, &asked, global);
    let sandbox = granted.sandbox;
    let (at, store, branch) = match args.session {
        Some(name) => {
            let store = session::store()?;
            let branch = Branch::open(&store, &name, &sandbox)?;
            (name, Some(store), branch)
        }
        None => {
            let session = sandbox.session_seeded(args.seed)?;
            ("main".to_owned(), None, Branch::in_memory(session))
        }
    };
    let mut repl = Repl::new(sandbox, limits, (at, branch), store, global);
    (repl.env, repl.asked) = (granted.env, asked);
    repl.tame = args.tools.may_ask();
    let done = repl.drive(&args.files).await;
    granted.offered.close().await;
    done
}

/// Goes on by hand from `session`, in `sandbox`.
pub(super) async fn go_on_from(
    sandbox: Sandbox,
    session: Session,
    limits: &args::LimitArgs,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let branch = ("main".to_owned(), Branch::in_memory(session));
    let repl = Repl::new(sandbox, limits.limits(), branch, None, global);
    repl.drive(&FileArgs::default()).await
}

/// The file of what was typed: `CODEACT_HISTORY`, which may be empty for none, or the user's.
fn history() -> Option<PathBuf> {
    if let Some(file) = std::env::var_os("CODEACT_HISTORY") {
        return (!file.is_empty()).then(|| file.into());
    }
    let dirs = Dirs::from_env(&|name| std::env::var_os(name)).ok()?;
    crate::pack::create_private_dir(&dirs.data).ok()?;
    Some(dirs.data.join("history"))
}

impl Repl {
    fn new(
        sandbox: Sandbox,
        limits: Limits,
        (at, here): (String, Branch),
        store: Option<SessionStore>,
        global: &Global,
    ) -> Self {
        Self {
            sandbox,
            limits,
            store,
            at,
            here,
            others: BTreeMap::new(),
            pictures: Vec::new(),
            turns: 0,
            status: 0,
            is_terminal: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
            quiet: global.quiet,
            env: Vec::new(),
            asked: Asked::new(false, false),
            tame: false,
        }
    }

    /// Every block, and then what becomes of what they left.
    async fn drive(mut self, files: &FileArgs) -> anyhow::Result<ExitCode> {
        let mut input = match self.is_terminal {
            true => Input::terminal(history()),
            false => Input::pipe(),
        };
        if self.is_terminal {
            self.say("Python in a sandbox; :help tells more, Ctrl-D ends");
            if self.here.turns() > 0 {
                let turns = self.here.turns();
                self.say(&format!("{} goes on after turn {turns}", self.at));
            }
        }
        let status = match self.all(&mut input).await? {
            Next::Unread => return Ok(exit::unread()),
            Next::End(status) => status,
            Next::Go => 0,
        };
        let changes = self.here.session().changes();
        mounts::write_back(&changes, files, true, self.quiet, false).await?;
        if let Some(dir) = &files.out {
            let left = self.here.session().files();
            let saved = artifacts::save_all(dir, files.force, &self.pictures, &left)?;
            report::human::saved(&saved, self.quiet);
        }
        // The process ends here: unmapping gigabytes of reserved addresses first helps nobody.
        std::mem::forget(self);
        Ok(ExitCode::from(status))
    }

    /// Every block until the end.
    async fn all(&mut self, input: &mut Input) -> anyhow::Result<Next> {
        let mut held = None;
        loop {
            let block = match self.block(input, &mut held).await? {
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
                Ok(Next::Go) => {}
                Ok(end) => return Ok(end),
                Err(e) if is_unread(&e) => return Ok(Next::Unread),
                Err(e) => self.failed(&e),
            }
        }
    }

    /// The next block, or `None` at the end. From a pipe, `held` is the line that began it.
    async fn block(
        &mut self,
        input: &mut Input,
        held: &mut Option<String>,
    ) -> anyhow::Result<Option<String>> {
        let mut block = held.take().unwrap_or_default();
        loop {
            let shape = match input.is_terminal || commands::is_command(&block) {
                true => Shape::Done,
                false => ask::shape(&self.sandbox, &block).await,
            };
            if shape == Shape::Done && !block.trim().is_empty() {
                return Ok(Some(block));
            }
            let prompt = match self.others.len() {
                0 => ">>> ".to_owned(),
                _ => format!("{} >>> ", self.at),
            };
            input.prompt(&prompt);
            let line = loop {
                match input.next().await {
                    Said::AskShape(block, reply) => {
                        let _ = reply.send(ask::shape(&self.sandbox, &block).await);
                    }
                    Said::AskNames(word, reply) => {
                        let _ = reply.send(ask::names(self.here.session(), &word).await);
                    }
                    Said::Text(line) => break line,
                    Said::Interrupted => return Ok(Some(String::new())),
                    Said::End if block.trim().is_empty() => return Ok(None),
                    // What is wrong with half a block, running it tells.
                    Said::End => return Ok(Some(block)),
                    Said::Failed(why) => anyhow::bail!(why),
                }
            };
            if shape == Shape::Open && begins_another(&line) {
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

    /// Runs `code` as a turn and tells what it did.
    async fn turn(&mut self, code: String) -> anyhow::Result<(Next, Usage)> {
        self.turns += 1;
        let cancel = Cancel::new();
        let live = Live::new(cancel.clone(), self.tame);
        let mut turn = Turn::new(code.clone())
            .cancel(cancel.clone())
            .events(live.events());
        for (key, value) in &self.env {
            turn = turn.env(key, value);
        }
        if let Some(answers) = self.asked.answers(Some(&live)) {
            turn = turn.answers(answers);
        }
        if self.is_terminal {
            turn = turn.stdin(super::input::terminal_line_on_demand());
        }
        let run = stoppable(&cancel, self.here.run(turn, &code)).await;
        let is_read = live.end();
        let execution = run?;
        if !is_read? {
            return Ok((Next::Unread, execution.usage));
        }
        let mut out = std::io::stdout().lock();
        let last = execution.transcript.last();
        if self.is_terminal && last.is_some_and(|(_, text)| !text.ends_with('\n')) {
            // The prompt would be drawn over it.
            writeln!(out)?;
        }
        if let Some(result) = execution.result.as_deref() {
            writeln!(out, "{}", report::human::shown(result))?;
        }
        out.flush()?;
        drop(out);
        report::human::ending(&execution, self.quiet);
        for display in artifacts::pictures(&execution) {
            self.keep(display);
        }
        let status = exit::of(&execution);
        if status != 0 {
            self.status = status;
        }
        let next = match execution.outcome {
            Outcome::Exited { .. } => Next::End(status),
            _ => Next::Go,
        };
        Ok((next, execution.usage))
    }

    /// Keeps a picture for `:out`.
    fn keep(&mut self, picture: &Display) {
        let name = format!("turn-{}-{}", self.turns, picture.name);
        self.say(&format!(
            "{} ({} bytes) was shown; :out DIR saves it",
            picture.name,
            picture.bytes.len()
        ));
        self.pictures.push((name, picture.clone()));
        let mut bytes: usize = self.pictures.iter().map(|(_, p)| p.bytes.len()).sum();
        while bytes > MOST_PICTURES && self.pictures.len() > 1 {
            bytes -= self.pictures.remove(0).1.bytes.len();
        }
    }
}

/// Waits for `work`. The first Ctrl-C stops the turn, which then tells what it did; the second ends
/// the process.
async fn stoppable<T>(cancel: &Cancel, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => return done,
        _ = tokio::signal::ctrl_c() => cancel.cancel(),
    }
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => std::process::exit(130),
    }
}

/// Whether a line that follows a whole compound statement begins another one.
fn begins_another(line: &str) -> bool {
    let word = line.split(|c: char| !c.is_alphanumeric()).next();
    let goes_on = matches!(word, Some("else" | "elif" | "except" | "finally"));
    !line.is_empty() && !line.starts_with([' ', '\t', '#']) && !goes_on
}

fn is_unread(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}
