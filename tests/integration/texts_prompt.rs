//! Texts for the model: the system prompt, the task, and the observations.

use std::sync::mpsc::{Sender, channel};

use crate::model_server::{Exchange, ModelServer, Sent, run};
use crate::texts::Page;

const NO_FILE: &str = "--no-mcp-config";

/// Returns `exchange`, which sends `part` of its request to a channel.
fn reporting(
    exchange: Exchange,
    sender: &Sender<String>,
    part: impl Fn(&Sent) -> String + Send + 'static,
) -> Exchange {
    let sender = sender.clone();
    // The receiver may be dropped.
    exchange.check("it is told", move |sent| {
        let _ = sender.send(part(sent));
        true
    })
}

fn answer() -> Exchange {
    Exchange::say("```python\nfinal_answer(1)\n```")
}

/// Pins the first two messages of a run with `args` and `input` on stdin.
fn prompt(page: &mut Page, args: &[&str], input: &str) {
    let (send, receiver) = channel();
    let first = reporting(answer(), &send, |sent| {
        format!(
            "--- system\n{}\n--- user\n{}",
            sent.message(0),
            sent.message(1)
        )
    });
    let server = ModelServer::start([first]);
    page.hide_port(&server.origin);
    let command = run(&server, "Count the lines.")
        .args(args.iter().copied())
        .stdin(input);
    let done = page
        .command(command)
        .host_env("OPENAI_API_KEY", crate::model_server::KEY)
        .run();
    let sent = receiver
        .recv()
        .unwrap_or_else(|e| panic!("nothing was sent ({e}): {done:?}"));
    let input = if input.is_empty() { "" } else { " < input" };
    page.part(&format!("codeact run {}{input}", args.join(" ")), &sent);
    server.done();
}

fn tool(page: &Page, name: &str, description: &str) -> String {
    let text = format!(
        "if [ \"$1\" = --describe ]; then\n  echo '{{\"description\": \"{description}\", \"inputSchema\": \
         {{\"type\": \"object\", \"properties\": {{\"item\": {{\"type\": \"string\"}}}}, \"required\": \
         [\"item\"]}}}}'\n  exit\nfi\necho 1\n"
    );
    page.script(name, &text);
    format!("{name}=./{name}")
}

#[test]
fn the_prompt_alone() {
    let mut page = Page::with_pack();
    prompt(&mut page, &[NO_FILE], "");
    prompt(
        &mut page,
        &[NO_FILE, "--timeout", "90s", "--max-memory", "256M"],
        "",
    );
    page.pinned("prompt");
}

#[test]
fn the_prompt_for_one_program() {
    let mut page = Page::with_pack();
    prompt(&mut page, &[NO_FILE, "--once"], "");
    page.pinned("prompt_once");
}

#[test]
fn the_prompt_with_input() {
    let mut page = Page::with_pack();
    prompt(&mut page, &[NO_FILE, "--once"], "a,b\n1,2\n");
    prompt(&mut page, &[NO_FILE, "--once"], &"a,b\n".repeat(500));
    page.pinned("prompt_input");
}

#[test]
fn the_prompt_with_mounts() {
    let mut page = Page::with_pack();
    page.write("data/a.csv", "a\n");
    page.write("data/sub/b.csv", "b\n");
    page.write("single.txt", "x\n");
    for number in 10..40 {
        page.write(&format!("many/{number}.txt"), "x");
    }
    prompt(
        &mut page,
        &[
            NO_FILE,
            "--once",
            "--mount",
            "data",
            "--mount",
            "many:/many:overlay",
            "--mount",
            "single.txt",
        ],
        "",
    );
    page.pinned("prompt_mounts");
}

#[test]
fn the_prompt_with_tools() {
    let mut page = Page::with_pack();
    let price = tool(&page, "price", "The price of an item.");
    let wordy = tool(&page, "wordy", &"Many words. ".repeat(100));
    prompt(
        &mut page,
        &[NO_FILE, "--tool", &price, "--tool", &wordy],
        "",
    );
    prompt(&mut page, &[NO_FILE, "--once", "--tool", &price], "");
    page.pinned("prompt_tools");
}

#[test]
fn the_prompt_with_many_tools() {
    let mut page = Page::with_pack();
    let tools: Vec<String> = (10..35)
        .map(|number| tool(&page, &format!("tool_{number}"), "One of many."))
        .collect();
    let mut args = vec![NO_FILE];
    args.extend(tools.iter().flat_map(|tool| ["--tool", tool]));
    prompt(&mut page, &args, "");
    page.run(&[&["tools"], &args[..]].concat());
    page.pinned("prompt_many_tools");
}

