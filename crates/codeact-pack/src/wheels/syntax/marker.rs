//! Environment markers: the condition of a dependency (PEP 508).

use std::collections::BTreeSet;

use super::{Environment, Specifiers, Version};
use crate::wheels::requirement::normalised;

/// Maximum number of parentheses around an expression.
const MAX_DEPTH: usize = 16;
/// Maximum number of comparisons.
const MAX_COMPARISONS: usize = 256;

/// A condition on the environment and on the requested extras.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Marker {
    Any(Vec<Marker>),
    All(Vec<Marker>),
    Compare {
        left: Operand,
        operator: String,
        right: Operand,
    },
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    Variable(String),
    Text(String),
}

impl Marker {
    /// Parses a marker.
    ///
    /// # Errors
    ///
    /// Returns a description of the fault.
    pub(super) fn parse(text: &str, environment: &Environment) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            next: 0,
            comparisons: 0,
            environment,
        };
        let marker = parser.any(0)?;
        match parser.peek() {
            None => Ok(marker),
            Some(token) => Err(format!("its marker has {token:?} at the wrong place")),
        }
    }

    /// Returns true if the condition holds when `extras`, which are normalised, were requested. With no extras, `extra`
    /// is the empty text; with several ones, it must hold for one of them.
    pub(super) fn holds(&self, environment: &Environment, extras: &BTreeSet<String>) -> bool {
        self.holds_for(environment, "") || extras.iter().any(|e| self.holds_for(environment, e))
    }

    fn holds_for(&self, environment: &Environment, extra: &str) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|part| part.holds_for(environment, extra)),
            Self::All(parts) => parts.iter().all(|part| part.holds_for(environment, extra)),
            Self::Compare {
                left,
                operator,
                right,
            } => {
                let is_extra = [left, right].contains(&&Operand::Variable("extra".to_owned()));
                let value = |operand: &Operand| match operand {
                    Operand::Variable(name) if name == "extra" => extra.to_owned(),
                    Operand::Variable(name) => environment.get(name).unwrap_or("").to_owned(),
                    Operand::Text(text) if is_extra => {
                        normalised(text).unwrap_or_else(|_| text.clone())
                    }
                    Operand::Text(text) => text.clone(),
                };
                let versions = [left, right].into_iter().any(Operand::is_version);
                compare(&value(left), operator, &value(right), versions)
            }
        }
    }
}

impl Operand {
    fn is_version(&self) -> bool {
        let names = [
            "python_version",
            "python_full_version",
            "implementation_version",
        ];
        matches!(self, Self::Variable(name) if names.contains(&name.as_str()))
    }
}

/// Compares as versions if both sides are, and as texts otherwise.
fn compare(left: &str, operator: &str, right: &str, versions: bool) -> bool {
    if versions && operator != "in" && operator != "not in" {
        let specifier = Specifiers::parse(&format!("{operator}{right}"));
        if let (Ok(specifier), Some(version)) = (specifier, Version::parse(left)) {
            return specifier.contains(&version);
        }
    }
    // `python_version in "3.8 3.9"` lists versions.
    match operator {
        "in" => right.contains(left),
        "not in" => !right.contains(left),
        "==" | "===" => left == right,
        "!=" => left != right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        _ => false,
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Word(String),
    Text(String),
    Operator(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let split = |count: usize| rest.split_at(count);
        let length_of = |accept: fn(char) -> bool| rest.find(|c| !accept(c)).unwrap_or(rest.len());
        let (token, after) = match first {
            '(' => (Token::Open, &rest[1..]),
            ')' => (Token::Close, &rest[1..]),
            '"' | '\'' => {
                let Some((inside, after)) = rest[1..].split_once(first) else {
                    return Err("its marker has a text that is not closed".to_owned());
                };
                (Token::Text(inside.to_owned()), after)
            }
            '<' | '>' | '=' | '!' | '~' => {
                let (operator, after) = split(length_of(|c| "<>=!~".contains(c)));
                (Token::Operator(operator.to_owned()), after)
            }
            c if c.is_ascii_alphabetic() => {
                let (word, after) = split(length_of(|c| {
                    c.is_ascii_alphanumeric() || c == '_' || c == '.'
                }));
                (Token::Word(word.to_owned()), after)
            }
            c => return Err(format!("its marker has the unexpected character {c:?}")),
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: Vec<Token>,
    next: usize,
    comparisons: usize,
    environment: &'a Environment,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Result<Token, String> {
        let token = self.peek().cloned();
        self.next += 1;
        token.ok_or_else(|| "its marker ends too early".to_owned())
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(next)) if next == word);
        self.next += usize::from(found);
        found
    }

    fn any(&mut self, depth: usize) -> Result<Marker, String> {
        let mut parts = vec![self.all(depth)?];
        while self.take_word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(Marker::Any(parts))
    }

    fn all(&mut self, depth: usize) -> Result<Marker, String> {
        let mut parts = vec![self.one(depth)?];
        while self.take_word("and") {
            parts.push(self.one(depth)?);
        }
        Ok(Marker::All(parts))
    }

    fn one(&mut self, depth: usize) -> Result<Marker, String> {
        if self.peek() == Some(&Token::Open) {
            if depth == MAX_DEPTH {
                return Err(format!(
                    "its marker has more than {MAX_DEPTH} nested parentheses"
                ));
            }
            self.next += 1;
            let inside = self.any(depth + 1)?;
            return match self.take()? {
                Token::Close => Ok(inside),
                token => Err(format!("its marker has {token:?} in place of `)`")),
            };
        }
        self.comparisons += 1;
        if self.comparisons > MAX_COMPARISONS {
            return Err(format!(
                "its marker has more than {MAX_COMPARISONS} comparisons"
            ));
        }
        let left = self.operand()?;
        let operator = match self.take()? {
            Token::Operator(operator) if is_operator(&operator) => operator,
            Token::Word(word) if word == "in" => word,
            Token::Word(word) if word == "not" && self.take_word("in") => "not in".to_owned(),
            token => return Err(format!("its marker has {token:?} in place of an operator")),
        };
        let right = self.operand()?;
        Ok(Marker::Compare {
            left,
            operator,
            right,
        })
    }

    fn operand(&mut self) -> Result<Operand, String> {
        match self.take()? {
            Token::Text(text) => Ok(Operand::Text(text)),
            Token::Word(name) if name == "extra" || self.environment.get(&name).is_some() => {
                Ok(Operand::Variable(name))
            }
            token => Err(format!(
                "its marker has {token:?} in place of a variable or text"
            )),
        }
    }
}

fn is_operator(text: &str) -> bool {
    ["<", "<=", "!=", "==", ">=", ">", "~=", "==="].contains(&text)
}
