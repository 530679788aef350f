//! Properties of the parser that hold for every reply, also a hostile one.

use std::time::Instant;

use proptest::prelude::*;

use super::super::{Action, MAX_REPLY_BYTES, Mode, parse};

/// Texts with a meaning for the parser, so that random replies reach its branches.
const PIECES: [&str; 34] = [
    "```",
    "```python",
    "````",
    "~~~",
    "\n",
    "\r\n",
    " ",
    "\t",
    "<code>",
    "</code>",
    "<execute>",
    "</execute>",
    "<think>",
    "</think>",
    "<|python_tag|>",
    "'",
    "\"",
    "\"\"\"",
    "'''",
    "\\",
    "#",
    "{",
    "}",
    "(",
    ")",
    "f\"",
    "x = 1",
    "print(1)",
    "import os",
    "Observation:",
    ">>> ",
    "é",
    "\u{a0}",
    "The answer",
];

fn reply() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(PIECES.as_slice()).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_reply_gets_an_action_with_content(reply in reply()) {
        for mode in [Mode::Agent, Mode::Once] {
            match parse(&reply, mode) {
                Action::Code { source, .. } => prop_assert!(!source.trim().is_empty()),
                Action::Answer(text) => prop_assert!(!text.trim().is_empty()),
                Action::Unreadable { reason } => prop_assert!(!reason.is_empty()),
            }
        }
    }

    #[test]
    fn line_ends_do_not_matter(reply in reply()) {
        let lf = reply.replace("\r\n", "\n").replace('\r', "\n");
        let crlf = lf.replace('\n', "\r\n");
        prop_assert_eq!(parse(&lf, Mode::Agent), parse(&crlf, Mode::Agent));
    }

    #[test]
    fn fenced_code_is_returned_unchanged(
        first in "[a-z_]{1,9}",
        lines in prop::collection::vec("[ ]{0,8}[a-z0-9_=+(),.:#é☃]([a-z0-9_=+(),.:# é☃]{0,30}[a-z)é])?", 0..12),
    ) {
        let code = std::iter::once(first).chain(lines).collect::<Vec<_>>().join("\n");
        let want = Action::Code { source: code.clone(), said: String::new() };
        for fence in ["```", "````", "~~~"] {
            let reply = format!("{fence}python\n{code}\n{fence}\n");
            prop_assert_eq!(parse(&reply, Mode::Agent), want.clone());
            prop_assert_eq!(parse(&reply, Mode::Once), want.clone());
        }
    }
}

/// Shapes on which a parser that reads ahead without a bound takes quadratic time.
const HOSTILE_SHAPES: [&str; 14] = [
    "```\n\\\"\"\"\n```\n",
    "```\n'''\n```\n```\n\"\"\"\n",
    "<execute>'''</execute>",
    "<execute>1</execute>",
    "<think></think>",
    "x</think>",
    "'</think>",
    "f\"{",
    "f'{\"",
    "```py x```",
    "{\"a\":",
    "[",
    "\\\n",
    "a(\n",
];

#[test]
fn every_hostile_shape_gets_an_action() {
    for shape in HOSTILE_SHAPES {
        let reply = shape.repeat(MAX_REPLY_BYTES / 16 / shape.len());
        for mode in [Mode::Agent, Mode::Once] {
            match parse(&reply, mode) {
                Action::Code { source: text, .. }
                | Action::Answer(text)
                | Action::Unreadable { reason: text } => assert!(!text.is_empty(), "{shape:?}"),
            }
        }
    }
}

/// Compares the times of replies of different lengths, measured in one run: a quadratic parser takes 256 times as long
/// for a reply that is 16 times as long, a linear one about 16 times.
#[test]
fn hostile_shapes_take_time_in_proportion_to_their_length() {
    const SHORT: usize = MAX_REPLY_BYTES / 512;
    const FACTOR: usize = 16;
    // Between 16 and 256. The fastest of several runs is the least disturbed one.
    const MAX_RATIO: u32 = 80;
    for shape in HOSTILE_SHAPES {
        let time = |bytes: usize| {
            let reply = shape.repeat(bytes / shape.len());
            let run = || {
                let begun = Instant::now();
                for mode in [Mode::Agent, Mode::Once] {
                    parse(&reply, mode);
                }
                begun.elapsed()
            };
            (0..3).map(|_| run()).min().unwrap_or_default()
        };
        let quotients = (0..2).map(|_| time(SHORT * FACTOR).div_duration_f64(time(SHORT)));
        let ratio = quotients.fold(f64::INFINITY, f64::min);
        assert!(ratio < f64::from(MAX_RATIO), "{shape:?}: {ratio}");
    }
}
