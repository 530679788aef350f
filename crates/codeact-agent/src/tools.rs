//! Descriptions of the tools, for the prompt.

use codeact_sandbox::{OpenToolbox, Toolbox};

/// Limit of the tools that are described in full. Of more tools only the names are listed.
const MAX_DESCRIBED: usize = 20;
/// Limit of the docstring of one tool, in characters.
const MAX_DOC: usize = 1200;
/// Limit of the list of names, in bytes.
const MAX_NAMES: usize = 8000;

/// Returns the description of `toolbox` for the prompt: signatures and docstrings, or only names if there are more than
/// 20 tools. Empty if there are no tools.
pub fn tools_text(toolbox: &dyn Toolbox) -> String {
    let open = toolbox.open();
    let list = open.list();
    let names: Vec<&str> = (list["tools"].as_array().into_iter().flatten())
        .filter_map(|tool| tool[0].as_str())
        .collect();
    match names.len() {
        0 => String::new(),
        1..=MAX_DESCRIBED => in_full(&*open, &names),
        _ => names_only(&names),
    }
}

fn in_full(open: &dyn OpenToolbox, names: &[&str]) -> String {
    let mut text = String::new();
    for name in names {
        let Some(description) = open.describe(name) else {
            continue;
        };
        let namespace = name.rsplit_once('.').map(|(namespace, _)| namespace);
        let header = description["header"].as_str().unwrap_or_default();
        match namespace {
            Some(namespace) => text += &format!("tools.{namespace}.{header}\n"),
            None => text += &format!("tools.{header}\n"),
        }
        let doc = description["doc"].as_str().unwrap_or_default();
        let mut short: String = doc.chars().take(MAX_DOC).collect();
        if short.len() < doc.len() {
            short += &format!("... (the rest: tools.describe({name:?}))");
        }
        for line in short.lines().filter(|line| !line.trim().is_empty()) {
            text += &format!("    {line}\n");
        }
    }
    text.trim_end().to_owned()
}

fn names_only(names: &[&str]) -> String {
    let mut text = String::new();
    for name in names {
        let more = format!("tools.{name}\n");
        if text.len() + more.len() > MAX_NAMES {
            text += &format!("and others, {} in all\n", names.len());
            break;
        }
        text += &more;
    }
    text + "tools.search(\"words\") finds the right ones of them, tools.describe(\"name\") tells a signature"
}
