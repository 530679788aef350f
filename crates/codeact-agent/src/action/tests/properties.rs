//! Properties of the parser that hold for every reply, also a hostile one.

use proptest::prelude::*;

use super::super::{Action, MAX_REPLY_BYTES, Mode, parse, steps, traces};

/// Texts with a meaning for the parser, so that random replies reach its branches.
const PIECES: [&str; 84] = [
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
    "<tool_call>",
    "</tool_call>",
    "<function=python>",
    "<parameter=code>",
    "</parameter>",
    "<invoke name=\"python\">",
    "<arg_key>",
    "</arg_value>",
    "[TOOL_CALLS]",
    "[ARGS]",
    "[THINK]",
    "[/THINK]",
    "<|channel|>analysis",
    "<|channel|>commentary to=python",
    "<|message|>",
    "<|call|>",
    "<|end|>",
    "<|im_end|>",
    "<channel|>",
    "<reasoning>",
    "</reasoning>",
    "{\"name\": \"python\", \"arguments\": ",
    "{\"code\": \"",
    "\"}",
    "Action: python\n",
    "Action Input: ",
    "Thought: ",
    "functools[",
    "python(code=\"",
    "\\n",
    "&lt;",
    "1 | x",
    "final_answer(x)",
    "`",
    "\n    ",
    "\n>>> ",
    "tool: python\n",
    "code: |\n",
    "Code:\n",
    "<end_code>",
    "<｜DSML｜function_calls>",
    "<｜DSML｜invoke name=\"python\">",
    "<jupyter_code>",
    "</jupyter_code>",
    "<|open|>call tool=\"python\"<|sep|>",
    "<|close|>call<|sep|>",
    "<|tool_call:begin|>",
    "<start_function_call>call:python{",
    "<escape>",
    "print(python(",
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

    /// Neither is code with a prompt left in it run: it would be a syntax error, or lack lines.
    #[test]
    fn a_text_with_traces_of_code_is_never_an_answer(reply in reply()) {
        match parse(&reply, Mode::Agent) {
            Action::Answer(text) => prop_assert_eq!(traces::first(&text), None, "{}", reply),
            Action::Code { source, .. } => prop_assert!(!source.starts_with(">>> "), "{}", reply),
            Action::Unreadable { .. } => {}
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

/// Bare lines of Python that any markup can have, with strings, comments and brackets.
fn code() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "x = 1",
        "print('a', x)",
        "s = 'it is </think> and </tool_call>'",
        "s = \"# Output: {x}\"",
        "t = '''a\nObservation: 1\n\n  b'''",
        "# a comment: Output, </parameter>",
        "if x < 3 and y > 4:\n    y = [x, 'é']",
        "d = {\n    'a': (1, 2),\n}",
        "def f(a, b=''):\n    return a * b",
        "import math",
        "r = re.sub(r'\\d+\\n', '\\n', s)",
        "",
    ]);
    let lines = prop::collection::vec(line, 0..8);
    lines.prop_map(|lines| format!("a = f(1)\n{}\nfinal_answer(a)", lines.join("\n")))
}

proptest! {
    #[test]
    fn code_is_the_same_in_any_markup(code in code()) {
        let text = serde_json::to_string(&code).unwrap();
        let call = format!("{{\"name\": \"python\", \"arguments\": {{\"code\": {text}}}}}");
        let quoted = serde_json::to_string(&format!("{{\"code\": {text}}}")).unwrap();
        let parameter = format!("<function=python>\n<parameter=code>\n{code}\n</parameter>\n</function>");
        let arguments = format!("{{\"code\": {text}}}");
        for reply in [
            code.clone(),
            format!("```python\n{code}\n```"),
            format!("I compute.\n~~~py\n{code}\n~~~\nDone."),
            format!("<execute>\n{code}\n</execute>"),
            format!("<think>\nfinal_answer('draft')\n</think>\n```python\n{code}\n```"),
            format!("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>```python\n{code}\n```"),
            format!("<|channel|>commentary to=python code<|message|>{code}<|call|>"),
            format!("<|channel|>commentary to=functions.python <|constrain|>json<|message|>{arguments}<|call|>"),
            call.clone(),
            format!("I compute.\n{call}\nDone."),
            format!("```json\n{call}\n```"),
            format!("{{\"name\": \"python\", \"arguments\": {quoted}}}"),
            format!("{{\"tool_calls\": [{{\"type\": \"function\", \"function\": {call}}}]}}"),
            format!("<tool_call>\n{call}\n</tool_call>"),
            format!("<tool_call>\n{call}"),
            format!("[TOOL_CALLS][{call}]"),
            format!("[TOOL_CALLS]python[ARGS]{arguments}"),
            format!("<function=python>{arguments}</function>"),
            format!("<tool_call>\n{parameter}\n</tool_call>"),
            parameter,
            format!("<invoke name=\"python\">\n<parameter name=\"code\">{code}</parameter>\n</invoke>"),
            format!("<tool_call>python\n<arg_key>code</arg_key>\n<arg_value>{code}</arg_value>\n</tool_call>"),
            format!("<｜tool▁call▁begin｜>function<｜tool▁sep｜>python\n```json\n{arguments}\n```<｜tool▁call▁end｜>"),
            format!("<|tool_call_begin|>functions.python:0<|tool_call_argument_begin|>{arguments}<|tool_call_end|>"),
            format!("Action: python\nAction Input: {code}\nObservation: 3"),
            format!("Action: python\nAction Input: {arguments}\nObservation: 3"),
        ] {
            match parse(&reply, Mode::Agent) {
                Action::Code { source, .. } => prop_assert_eq!(&source, &code, "{}", reply),
                other => prop_assert!(false, "{other:?}: {reply}"),
            }
        }
    }
}

