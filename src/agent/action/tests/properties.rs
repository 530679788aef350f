//! What holds for every reply, hostile ones included.

use proptest::prelude::*;

use super::super::{Action, MAX_REPLY_BYTES, Mode, parse};

/// Pieces that mean something to the parser, so that random replies reach its corners.
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
    fn any_reply_is_read(reply in reply()) {
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
    fn fenced_code_comes_back(
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

/// Shapes on which a parser that reads ahead without a bound would take hours.
#[test]
fn hostile_shapes_end() {
    let shapes = [
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
    for shape in shapes {
        let reply = shape.repeat(MAX_REPLY_BYTES / 16 / shape.len());
        for mode in [Mode::Agent, Mode::Once] {
            parse(&reply, mode);
        }
    }
}
