//! A lexer for lines of Python that finds strings, comments and brackets. It never fails, and reads each byte a bounded
//! number of times.

use super::steps;

/// The string literal that is open at the end of a line, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StringState {
    open: Option<Quote>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quote {
    mark: u8,
    triple: bool,
}

impl StringState {
    /// Returns true if the next line starts inside a string literal.
    pub(super) fn is_open(self) -> bool {
        self.open.is_some()
    }
}

/// Kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Name,
    Number,
    /// A string literal, or its part on this line.
    Str,
    /// A string without a closing quote on its line: an apostrophe, or an error.
    BrokenStr,
    Open,
    Close,
    /// `=` and the augmented forms, not `==`, `<=`, `:=`.
    Assign,
    Op(u8),
    Comment,
    /// A backslash at the end of the line, which continues on the next one.
    Continuation,
    /// A character that is invalid in Python outside strings, such as a backtick.
    Illegal,
}

/// A token of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Byte offsets in the line.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Iterator over the tokens of one line without its line feed.
pub(super) struct Tokens<'a> {
    line: &'a str,
    at: usize,
    state: &'a mut StringState,
}

/// Returns the tokens of `line`. `state` is the open string before it, and after the last token that after it.
pub(super) fn tokens<'a>(state: &'a mut StringState, line: &'a str) -> Tokens<'a> {
    Tokens { line, at: 0, state }
}

/// Moves `state` over one line.
pub(super) fn skip_line(state: &mut StringState, line: &str) {
    tokens(state, line).for_each(drop);
}

impl Tokens<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.line.as_bytes().get(at).copied().unwrap_or(0)
    }

    fn rest_of_string(&mut self, start: usize, quote: Quote, format: bool) -> Kind {
        let bytes = self.line.as_bytes();
        // The braces of an f-string contain code, which may have quotes. A triple-quoted f-string is read as plain text,
        // up to the next three quotes.
        let (mut at, mut braces) = (start, 0usize);
        while at < bytes.len() {
            let byte = bytes[at];
            match byte {
                b'\\' if at + 1 == bytes.len() => {
                    self.state.open = Some(quote);
                    self.at = bytes.len();
                    return Kind::Str;
                }
                b'\\' => at += 2,
                _ if quote.triple => {
                    let mark = quote.mark;
                    if byte == mark && self.byte(at + 1) == mark && self.byte(at + 2) == mark {
                        self.state.open = None;
                        self.at = at + 3;
                        return Kind::Str;
                    }
                    at += 1;
                }
                b'{' if format && braces == 0 && self.byte(at + 1) == b'{' => at += 2,
                b'{' if format => (at, braces) = (at + 1, braces + 1),
                b'}' if format => (at, braces) = (at + 1, braces.saturating_sub(1)),
                b'"' | b'\'' if braces > 0 => {
                    // After a search without a result there is no other for this quote on the line.
                    match bytes[at + 1..].iter().position(|b| *b == byte) {
                        Some(inner) => at += inner + 2,
                        None if byte == quote.mark => break,
                        None => at += 1,
                    }
                }
                _ if byte == quote.mark => break,
                _ => at += 1,
            }
        }
        if quote.triple {
            self.state.open = Some(quote);
            self.at = bytes.len();
            return Kind::Str;
        }
        self.state.open = None;
        self.at = (at + 1).min(bytes.len());
        if at < bytes.len() {
            Kind::Str
        } else {
            Kind::BrokenStr
        }
    }

    fn string(&mut self, prefix: usize) -> Kind {
        let start = self.at + prefix;
        let mark = self.byte(start);
        let triple = self.byte(start + 1) == mark && self.byte(start + 2) == mark;
        let format = self.line.as_bytes()[self.at..start]
            .iter()
            .any(|b| matches!(b, b'f' | b'F' | b't' | b'T'));
        let body = start + if triple { 3 } else { 1 };
        self.rest_of_string(body, Quote { mark, triple }, format)
    }

    fn name_end(&self) -> usize {
        self.line[self.at..]
            .char_indices()
            .find(|(_, c)| !c.is_alphanumeric() && *c != '_')
            .map_or(self.line.len(), |(at, _)| self.at + at)
    }

    fn number_end(&self) -> usize {
        let (mut at, mut dotted) = (self.at, false);
        let based = self.byte(at) == b'0' && matches!(self.byte(at + 1) | 32, b'x' | b'o' | b'b');
        while match self.byte(at) {
            b'0'..=b'9' | b'_' => true,
            // The second dot is not part of the number, as in `0.1.hex()`.
            b'.' => !based && !std::mem::replace(&mut dotted, true),
            other => based && other.is_ascii_alphanumeric(),
        } {
            at += 1;
        }
        if !based && self.byte(at) | 32 == b'e' {
            let sign = usize::from(matches!(self.byte(at + 1), b'+' | b'-'));
            if self.byte(at + 1 + sign).is_ascii_digit() {
                at += 1 + sign;
                while matches!(self.byte(at), b'0'..=b'9' | b'_') {
                    at += 1;
                }
            }
        }
        at + usize::from(self.byte(at) | 32 == b'j')
    }
}

