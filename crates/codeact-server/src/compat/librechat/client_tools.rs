//! Tools that the client runs: the code calls a function, and the call is part of the response.

use std::collections::HashSet;
use std::time::Duration;

use codeact::tools::{Tool, ToolFailure, ToolLimits, Tools};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::error::LibreChatError;
use crate::jupyter::ids::uuid;

/// Limit of the tools of one request.
const MAX_TOOLS: usize = 100;
/// Limit of a tool's name, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// Namespace of the tools, so that they do not clash with those of the operator.
const NAMESPACE: &str = "client";
/// Words that cannot be names of functions.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// A tool of a request.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ClientTool {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Value>,
}

/// A call for the client.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ClientCall {
    pub(super) id: String,
    name: String,
    input: Value,
}

/// A call, and where its result goes.
pub(super) struct PendingCall {
    pub(super) call: ClientCall,
    pub(super) reply: oneshot::Sender<Result<Value, String>>,
}

/// Calls of running code.
pub(super) type Calls = mpsc::UnboundedReceiver<PendingCall>;

/// Returns `own` with the tools of a request, the code that makes them global functions, and their calls.
pub(super) fn tools(
    own: &Tools,
    requested: Vec<ClientTool>,
    time: Duration,
) -> Result<(Tools, String, Calls), LibreChatError> {
    if requested.is_empty() || requested.len() > MAX_TOOLS {
        let why = format!("Missing required field: tools (1 to {MAX_TOOLS} tools)");
        return Err(LibreChatError::bad_request(why));
    }
    let (send, calls) = mpsc::unbounded_channel();
    let mut tools = own.clone();
    let mut names = HashSet::new();
    for tool in requested {
        let python = python_name(&tool.name);
        if tool.name.len() > MAX_NAME_BYTES || python.is_empty() {
            let why = format!("invalid tool name: {:.100}", tool.name);
            return Err(LibreChatError::bad_request(why));
        }
        if !names.insert(python.clone()) {
            let why = format!("two tools have the name {python} in Python; rename one");
            return Err(LibreChatError::bad_request(why));
        }
        let made = client_tool(tool, &python, send.clone(), time);
        tools = made.and_then(|tool| tools.tool(tool)).map_err(|error| {
            LibreChatError::bad_request(format!("a tool cannot be used: {error}"))
        })?;
    }
    let names: Vec<String> = names.into_iter().collect();
    let list = Value::from(names).to_string();
    let code = format!(
        "for __codeact_name in {list}:\n    \
         globals()[__codeact_name] = tools['{NAMESPACE}.' + __codeact_name].aio\n\
         del __codeact_name\n"
    );
    Ok((tools, code, calls))
}

fn client_tool(
    tool: ClientTool,
    python: &str,
    send: mpsc::UnboundedSender<PendingCall>,
    time: Duration,
) -> Result<Tool, codeact::tools::ToolsError> {
    let empty = json!({ "type": "object", "properties": {} });
    let schema = tool.parameters.filter(Value::is_object).unwrap_or(empty);
    let description = tool.description.unwrap_or_default();
    let name = tool.name;
    let run = move |input: Value| {
        let (send, name) = (send.clone(), name.clone());
        async move {
            let gone = || ToolFailure::new("the client has gone");
            let id = uuid().map_err(|_| gone())?;
            let (reply, result) = oneshot::channel();
            let call = ClientCall { id, name, input };
            (send.send(PendingCall { call, reply })).map_err(|_| gone())?;
            let result = result.await.map_err(|_| gone())?;
            result.map_err(ToolFailure::new)
        }
    };
    let limits = ToolLimits::default().with_time(time);
    let tool = Tool::with_schema(
        format!("{NAMESPACE}.{python}"),
        description,
        schema,
        None,
        run,
    )?;
    Ok(tool.limits(limits))
}

/// Returns the name of a tool as a Python function, by the rules that the client describes to its model.
fn python_name(name: &str) -> String {
    let mut python: String = name
        .chars()
        .map(|c| match c {
            '-' => '_',
            c if c.is_whitespace() => '_',
            c => c,
        })
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    if python.starts_with(|c: char| c.is_ascii_digit()) {
        python.insert(0, '_');
    }
    if KEYWORDS.contains(&python.as_str()) {
        python.push_str("_tool");
    }
    python
}

#[cfg(test)]
mod tests {
    use super::python_name;

    #[test]
    fn names_of_tools_are_python_identifiers() {
        for (name, expected) in [
            ("get_weather", "get_weather"),
            ("get-weather now", "get_weather_now"),
            ("3d", "_3d"),
            ("import", "import_tool"),
            ("a'];import os", "aimport_os"),
            ("…", ""),
        ] {
            assert_eq!(python_name(name), expected);
        }
    }
}
