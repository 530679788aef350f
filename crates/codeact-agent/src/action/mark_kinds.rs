//! Meanings of marks: tables of names and of parts of names.

use super::marks::Mark;

impl Mark<'_> {
    /// Returns true for a mark around reasoning.
    pub(super) fn is_reasoning(&self) -> bool {
        let name = &*self.name;
        let attributes = self.attributes.to_ascii_lowercase();
        REASONING_NAMES.contains(&name)
            || REASONING_WORDS.iter().any(|word| name.contains(word))
            || name == "details" && REASONING_WORDS.iter().any(|word| attributes.contains(word))
    }

    /// Returns true for a mark around Python.
    pub(super) fn is_code(&self) -> bool {
        let name = &*self.name;
        self.is_listed_code()
            || LOOSE_CODE.contains(&name)
            || has_word(name, &CODE_WORDS) && !self.is_result()
    }

    /// Returns true for a mark around Python whose name is in the list. The content of another one must look like Python.
    pub(super) fn is_listed_code(&self) -> bool {
        CODE.contains(&&*self.name)
    }

    /// Returns true for a mark that no text has but one with a call or with code.
    pub(super) fn is_certain(&self) -> bool {
        let name = &*self.name;
        let is_word = [&CALL_WORDS[..], &CODE_WORDS, &SHELL_WORDS]
            .iter()
            .any(|words| has_word(name, words));
        let is_listed = self.is_token || CERTAIN.contains(&name);
        !self.is_result() && (is_word || is_listed && (self.is_call() || self.is_code()))
    }

    /// Returns true for a mark around calls of tools, or one call.
    pub(super) fn is_call(&self) -> bool {
        let name = &*self.name;
        let has_name = self.value.is_some();
        let is_part = has_word(name, &PARTS);
        // `<function>` without a name is prose, and `<|call|>` the end of a message.
        (CALLS.contains(&name) || has_word(name, &CALL_WORDS) && !is_part && !self.is_result())
            && !(name == "function" && !has_name && !self.is_token)
            && !(name == "call" && self.is_token)
    }

    /// Returns true for a mark of a result, which only the host may write.
    pub(super) fn is_result(&self) -> bool {
        let name = &*self.name;
        let is_result = RESULT_SUFFIXES.iter().any(|word| name.ends_with(word));
        RESULTS.contains(&name)
            || is_result && (has_word(name, &CODE_WORDS) || has_word(name, &RESULT_WORDS))
    }

    /// Returns true for a token of a chat template without a meaning here.
    pub(super) fn is_noise(&self) -> bool {
        self.is_token && NOISE.contains(&&*self.name)
    }

    /// Returns true for a mark at the end of a model's message, or at the start of another message.
    pub(super) fn ends_message(&self) -> bool {
        let name = &*self.name;
        self.is_token && END_OF_MESSAGE.contains(&name)
            || self.is_token && self.closes && matches!(name, "text" | "sentence")
            || name == "turn"
            || name == "s" && self.closes
    }
}

fn has_word(name: &str, words: &[&str]) -> bool {
    words.iter().any(|word| name.contains(word))
}

/// Returns true if a mark in square brackets can have this name. Other texts in brackets are lists.
pub(super) fn is_bracketed(name: &str) -> bool {
    name == "code" || has_word(name, &BRACKETED)
}

/// Returns true if `name` before a colon is the name of the mark, and not a namespace.
pub(super) fn is_known_name(name: &str) -> bool {
    const KNOWN: [&str; 7] = [
        "arg_key",
        "arg_value",
        "function",
        "invoke",
        "parameter",
        "think",
        "tool_",
    ];
    KNOWN.iter().any(|known| name.starts_with(known))
}

/// Parts of the names of marks in square brackets.
const BRACKETED: [&str; 7] = [
    "think", "thought", "reason", "tool", "python", "args", "call_id",
];

/// Parts of the names of marks around reasoning.
const REASONING_WORDS: [&str; 8] = [
    "think",
    "thought",
    "reasoning",
    "reflect",
    "scratchpad",
    "monologue",
    "rationale",
    "deliberat",
];
/// Further names. Medgemma has two unused tokens in place of marks.
const REASONING_NAMES: [&str; 11] = [
    "analysis",
    "analyze",
    "cot",
    "chain_of_reason",
    "internal",
    "inner",
    "plan",
    "planning",
    "reason",
    "unused94",
    "unused95",
];

const CODE: [&str; 23] = [
    "code",
    "code_block",
    "code_interpreter",
    "codeact",
    "codeblock",
    "exec",
    "execute",
    "execute_code",
    "execute_ipython",
    "execute_python",
    "execute_python_code",
    "interpreter",
    "ipython",
    "py",
    "python",
    "python3",
    "python_code",
    "python_interpreter",
    "python_tag",
    "pythoncode",
    "run_code",
    "run_python",
    "tool_code",
];

/// Names of marks around Python that also occur in text.
const LOOSE_CODE: [&str; 3] = ["act", "cell", "run"];

/// Parts of the names of marks around Python, so that a name that is not in the list is recognised as well.
const CODE_WORDS: [&str; 9] = [
    "code_cell",
    "code_exec",
    "code_interp",
    "code_run",
    "exec_code",
    "execute_code",
    "jupyter",
    "python",
    "run_code",
];

/// Parts of the names of marks around commands, which cannot be run.
const SHELL_WORDS: [&str; 2] = ["bash", "execute"];

/// Parts of the names of marks around calls.
const CALL_WORDS: [&str; 7] = [
    "function_call",
    "functioncall",
    "invoke_tool",
    "mcp_tool",
    "tool_call",
    "tool_use",
    "toolcall",
];

/// Parts of the names of marks within a call.
const PARTS: [&str; 7] = ["_arg", "_id", "_key", "_name", "_param", "_sep", "_value"];

/// Names of marks that only a call or code has.
const CERTAIN: [&str; 5] = ["codeact", "exec", "invoke", "tool_code", "tool_request"];

const CALLS: [&str; 19] = [
    "action",
    "call",
    "function",
    "function_call",
    "function_calls",
    "functioncall",
    "invoke",
    "plugin",
    "tool",
    "tool_call",
    "tool_calls",
    "tool_calls_section",
    "tool_request",
    "tool_use",
    "toolcall",
    "tool_call_section",
    "toolcalls",
    "tools",
    "tools_prefix",
];

/// Ends of the names of marks of results.
const RESULT_SUFFIXES: [&str; 6] = [
    "_output",
    "_outputs",
    "_response",
    "_result",
    "_results",
    "_stdout",
];
/// Further parts of the names of marks of results.
const RESULT_WORDS: [&str; 4] = ["execution", "function", "interpreter", "tool"];

const RESULTS: [&str; 14] = [
    "code_output",
    "execution_output",
    "execution_result",
    "function_response",
    "function_result",
    "function_results",
    "interpreter_output",
    "ipython_output",
    "observation",
    "tool_output",
    "tool_outputs",
    "tool_response",
    "tool_result",
    "tool_results",
];

const END_OF_MESSAGE: [&str; 10] = [
    "endoftext",
    "eom_id",
    "eos",
    "eot_id",
    "header_id",
    "human",
    "im",
    "observation",
    "system",
    "user",
];

const NOISE: [&str; 17] = [
    "action",
    "assistant",
    "begin",
    "call",
    "calls",
    "channel",
    "constrain",
    "content",
    "end",
    "message",
    "message_sep",
    "plugin",
    "return",
    "response",
    "solution",
    "start",
    "tool_sep",
];
