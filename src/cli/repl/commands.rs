//! Lines that begin with `:`: what is typed, and what each does.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{bail, ensure};

use super::Repl;
use super::branch::Branch;
use crate::cli::{artifacts, exit};
use crate::report;
use crate::text::one_line;

const HELP: &str = "\
Python runs in the sandbox; the last value is `_`. A blank line ends a block.
  :undo [N]       go back N turns (default 1): variables, files and open files
  :fork [NAME]    copy the session as it is now, and go on in the copy
  :switch NAME    go on in another copy; what this one holds stays as it is
  :branches       list the copies
  :save FILE      write the state to a file
  :load FILE      go on from such a file; :undo comes back
  :files          list the files the code has left
  :vars           list the variables
  :time CODE      run a line, and tell time, fuel and memory
  :out DIR        save the pictures shown so far, and the files, to a folder
  :help           this
  :quit           end, as Ctrl-D does
";

const NAMES: [&str; 12] = [
    ":branches",
    ":files",
    ":fork",
    ":help",
    ":load",
    ":out",
    ":quit",
    ":save",
    ":switch",
    ":time",
    ":undo",
    ":vars",
];

/// Whether the block is a command. No Python begins so.
pub(super) fn is_command(block: &str) -> bool {
    block.trim_start().starts_with(':')
}

/// The commands whose names begin so.
pub(super) fn beginning_with(text: &str) -> Vec<String> {
    let known = NAMES.iter().filter(|name| name.starts_with(text));
    known.map(|name| (*name).to_owned()).collect()
}

#[derive(Debug, PartialEq)]
pub(super) enum Command {
    Undo(u32),
    Fork(Option<String>),
    Switch(String),
    Branches,
    Save(PathBuf),
    Load(PathBuf),
    Files,
    Vars,
    Time(String),
    Out(PathBuf),
    Help,
    Quit,
}

impl Command {
    /// Reads a line that [`is_command`].
    pub(super) fn parse(line: &str) -> anyhow::Result<Self> {
        let line = line.trim();
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let needs = |what: &str| match rest {
            "" => bail!("{name} needs {what}; :help tells more"),
            rest => Ok(rest.to_owned()),
        };
        let known = match name {
            ":undo" if rest.is_empty() => Self::Undo(1),
            ":undo" => match rest.parse() {
                Ok(count) => Self::Undo(count),
                Err(_) => bail!("{rest:?} is no number of turns; expected :undo [N]"),
            },
            ":fork" => Self::Fork((!rest.is_empty()).then(|| rest.to_owned())),
            ":switch" => Self::Switch(needs("the NAME of a copy")?),
            ":branches" => Self::Branches,
            ":save" => Self::Save(needs("a FILE")?.into()),
            ":load" => Self::Load(needs("a FILE")?.into()),
            ":files" => Self::Files,
            ":vars" => Self::Vars,
            ":time" => Self::Time(needs("a line of code")?),
            ":out" => Self::Out(needs("a DIR")?.into()),
            ":help" | ":h" | ":?" => Self::Help,
            ":quit" | ":q" | ":exit" => Self::Quit,
            _ => bail!("there is no command {name}; :help lists them"),
        };
        Ok(known)
    }
}

