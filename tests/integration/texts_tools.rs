//! Texts about tools, approvals and questions.

use serde_json::json;

use crate::model_server::{Exchange, KEY, ModelServer, run};
use crate::texts::Page;

/// A script that prints the price of an item, or fails.
const PRICE: &str = r#"
if [ "$1" = --describe ]; then
  cat <<'END'
{"description": "The price of an item.\nIn euros.", "inputSchema": {"type": "object",
  "properties": {"item": {"type": "string", "description": "what to buy"},
    "n": {"type": "integer", "default": 1}}, "required": ["item"]},
  "outputSchema": {"type": "number"}}
END
  exit
fi
read input
case "$input" in
  *pear*) echo 1.5 ;;
  *) echo "no price of $input" >&2; echo '{"error": "there is no such item"}'; exit 3 ;;
esac
"#;

fn with_price() -> Page {
    let page = Page::with_pack();
    page.script("price", PRICE);
    page.script(
        "silent",
        "if [ \"$1\" = --describe ]; then echo '{}'; exit; fi\nexit 4\n",
    );
    page
}

const GRANTED: [&str; 4] = ["--tool", "price=./price", "--tool", "silent=./silent"];

#[test]
fn the_list_of_tools() {
    let mut page = with_price();
    page.run_all(&[
        &["tools", "--no-mcp-config"],
        &["tools", "--no-mcp-config", "--json"],
        &["tools", "--no-mcp-config", "--tool", "price=./price"],
        &[
            "tools",
            "--no-mcp-config",
            "--json",
            "--tool",
            "price=./price",
        ],
    ]);
    page.write("mcp.json", "{\"mcpServers\": {}}");
    // A folder without the mcp.json of the machine.
    page.set("CODEACT_HOME", "");
    page.run(&["tools"]);
    page.pinned("tools_list");
}

#[test]
fn invalid_programs() {
    let mut page = Page::with_pack();
    page.script("mute", "exit 1\n");
    page.script("loud", "echo 'cannot start' >&2; exit 1\n");
    page.script("wrong", "echo '[1]'\n");
    page.script("text", "echo 'no JSON'\n");
    page.script("fine", "echo '{}'\n");
    page.write("plain", "no program");
    page.script("beside.sh", "cat\n");
    for (name, schema) in [
        ("list", json!({ "inputSchema": { "type": "array" } })),
        ("none", json!({ "inputSchema": "none" })),
        (
            "kind",
            json!({ "inputSchema": { "type": "object", "properties": { "x": { "type": 5 } } } }),
        ),
        ("result", json!({ "outputSchema": { "type": 5 } })),
        (
            "twice",
            json!({ "inputSchema": { "type": "object", "properties": { "a-b": {}, "a_b": {} } } }),
        ),
    ] {
        page.script(&format!("{name}.sh"), "cat\n");
        page.write(&format!("{name}.json"), schema.to_string());
    }
    page.write("beside.json", "{");
    for tool in [
        "a=./mute",
        "a=./loud",
        "a=./wrong",
        "a=./text",
        "a=./plain",
        "a=./missing",
        "a=no-such-program-of-codeact",
        "a=.",
        "search=./fine",
        "a b=./fine",
        "import=./fine",
        "beside=./beside.sh",
        "list=./list.sh",
        "none=./none.sh",
        "kind=./kind.sh",
        "result=./result.sh",
        "twice=./twice.sh",
    ] {
        page.run(&["tools", "--no-mcp-config", "--tool", tool]);
    }
    page.run(&[
        "tools",
        "--no-mcp-config",
        "--tool",
        "a=./fine",
        "--tool",
        "a=./fine",
    ]);
    page.run(&["exec", "-c", "print('ran')", "--tool", "a=./mute"]);
    page.pinned("tools_refused");
}

#[test]
fn failures_of_tools_in_the_code() {
    let mut page = with_price();
    let lines = [
        "tools.price('pear')",
        "tools.price('kiwi')",
        "tools.price(5)",
        "tools.price()",
        "tools.price('pear', 1, 2)",
        "tools.price('pear', frob=1)",
        "tools.price(item=b'x')",
        "tools.price('pear', n=2 ** 70)",
        "tools.price(item=object())",
        "tools.price(item={1, 2})",
        "tools.silent()",
        "tools.prise('pear')",
        "tools.frob",
        "tools.describe('price')",
        "tools.describe('frob')",
        "tools.search('price')",
        "tools.search('nothing like it')",
        "help(tools.price)",
        "repr(tools), repr(tools.price)",
        "sorted(tools)",
        "issubclass(ToolArgumentError, ToolError), issubclass(ToolDenied, ToolError)",
    ];
    page.tried(&GRANTED, "", &lines);
    page.run(&[&["exec", "-c", "tools.price('kiwi')"], &GRANTED[..]].concat());
    page.run(&[&["exec", "-c", "tools.price(5)"], &GRANTED[..]].concat());
    page.tried(
        &[],
        "",
        &["tools.price", "tools.search('x')", "sorted(tools)"],
    );
    let nested = "x = []\nfor _ in range(2000): x = [x]\ntools.price(item=x)";
    page.run(&[&["exec", "-c", nested], &GRANTED[..]].concat());
    page.pinned("tools_failures");
}

#[test]
fn calls_that_need_approval() {
    let mut page = with_price();
    let lines = [
        "tools.price('pear')",
        "ask_user('who?')",
        "ask_user('who?', choices=[])",
    ];
    for approve in [
        &["--approve", "ask"][..],
        &["--approve", "never"],
        &["--approve", "never", "--approve", "always:pri*"],
        &["--approve", "ask", "--quiet"],
    ] {
        page.tried(&[&GRANTED[..], approve].concat(), "", &lines);
    }
    page.run(&["exec", "-c", "ask_user('who?')"]);
    page.run(&["exec", "-c", "input('who? ')"]);
    page.pinned("tools_approval");
}

#[test]
fn invalid_answers_on_stdin() {
    let mut page = with_price();
    let code = "\
try: print(ask_user('Which?', choices=['a', 'b']))
except RuntimeError as e: print(e)
try: print(tools.price('pear'))
except ToolDenied as e: print(e)";
    let reply = format!("I ask.\n```python\n{code}\nfinal_answer('done')\n```");
    // The first line is for the question, the second for the call; then stdin ends.
    for input in [
        "",
        "{\"answer\": \"a\"}\n{\"approve\": false}\n",
        "frob\n{\"approve\": 5}\n",
    ] {
        let server = ModelServer::start([Exchange::say(&reply)]);
        page.hide_port(&server.origin);
        let args = [
            "--json",
            "--interactive",
            "--no-mcp-config",
            "--approve",
            "ask",
            "--tool",
            "price=./price",
        ];
        let run = run(&server, "Ask.").args(args).stdin(input);
        let done = page.command(run).host_env("OPENAI_API_KEY", KEY).run();
        server.done();
        let asked = |line: &&str| {
            ["question", "approval", "finished", "output"]
                .iter()
                .any(|kind| line.contains(&format!("\"type\":\"{kind}\"")))
        };
        let lines: Vec<_> = done.stdout.lines().filter(asked).collect();
        page.part(&format!("answers {input:?}"), &lines.join("\n"));
    }
    page.pinned("tools_interactive");
}
