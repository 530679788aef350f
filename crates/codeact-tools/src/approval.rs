//! Approval rules: which calls are allowed, denied, or decided by the user.

use std::str::FromStr;

use codeact_sandbox::Approval;

/// Approval rule for the tools whose names match a pattern.
///
/// As text it is `always`, `never` or `ask`, followed by a colon and a pattern such as `github.*` or `*delete*`.
/// Without a pattern it applies to all tools. In a pattern, `*` matches any text and `?` one byte.
///
/// ```
/// use codeact_tools::{ApprovalRule, Tools};
///
/// let rules: Vec<ApprovalRule> = ["ask", "always:shop.*", "never:shop.buy"]
///     .into_iter()
///     .map(str::parse)
///     .collect::<Result<_, _>>()?;
/// assert!(rules[0].asks() && !rules[1].asks());
/// let tools = Tools::new().approvals(rules);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRule {
    verdict: Verdict,
    pattern: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Always,
    Never,
    Ask,
}

impl FromStr for ApprovalRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (verdict, pattern) = text.split_once(':').unwrap_or((text, "*"));
        let verdict = match verdict {
            "always" => Verdict::Always,
            "never" => Verdict::Never,
            "ask" => Verdict::Ask,
            _ => return Err("expected always, never or ask, as in ask:github.*".into()),
        };
        if pattern.is_empty() {
            return Err("expected a pattern after the colon, as in ask:github.*".into());
        }
        let pattern = pattern.trim_start_matches("tools.").to_owned();
        Ok(Self { verdict, pattern })
    }
}

impl ApprovalRule {
    /// True if this rule needs a decision of the user.
    pub fn asks(&self) -> bool {
        self.verdict == Verdict::Ask
    }

    fn matches(&self, tool: &str) -> bool {
        matches_pattern(&self.pattern, tool)
    }
}

/// Returns the decision of `rules` on a call of `tool`.
pub(super) fn decide(rules: &[ApprovalRule], tool: &str) -> Approval {
    match rules.iter().rev().find(|rule| rule.matches(tool)) {
        None => Approval::Allow,
        Some(rule) => match rule.verdict {
            Verdict::Always => Approval::Allow,
            Verdict::Ask => Approval::Ask,
            Verdict::Never => {
                Approval::Deny(format!("the approval rules do not allow calls of {tool}"))
            }
        },
    }
}

/// True if `text` matches `pattern`. Costs at most the product of their lengths.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Position of the last star, and the end of the text that it matches.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, t + 1),
            Some(c) if *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_are_wildcards() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "a.b"),
            ("github.*", "github.search"),
            ("*delete*", "files.delete_all"),
            ("a?c", "abc"),
            ("*a*b*", "xxaxxbxx"),
        ] {
            assert!(matches_pattern(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("github.*", "gitlab.x"),
            ("a?c", "ac"),
            ("", "a"),
            ("*b", "ba"),
        ] {
            assert!(!matches_pattern(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn the_last_matching_rule_applies() {
        let rules: Vec<ApprovalRule> = ["ask", "always:shop.*", "never:shop.buy"]
            .map(|text| text.parse().unwrap())
            .into();
        assert_eq!(decide(&rules, "mail"), Approval::Ask);
        assert_eq!(decide(&rules, "shop.price"), Approval::Allow);
        assert!(matches!(decide(&rules, "shop.buy"), Approval::Deny(_)));
        assert_eq!(decide(&[], "shop.buy"), Approval::Allow);
        for text in ["", "maybe", "ask:", "Ask"] {
            assert!(text.parse::<ApprovalRule>().is_err(), "{text}");
        }
    }
}
