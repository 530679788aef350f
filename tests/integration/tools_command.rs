//! Tools, questions and approvals through the command.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::model_server::{Exchange, ModelServer, run, solve};
use crate::support::{Codeact, codeact, exec, ready};

/// Writes a shell script that serves as a tool.
pub fn script(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    path.display().to_string()
}

const PRICE: &str = r#"
if [ "$1" = --describe ]; then
  echo '{"description": "The price of an item", "inputSchema": {"type": "object",
    "properties": {"item": {"type": "string"}}, "required": ["item"]},
    "outputSchema": {"type": "number"}}'
  exit
fi
read input
case "$input" in
  *pear*) echo 1.5 ;;
  *) echo "no price of $input" >&2; echo '{"error": "there is no such item"}'; exit 3 ;;
esac
"#;

#[test]
fn a_program_is_a_tool() {
    let dir = tempfile::tempdir().unwrap();
    let price = script(dir.path(), "price", PRICE);
    let tool = format!("price={price}");
    let code = "
print(tools.price('pear') * 2)
try: tools.price('kiwi')
except ToolError as e: print(e)
try: tools.price(5)
except ToolError as e: print(e)";
    let done = exec().args(["--tool", &tool]).code(code).run().success();
    done.stdout(
        "3.0\nthere is no such item\nprice: argument `item`: 5 is not of type \"string\"\n",
    )
    // For the user, not for the code.
    .stderr_contains("no price of");
}

#[test]
fn the_schema_of_a_program_can_be_in_a_file_next_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let cat = script(dir.path(), "cat.sh", "exec cat");
    let text = script(dir.path(), "text", "echo plain text; exit 0");
    let silent = script(dir.path(), "silent", "exit 4");
    for (name, schema) in [
        (
            "cat.json",
            json!({ "inputSchema": { "type": "object", "properties": { "n": { "type": "integer" } } } }),
        ),
        ("text.json", json!({ "description": "Text" })),
        ("silent.json", json!({})),
    ] {
        std::fs::write(dir.path().join(name), schema.to_string()).unwrap();
    }
    let tools = [
        format!("cat={cat}"),
        format!("text={text}"),
        format!("silent={silent}"),
    ];
    let code = "
print(tools.cat(n=5), tools.cat(), tools.text(anything=1))
try: tools.silent()
except ToolError as e: print(e)";
    let all = tools.iter().flat_map(|tool| ["--tool", tool]);
    let done = exec().args(all).code(code).run().success();
    done.stdout("{'n': 5} {} plain text\nit ended with exit status: 4\n");
}

#[test]
fn an_invalid_program_is_an_error_before_any_code_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mute = script(dir.path(), "mute", "exit 1");
    let wrong = script(dir.path(), "wrong", "echo '[1]'");
    let plain = dir.path().join("plain");
    std::fs::write(&plain, "no program").unwrap();
    for (tool, words) in [
        (format!("a={mute}"), "--describe"),
        (
            format!("a={wrong}"),
            "expected an object with `description`",
        ),
        (format!("a={}", plain.display()), "executable"),
        ("a=./no/such/file".to_owned(), "not a file: "),
        (format!("search={mute}"), "describe"),
    ] {
        exec()
            .args(["--tool", &tool])
            .code("print('ran')")
            .run()
            .code(125)
            .stdout("")
            .stderr_contains(words);
    }
    exec().args(["--tool", "nothing"]).code("1").run().code(2);
    exec()
        .args(["--approve", "perhaps"])
        .code("1")
        .run()
        .code(2);
}

#[test]
fn tools_lists_the_tools_of_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let price = script(dir.path(), "price", PRICE);
    let tool = format!("price={price}");
    codeact(["tools", "--no-mcp-config", "--tool", &tool])
        .run()
        .success()
        .stdout("tools.price(item: str) -> float\n    The price of an item\n");
    let done = codeact(["tools", "--no-mcp-config", "--json", "--tool", &tool])
        .run()
        .success();
    let list = done.json();
    assert_eq!(list[0]["signature"], "price(item: str) -> float");
    assert_eq!(list[0]["input_schema"]["required"], json!(["item"]));
    codeact(["tools", "--no-mcp-config"])
        .run()
        .success()
        .stdout("")
        .stderr_contains("there are no tools");
}

