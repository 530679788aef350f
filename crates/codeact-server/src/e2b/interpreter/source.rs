//! Source text as notebooks have it: which lines begin a statement, and common indentation.

use std::borrow::Cow;

/// Returns `code` without the indentation of its first line, as notebooks read a pasted block.
pub(super) fn without_indentation(code: &str) -> Cow<'_, str> {
    let first = code
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let indentation = &first[..first.len() - first.trim_start().len()];
    if indentation.is_empty() {
        return Cow::Borrowed(code);
    }
    let lines = code.split('\n');
    let lines: Vec<_> = lines
        .map(|line| line.strip_prefix(indentation).unwrap_or(line))
        .collect();
    Cow::Owned(lines.join("\n"))
}

/// Returns the numbers of the lines, from 0, that begin a statement: those inside a string or brackets do not.
pub(super) fn statement_lines(code: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut scan = Scan::default();
    for (number, line) in code.split('\n').enumerate() {
        if scan.is_between_statements() {
            found.push(number);
            if line.trim_start().starts_with(['%', '!', '?']) {
                // Its quotes and brackets are not Python's.
                continue;
            }
        }
        scan.line(line);
    }
    found
}

/// Position in the source between two lines.
#[derive(Default)]
struct Scan {
    depth: usize,
    quote: Option<&'static str>,
    is_continued: bool,
}

impl Scan {
    fn is_between_statements(&self) -> bool {
        self.depth == 0 && self.quote.is_none() && !self.is_continued
    }

    fn line(&mut self, line: &str) {
        self.is_continued = false;
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            if let Some(quote) = self.quote {
                if let Some(after) = rest.strip_prefix(quote) {
                    self.quote = None;
                    rest = after;
                } else if c == '\\' {
                    // The last one of a line continues the string.
                    let mut escaped = after.chars();
                    if escaped.next().is_none() && quote.len() == 1 {
                        return;
                    }
                    rest = escaped.as_str();
                } else {
                    rest = after;
                }
                continue;
            }
            let opened = ["'''", "\"\"\"", "'", "\""]
                .into_iter()
                .find(|quote| rest.starts_with(quote));
            if let Some(quote) = opened {
                self.quote = Some(quote);
                rest = &rest[quote.len()..];
                continue;
            }
            match c {
                '#' => break,
                '(' | '[' | '{' => self.depth += 1,
                ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
                '\\' if after.is_empty() => self.is_continued = true,
                _ => {}
            }
            rest = after;
        }
        // A string in single quotes ends with its line.
        if self.quote.is_some_and(|quote| quote.len() == 1) {
            self.quote = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{statement_lines, without_indentation};

    #[test]
    fn lines_in_strings_and_brackets_begin_no_statement() {
        for (code, expected) in [
            ("a\nb", &[0, 1][..]),
            ("a = '''\n!pip install x\n'''\nb", &[0, 3]),
            ("f(\n!pip\n)\nb", &[0, 3]),
            ("a = 1 + \\\n2\nb", &[0, 2]),
            ("a = 'it''s' # (\nb", &[0, 1]),
            ("!echo \"\nb", &[0, 1]),
            ("a = 'x\\\ny'\nb", &[0, 2]),
            ("a = '\\'(' \nb", &[0, 1]),
            ("é = \"é\"\n(", &[0, 1]),
        ] {
            assert_eq!(statement_lines(code), expected, "{code}");
        }
    }

    #[test]
    fn the_indentation_of_the_first_line_is_removed() {
        assert_eq!(
            without_indentation("\n    a\n      b\n\n    c\n    "),
            "\na\n  b\n\nc\n"
        );
        assert_eq!(without_indentation("a\n  b"), "a\n  b");
        assert_eq!(without_indentation("  a\nb"), "a\nb");
        assert_eq!(without_indentation(""), "");
    }
}
