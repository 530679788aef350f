//! Tools that are programs: arguments as JSON on stdin, the answer as JSON on stdout.
//!
//! The description of a program is a JSON file in its folder, with its name and the extension `.json` (added, or in
//! place of its own), or its output if it runs with `--describe`. Both have the fields of a tool of an MCP server:
//! `description`, `inputSchema`, `outputSchema`.
//!
//! An exit status other than 0 is a failure. Its message is the text at `error` of the JSON object on stdout, or
//! stdout itself. Its stderr is copied to the host's, up to 64 KiB for each call.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use codeact_sandbox::Payload;

use super::error::ToolsError;
use super::long_integers::mark_long_integers;
use super::program_stderr::Forwarding;
use super::tool::{Tool, ToolFailure, ToolLimits};

/// Time limit of `--describe`.
const DESCRIBE_TIME: Duration = Duration::from_secs(10);
/// Largest size of a description, in bytes.
const MAX_DESCRIPTION_BYTES: u64 = 1 << 20;
/// Largest length of the message of a failure, in characters.
const MAX_MESSAGE: usize = 2000;

/// A program that is a tool. As text it is `NAME=PATH`.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use codeact_tools::Tools;
/// use codeact_tools::program::ProgramTool;
///
/// let price: ProgramTool = "price=./price.sh".parse()?;
/// let tools = Tools::new().tool(price.tool().await?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramTool {
    name: String,
    program: PathBuf,
}

impl FromStr for ProgramTool {
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

/// Description of a program.
#[derive(Debug, Deserialize)]
struct Description {
    #[serde(default)]
    description: String,
    // Aliases that other clients use.
    #[serde(default, alias = "inputSchema", alias = "parameters")]
    input_schema: Option<Value>,
    #[serde(default, alias = "outputSchema")]
    output_schema: Option<Value>,
}

impl ProgramTool {
    /// Returns the tool. Runs the program if no file describes it.
    ///
    /// # Errors
    ///
    /// Returns [`ToolsError::Tool`] if the program cannot run, or its description is missing or invalid.
    pub async fn tool(self) -> Result<Tool, ToolsError> {
        let refused = |why: String| ToolsError::Tool {
            name: self.name.clone(),
            why,
        };
        let program = resolve(&self.program).map_err(refused)?;
        let text = match description_file(&program) {
            Some(file) => std::fs::read_to_string(&file)
                .map_err(|e| refused(format!("cannot read {}: {e}", file.display())))?,
            None => describe(&program).await.map_err(refused)?,
        };
        let description: Description = serde_json::from_str(&text).map_err(|e| {
            refused(format!(
                "invalid description: {e}; expected an object with `description` and `inputSchema`"
            ))
        })?;
        let limits = ToolLimits::default();
        let max = limits.bytes_out;
        let anything = || json!({ "type": "object", "additionalProperties": true });
        let program = Arc::new(program);
        let tool = Tool::from_json_function(
            &*self.name,
            description.description,
            description.input_schema.unwrap_or_else(anything),
            description.output_schema,
            move |args| {
                let program = program.clone();
                Box::pin(async move { answer(&program, &args, max).await.map(Payload::new) })
            },
        )?;
        Ok(tool.limits(limits))
    }
}

/// Returns the absolute path of `program`. A name without a folder is left to the search path.
fn resolve(program: &Path) -> Result<PathBuf, String> {
    if program.components().count() == 1 && !program.exists() {
        return Ok(program.to_owned());
    }
    // The current folder may change before a call.
    let path = std::path::absolute(program)
        .map_err(|e| format!("cannot find {}: {e}", program.display()))?;
    match path.is_file() {
        true => Ok(path),
        false => Err(format!("not a file: {}", program.display())),
    }
}

/// Returns the description file in the folder of `program`.
fn description_file(program: &Path) -> Option<PathBuf> {
    let mut added = program.as_os_str().to_owned();
    added.push(".json");
    let replaced = program.with_extension("json");
    ([PathBuf::from(added), replaced].into_iter()).find(|path| path.is_file() && path != program)
}

/// Starts `program` in a process group of its own.
fn start(program: &Path, args: &[&str]) -> Result<Box<dyn ChildWrapper>, String> {
    let mut command = CommandWrap::with_new(program, |command| {
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    });
    // Together with the processes that it starts.
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

/// Runs `program` with `input`. Returns its stdout, at most `max` bytes, and an error if its exit status is not 0.
async fn run(
    program: &Path,
    args: &[&str],
    input: Vec<u8>,
    max: u64,
) -> Result<(Vec<u8>, Result<(), String>), String> {
    let mut child = Group(start(program, args)?);
    let (stdin, stdout) = (child.0.stdin().take(), child.0.stdout().take());
    let stderr = Forwarding::start(program, child.0.stderr().take());
    let mut written = Vec::new();
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program can answer without reading all of its input.
            let _ = stdin.write_all(&input).await;
        }
        std::future::pending().await
    };
    let read = async {
        match stdout {
            Some(stdout) => stdout.take(max + 1).read_to_end(&mut written).await,
            None => Ok(0),
        }
    };
    // The end of stdout ends the call, even if the input was not read.
    let read = tokio::select! {
        read = read => read,
        () = write => Ok(0),
    };
    read.map_err(|e| format!("cannot read its answer: {e}"))?;
    if written.len() as u64 > max {
        return Err(format!("its answer has more than {max} bytes"));
    }
    let status = (child.0.wait().await).map_err(|e| format!("cannot wait for its exit: {e}"))?;
    stderr.finish().await;
    let ended = match status.success() {
        true => Ok(()),
        false => Err(format!("it ended with {status}")),
    };
    Ok((written, ended))
}

/// A process group that is killed on drop.
struct Group(Box<dyn ChildWrapper>);

impl Drop for Group {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.start_kill();
    }
}

/// Runs `program --describe` and returns its output.
async fn describe(program: &Path) -> Result<String, String> {
    let output = run(program, &["--describe"], Vec::new(), MAX_DESCRIPTION_BYTES);
    let (written, ended) = (tokio::time::timeout(DESCRIBE_TIME, output).await)
        .map_err(|_| format!("`--describe` took longer than {DESCRIBE_TIME:?}"))??;
    let how = "; expected a description on stdout with --describe, or a .json file in its folder";
    ended.map_err(|e| format!("{e} when run with --describe{how}"))?;
    String::from_utf8(written).map_err(|_| format!("its description is not UTF-8 text{how}"))
}

/// Runs one call.
async fn answer(program: &Path, args: &Value, max: u64) -> Result<Value, ToolFailure> {
    let input = args.to_string().into_bytes();
    let (written, ended) = run(program, &[], input, max).await.map_err(|why| {
        // The path is an internal of the host.
        ToolFailure::new(why.replace(&*program.display().to_string(), "the tool's program"))
    })?;
    let text = String::from_utf8(written)
        .map_err(|_| ToolFailure::new("the tool's answer is not UTF-8 text"))?;
    let marked = mark_long_integers(&text);
    let value = serde_json::from_str(marked.as_deref().unwrap_or(&text));
    if let Err(e) = &value
        && e.to_string().starts_with("recursion limit exceeded")
    {
        return Err(ToolFailure::new("the tool's answer is nested too deeply"));
    }
    match ended {
        // An answer that is not JSON is text.
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