/// Returns true if `name` before a quote is a string prefix, such as `rb` or `f`.
fn is_prefix(name: &str) -> bool {
    name.len() <= 2 && name.bytes().all(|b| b"rbuftRBUFT".contains(&b))
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let before = self.at;
        let token = self.read();
        steps::count(self.at - before);
        token
    }
}

impl Tokens<'_> {
    fn read(&mut self) -> Option<Token> {
        if self.at == 0
            && let Some(quote) = self.state.open
        {
            let kind = self.rest_of_string(0, quote, false);
            // An empty line has no token, but the string stays open over it.
            let end = self.at;
            return (end > 0).then_some(Token {
                kind,
                start: 0,
                end,
            });
        }
        while matches!(self.byte(self.at), b' ' | b'\t' | 0x0c) {
            self.at += 1;
        }
        let start = self.at;
        let first = self.line[start..].chars().next()?;
        let kind = match first {
            '#' => {
                self.at = self.line.len();
                Kind::Comment
            }
            '"' | '\'' => self.string(0),
            '0'..='9' => {
                self.at = self.number_end();
                Kind::Number
            }
            '.' if self.byte(start + 1).is_ascii_digit() => {
                self.at = self.number_end();
                Kind::Number
            }
            c if c.is_alphabetic() || c == '_' => {
                let end = self.name_end();
                if matches!(self.byte(end), b'"' | b'\'') && is_prefix(&self.line[start..end]) {
                    self.string(end - start)
                } else {
                    self.at = end;
                    Kind::Name
                }
            }
            '(' | '[' | '{' | ')' | ']' | '}' => {
                self.at += 1;
                if matches!(first, '(' | '[' | '{') {
                    Kind::Open
                } else {
                    Kind::Close
                }
            }
            '=' | '<' | '>' | '!' | ':' | '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^' | '@' => {
                let doubled = self.byte(start + 1) == b'=';
                self.at += if doubled { 2 } else { 1 };
                match (first, doubled) {
                    ('=', false) => Kind::Assign,
                    ('!', false) => Kind::Illegal,
                    ('=' | '<' | '>' | '!' | ':', _) | (_, false) => Kind::Op(first as u8),
                    _ => Kind::Assign,
                }
            }
            '.' | ',' | ';' | '~' => {
                self.at += 1;
                Kind::Op(first as u8)
            }
            '\\' if start + 1 == self.line.len() => {
                self.at += 1;
                Kind::Continuation
            }
            other => {
                self.at += other.len_utf8();
                Kind::Illegal
            }
        };
        Some(Token {
            kind,
            start,
            end: self.at,
        })
    }
}
