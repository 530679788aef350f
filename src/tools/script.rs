//! Tools that are programs: arguments as JSON on stdin, the answer as JSON on stdout.
//!
//! What such a program takes is told by a JSON file beside it, of its name and `.json` (or with `.json` in
//! place of its ending), or by itself when it is run with `--describe`. Either has the fields that a tool
//! of an MCP server has: `description`, `inputSchema`, `outputSchema`.
//!
//! A program that ends with another status than 0 has failed; what it wrote to stdout, or the text at
//! `error` of the object there, is the message that the code gets. Its stderr is for whoever runs it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Tool, ToolFailure, ToolLimits, ToolsError};
use crate::sandbox::Payload;

/// How long a program may take to describe itself.
const DESCRIBE_TIME: Duration = Duration::from_secs(10);
/// The longest description, in bytes.
const MAX_DESCRIPTION: u64 = 1 << 20;
/// The longest message of a failure, in characters.
const MAX_MESSAGE: usize = 2000;

/// A program that is a tool, as typed: `NAME=PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    name: String,
    program: PathBuf,
}

impl FromStr for Script {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, program)) if !name.is_empty() && !program.is_empty() => Ok(Self {
                name: name.to_owned(),
                program: program.into(),
            }),
            _ => Err("expected NAME=PROGRAM, as in price=./price.sh".into()),
        }
    }
}

/// What is told of a program.
#[derive(Debug, Deserialize)]
struct Description {
    #[serde(default)]
    description: String,
    // The names that others use for the same.
    #[serde(default, alias = "inputSchema", alias = "parameters")]
    input_schema: Option<Value>,
    #[serde(default, alias = "outputSchema")]
    output_schema: Option<Value>,
}

impl Script {
    /// The tool that it is. Runs the program when no file describes it.
    ///
    /// # Errors
    ///
    /// [`ToolsError::Tool`] when it cannot be run, or does not tell what it takes.
    pub async fn tool(self) -> Result<Tool, ToolsError> {
        let refused = |why: String| ToolsError::Tool {
            name: self.name.clone(),
            why,
        };
        let program = found(&self.program).map_err(refused)?;
        let text = match beside(&program) {
            Some(file) => std::fs::read_to_string(&file)
                .map_err(|e| refused(format!("cannot read {}: {e}", file.display())))?,
            None => describe(&program).await.map_err(refused)?,
        };
        let told: Description = serde_json::from_str(&text).map_err(|e| {
            refused(format!(
                "its description is not as expected, an object with `description` and \
                 `inputSchema`: {e}"
            ))
        })?;
        let limits = ToolLimits::default();
        let most = limits.bytes_out;
        let anything = || json!({ "type": "object", "additionalProperties": true });
        let program = Arc::new(program);
        let tool = Tool::of_payload(
            &*self.name,
            told.description,
            told.input_schema.unwrap_or_else(anything),
            told.output_schema,
            move |args| {
                let program = program.clone();
                Box::pin(async move { answer(&program, &args, most).await.map(Payload::new) })
            },
        )?;
        Ok(tool.limits(limits))
    }
}

/// A path is one; anything else is looked for where commands are.
fn found(program: &Path) -> Result<PathBuf, String> {
    if program.components().count() == 1 && !program.exists() {
        return Ok(program.to_owned());
    }
    // The current folder may be another one when it is called.
    let whole = std::path::absolute(program)
        .map_err(|e| format!("cannot find {}: {e}", program.display()))?;
    match whole.is_file() {
        true => Ok(whole),
        false => Err(format!("{} is no file", program.display())),
    }
}

fn beside(program: &Path) -> Option<PathBuf> {
    let mut added = program.as_os_str().to_owned();
    added.push(".json");
    let replaced = program.with_extension("json");
    ([PathBuf::from(added), replaced].into_iter()).find(|path| path.is_file() && path != program)
}

