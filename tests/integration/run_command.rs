//! `codeact run`: from a task to its answer, with error correction and limits.

use serde_json::{Value, json};

use crate::model_server::{Exchange, solve};

const LAPTOPS: &str = "Choose the best of three laptops by CPU x battery / price. Answer as JSON.";

const LAPTOPS_REPLY: &str = "\
I score the laptops.
```python
laptops = {'Laptop A': (1200, 9500, 8), 'Laptop B': (1000, 8700, 10), 'Laptop C': (900, 8000, 7)}
scores = {name: cpu * hours / price for name, (price, cpu, hours) in laptops.items()}
print(scores)
final_answer({'selected_laptop': max(scores, key=scores.get), 'scores': scores})
```";

#[test]
fn the_laptop_task_ends_with_its_json_on_stdout() {
    let first = Exchange::say(LAPTOPS_REPLY)
        .roles("su")
        .check("the task comes last", |sent| {
            sent.last() == format!("Task: {LAPTOPS}")
        })
        .check("the system prompt explains how to answer", |sent| {
            let system = sent.message(0);
            system.contains("```python") && system.contains("final_answer(value)")
        });
    let done = solve(LAPTOPS, &[], [first]).success();
    let answer = done.json();
    assert_eq!(answer["selected_laptop"], "Laptop B");
    for (laptop, expected) in [
        ("Laptop A", 9500.0 * 8.0 / 1200.0),
        ("Laptop B", 87.0),
        ("Laptop C", 8000.0 * 7.0 / 900.0),
    ] {
        let score = answer["scores"][laptop].as_f64().unwrap();
        assert!((score - expected).abs() < 1e-12, "{laptop}: {score}");
    }
    // The output of the code is not the answer.
    done.stdout_lacks("{'Laptop A'")
        .stderr_contains("{'Laptop A': 63.33")
        .stderr_contains("model: scripted at http://127.0.0.1:")
        .stderr_contains("final_answer({'selected_laptop'");
}

#[test]
fn answers_are_printed_as_text_or_json() {
    for (value, expected) in [
        ("'Laptop B'", "Laptop B\n"),
        ("'two\\nlines\\n'", "two\nlines\n"),
        ("'née €'", "née €\n"),
        ("3 ** 50", "717897987691852588770249\n"),
        ("None", "null\n"),
        ("[1.5, True]", "[\n  1.5,\n  true\n]\n"),
    ] {
        let reply = format!("```python\nfinal_answer({value})\n```");
        solve("t", &[], [Exchange::say(&reply)])
            .success()
            .stdout(expected);
    }
}

#[test]
fn an_error_reaches_the_model_with_its_traceback() {
    let broken = "I add.\n```python\nbase = 40\nprint('begun')\ntotal = base + bonus\n```";
    let repair = Exchange::say("```python\nbonus = 2\nfinal_answer(base + bonus)\n```")
        .roles("suau")
        .after(broken)
        .check("it is an observation", |sent| {
            sent.last().starts_with("Observation:\n")
        })
        .sees("begun")
        .sees("Traceback (most recent call last):\n  File \"<turn 1>\", line 3, in <module>\n")
        .sees("    total = base + bonus\n")
        .sees("NameError: name 'bonus' is not defined")
        .sees("Fix the code")
        .sees_no("codeact");
    solve("add", &[], [Exchange::say(broken), repair])
        .success()
        .stdout("42\n")
        .stderr_contains("NameError: name 'bonus' is not defined");
}

#[test]
fn a_syntax_error_reaches_the_model_with_its_line() {
    let broken = "```python\nx = 1\nprint(x))\n```";
    let repair = Exchange::say("```python\nfinal_answer(1)\n```")
        .sees("line 2")
        .sees("print(x))")
        .sees("SyntaxError: unmatched ')'")
        .sees_no("codeact");
    solve("t", &[], [Exchange::say(broken), repair])
        .success()
        .stdout("1\n");
}

#[test]
fn variables_functions_and_files_last_from_step_to_step() {
    let first = "```python\nimport math\nn = 9\ndef root(): return math.sqrt(n)\n\
                 open('a.txt', 'w').write('text')\n```";
    let second = Exchange::say("```python\nprint(root(), open('a.txt').read())\n```")
        .roles("suau")
        .sees("Value of the last expression:\n4\n");
    let third = Exchange::say("```python\nfinal_answer(n)\n```")
        .roles("suauau")
        .sees("Output:\n3.0 text\n");
    solve("t", &[], [Exchange::say(first), second, third])
        .success()
        .stdout("9\n");
}

#[test]
fn running_out_of_steps_is_exit_code_1_with_advice() {
    let script = [
        Exchange::say("```python\nprint('one')\n```"),
        Exchange::say("```python\nprint('two')\n```").sees("one"),
    ];
    solve("t", &["--max-steps", "2"], script)
        .code(1)
        .stdout("")
        .stderr_contains("no answer after 2 steps; --max-steps allows more");
}

#[test]
fn repeated_code_has_a_notice() {
    const NOTE: &str = "exactly this code";
    let code = "```python\nprint('same')\n```";
    let script = [
        Exchange::say(code),
        Exchange::say(code).sees("same").sees_no(NOTE),
        Exchange::say("```python\nprint('other')\n```")
            .sees("same")
            .sees(NOTE),
        Exchange::say("```python\nfinal_answer('end')\n```")
            .sees("other")
            .sees_no(NOTE),
    ];
    solve("t", &[], script).success().stdout("end\n");
}

