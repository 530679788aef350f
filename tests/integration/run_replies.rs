//! Replies in the forms that models send, parsed and run.

use crate::model_server::{Exchange, solve};

const NOTICE: &str = "You answered without running code";

#[test]
fn code_is_found_and_run_in_every_form() {
    for (name, reply) in [
        ("bare", "x = int('42')\nfinal_answer(x)"),
        ("bare after prose", "I compute it.\nfinal_answer(6 * 7)"),
        ("unclosed", "So:\n```python\nfinal_answer(\n    6 * 7\n)\n"),
        (
            "several blocks",
            "First\n```python\na = 6\n```\nthen\n```py\ndef f(b):\n    return a * b\n```\nand\n\
             ```python\nfinal_answer(f(7))\n```\nDone.",
        ),
        ("code tag", "Look:\n<code>\nfinal_answer(6 * 7)\n</code>"),
        ("execute tag", "<execute>final_answer(6 * 7)</execute>"),
        (
            "CRLF",
            "I see.\r\n```python\r\ntext = '''a\r\nb'''\r\nif text == 'a\\nb':\r\n    \
             final_answer(6 * 7)\r\n```\r\n",
        ),
        (
            "reasoning",
            "<think>\nPerhaps\n```python\nfinal_answer(0)\n```\n</think>\n\
             ```python\nfinal_answer(42)\n```",
        ),
        (
            "JSON",
            "{\"thought\": \"I multiply\", \"code\": \"final_answer(6 * 7)\"}",
        ),
        (
            "indented",
            "1. This:\n\n   ```python\n   if True:\n       final_answer(42)\n   ```",
        ),
        (
            "a fence in a string",
            "```python\ns = '''\n```\nx\n```\n'''\nfinal_answer(38 + s.count('\\n'))\n```",
        ),
    ] {
        for exchange in [Exchange::say(reply), Exchange::say_json(reply)] {
            let done = solve("t", &["--max-steps", "1"], [exchange]);
            assert_eq!(done.stdout, "42\n", "{name}: {done:?}");
            done.success();
        }
    }
}

#[test]
fn an_answer_before_any_code_is_rejected() {
    let script = [
        Exchange::say("It is 41."),
        Exchange::say("```python\nfinal_answer(6 * 7)\n```")
            .roles("suau")
            .after("It is 41.")
            .sees(&format!("Observation: {NOTICE}"))
            .sees("```python"),
    ];
    solve("6 * 7?", &[], script).success().stdout("42\n");
}

#[test]
fn an_answer_that_is_repeated_twice_is_accepted() {
    let script = [
        Exchange::say("It is Paris."),
        Exchange::say("Yes, Paris.").sees(NOTICE),
        Exchange::say("I need no code: Paris.").sees(NOTICE),
    ];
    solve("France's capital?", &[], script)
        .success()
        .stdout("I need no code: Paris.\n");
}

#[test]
fn prose_after_code_is_the_answer() {
    let script = [
        Exchange::say("```python\nprint(6 * 7)\n```"),
        Exchange::say("The product is 42.\n\nThat is all.").sees("Output:\n42"),
    ];
    solve("6 * 7?", &[], script)
        .success()
        .stdout("The product is 42.\n\nThat is all.\n");
}

#[test]
fn prose_after_code_without_a_result_is_rejected() {
    for code in ["x = 42", "print('begun')\nx = 42\n1 / 0"] {
        let script = [
            Exchange::say(&format!("```python\n{code}\n```")),
            Exchange::say("So it is 41."),
            Exchange::say("```python\nfinal_answer(x)\n```")
                .roles("suauau")
                .sees("the code has shown no result")
                .sees("The task is: 6 * 7?"),
        ];
        solve("6 * 7?", &[], script).success().stdout("42\n");
    }
}

#[test]
fn an_unreadable_reply_gets_the_reason_as_observation() {
    for (reply, reason) in [
        ("```bash\nls -l\n```", "holds bash; only Python can be run"),
        ("```python\n\n```", "code block is empty"),
        ("<think>I wonder", "inside its reasoning"),
        (
            "{\"name\": \"search\", \"arguments\": {\"q\": \"a\"}}",
            "calls the tool \"search\" as JSON",
        ),
    ] {
        let script = [
            Exchange::say(reply),
            Exchange::say("```python\nfinal_answer(1)\n```")
                .roles("suau")
                .after(reply)
                .sees(reason)
                .check("it is an observation", |sent| {
                    sent.last().starts_with("Observation: The reply")
                }),
        ];
        solve("t", &[], script).success().stdout("1\n");
    }
}

