//! A tool call that a model writes as text. All markups end in this one form.

use serde_json::Value;

/// Limit of a tool's name, in bytes. A longer text is not a name.
pub(super) const MAX_NAME_BYTES: usize = 100;

/// A call, from any markup.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// Name of the tool, as the model writes it. Empty for an object that has only code.
    pub(super) name: String,
    pub(super) arguments: Value,
    /// False if the markup ends before the arguments do. Such a call is not made.
    pub(super) is_complete: bool,
}

/// Keys of members with code, the most certain ones first.
pub(super) const CODE_KEYS: [&str; 14] = [
    "code",
    "python_code",
    "source_code",
    "source",
    "python",
    "script",
    "program",
    "snippet",
    "code_string",
    "python_script",
    "code_snippet",
    "py",
    "code_block",
    "python_code_block",
];
/// Names, in lower case and without separators, of tools that run code. A name with `python` is one as well.
const CODE_TOOLS: [&str; 21] = [
    "code",
    "codeact",
    "codeexec",
    "codeexecution",
    "codeexecutor",
    "codeinterpreter",
    "coderunner",
    "eval",
    "exec",
    "execute",
    "executecode",
    "executor",
    "interpreter",
    "jupyter",
    "notebook",
    "py",
    "repl",
    "run",
    "runcode",
    "runcell",
    "executecell",
];

/// True if a tool of this name runs Python: `python`, `functions.execute_code:0`, `PythonInterpreter`, `python.call`.
pub(super) fn is_code_tool(name: &str) -> bool {
    let local = local_name(name);
    let method = name
        .trim()
        .strip_suffix(local)
        .and_then(|before| before.strip_suffix('.'));
    match (method, local) {
        (Some(tool), "call" | "run" | "invoke" | "execute" | "exec")
            if is_tool(local_name(tool)) =>
        {
            true
        }
        _ => is_tool(local),
    }
}

fn is_tool(name: &str) -> bool {
    if name.len() > 64 {
        return false;
    }
    let mut plain = name.to_ascii_lowercase();
    plain.retain(|c| c.is_ascii_alphanumeric());
    plain.contains("python") || CODE_TOOLS.contains(&&*plain)
}

/// True for the function that gives the answer: `final_answer`, `Final Answer`.
pub(super) fn is_final_answer(name: &str) -> bool {
    let name = local_name(name);
    name.len() < 20 && matches!(&*name.to_ascii_lowercase(), "final_answer" | "final answer")
}

/// Returns the name without its namespace and its number, as in `functions.python:0`.
pub(super) fn local_name(name: &str) -> &str {
    let name = name.trim();
    let name = match name.rsplit_once(':') {
        Some((before, number)) if number.bytes().all(|b| b.is_ascii_digit()) => before,
        _ => name,
    };
    name.rsplit(['.', '/', ':']).next().unwrap_or(name)
}
