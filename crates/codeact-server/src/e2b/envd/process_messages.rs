//! Messages of the service `process.Process`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::e2b::envd::error::ConnectError;
use crate::shell::{ShellCommand, ShellStream};

/// Limit of the environment variables of a process.
const MAX_ENV: usize = 1_000;
/// Limit of the arguments of a process.
const MAX_ARGS: usize = 10_000;

/// The program of a process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ProcessConfig {
    pub(super) cmd: String,
    pub(super) args: Vec<String>,
    pub(super) envs: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cwd: Option<String>,
}

/// Request of `Start`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StartRequest {
    pub(super) process: Option<ProcessConfig>,
    pub(super) pty: Option<Value>,
    pub(super) tag: Option<String>,
    pub(super) stdin: Option<bool>,
}

/// Names a process.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Selector {
    pub(super) pid: Option<u32>,
    pub(super) tag: Option<String>,
}

/// Input of a process.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Input {
    stdin: Option<String>,
    pty: Option<String>,
}

/// A request about a process.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProcessRequest {
    pub(super) process: Option<Selector>,
    pub(super) input: Option<Input>,
    pub(super) signal: Option<Value>,
}

/// A message of `StreamInput`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamInputRequest {
    pub(super) start: Option<ProcessRequest>,
    pub(super) data: Option<ProcessRequest>,
}

impl Input {
    /// Returns the bytes for stdin.
    pub(super) fn into_bytes(self) -> Result<Vec<u8>, ConnectError> {
        if self.pty.is_some() {
            return Err(no_terminal());
        }
        STANDARD
            .decode(self.stdin.unwrap_or_default())
            .map_err(|_| ConnectError::invalid("stdin is not valid base64"))
    }
}

pub(super) fn no_terminal() -> ConnectError {
    ConnectError::new(
        super::error::Code::Unimplemented,
        "this sandbox has no terminals (pty); run a command with commands.run instead",
    )
}

/// Returns true if a signal ends a process. The clients send `SIGNAL_SIGKILL`.
pub(super) fn is_end(signal: Option<&Value>) -> Result<(), ConnectError> {
    let known = [
        json!("SIGNAL_SIGKILL"),
        json!("SIGNAL_SIGTERM"),
        json!(9),
        json!(15),
    ];
    match signal {
        Some(signal) if known.contains(signal) => Ok(()),
        _ => Err(ConnectError::invalid(
            "the signal is not supported; expected SIGNAL_SIGKILL or SIGNAL_SIGTERM",
        )),
    }
}

impl ProcessConfig {
    /// Returns the command that the process runs. `bash -c SOURCE` is the source itself; another program is called by a
    /// shell.
    pub(super) fn to_command(&self) -> Result<ShellCommand, ConnectError> {
        if self.cmd.is_empty() {
            return Err(ConnectError::invalid("the process has no cmd"));
        }
        if self.args.len() > MAX_ARGS || self.envs.len() > MAX_ENV {
            return Err(ConnectError::invalid(format!(
                "a process can have {MAX_ARGS} arguments and {MAX_ENV} environment variables"
            )));
        }
        if let Some(name) = self.envs.keys().find(|name| !is_variable(name)) {
            let name: String = name.chars().take(64).collect();
            return Err(ConnectError::invalid(format!(
                "{name:?} is not the name of an environment variable"
            )));
        }
        let texts = self
            .args
            .iter()
            .chain(self.envs.values())
            .chain([&self.cmd])
            .chain(&self.cwd);
        if texts.into_iter().any(|text| text.contains('\0')) {
            return Err(ConnectError::invalid(
                "a process cannot have NUL in its arguments",
            ));
        }
        let mut command = ShellCommand {
            cwd: self.cwd.clone(),
            env: self.envs.clone().into_iter().collect(),
            ..ShellCommand::default()
        };
        let program = self.cmd.rsplit('/').next().unwrap_or_default();
        let source = ["bash", "sh"]
            .contains(&program)
            .then(|| source_of(&self.args))
            .flatten();
        match source {
            Some((source, rest)) => {
                source.clone_into(&mut command.source);
                let mut rest = rest.iter().cloned();
                command.name = rest.next().unwrap_or_default();
                command.arguments = rest.collect();
            }
            None => {
                let words = std::iter::once(&self.cmd).chain(&self.args);
                command.source = words.map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
            }
        }
        Ok(command)
    }
}

fn is_variable(name: &str) -> bool {
    let starts = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    starts && name.len() <= 256 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Returns the source and what follows it in arguments such as `-l -c SOURCE NAME ARGS`.
fn source_of(args: &[String]) -> Option<(&String, &[String])> {
    let mut rest = args;
    while let Some((first, tail)) = rest.split_first() {
        match first.as_str() {
            "-c" | "-lc" | "-ilc" => {
                let (source, after) = tail.split_first()?;
                return Some((source, after));
            }
            "-l" | "--login" | "-i" => rest = tail,
            _ => return None,
        }
    }
    None
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Returns the event that a process has started.
pub(super) fn started(pid: u32) -> Value {
    json!({"event": {"start": {"pid": pid}}})
}

/// Returns the event of output.
pub(super) fn data(stream: ShellStream, bytes: &[u8]) -> Value {
    let name = match stream {
        ShellStream::Stdout => "stdout",
        ShellStream::Stderr => "stderr",
    };
    json!({"event": {"data": {name: STANDARD.encode(bytes)}}})
}

/// Returns the event of an exit.
pub(super) fn exited(status: i32) -> Value {
    let text = format!("exit status {status}");
    let mut end = json!({"exitCode": status, "exited": true, "status": text});
    if status != 0 {
        end["error"] = json!(text);
    }
    json!({"event": {"end": end}})
}

/// Returns the event of the end by a signal.
pub(super) fn killed() -> Value {
    let end = json!({"exitCode": -1, "exited": false, "status": "signal: killed", "error": "signal: killed"});
    json!({"event": {"end": end}})
}

pub(super) fn keepalive() -> Value {
    json!({"event": {"keepalive": {}}})
}

#[cfg(test)]
mod tests {
    use super::ProcessConfig;

    fn config(cmd: &str, args: &[&str]) -> ProcessConfig {
        ProcessConfig {
            cmd: cmd.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            ..ProcessConfig::default()
        }
    }

    #[test]
    fn commands_of_a_shell_are_its_source() {
        let command = config("/bin/bash", &["-l", "-c", "echo $1", "name", "a"])
            .to_command()
            .unwrap();
        assert_eq!(command.source, "echo $1");
        assert_eq!(
            (command.name.as_str(), &command.arguments[..]),
            ("name", &["a".to_owned()][..])
        );
        let command = config("ls", &["-l", "it's; rm"]).to_command().unwrap();
        assert_eq!(command.source, r"'ls' '-l' 'it'\''s; rm'");
    }

    #[test]
    fn wrong_processes_are_refused() {
        let mut wrong = config("ls", &[]);
        wrong.envs.insert("A B".into(), String::new());
        for config in [
            config("", &[]),
            config("a\0b", &[]),
            config("ls", &["\0"]),
            wrong,
        ] {
            assert!(config.to_command().is_err());
        }
    }
}
