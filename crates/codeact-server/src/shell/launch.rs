//! Arguments of `python`, and the turn that runs them.

use codeact::sandbox::Turn;
use serde_json::json;

/// Python source that runs a program of a request.
const LAUNCHER: &str = include_str!("launch.py");

/// What `python` is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Program {
    /// `-c CODE`
    Code(String),
    /// `-m MODULE`
    Module(String),
    /// `FILE`
    File(String),
    /// `-`, or nothing
    Stdin,
    /// `-V`
    Version,
}

/// A parsed command line of `python`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) program: Program,
    /// The arguments after the program.
    pub(super) args: Vec<String>,
}

impl CommandLine {
    /// Parses the arguments of `python`.
    ///
    /// # Errors
    ///
    /// Returns a message for the user if an option is unknown or has no effect here.
    pub(super) fn parse(args: &[String]) -> Result<Self, String> {
        let mut rest = args.iter();
        let program = loop {
            let Some(arg) = rest.next() else {
                break Program::Stdin;
            };
            if arg == "-" {
                break Program::Stdin;
            }
            let Some(flags) = arg.strip_prefix('-') else {
                break Program::File(arg.clone());
            };
            match Self::flags(flags, &mut rest)? {
                Some(program) => break program,
                None => continue,
            }
        };
        Ok(Self {
            program,
            args: rest.cloned().collect(),
        })
    }

    /// Parses one argument of short options. Returns the program if it has one.
    fn flags<'a>(
        flags: &str,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<Option<Program>, String> {
        if flags == "-version" {
            return Ok(Some(Program::Version));
        }
        for (at, flag) in flags.char_indices() {
            let attached = flags.get(at + flag.len_utf8()..).unwrap_or_default();
            let mut value = || match attached.is_empty() {
                false => Ok(attached.to_owned()),
                true => rest
                    .next()
                    .cloned()
                    .ok_or_else(|| format!("python: argument expected for the -{flag} option")),
            };
            match flag {
                'c' => return Ok(Some(Program::Code(value()?))),
                'm' => return Ok(Some(Program::Module(value()?))),
                'V' => return Ok(Some(Program::Version)),
                // Warnings, and options of the implementation.
                'W' | 'X' => {
                    value()?;
                    return Ok(None);
                }
                // Without effect here: output is not buffered, no bytecode is written, and nothing of a user's
                // environment is read.
                'u' | 'B' | 'E' | 's' | 'S' | 'I' | 'q' | 'P' => {}
                _ => {
                    return Err(format!(
                        "python: the option -{flag} is not supported here; expected -c CODE, -m MODULE, FILE or -"
                    ));
                }
            }
        }
        Ok(None)
    }
}

/// Returns the turn that runs `program` in the folder `cwd`. `stdin` is the source if that is the program.
pub(super) fn turn(program: &Program, args: &[String], cwd: &str, stdin: &str) -> Turn {
    let (kind, text, name) = match program {
        Program::Code(code) => ("code", code.as_str(), "-c"),
        Program::Module(module) => ("module", module.as_str(), "-m"),
        Program::File(path) => ("file", path.as_str(), path.as_str()),
        Program::Stdin => ("stdin", stdin, "-"),
        Program::Version => (
            "code",
            "import sys; print('Python', sys.version.split()[0])",
            "-c",
        ),
    };
    let request = json!({"kind": kind, "program": text, "cwd": cwd});
    Turn::new(LAUNCHER)
        .name("<launcher>")
        .bind("_codeact_request", request.to_string())
        .argv(std::iter::once(name).chain(args.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::{CommandLine, Program};

    fn parse(line: &str) -> Result<(Program, String), String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        CommandLine::parse(&args).map(|line| (line.program, line.args.join(" ")))
    }

    #[test]
    fn the_program_is_found_among_options() {
        let code = |text: &str| Program::Code(text.into());
        for (line, program, args) in [
            ("", Program::Stdin, ""),
            ("- a", Program::Stdin, "a"),
            ("-c x a -c", code("x"), "a -c"),
            ("-uc x", code("x"), ""),
            ("-cx y", code("x"), "y"),
            (
                "-B -X dev -W ignore f.py -m",
                Program::File("f.py".into()),
                "-m",
            ),
            (
                "-m pip install x",
                Program::Module("pip".into()),
                "install x",
            ),
            ("--version", Program::Version, ""),
        ] {
            assert_eq!(parse(line), Ok((program, args.to_owned())), "{line}");
        }
    }

    #[test]
    fn options_that_would_change_the_program_are_refused() {
        for line in ["-i f.py", "-O f.py", "-c", "-é", "--help-all"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
