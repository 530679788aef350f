//! Who says whether a call may be made.

use std::str::FromStr;

use crate::sandbox::Gate;

/// A rule for the tools whose names fit its pattern. As typed: `always`, `never` or `ask`, and after a
/// colon a pattern such as `github.*` or `*delete*`; without one it is for all tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    verdict: Verdict,
    pattern: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Always,
    Never,
    Ask,
}

impl FromStr for Approval {
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

impl Approval {
    /// Whether this rule may have to ask somebody.
    pub fn asks(&self) -> bool {
        self.verdict == Verdict::Ask
    }

    fn fits(&self, tool: &str) -> bool {
        fits(&self.pattern, tool)
    }
}

/// What `rules` say of a call of `tool`.
pub(super) fn gate(rules: &[Approval], tool: &str) -> Gate {
    match rules.iter().rev().find(|rule| rule.fits(tool)) {
        None => Gate::Open,
        Some(rule) => match rule.verdict {
            Verdict::Always => Gate::Open,
            Verdict::Ask => Gate::Ask,
            Verdict::Never => Gate::Closed(format!(
                "whoever runs this code does not allow calls of {tool}"
            )),
        },
    }
}

/// Whether `text` is as `pattern`, in which `*` stands for anything and `?` for one character.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last star was, and how much it stands for by now.
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
    fn patterns_have_stars_and_question_marks() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "a.b"),
            ("github.*", "github.search"),
            ("*delete*", "files.delete_all"),
            ("a?c", "abc"),
            ("*a*b*", "xxaxxbxx"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("github.*", "gitlab.x"),
            ("a?c", "ac"),
            ("", "a"),
            ("*b", "ba"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn the_last_rule_that_fits_decides() {
        let rules: Vec<Approval> = ["ask", "always:shop.*", "never:shop.buy"]
            .map(|text| text.parse().unwrap())
            .into();
        assert_eq!(gate(&rules, "mail"), Gate::Ask);
        assert_eq!(gate(&rules, "shop.price"), Gate::Open);
        assert!(matches!(gate(&rules, "shop.buy"), Gate::Closed(_)));
        assert_eq!(gate(&[], "shop.buy"), Gate::Open);
        for text in ["", "maybe", "ask:", "Ask"] {
            assert!(text.parse::<Approval>().is_err(), "{text}");
        }
    }
}