#[test]
fn several_calls_in_a_reply_run_as_one_program_in_order() {
    for (name, reply) in [
        (
            "mistral",
            "[TOOL_CALLS]python{\"code\": \"x = 6\"}[TOOL_CALLS]python{\"code\": \"final_answer(x * 7)\"}",
        ),
        (
            "kimi",
            "<|tool_calls_section_begin|><|tool_call_begin|>functions.python:0<|tool_call_argument_begin|>\
             {\"code\": \"x = 6\"}<|tool_call_end|><|tool_call_begin|>functions.python:1\
             <|tool_call_argument_begin|>{\"code\": \"final_answer(x * 7)\"}<|tool_call_end|>\
             <|tool_calls_section_end|>",
        ),
        (
            "deepseek",
            "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"python\">\n\
             <｜DSML｜parameter name=\"code\" string=\"true\">x = 6</｜DSML｜parameter>\n\
             </｜DSML｜invoke>\n<｜DSML｜invoke name=\"python\">\n\
             <｜DSML｜parameter name=\"code\" string=\"true\">final_answer(x * 7)</｜DSML｜parameter>\n\
             </｜DSML｜invoke>\n</｜DSML｜function_calls>",
        ),
        (
            "llama",
            "<|python_start|>[python(code=\"x = 6\"), python(code=\"final_answer(x * 7)\")]<|python_end|>",
        ),
        (
            "statements between blocks",
            "```python\nx = 3\n```\nx = x * 2\n```python\nfinal_answer(x * 7)\n```",
        ),
    ] {
        let done = solve("t", &["--max-steps", "1"], [Exchange::say(reply)]);
        assert_eq!(done.stdout, "42\n", "{name}: {done:?}");
        done.success();
    }
}

#[test]
fn a_reply_of_which_code_would_be_lost_or_shown_as_the_answer_is_refused() {
    for reply in [
        "I am done: `final_answer(41)`.",
        "```diff\n+final_answer(41)\n```",
        "<execute_bash>\nls\n</execute_bash>",
        "```python\n>>> x = 40\nx = x + 2\n>>> final_answer(x)\n```",
        "x = 41\nNow I give the answer.\nfinal_answer(x)",
        "```python\nx = 41\n```\nI add one:\nx += 1\n```python\nfinal_answer(x)\n```",
    ] {
        let script = [
            Exchange::say("```python\nprint(6 * 7)\n```"),
            Exchange::say(reply).sees("Output:\n42"),
            Exchange::say("```python\nfinal_answer(42)\n```")
                .after(reply)
                .sees("Observation: The reply mixes Python and prose without a fence"),
        ];
        solve("6 * 7?", &[], script).success().stdout("42\n");
    }
}

#[test]
fn an_observation_that_the_model_invents_is_cut_off() {
    const CODE: &str = "```python\nprint(6 * 7)\n```";
    const MADE_UP: &str = "\nObservation: 41\n```python\nfinal_answer(41)\n```";
    let whole = format!("{CODE}{MADE_UP}");
    let split = ["```python\nprint(6 * 7)\n```", "\nOb", "serva", "tion", ":"];
    for exchange in [
        Exchange::say(&whole),
        Exchange::say_json(&whole),
        Exchange::say_deltas(&[CODE, MADE_UP]),
        Exchange::say_deltas(&[&split[..], &[" 41", "\nfinal_answer(41)"]].concat()),
        // The client closes the connection: this server would keep it open.
        Exchange::say_and_hold(&whole),
    ] {
        let script = [
            exchange,
            Exchange::say("The real one: 42.").after(CODE).sees("42"),
        ];
        solve("t", &["-v"], script)
            .success()
            .stdout("The real one: 42.\n")
            .stderr_lacks("Observation: 41")
            .stderr_lacks("final_answer(41)");
    }
}

#[test]
fn an_open_fence_is_cut_at_the_stop_sequence_and_run() {
    let reply = "Sum:\n```python\nx = 41\nprint(x + 1)\nObservation:\n43\nSo it is 43.";
    let script = [
        Exchange::say(reply),
        Exchange::say("```python\nfinal_answer(x)\n```")
            .after("Sum:\n```python\nx = 41\nprint(x + 1)")
            .sees("Output:\n42\n")
            .sees_no("43"),
    ];
    solve("t", &[], script).success().stdout("41\n");
}