impl Repl {
    /// Does what a command says. `Break` carries the exit code with which everything ends.
    pub(super) async fn command(&mut self, command: Command) -> anyhow::Result<super::Next> {
        let mut out = io::stdout();
        match command {
            Command::Undo(count) => {
                self.here.undo(count, &self.sandbox)?;
                let left = self.here.turns();
                self.say(&format!("{count} undone, {left} left"));
            }
            Command::Fork(name) => self.fork(name)?,
            Command::Switch(name) => self.switch(&name)?,
            Command::Branches => {
                writeln!(out, "* {}  {}", self.at, turns(self.here.turns()))?;
                for (name, branch) in &self.others {
                    writeln!(out, "  {name}  {}", turns(branch.turns()))?;
                }
            }
            Command::Save(file) => {
                self.here.session().checkpoint()?.save(&file)?;
                self.say(&format!("wrote {}", file.display()));
            }
            Command::Load(file) => {
                self.here.load(&file, &self.sandbox)?;
            }
            Command::Files => {
                for file in self.here.session().files() {
                    writeln!(out, "{:>12}  {}", file.len(), one_line(&file.path))?;
                }
            }
            Command::Vars => {
                let limits = self.limits.clone();
                for variable in self.here.variables(limits).await? {
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
                let files = self.here.session().files();
                let saved = artifacts::save_all(&dir, false, &self.pictures, &files)?;
                report::human::saved(&saved, self.quiet);
                if saved.is_empty() {
                    self.say("there is nothing to save");
                }
            }
            Command::Help => write!(out, "{HELP}")?,
            Command::Quit => return Ok(super::Next::End(0)),
        }
        Ok(super::Next::Go)
    }

    fn fork(&mut self, name: Option<String>) -> anyhow::Result<()> {
        let name = match name {
            Some(name) => name,
            None => (2..)
                .map(|n| format!("{}-{n}", self.at))
                .find(|name| !self.others.contains_key(name))
                .unwrap_or_default(),
        };
        ensure!(
            name != self.at && !self.others.contains_key(&name),
            "there is a copy named {name} already; :switch {name} goes there"
        );
        ensure!(
            name.len() <= 100 && !name.contains(char::is_whitespace),
            "a name has no spaces and at most 100 bytes"
        );
        let copy = (self.here).fork(&name, self.store.as_ref(), &self.sandbox)?;
        self.say(&format!("in {name} now; :switch {} goes back", self.at));
        self.go_on(name, copy);
        Ok(())
    }

    fn switch(&mut self, name: &str) -> anyhow::Result<()> {
        if name == self.at {
            return Ok(());
        }
        let branch = match (self.others.remove(name), &self.store) {
            (Some(branch), _) => branch,
            // Another session on disk will do, but none is made by a slip of the finger.
            (None, Some(store)) if store.list()?.iter().any(|info| info.name == name) => {
                Branch::open(store, name, &self.sandbox)?
            }
            _ => bail!("there is no copy named {name}; :branches lists them"),
        };
        self.go_on(name.to_owned(), branch);
        Ok(())
    }

    fn go_on(&mut self, name: String, branch: Branch) {
        let name = std::mem::replace(&mut self.at, name);
        let branch = std::mem::replace(&mut self.here, branch);
        self.others.insert(name, branch);
    }

    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            anstream::eprintln!("codeact: {}", one_line(text));
        }
    }

    /// Tells of a command that failed; the session goes on.
    pub(super) fn failed(&mut self, error: &anyhow::Error) {
        self.status = exit::FAILED;
        anstream::eprintln!("codeact: {}", exit::told(error));
    }
}

fn turns(count: u32) -> String {
    match count {
        1 => "1 turn".into(),
        count => format!("{count} turns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_read_helped_with_and_completed() {
        for name in NAMES {
            assert!(HELP.contains(name), "{name}");
            assert!(Command::parse(&format!("{name} 1")).is_ok(), "{name}");
            assert_eq!(beginning_with(name), [name]);
        }
        assert_eq!(Command::parse(":undo").ok(), Some(Command::Undo(1)));
        assert_eq!(Command::parse("  :undo  3 ").ok(), Some(Command::Undo(3)));
    }

    #[test]
    fn what_is_wrong_with_a_command_is_said() {
        for (line, why) in [
            (":undo x", "expected :undo [N]"),
            (":save", "needs a FILE"),
            (":frok", "no command :frok"),
        ] {
            let error = Command::parse(line).map_err(|e| e.to_string());
            assert!(error.is_err_and(|e| e.contains(why)), "{line}");
        }
    }
}