#[test]
fn tools_are_in_the_prompt_and_the_code_calls_them() {
    let dir = tempfile::tempdir().unwrap();
    let price = script(dir.path(), "price", PRICE);
    let reply = "```python\nfinal_answer(sum(tools.price(item) for item in ['pear', 'pear']))\n```";
    let first = Exchange::say(reply).check("the tool is in the prompt", |sent| {
        sent.message(0).contains("tools.price(item: str) -> float")
            && sent.message(0).contains("The price of an item")
    });
    let tool = format!("price={price}");
    solve(
        "What do two pears cost?",
        &["--no-mcp-config", "--tool", &tool],
        [first],
    )
    .success()
    .stdout("3.0\n")
    .stderr_contains("> price {\"item\":\"pear\"} (");
}

#[test]
fn a_call_that_needs_approval_is_denied_without_a_user() {
    let dir = tempfile::tempdir().unwrap();
    let price = script(dir.path(), "price", PRICE);
    let tool = format!("price={price}");
    let code = "
try: tools.price('pear')
except ToolDenied as e: print(e)
try: ask_user('who?')
except RuntimeError as e: print(e)
input('who? ')";
    exec()
        .args(["--tool", &tool, "--approve", "ask"])
        .code(code)
        .run()
        .code(1)
        .stdout_contains("no one can be asked here; decide without asking\nno one can be asked")
        .stderr_contains("calls that need approval will be denied")
        .stderr_contains("EOFError");
    exec()
        .args([
            "--tool",
            &tool,
            "--approve",
            "never",
            "--approve",
            "always:pri*",
        ])
        .code("print(tools.price('pear'))")
        .run()
        .success()
        .stdout("1.5\n");
}