#[test]
fn the_prompt_with_a_network_secrets_and_user_input() {
    let mut page = Page::with_pack();
    page.set("GOOD_TOKEN", "a-long-enough-value");
    let net = ["--allow-net", "example.com,*.example.org:8443"];
    prompt(&mut page, &[&[NO_FILE, "--once"][..], &net].concat(), "");
    let secret = ["--secret", "GOOD_TOKEN@api.example.com"];
    prompt(
        &mut page,
        &[&[NO_FILE, "--once"][..], &net, &secret].concat(),
        "",
    );
    prompt(&mut page, &[NO_FILE, "--session", "work"], "");
    page.pinned("prompt_network");
}

/// Pins the observation after each of `replies`, in a run with `args`.
fn observed(name: &str, args: &[&str], replies: &[&str]) {
    let mut page = Page::with_pack();
    for reply in replies {
        let (send, receiver) = channel();
        let second = reporting(answer(), &send, |sent| sent.last().to_owned());
        page.part("the model's reply", reply);
        page.solve(
            "Count the lines.",
            &[&[NO_FILE], args].concat(),
            [Exchange::say(reply), second],
        );
        let sent = receiver.recv().expect("there was a second request");
        page.part("the model is told", &sent);
    }
    page.pinned(name);
}

#[test]
fn observations_of_code_that_ran() {
    observed(
        "observation_ran",
        &["--max-output", "20K", "--quiet"],
        &[
            "```python\nprint('out')\n```",
            "```python\nprint('out')\n5\n```",
            "```python\nx = 5\n```",
            "```python\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\n```",
            "```python\nimport sys\nprint('hm', file=sys.stderr)\n```",
            "```python\n'abcdefghij' * 900\n```",
            "```python\nprint('abcdefghij' * 900)\n```",
            "```python\nprint('abcdefghij' * 3000)\n```",
        ],
    );
}

#[test]
fn observations_of_code_that_failed() {
    observed(
        "observation_failed",
        &["--fuel", "100000000"],
        &[
            "```python\nprint('begun')\n1 / 0\n```",
            "```python\nx = = 1\n```",
            "```python\nimport requests\n```",
            "```python\nimport sys; sys.exit(3)\n```",
            "```python\nimport os; os._exit(4)\n```",
            "```python\nimport os; os.abort()\n```",
            "```python\nprint('begun')\nwhile True: pass\n```",
            "```python\nraise ValueError('x' * 5000)\n```",
            "```python\nimport pandas as pd\npd.DataFrame({'a': [1]})['b']\n```",
            "```python\nask_user('who?')\n```",
        ],
    );
}

#[test]
fn observations_of_code_that_took_too_long() {
    observed(
        "observation_timeout",
        &["--timeout", "2s"],
        &["```python\nwhile True: pass\n```"],
    );
}

#[test]
fn observations_of_replies_without_code() {
    observed(
        "observation_no_code",
        &[],
        &[
            "It is 42.",
            "```bash\nls -l\n```",
            "```python\n\n```",
            "<think>I wonder",
            "<think>I wonder</think>",
            "{\"name\": \"search\", \"arguments\": {\"q\": \"a\"}}",
            "{\"code\": \"\"}",
            "I begin\nx = 5\nThen I go on, and\ny = x + 1\nprint(y)\nthat is it, of course.",
        ],
    );
}

#[test]
fn observations_of_replies_that_repeat_or_insist() {
    let mut page = Page::with_pack();
    let (send, receiver) = channel();
    let last = |exchange| reporting(exchange, &send, |sent| sent.last().to_owned());
    let code = || Exchange::say("```python\nx = 5\n```");
    let script = [
        code(),
        last(code()),
        last(Exchange::say("It is 5.")),
        last(Exchange::say("I said 5.")),
        last(Exchange::say("Five.")),
    ];
    page.solve("Count the lines.", &[NO_FILE], script);
    let same = "= 1200 * 8 + 900 ".repeat(400);
    page.solve(
        "Count the lines.",
        &[NO_FILE],
        [Exchange::say(&same), last(answer())],
    );
    let cut = Exchange::say_until(&["```python\nx = [1, 2,"], "length");
    page.solve("Count the lines.", &[NO_FILE], [cut, last(answer())]);
    drop(send);
    for sent in receiver {
        page.part("the model is told", &sent);
    }
    page.pinned("observation_repeated");
}
