//! What a fence's info string says the block holds.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language<'a> {
    Python,
    /// No language: the content decides.
    Unnamed,
    /// JSON and its kin, and calls of tools written in it.
    Data,
    /// A language that models act in, but not here. Others, such as Rust, are shown: nobody sends
    /// them to be run.
    Program(&'a str),
    /// Markup, output, and whatever else is shown rather than run.
    Text,
    /// A fence or tag around a whole reply, with blocks of its own inside.
    Wrapper,
}

impl Language<'_> {
    /// Whether the body's strings are to be read as Python's.
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

/// Reads an info string: `python`, `Python 3`, `{.python .numberLines}`, `python:main.py`…
pub(super) fn language(info: &str) -> Language<'_> {
    let info = info.trim().trim_start_matches(['{', '.', ' ']);
    let end = info.find(|c: char| c.is_whitespace() || ",:;{}=`(\"'".contains(c));
    let word = &info[..end.unwrap_or(info.len())];
    // Longer than any name in the lists, so that a line of text is not copied for nothing.
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