#[test]
fn a_prefix_of_a_stop_sequence_is_preserved() {
    let reply = "```python\nprint('a')\n```\nObservations follow.\nObs";
    let script = [
        Exchange::say(reply),
        Exchange::say("End.").after(reply).sees("Output:\na\n"),
    ];
    solve("t", &[], script).success().stdout("End.\n");
}

#[test]
fn a_reply_that_repeats_itself_is_cut_off_and_the_model_receives_a_notice() {
    let endless = format!(
        "I add them.\n```python\nx = \"{}",
        "1 + 2 = 3, ".repeat(1000)
    );
    let script = [
        Exchange::say(&endless),
        Exchange::say("```python\nfinal_answer(3)\n```").sees("the same text over and over"),
    ];
    let done = solve("t", &[], script).success();
    assert_eq!(done.stdout, "3\n");
}

#[test]
fn a_reply_cut_at_the_length_limit_is_not_run() {
    let half = "```python\nopen('half', 'w').write('x')\nfor i in range(";
    let script = [
        Exchange::say_until(&[half], "length"),
        Exchange::say("```python\nimport os\nfinal_answer(os.path.exists('half'))\n```")
            .sees("cut off at the length limit"),
    ];
    let done = solve("t", &[], script).success();
    assert_eq!(done.stdout, "false\n");
}

#[test]
fn an_observation_within_a_string_ends_nothing() {
    let reply = "```python\ns = '''a\nObservation: 1\nObservation: 2\n'''\nfinal_answer(s.count('Obs'))\n```";
    for exchange in [
        Exchange::say(reply),
        Exchange::say_json(reply),
        Exchange::say_deltas(&[&reply[..30], &reply[30..]]),
    ] {
        let done = solve("t", &["--max-steps", "1"], [exchange]).success();
        assert_eq!(done.stdout, "2\n");
    }
}

#[test]
fn reasoning_is_never_run() {
    for (open, close) in [
        ("<reasoning>", "</reasoning>"),
        ("[THINK]", "[/THINK]"),
        ("<|channel|>analysis<|message|>", "<|end|>"),
        ("", "</think>"),
    ] {
        let reply = format!(
            "{open}\n```python\nfinal_answer(0)\n```\n{close}\n```python\nfinal_answer(42)\n```"
        );
        let done = solve("t", &["--max-steps", "1"], [Exchange::say(&reply)]).success();
        assert_eq!(done.stdout, "42\n", "{open}");
    }
}

/// A text after a result is an answer, so the run must have one.
#[test]
fn a_call_of_a_code_tool_is_run_and_is_no_answer() {
    for call in [
        "I add.\n{\"name\": \"execute\", \"arguments\": {\"code\": \"n += 1\\nfinal_answer(n)\"}}",
        "<tool_call>\n<function=python>\n<parameter=code>\nn += 1\nfinal_answer(n)\n</parameter>\n</function>\n</tool_call>",
        "[TOOL_CALLS][{\"name\": \"python\", \"arguments\": {\"code\": \"n += 1\\nfinal_answer(n)\"}}]",
        "Action: python\nAction Input: final_answer(n + 1)",
        // This one is cut, and refused.
        "{\"name\": \"python\", \"arguments\": {\"code\": \"n += 2",
    ] {
        let script = [
            Exchange::say("```python\nn = 42\nprint(n)\n```"),
            Exchange::say(call),
            Exchange::say("```python\nfinal_answer(n + 1)\n```"),
        ];
        let used = if call.ends_with("2") { 3 } else { 2 };
        let done = solve("t", &[], script.into_iter().take(used)).success();
        assert_eq!(done.stdout, "43\n", "{call}");
    }
}

#[test]
fn a_function_named_final_answer_hides_the_real_one_in_its_own_code_only() {
    let script = [
        Exchange::say("```python\ndef final_answer(x):\n    print(x)\nfinal_answer(41)\n```"),
        Exchange::say("```python\nfinal_answer(42)\n```").sees("Output:\n41"),
    ];
    solve("t", &[], script).success().stdout("42\n");
}

#[test]
fn equal_rows_of_code_are_no_endless_reply() {
    let rows = "    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],\n".repeat(60);
    let reply = format!("```python\nm = [\n{rows}]\nfinal_answer(len(m))\n```");
    let done = solve("t", &["--max-steps", "1"], [Exchange::say(&reply)]).success();
    assert_eq!(done.stdout, "60\n");
}