#[test]
fn with_json_questions_are_events_with_answers_on_stdin() {
    let dir = tempfile::tempdir().unwrap();
    let price = script(dir.path(), "price", PRICE);
    let reply = "```python
item = ask_user('Which fruit?', choices=['pear', 'kiwi'])
said = [tools.price(item)]
try: tools.price('kiwi')
except ToolDenied as e: said.append(str(e))
final_answer(said)
```";
    let server = ModelServer::start([Exchange::say(reply)]);
    let tool = format!("price={price}");
    let mut command = run(&server, "Ask.")
        .args([
            "--json",
            "--interactive",
            "--no-mcp-config",
            "--tool",
            &tool,
        ])
        .args(["--approve", "ask:price"])
        .spawn();
    let mut next = |kind: &str| loop {
        let event: Value = serde_json::from_str(&command.line()).unwrap();
        if event["type"] == kind {
            let answer = match (kind, event["arguments"]["item"].as_str()) {
                ("question", _) => r#"{"answer": "pear"}"#,
                (_, Some("pear")) => r#"{"approve": true}"#,
                _ => r#"{"approve": false, "reason": "too exotic"}"#,
            };
            if kind != "finished" {
                command.write(&format!("{answer}\n"));
            }
            return event;
        }
    };
    let question = next("question");
    assert_eq!(question["question"], "Which fruit?");
    assert_eq!(question["choices"], json!(["pear", "kiwi"]));
    let approval = next("approval");
    assert_eq!(approval["tool"], "price");
    assert_eq!(approval["arguments"], json!({ "item": "pear" }));
    assert_eq!(next("approval")["arguments"]["item"], "kiwi");
    assert_eq!(next("finished")["answer"], json!([1.5, "too exotic"]));
    assert_eq!(command.end().exit, Some(0));
    server.done();
}

/// Returns `codeact` with a separate folder of sessions.
fn at(home: &Path, args: &[&str]) -> Codeact {
    ready();
    codeact(args.iter().copied()).host_env("CODEACT_SESSIONS", home.join("sessions"))
}

#[test]
fn a_question_suspends_its_session_and_is_answered_later() {
    let home = tempfile::tempdir().unwrap();
    let calls = home.path().join("calls");
    let buy = format!(
        "{}echo once >> '{}'\necho 7\n",
        "if [ \"$1\" = --describe ]; then echo '{}'; exit; fi\n",
        calls.display()
    );
    let buy = script(home.path(), "buy", &buy);
    let grants = ["--tool", &format!("buy={buy}"), "--approve", "ask"];
    let code = "
import random
before = random.random()
name = ask_user('Who are you?')
price = tools.buy()
print(name, price, before == random.random())";
    at(home.path(), &["exec", "--session", "work", "-c", code])
        .args(grants)
        .run()
        .code(75)
        .stderr_contains("the code asks: Who are you?")
        .stderr_contains("codeact session resume work");
    // The session does not continue without an answer.
    at(home.path(), &["exec", "--session", "work", "-c", "1"])
        .run()
        .code(125)
        .stderr_contains("waits for an answer");
    at(home.path(), &["session", "resume", "work"])
        .run()
        .code(125)
        .stderr_contains("--answer TEXT");
    at(
        home.path(),
        &["session", "resume", "work", "--answer", "Ann"],
    )
    .args(grants)
    .run()
    .code(75)
    .stderr_contains("the code wants to call: buy()");
    assert!(!calls.exists(), "it was called before it was approved");
    at(
        home.path(),
        &["session", "resume", "work", "--answer", "yes"],
    )
    .args(grants)
    .run()
    .success()
    .stdout("Ann 7 False\n");
    assert_eq!(std::fs::read_to_string(&calls).unwrap(), "once\n");
    at(home.path(), &["session", "resume", "work"])
        .run()
        .code(125)
        .stderr_contains("is not suspended");
    at(
        home.path(),
        &["exec", "--session", "work", "-c", "print(name, price)"],
    )
    .run()
    .success()
    .stdout("Ann 7\n");
    // A question can be discarded.
    at(
        home.path(),
        &[
            "exec",
            "--session",
            "work",
            "-c",
            "name = ask_user('And now?')",
        ],
    )
    .run()
    .code(75);
    at(home.path(), &["session", "undo", "work"])
        .run()
        .success();
    at(
        home.path(),
        &["exec", "--session", "work", "-c", "print(name)"],
    )
    .run()
    .success()
    .stdout("Ann\n");
}

#[test]
fn an_agent_is_resumed_with_an_answer_in_another_process() {
    let home = tempfile::tempdir().unwrap();
    let first = Exchange::say("I look.\n```python\nx = 20\nprint(x)\n```");
    let second =
        Exchange::say("I ask.\n```python\nn = int(ask_user('How many?'))\nprint('got', n)\n```")
            .sees("20");
    let server = ModelServer::start([first, second]);
    let ended = run(&server, "Multiply x by what the user says.")
        .args(["--session", "talk", "--no-mcp-config"])
        .host_env("CODEACT_SESSIONS", home.path().join("sessions"))
        .run()
        .code(75);
    ended.stdout("").stderr_contains("the code asks: How many?");
    server.done();
    // The model receives the observation after the earlier messages.
    let third = Exchange::say("Done.\n```python\nfinal_answer(x * n)\n```")
        .roles("suauau")
        .sees("got 3");
    let server = ModelServer::start([third]);
    at(
        home.path(),
        &[
            "session",
            "resume",
            "talk",
            "--answer",
            "3",
            "--no-mcp-config",
        ],
    )
    .args([
        "--model",
        crate::model_server::MODEL,
        "--base-url",
        &server.url(),
    ])
    .host_env("OPENAI_API_KEY", crate::model_server::KEY)
    .run()
    .success()
    .stdout("60\n");
    server.done();
}

/// Starts an HTTP server that responds with the received request.
fn echo_server(requests: usize) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let mut seen = Vec::new();
        for _ in 0..requests {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
                let n = stream.read(&mut buffer).unwrap();
                assert!(n > 0, "a request ends");
                bytes.extend_from_slice(&buffer[..n]);
            }
            let text = String::from_utf8(bytes).unwrap();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                text.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
            seen.push(text);
        }
        seen
    });
    (port, thread)
}

const TOKEN: &str = "very-secret-value-42";

#[test]
fn a_secret_reaches_its_host_and_nothing_else() {
    let (port, server) = echo_server(2);
    let (other, others) = echo_server(1);
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("a.recording");
    let code = format!(
        "
import os, urllib.request
token = os.environ['API_TOKEN']
def get(port):
    url = f'http://127.0.0.1:{{port}}/?key={{token}}'
    request = urllib.request.Request(url, headers={{'Authorization': 'Bearer ' + token}})
    return urllib.request.urlopen(request).read().decode()
print(get({port}), get({other}))
open('left.txt', 'w').write(get({port}))
raise ValueError(token)"
    );
    let done = exec()
        .args(["--allow-net", &format!("127.0.0.1:{other}")])
        .args(["--secret", &format!("API_TOKEN@127.0.0.1:{port}")])
        .args(["--record", &recording.display().to_string()])
        .args(["--out", &dir.path().join("out").display().to_string()])
        .host_env("API_TOKEN", TOKEN)
        .code(&code)
        .run()
        .code(1);
    for request in server.join().unwrap() {
        assert!(request.contains(&format!("key={TOKEN}")), "{request}");
        assert!(request.contains(&format!("Bearer {TOKEN}")), "{request}");
    }
    for request in others.join().unwrap() {
        assert!(!request.contains(TOKEN), "{request}");
    }
    done.stdout_lacks(TOKEN)
        .stderr_lacks(TOKEN)
        .stdout_contains("Bearer CODEACT_SECRET_API_TOKEN")
        .stderr_contains("ValueError: CODEACT_SECRET_API_TOKEN");
    let left = std::fs::read_to_string(dir.path().join("out/left.txt")).unwrap();
    assert!(!left.contains(TOKEN) && left.contains("CODEACT_SECRET_API_TOKEN"));
    let recorded_bytes = std::fs::read(&recording).unwrap();
    assert!(
        !recorded_bytes
            .windows(TOKEN.len())
            .any(|part| part == TOKEN.as_bytes())
    );
    // Replayed without a network, and without the secret.
    codeact(["replay", &recording.display().to_string()])
        .run()
        .code(1)
        .stdout_contains("Bearer CODEACT_SECRET_API_TOKEN");
}

#[test]
fn a_secret_needs_a_host_and_a_source() {
    for (args, words) in [
        (
            &["--secret", "CODEACT_TEST_NOT_THERE@example.com"][..],
            "no variable",
        ),
        (&["--secret", "PATH"], "PATH@"),
        (
            &["--secret", "PATH=no-such-file@example.com"],
            "no-such-file",
        ),
    ] {
        exec()
            .args(args.iter().copied())
            .code("print('ran')")
            .run()
            .code(125)
            .stdout("")
            .stderr_contains(words);
    }
    exec().args(["--allow-net", "a b"]).code("1").run().code(2);
}

#[test]
fn requests_go_to_allowed_hosts_only() {
    let (port, server) = echo_server(1);
    let code = format!(
        "
import urllib.error, urllib.request
def get(url):
    try: return urllib.request.urlopen(url, timeout=5).read().decode().split()[1]
    except urllib.error.URLError as e: return str(e.reason)
for url in ('http://127.0.0.1:{port}/here', 'http://127.0.0.1:1/', 'http://localhost:{port}/',
            'http://2130706433:1/', 'http://[::1]:{port}/', 'https://example.com/', 'ftp://127.0.0.1/'):
    print(get(url))"
    );
    let done = exec()
        .args(["--allow-net", &format!("127.0.0.1:{port}")])
        .code(&code)
        .run()
        .success();
    let lines: Vec<_> = done.stdout.lines().collect();
    assert_eq!(lines[0], "/here");
    assert_eq!(lines.len(), 7, "{lines:#?}");
    for line in &lines[1..6] {
        assert!(line.contains("is not among the allowed hosts"), "{line}");
    }
    server.join().unwrap();
    exec()
        .code("import urllib.request; urllib.request.urlopen('http://127.0.0.1:1/')")
        .run()
        .code(1)
        .stderr_contains("the sandbox has no network; use the data and tools you were given");
}

#[cfg(unix)]
#[test]
fn on_a_terminal_the_user_answers() {
    ready();
    let Some(python) = crate::support::native_python() else {
        panic!("expected a CPython 3.12 or later on this machine");
    };
    let home = tempfile::tempdir().unwrap();
    let buy = "if [ \"$1\" = --describe ]; then echo '{}'; exit; fi; echo 7";
    let buy = script(home.path(), "buy", buy);
    let driver = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/integration/people_terminal.py"
    );
    let output = std::process::Command::new(python)
        .args([driver, env!("CARGO_BIN_EXE_codeact"), &buy])
        .arg(home.path().join("sessions"))
        .env("TERM", "xterm")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
}

#[test]
fn servers_of_the_users_configuration_are_used_and_those_of_a_folder_only_if_named() {
    let home = tempfile::tempdir().unwrap();
    let own = home.path().join("codeact");
    let here = home.path().join("project");
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/mcp_server.py");
    for (folder, name) in [(&own, "mine"), (&here, "theirs")] {
        std::fs::create_dir(folder).unwrap();
        let servers = json!({ "mcpServers": {
            name: { "command": "${PYTHON_OF_THE_TEST:-python3}", "args": [server, "well"] },
            "off": { "command": "no-such-program", "disabled": true },
        }});
        std::fs::write(folder.join("mcp.json"), servers.to_string()).unwrap();
    }
    let tools = |args: &[&str]| {
        codeact(["tools"])
            .args(args.iter().copied())
            .host_env("CODEACT_HOME", "")
            .host_env("XDG_CONFIG_HOME", home.path())
            .cwd(&here)
            .run()
            .success()
    };
    tools(&[])
        .stdout_contains("tools.mine.")
        .stdout_lacks("tools.theirs.")
        .stderr_contains("the servers of mcp.json in this folder are not used");
    tools(&["--mcp-config", "mcp.json"])
        .stdout_contains("tools.mine.")
        .stdout_contains("tools.theirs.")
        .stderr_lacks("are not used");
    tools(&["--no-mcp-config"])
        .stdout("")
        .stderr_contains("there are no tools");
}
