//! The language of a block, from the info string of its fence.

/// Language of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language<'a> {
    Python,
    /// No language. The content decides.
    Unnamed,
    /// JSON, and tool calls as JSON.
    Data,
    /// A language other than Python that the model may want to run. Languages such as Rust are [`Language::Text`],
    /// because models only show them.
    Program(&'a str),
    /// Markup, output, and other text that is not run.
    Text,
    /// A fence or tag around a whole reply that contains blocks.
    Wrapper,
}

impl Language<'_> {
    /// Returns true if the body may contain Python strings.
    pub(super) fn may_be_python(self) -> bool {
        matches!(self, Language::Python | Language::Unnamed)
    }
}

const PYTHON: [&str; 10] = [
    "py",
    "py3",
    "ipython",
    "ipython3",
    "tool_code",
    "pycon",
    "pyodide",
    "code",
    "execute",
    "sage",
];
const DATA: [&str; 6] = ["json", "jsonc", "json5", "tool_call", "tool_calls", "tool"];
const PROGRAMS: [&str; 18] = [
    "bash",
    "sh",
    "shell",
    "zsh",
    "fish",
    "console",
    "terminal",
    "cmd",
    "bat",
    "powershell",
    "javascript",
    "js",
    "typescript",
    "ts",
    "sql",
    "ruby",
    "perl",
    "r",
];

/// Parses an info string, such as `python`, `Python 3`, `{.python .numberLines}`, `python:main.py` or `main.py`.
pub(super) fn language(info: &str) -> Language<'_> {
    let info = info.trim().trim_start_matches(['{', '.', ' ']);
    let end = info.find(|c: char| c.is_whitespace() || ",:;{}=`(\"'".contains(c));
    let word = &info[..end.unwrap_or(info.len())];
    if word.ends_with(".py") {
        return Language::Python;
    }
    // No name in the lists is longer, and a long line is not copied.
    if word.len() > 32 {
        return Language::Text;
    }
    let lower = word.to_ascii_lowercase();
    let name = lower.as_str();
    if name.is_empty() && info.is_empty() {
        Language::Unnamed
    } else if name.starts_with("python") || PYTHON.contains(&name) {
        Language::Python
    } else if DATA.contains(&name) {
        Language::Data
    } else if PROGRAMS.contains(&name) {
        Language::Program(word)
    } else if matches!(name, "markdown" | "md") {
        Language::Wrapper
    } else {
        Language::Text
    }
}