#[test]
fn code_that_times_out_is_reported_and_rolled_back() {
    let first = "```python\nkept = [1]\nprint('first')\n```";
    let endless =
        "```python\nkept.append(2)\nnew = 3\nprint('begun', end='')\nwhile True: pass\n```";
    let script = [
        Exchange::say(first).check("the limit is in the prompt", |sent| {
            sent.message(0).contains("2 seconds")
        }),
        Exchange::say(endless),
        Exchange::say("```python\nfinal_answer([kept, 'new' in globals()])\n```")
            .sees("Output:\nbegun")
            .sees("it ran longer than 2 seconds")
            .sees("variables are as they were before"),
    ];
    let done = solve("t", &["--timeout", "2s"], script).success();
    assert_eq!(done.json(), json!([[1], false]));
    done.stderr_contains("it ran longer than 2 seconds");
}

#[test]
fn truncated_output_is_reported_to_the_model() {
    let script = [
        Exchange::say("```python\nfor _ in range(50): print('x' * 99)\n```"),
        Exchange::say("```python\nfinal_answer(1)\n```")
            .sees("stdout was cut: 4000 bytes over the limit were dropped"),
    ];
    solve("t", &["--max-output", "1000"], script).success();

    let script = [
        Exchange::say("```python\nprint('first' + 'x' * 50_000 + 'last')\n```"),
        Exchange::say("```python\nfinal_answer(1)\n```")
            .sees("first")
            .sees("last")
            .sees("characters left out")
            .check("it is short", |sent| sent.last().len() < 10_000),
    ];
    solve("t", &[], script).success();
}

#[test]
fn an_exit_in_the_code_is_reported_and_the_run_continues() {
    let script = [
        Exchange::say("```python\nx = 1\nimport sys; sys.exit(3)\n```"),
        Exchange::say("```python\nfinal_answer(x)\n```").sees("exit status 3"),
    ];
    solve("t", &[], script).success().stdout("1\n");
}

#[test]
fn json_prints_every_event_as_a_line_and_the_answer_last() {
    let script = [
        Exchange::refuse(429, "retry-after: 0\r\n", "slow down"),
        Exchange::say("One.\n```python\nprint('é')\n1 / 0\n```"),
        Exchange::say("```python\nfinal_answer({'a': 1.5})\n```").roles("suau"),
    ];
    let done = solve("t", &["--json"], script).success();
    let events: Vec<Value> = (done.stdout.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut types: Vec<_> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    types.dedup();
    let one = ["step_started", "model_retry", "reply_delta", "reply"];
    let two = ["code_started", "output", "observation"];
    let three = ["step_started", "reply_delta", "reply", "code_started"];
    let expected: Vec<_> = [&one[..], &two, &three, &["finished"]].concat();
    assert_eq!(types, expected);
    let last = events.last().unwrap();
    let expected = json!({
        "type": "finished", "answered": true, "ending": "answered", "reason": null,
        "answer": {"a": 1.5}, "steps": 2
    });
    assert_eq!(*last, expected);
    let find = |kind| events.iter().find(|e| e["type"] == kind).unwrap();
    let output = events.iter().filter(|e| e["type"] == "output");
    let output: String = output.map(|e| e["text"].as_str().unwrap()).collect();
    assert_eq!(output, "é\n");
    assert_eq!(find("code_started")["code"], "print('é')\n1 / 0");
    assert_eq!(find("output")["stream"], "stdout");
    assert_eq!(find("model_retry")["attempt"], 1);
    done.stderr_lacks("step 1");
}

#[test]
fn json_without_an_answer_is_exit_code_1_with_a_finished_event() {
    let script = [Exchange::say("```python\nprint(1)\n```")];
    let done = solve("t", &["--json", "--max-steps", "1"], script).code(1);
    let last: Value = serde_json::from_str(done.stdout.lines().last().unwrap()).unwrap();
    let expected = json!({
        "type": "finished", "answered": false, "ending": "out_of_steps", "reason": null,
        "answer": null, "steps": 1
    });
    assert_eq!(last, expected);
    done.stderr_contains("--max-steps");
}

#[test]
fn quiet_prints_only_the_answer() {
    let script = [
        Exchange::refuse(429, "retry-after: 0\r\n", "slow down"),
        Exchange::say("```python\nimport sys\nprint('p', file=sys.stderr)\n1 / 0\n```"),
        Exchange::say("```python\nprint('p')\nfinal_answer(1)\n```"),
    ];
    solve("t", &["-q"], script)
        .success()
        .stdout("1\n")
        .stderr("");
}

#[test]
fn verbose_shows_replies_and_observations() {
    let script = [
        Exchange::say("I look first.\n```python\nprint(6 * 7)\n```"),
        Exchange::say("Now I answer.\n```python\nfinal_answer(1)\n```"),
    ];
    solve("t", &["-v"], script)
        .success()
        .stdout("1\n")
        .stderr_contains("I look first.\n```python\nprint(6 * 7)\n```\n")
        .stderr_contains("Observation:\nOutput:\n42\n")
        .stderr_contains("Now I answer.\n");
}

#[test]
fn a_seed_is_sent_to_the_model_and_fixes_the_codes_randomness() {
    let code = "```python\nimport random\nfinal_answer(random.random())\n```";
    let answers: Vec<String> = (0..2)
        .map(|_| {
            let first = Exchange::say(code).check("the seed", |sent| sent.body["seed"] == 7);
            solve("t", &["--seed", "7"], [first]).success().stdout
        })
        .collect();
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn an_answer_with_tuples_as_keys_keeps_every_entry() {
    let code = "final_answer({('A', 'x'): 1, ('A', 'y'): 2, ('B', 'x'): 3})";
    let done = solve(
        "t",
        &[],
        [Exchange::say(&format!("```python\n{code}\n```"))],
    )
    .success();
    let answer = done.json();
    assert_eq!(answer.as_object().unwrap().len(), 3, "{answer}");
}