/// Shapes on which a parser that reads ahead without a bound takes quadratic time.
const HOSTILE_SHAPES: [&str; 76] = [
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
    "<tool_call>",
    "<tool_call>'''</tool_call>",
    "<tool_call>\\'''</tool_call>",
    "<tool_call>a(\"",
    "<tool_call>{\"name\":\"",
    "<tool_call>{}</tool_call>",
    "<tool><b>",
    "<function=python>",
    "<function=python><parameter=code>\"\"\"\\",
    "<invoke name='a'><parameter name='b'>",
    "<arg_key>",
    "[TOOL_CALLS]",
    "[TOOL_CALLS]python{",
    "[TOOL_CALLS]python[CALL_ID]",
    "{\"name\":\"python\",\"arguments\":\"\n",
    "{\"a\":1}\n",
    "{'a\n",
    "[python(code='\n",
    "functools[\n",
    "Action: python\n",
    "Action: python\nAction Input: '''\n",
    "Action: python\nAction Input: {\"a\n",
    "<|channel|>",
    "<|channel|>a to=b<|message|>",
    "<|channel|>a to=b<|message|>{\"",
    "<|channel|>analysis<|message|>",
    "<|start|>assistant",
    "a <think b",
    "a <think> b",
    "<think>\n<plan>\n",
    "<think>\n</plan>",
    "<a<",
    "<execute># </execute>\n",
    "<execute>\n# </execute>\n",
    "```\na()\n```\nOutput:\n",
    "> ```\n",
    "```\\n",
    "x\\n",
    "<tool_call>```a`\n",
    "[python(code='\n[python(",
    "print(python(code='",
    "print(\u{3000}run(code='x'))\n",
    "code: |\n a\n",
    "tool: python\ncode: |\n",
    "tool: python\n\n",
    "tool: python\nlanguage: x\n",
    ">>> x = '''\n",
    ">>> x = 1\ny = 2\n",
    "\n>>> f(\n1\n",
    "x = 1\n```py\nfinal_answer(x)\n```\n",
    "```py\nx = 1\nfinal_answer(x)\n```\n",
    "```py\na()\n``` b c\n",
    "Code:\nx = 1<end_code>\n",
    "a:\n\n    f(1)\n    f(2)\n\n",
    "`final_answer(",
    "<jupyter_code>a b",
    "<｜DSML｜invoke name='a'>",
    "<|open|>call tool='a'<|sep|>",
    "<|open|>argument key='a'<|sep|>",
    "<|tool_call:name|>python",
    "<arg_key>a<arg_value>b",
    "[TOOL_CALLS]python{\"code\":\"x\"}",
];

#[test]
fn every_hostile_shape_gets_an_action() {
    for shape in HOSTILE_SHAPES {
        let reply = shape.repeat(MAX_REPLY_BYTES / 64 / shape.len());
        for mode in [Mode::Agent, Mode::Once] {
            match parse(&reply, mode) {
                Action::Code { source: text, .. }
                | Action::Answer(text)
                | Action::Unreadable { reason: text } => assert!(!text.is_empty(), "{shape:?}"),
            }
        }
    }
}

/// A quadratic parser reads 64 times as many bytes of a reply that is 8 times as long, a linear one about 8 times.
#[test]
fn the_bytes_that_are_read_are_in_proportion_to_the_length() {
    const SHORT: usize = MAX_REPLY_BYTES / 256;
    const FACTOR: usize = 8;
    for shape in HOSTILE_SHAPES {
        let steps = |bytes: usize| {
            let reply = shape.repeat(bytes / shape.len());
            steps::take();
            for mode in [Mode::Agent, Mode::Once] {
                parse(&reply, mode);
            }
            steps::take()
        };
        let (short, long) = (steps(SHORT), steps(SHORT * FACTOR));
        assert!(long < 2 * FACTOR * short, "{shape:?}: {short}, {long}");
        assert!(long < 2000 * SHORT * FACTOR, "{shape:?}: {long}");
    }
}
