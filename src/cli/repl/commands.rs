//! The syntax of lines that begin with `:`.

use std::path::PathBuf;

use anyhow::bail;

/// The output of `:help`.
pub(super) const HELP: &str = "\
Python runs in the sandbox; the last value is `_`. A blank line ends a block.
  :undo [N]       go back N turns (default 1): variables, files and open files
  :fork [NAME]    copy the session as it is now, and continue in the copy
  :switch NAME    continue in another copy; this one stays as it is
  :branches       list the copies
  :save FILE      write the state to a file
  :load FILE      continue from such a file; :undo goes back
  :files          list the files that the code has left
  :vars           list the variables
  :time CODE      run a line, and show its time, fuel and memory
  :out DIR        save the pictures shown so far, and the files, to a folder
  :help           show this help
  :quit           end, like Ctrl-D
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

/// Returns true if the block is a command. No Python code begins with a colon.
pub(super) fn is_command(block: &str) -> bool {
    block.trim_start().starts_with(':')
}

/// Returns the commands whose names begin with `text`.
pub(super) fn beginning_with(text: &str) -> Vec<String> {
    let known = NAMES.iter().filter(|name| name.starts_with(text));
    known.map(|name| (*name).to_owned()).collect()
}

/// A parsed command.
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
    /// Parses a line for which [`is_command`] is true.
    pub(super) fn parse(line: &str) -> anyhow::Result<Self> {
        let line = line.trim();
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let needs = |what: &str| match rest {
            "" => bail!("{name} needs {what}; :help shows the commands"),
            rest => Ok(rest.to_owned()),
        };
        let known = match name {
            ":undo" if rest.is_empty() => Self::Undo(1),
            ":undo" => match rest.parse() {
                Ok(count) => Self::Undo(count),
                Err(_) => bail!("{rest:?} is not a number of turns; expected :undo [N]"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_parsed_documented_and_completed() {
        for name in NAMES {
            assert!(HELP.contains(name), "{name}");
            assert!(Command::parse(&format!("{name} 1")).is_ok(), "{name}");
            assert_eq!(beginning_with(name), [name]);
        }
        assert_eq!(Command::parse(":undo").ok(), Some(Command::Undo(1)));
        assert_eq!(Command::parse("  :undo  3 ").ok(), Some(Command::Undo(3)));
    }

    #[test]
    fn an_invalid_command_is_an_error_with_a_reason() {
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
