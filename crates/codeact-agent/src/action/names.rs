//! Names that code binds and uses, to decide if a later block needs an earlier text.

use std::collections::HashSet;

use super::lexer::{Kind, StringState, Token, tokens};

/// Names that the code read so far uses and binds.
#[derive(Default)]
pub(super) struct Names {
    used: HashSet<String>,
    bound: HashSet<String>,
}

impl Names {
    /// Adds the names of `code`.
    pub(super) fn add(&mut self, code: &str) {
        let mut state = StringState::default();
        for line in code.lines() {
            for token in tokens(&mut state, line) {
                let text = &line[token.start..token.end];
                match token.kind {
                    Kind::Name => self.use_name(text),
                    // The braces of an f-string contain code.
                    Kind::Str if text.contains('{') => {
                        text.split(|c: char| !c.is_alphanumeric() && c != '_')
                            .filter(|word| !word.is_empty())
                            .for_each(|word| self.use_name(word));
                    }
                    _ => {}
                }
            }
        }
        let bound = bound_names(code);
        self.bound.extend(bound.into_iter().map(str::to_owned));
    }

    fn use_name(&mut self, name: &str) {
        if !self.used.contains(name) {
            self.used.insert(name.to_owned());
        }
    }

    /// Returns true if `code` binds a name that the code so far uses and does not bind.
    pub(super) fn need(&self, code: &str) -> bool {
        let mut names = bound_names(code).into_iter();
        names.any(|name| self.used.contains(name) && !self.bound.contains(name))
    }
}

/// Returns the names that assignments, definitions and imports at the start of a line bind.
pub(super) fn bound_names(code: &str) -> HashSet<&str> {
    let mut names = HashSet::new();
    let mut state = StringState::default();
    for line in code.lines() {
        let begins = !state.is_open() && !line.starts_with([' ', '\t', '#']);
        let words: Vec<_> = tokens(&mut state, line).collect();
        if !begins {
            continue;
        }
        let text = |token: &Token| &line[token.start..token.end];
        let first = words.first().map_or("", text);
        let target_end = match first {
            "import" | "from" | "def" | "class" | "async" | "for" | "with" => words.len(),
            _ => words
                .iter()
                .position(|token| token.kind == Kind::Assign)
                .unwrap_or(0),
        };
        let targets = words
            .iter()
            .take(target_end)
            .filter(|token| token.kind == Kind::Name);
        names.extend(targets.map(text));
    }
    names
}
