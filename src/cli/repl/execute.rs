//! The effects of commands.

use std::io::{self, Write};

use anyhow::{bail, ensure};

use codeact_base::text::one_line;

use super::branch::Branch;
use super::commands::{Command, HELP};
use super::{Next, Repl};
use crate::cli::{artifacts, exit_code};
use crate::report::{self, notice};

impl Repl {
    /// Runs a command.
    pub(super) async fn command(&mut self, command: Command) -> anyhow::Result<Next> {
        let mut out = io::stdout();
        match command {
            Command::Undo(count) => {
                self.current.undo(count, &self.sandbox)?;
                let left = self.current.turns();
                self.say(&format!("{count} undone, {left} left"));
            }
            Command::Fork(name) => self.fork(name)?,
            Command::Switch(name) => self.switch(&name)?,
            Command::Branches => {
                writeln!(
                    out,
                    "* {}  {}",
                    self.current_name,
                    turns(self.current.turns())
                )?;
                for (name, branch) in &self.others {
                    writeln!(out, "  {name}  {}", turns(branch.turns()))?;
                }
            }
            Command::Save(file) => {
                self.current.session().checkpoint()?.save(&file)?;
                self.say(&format!("wrote {}", file.display()));
            }
            Command::Load(file) => {
                self.current.load(&file, &self.sandbox)?;
            }
            Command::Files => {
                for file in self.current.session().files() {
                    writeln!(out, "{:>12}  {}", file.len(), one_line(&file.path))?;
                }
            }
            Command::Vars => {
                let limits = self.limits.clone();
                for variable in self.current.variables(limits).await? {
                    let (name, kind) = (one_line(&variable.name), one_line(&variable.kind));
                    writeln!(out, "{name}: {kind}  {}", one_line(&variable.short))?;
                }
            }
            Command::Time(code) => {
                let (next, usage) = self.turn(code).await?;
                writeln!(
                    out,
                    "{:.1} ms, {} fuel, {:.1} MiB at most",
                    usage.wall.as_secs_f64() * 1e3,
                    usage.fuel,
                    usage.peak_memory_bytes as f64 / f64::from(1 << 20)
                )?;
                return Ok(next);
            }
            Command::Out(dir) => {
                let files = self.current.session().files();
                let saved = artifacts::save_all(&dir, false, &self.pictures, &files)?;
                report::human::saved(&saved, self.quiet);
                if saved.is_empty() {
                    self.say("there is nothing to save");
                }
            }
            Command::Help => write!(out, "{HELP}")?,
            Command::Quit => return Ok(Next::End(0)),
        }
        Ok(Next::Continue)
    }

    fn fork(&mut self, name: Option<String>) -> anyhow::Result<()> {
        let name = match name {
            Some(name) => name,
            None => (2..)
                .map(|n| format!("{}-{n}", self.current_name))
                .find(|name| !self.others.contains_key(name))
                .unwrap_or_default(),
        };
        ensure!(
            name != self.current_name && !self.others.contains_key(&name),
            "there is already a copy named {name}; :switch {name} continues in it"
        );
        ensure!(
            name.len() <= 100 && !name.contains(char::is_whitespace),
            "the name of a copy has no spaces and at most 100 bytes"
        );
        let copy = (self.current).fork(&name, self.store.as_ref(), &self.sandbox)?;
        self.say(&format!(
            "in {name} now; :switch {} goes back",
            self.current_name
        ));
        self.make_current(name, copy);
        Ok(())
    }

    fn switch(&mut self, name: &str) -> anyhow::Result<()> {
        if name == self.current_name {
            return Ok(());
        }
        let branch = match (self.others.remove(name), &self.store) {
            (Some(branch), _) => branch,
            // Another session on disk is possible, but a mistyped name must not create one.
            (None, Some(store)) if store.list()?.iter().any(|info| info.name == name) => {
                Branch::open(store, name, &self.sandbox)?
            }
            _ => bail!("there is no copy named {name}; :branches lists them"),
        };
        self.make_current(name.to_owned(), branch);
        Ok(())
    }

    fn make_current(&mut self, name: String, branch: Branch) {
        let name = std::mem::replace(&mut self.current_name, name);
        let branch = std::mem::replace(&mut self.current, branch);
        self.others.insert(name, branch);
    }

    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            notice!("codeact: {}", one_line(text));
        }
    }

    /// Prints the error of a block or command. The session continues.
    pub(super) fn report_error(&mut self, error: &anyhow::Error) {
        self.status = exit_code::FAILED;
        notice!("codeact: {}", exit_code::format_error(error));
    }
}

fn turns(count: u32) -> String {
    match count {
        1 => "1 turn".into(),
        count => format!("{count} turns"),
    }
}
