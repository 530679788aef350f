//! Texts of `codeact run`: steps and endings, as text and as JSON.

use crate::model_server::{Exchange, KEY, MODEL, ModelServer};
use crate::texts::Page;

const ANSWER: &str = "The answer.\n```python\nfinal_answer({'a': 1})\n```";
const NO_FILE: &str = "--no-mcp-config";

/// Returns replies with code that prints, fails, and answers.
fn three_steps() -> [Exchange; 3] {
    [
        Exchange::say(
            "I look.\n```python\nimport sys\nprint('looking')\nprint('hm', file=sys.stderr)\n5\n```",
        ),
        Exchange::say("It fails.\n```python\n1 / 0\n```"),
        Exchange::say(ANSWER),
    ]
}

#[test]
fn a_run_as_text() {
    let mut page = Page::with_pack();
    for args in [
        &[NO_FILE][..],
        &[NO_FILE, "--verbose"],
        &[NO_FILE, "--quiet"],
    ] {
        page.solve("t", args, three_steps());
    }
    page.solve(
        "t",
        &[NO_FILE],
        [Exchange::say("```python\nfinal_answer('text')\n```")],
    );
    page.solve(
        "t",
        &[NO_FILE],
        [Exchange::say(
            "```python\nfinal_answer([1.5, None, 'x'])\n```",
        )],
    );
    let looking = || Exchange::say("```python\nprint(1)\n```");
    page.solve("t", &[NO_FILE, "--max-steps", "1"], [looking()]);
    page.solve("t", &[NO_FILE, "--max-steps", "2"], [looking(), looking()]);
    let picture = "```python\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\n\
                   open('a.txt', 'w').write('x')\nfinal_answer(1)\n```";
    page.solve("t", &[NO_FILE], [Exchange::say(picture)]);
    page.solve("t", &[NO_FILE, "--out", "saved"], [Exchange::say(picture)]);
    page.pinned("run_people");
}

#[test]
fn answers_that_are_not_plain_values() {
    let mut page = Page::with_pack();
    for code in [
        "final_answer({1, 2})",
        "final_answer(object())",
        "final_answer(1, 2)",
        "final_answer(float('nan'))",
        "final_answer(b'bytes')",
        "final_answer({1: 'a', '1': 'b'})",
        "import numpy as np\nfinal_answer(np.arange(3))",
        "final_answer('x' * (64 << 20))",
    ] {
        let reply = format!("```python\n{code}\n```");
        page.solve("t", &[NO_FILE, "--max-steps", "1"], [Exchange::say(&reply)]);
    }
    page.pinned("run_answers");
}

#[test]
fn a_run_as_json() {
    let mut page = Page::with_pack();
    page.write("data/a.txt", "one\n");
    page.solve("t", &[NO_FILE, "--json"], three_steps());
    let writes = "```python\nopen('/m/a.txt', 'w').write('two')\nfinal_answer(1)\n```";
    let mount = [NO_FILE, "--json", "--yes", "--mount", "data:/m:commit"];
    page.solve("t", &mount, [Exchange::say(writes)]);
    page.solve(
        "t",
        &[NO_FILE, "--json", "--max-steps", "1"],
        [Exchange::say("No code.")],
    );
    page.solve("t", &[NO_FILE, "--json"], [Exchange::refuse(401, "", "no")]);
    let retried = [
        Exchange::refuse(500, "retry-after: 0\r\n", "oops"),
        Exchange::say(ANSWER),
    ];
    page.solve("t", &[NO_FILE, "--json"], retried);
    page.pinned("run_json");
}

#[test]
fn a_program_that_is_invalid_or_fails() {
    let mut page = Page::with_pack();
    for reply in [
        "The answer is 42.",
        "Sure:\n```python\nprint(42)\n```",
        "```python\nprint(4)\n```\n```python\nprint(2)\n```",
        "```bash\necho 42\n```",
        "```json\n{}\n```",
        "```python\n\n```",
        "<think>I wonder",
        "print(",
        "```python\nprint('begun')\n1 / 0\n```",
        "```python\nprint('begun')\nimport sys; sys.exit(3)\n```",
        "```python\nprint('begun')\nwhile True: pass\n```",
        "```python\nprint('x' * 5000)\n```",
        "```python\nprint(42)\n```",
    ] {
        page.part("the reply", reply);
        let args = [
            NO_FILE,
            "--once",
            "--fuel",
            "100000000",
            "--max-output",
            "1K",
        ];
        page.solve("t", &args, [Exchange::say(reply)]);
    }
    page.pinned("run_once");
}

#[test]
fn an_agent_that_is_suspended() {
    let mut page = Page::with_pack();
    let asks =
        Exchange::say("I ask.\n```python\nn = int(ask_user('How many?'))\nprint('got', n)\n```");
    page.solve("t", &[NO_FILE, "--session", "talk"], [asks]);
    page.run(&["session", "resume", "talk", NO_FILE]);
    let server = ModelServer::start([
        Exchange::say("Done.\n```python\nfinal_answer(n * 2)\n```").roles("suau")
    ]);
    page.hide_port(&server.origin);
    page.set("OPENAI_API_KEY", KEY);
    let url = server.url();
    let resume = [
        "session", "resume", "talk", "--answer", "3", NO_FILE, "--model", MODEL,
    ];
    page.run(&[&resume[..], &["--base-url", &url]].concat());
    server.done();
    page.run(&["session", "show", "talk"]);
    page.pinned("run_waiting");
}
