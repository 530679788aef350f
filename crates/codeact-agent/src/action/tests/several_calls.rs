//! Properties of calls: an answer is never made of their text, and several calls are one program.

use proptest::prelude::*;

use super::super::{Action, Mode, parse};

/// Texts around code that do not make it a block.
const SURROUNDINGS: [(&str, &str); 12] = [
    ("", ""),
    ("I am done: ", "."),
    ("I am done: `", "`"),
    ("> ", ""),
    ("- ", "\nThen I wait."),
    ("```diff\n+", "\n```"),
    ("```text\n", "\n```"),
    ("```json\n{\"a\": \"", "\"}\n```"),
    ("The code\n\n    ", "\n\nis it."),
    ("<unknown_tool>\n", "\n</unknown_tool>"),
    ("x: |\n  ", ""),
    (">>> x = 1\n", ""),
];

fn call(code: &str) -> String {
    format!(
        "{{\"name\": \"python\", \"arguments\": {}}}",
        arguments(code)
    )
}

fn arguments(code: &str) -> String {
    serde_json::json!({ "code": code }).to_string()
}

fn invoke(code: &str) -> String {
    format!("<invoke name=\"python\"><parameter name=\"code\">{code}</parameter></invoke>")
}

fn dsml(code: &str) -> String {
    format!(
        "<｜DSML｜invoke name=\"python\"><｜DSML｜parameter name=\"code\" string=\"true\">{code}\
         </｜DSML｜parameter></｜DSML｜invoke>\n"
    )
}

fn kimi_k2(code: &str) -> String {
    format!(
        "<|tool_call_begin|>functions.python:0<|tool_call_argument_begin|>{}<|tool_call_end|>",
        arguments(code)
    )
}

fn kimi_k3(code: &str) -> String {
    format!(
        "<|open|>call tool=\"python\" index=\"1\"<|sep|><|open|>argument key=\"code\" type=\"string\"<|sep|>\
         {code}<|close|>argument<|sep|><|close|>call<|sep|>"
    )
}

fn solar(code: &str) -> String {
    format!(
        "<|tool_call:start|>python\n<|tool_arg:start|>code<|tool_arg:value|>{code}<|tool_arg:end|>\n\
         <|tool_call:end|>\n"
    )
}

proptest! {
    #[test]
    fn an_answer_call_is_run_or_refused_in_any_surroundings(
        around in prop::sample::select(SURROUNDINGS.as_slice()),
        inner in prop::sample::select(SURROUNDINGS.as_slice()),
        value in "[a-z0-9]{1,5}",
    ) {
        let reply = format!("{}{}final_answer({value}){}{}", around.0, inner.0, inner.1, around.1);
        let action = parse(&reply, Mode::Agent);
        prop_assert!(!matches!(action, Action::Answer(_)), "{action:?}: {reply}");
    }

    #[test]
    fn several_calls_in_a_markup_are_one_program_in_order(
        values in prop::collection::vec("[a-z][a-z0-9]{0,3}", 2..6),
    ) {
        let codes: Vec<_> = (values.iter().enumerate())
            .map(|(n, value)| format!("v{n} = f('{value}')"))
            .collect();
        let each = |markup: &dyn Fn(&str) -> String, separator: &str| {
            let calls: Vec<_> = codes.iter().map(|code| markup(code)).collect();
            calls.join(separator)
        };
        for reply in [
            each(&|code| format!("[TOOL_CALLS]python{}", arguments(code)), ""),
            each(&|code| format!("[TOOL_CALLS]python[ARGS]{}", arguments(code)), ""),
            format!("[TOOL_CALLS][{}]", each(&call, ", ")),
            each(&kimi_k2, ""),
            format!("<|tool_calls_section_begin|>{}<|tool_calls_section_end|>", each(&kimi_k2, "\n")),
            format!("<|open|>tools<|sep|>{}<|close|>tools<|sep|>", each(&kimi_k3, "")),
            each(&solar, ""),
            each(&|code| format!("<tool_call>\n{}\n</tool_call>\n", call(code)), ""),
            each(&invoke, "\n"),
            format!("<function_calls>\n{}\n</function_calls>", each(&invoke, "\n")),
            format!("<｜DSML｜function_calls>\n{}</｜DSML｜function_calls>", each(&dsml, "")),
            format!("[{}]", each(&|code| format!("python(code=\"{code}\")"), ", ")),
            format!("<|python_start|>[{}]<|python_end|>", each(&|code| format!("python(code=\"{code}\")"), ", ")),
            each(&|code| format!("<start_function_call>call:python{{code:<escape>{code}<escape>}}<end_function_call>"), ""),
            each(&|code| format!("```python\n{code}\n```"), "\n"),
            each(&|code| format!("```python\n{code}\n```"), "\nThen:\n"),
            each(&|code| format!("<code>\n{code}\n</code>"), "\n"),
            format!("```python\n{}\n```", each(&|code| format!(">>> {code}"), "\n")),
            each(&|code| format!("- tool: python\n  code: |\n    {code}\n"), ""),
            each(&|code| format!("I do:\n\n    {code}\n\n"), ""),
        ] {
            let source = match parse(&reply, Mode::Agent) {
                Action::Code { source, .. } => source,
                other => return Err(TestCaseError::fail(format!("{other:?}: {reply}"))),
            };
            let lines: Vec<_> = source.lines().filter(|line| !line.is_empty()).collect();
            prop_assert_eq!(lines, codes.iter().map(String::as_str).collect::<Vec<_>>(), "{}", reply);
        }
    }
}