fn start(program: &Path, args: &[&str]) -> Result<Box<dyn ChildWrapper>, String> {
    let mut command = CommandWrap::with_new(program, |command| {
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
    });
    // With all that it has started itself.
    command.wrap(KillOnDrop);
    #[cfg(unix)]
    command.wrap(process_wrap::tokio::ProcessGroup::leader());
    #[cfg(windows)]
    command.wrap(process_wrap::tokio::JobObject);
    command.spawn().map_err(|e| {
        let hint = match e.kind() {
            std::io::ErrorKind::PermissionDenied => "; is it executable (chmod +x)?",
            _ => "",
        };
        format!("cannot start {}: {e}{hint}", program.display())
    })
}

/// Runs `program` with `input` and gives what it wrote, at most `most` bytes, and whether it ended well.
async fn run(
    program: &Path,
    args: &[&str],
    input: Vec<u8>,
    most: u64,
) -> Result<(Vec<u8>, Result<(), String>), String> {
    let mut child = Group(start(program, args)?);
    let (stdin, stdout) = (child.0.stdin().take(), child.0.stdout().take());
    let mut written = Vec::new();
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read all of it may well have an answer.
            let _ = stdin.write_all(&input).await;
        }
        std::future::pending().await
    };
    let read = async {
        match stdout {
            Some(stdout) => stdout.take(most + 1).read_to_end(&mut written).await,
            None => Ok(0),
        }
    };
    // The end of its answer is the end, whether or not it has read its input.
    let read = tokio::select! {
        read = read => read,
        () = write => Ok(0),
    };
    read.map_err(|e| format!("its answer cannot be read: {e}"))?;
    if written.len() as u64 > most {
        return Err(format!("its answer has more than {most} bytes"));
    }
    let status = (child.0.wait().await).map_err(|e| format!("it cannot be waited for: {e}"))?;
    let ended = match status.success() {
        true => Ok(()),
        false => Err(format!("it ended with {status}")),
    };
    Ok((written, ended))
}

/// A child that is killed, with its own, when nobody waits for it any more.
struct Group(Box<dyn ChildWrapper>);

impl Drop for Group {
    fn drop(&mut self) {
        // One that has ended is no error worth telling.
        let _ = self.0.start_kill();
    }
}

async fn describe(program: &Path) -> Result<String, String> {
    let told = run(program, &["--describe"], Vec::new(), MAX_DESCRIPTION);
    let (written, ended) = (tokio::time::timeout(DESCRIBE_TIME, told).await)
        .map_err(|_| format!("`--describe` took longer than {DESCRIBE_TIME:?}"))??;
    let how =
        "; it must print its description with --describe, or have it in a .json file beside it";
    ended.map_err(|e| format!("{e} when asked to describe itself{how}"))?;
    String::from_utf8(written).map_err(|_| format!("its description is no text{how}"))
}

async fn answer(program: &Path, args: &Value, most: u64) -> Result<Value, ToolFailure> {
    let input = args.to_string().into_bytes();
    let (written, ended) = run(program, &[], input, most).await.map_err(|why| {
        // The path is the host's own affair.
        ToolFailure::new(why.replace(&*program.display().to_string(), "the tool's program"))
    })?;
    let text = String::from_utf8(written)
        .map_err(|_| ToolFailure::new("the tool's answer is no UTF-8 text"))?;
    let value = serde_json::from_str(&text);
    match ended {
        // What is no JSON is text.
        Ok(()) if text.trim().is_empty() => Ok(Value::Null),
        Ok(()) => Ok(value.unwrap_or_else(|_| Value::String(text.trim_end_matches('\n').into()))),
        Err(status) => {
            let error = match &value {
                Ok(Value::Object(map)) => map.get("error").and_then(Value::as_str),
                Ok(Value::String(text)) => Some(&**text),
                _ => None,
            };
            let message = error.unwrap_or(text.trim());
            let message = if message.is_empty() { &status } else { message };
            let message: String = message.chars().take(MAX_MESSAGE).collect();
            Err(ToolFailure::new(message))
        }
    }
}
