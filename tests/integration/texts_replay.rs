//! Texts of recordings and `codeact replay`.

use serde_json::{Value, json};

use crate::model_server::Exchange;
use crate::texts::Page;

/// Changes the line `number`, from 1, of the recording `a.tape`.
fn edit(page: &Page, number: usize, change: impl FnOnce(&mut Value)) {
    let text = page.read("a.tape");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut line = serde_json::from_str(&lines[number - 1]).expect("a recording's line is JSON");
    change(&mut line);
    lines[number - 1] = line.to_string();
    page.write("a.tape", lines.join("\n") + "\n");
}

const RECORD: [&str; 4] = ["exec", "--record", "a.tape", "-c"];

#[test]
fn replays_that_are_the_same() {
    let mut page = Page::with_pack();
    let code = "import sys\nprint('out')\nprint('err', file=sys.stderr)\n1 / 0";
    page.run(&[&RECORD[..], &[code]].concat());
    page.run_all(&[
        &["replay", "a.tape"],
        &["replay", "--check", "a.tape"],
        &["replay", "--check", "a.tape", "a.tape"],
        &["replay", "--quiet", "a.tape"],
    ]);
    page.typed(&["replay", "--until", "1", "a.tape"], "x = 1\nx\n");
    page.run_all(&[
        &["replay", "--until", "2", "a.tape"],
        &["replay", "--until", "1", "a.tape", "a.tape"],
    ]);
    page.pinned("replay_same");
}

#[test]
fn replays_of_an_agents_run() {
    let mut page = Page::with_pack();
    page.solve(
        "How many?",
        &["--record", "a.tape", "--no-mcp-config"],
        [
            Exchange::say("I look.\n```python\nprint('looking')\n```"),
            Exchange::say("It fails.\n```python\n1 / 0\n```"),
            Exchange::say("Done.\n```python\nfinal_answer(42)\n```"),
        ],
    );
    page.run_all(&[
        &["replay", "a.tape"],
        &["replay", "--verbose", "a.tape"],
        &["replay", "--check", "a.tape"],
    ]);
    edit(&page, 3, |line| {
        line["turn"]["end"]["stdout"]["text"] = json!("0\n")
    });
    page.run_all(&[&["replay", "a.tape"], &["replay", "--check", "a.tape"]]);
    page.pinned("replay_run");
}

#[test]
fn replays_that_differ() {
    let mut page = Page::with_pack();
    page.run(
        &[
            &RECORD[..],
            &["import time; time.time(); time.time(); print('one\\ntwo')"],
        ]
        .concat(),
    );
    for code in [
        "import time; time.time(); time.monotonic(); print('one\\ntwo')",
        "import time; time.time(); print('one\\ntwo')",
        "import time; [time.time() for _ in range(3)]; print('one\\ntwo')",
        "import time; time.time(); time.time(); print('one\\n2')",
        "import time; time.time(); time.time(); print('one\\ntwo'); 5",
        "import time; time.time(); time.time(); print('one\\ntwo'); x = 1",
        "import time; time.time(); time.time(); print('one\\ntwo'); 1/0",
        "import time; time.time(); time.time(); print('one\\ntwo'); raise SystemExit(3)",
        "import time; time.time(); time.time(); print('one\\ntwo')\nwhile True: pass",
        "import time; time.time(); input(); print('one\\ntwo')",
        "import time; time.time(); open('/mnt/x'); print('one\\ntwo')",
    ] {
        edit(&page, 2, |line| line["turn"]["spec"]["code"] = json!(code));
        page.part("the code is changed to", code);
        page.run(&["replay", "--check", "a.tape"]);
    }
    page.pinned("replay_differs");
}

#[test]
fn replays_with_tools_and_mounts_that_differ() {
    let mut page = Page::with_pack();
    page.script(
        "echo",
        "if [ \"$1\" = --describe ]; then echo '{}'; exit; fi\ncat\n",
    );
    page.write("data/a.txt", "one\n");
    let code = "print(tools.echo(n=1), open('/mnt/data/a.txt').read())";
    let granted = ["--tool", "echo=./echo", "--mount", "data"];
    page.run(&[&RECORD[..], &[code], &granted].concat());
    page.run(&["replay", "a.tape"]);
    for code in [
        "print(tools.echo(n=2), open('/mnt/data/a.txt').read())",
        "print(open('/mnt/data/a.txt').read(), tools.echo(n=1))",
        "print(tools.echo(n=1)); import os; print(os.listdir('/mnt/data'))",
        "ask_user('who?')",
        "tools.describe('echo')",
        "1",
    ] {
        edit(&page, 2, |line| {
            line["turn"]["spec"]["code"] = json!(code);
        });
        page.part("the code is changed to", code);
        page.run(&["replay", "--check", "a.tape"]);
    }
    page.pinned("replay_tools");
}

#[test]
fn invalid_recordings() {
    let mut page = Page::with_pack();
    for bytes in [
        "",
        "hello\n",
        "{\"codeact_recording\":99}\n",
        "{\"codeact_recording\":1}\n",
    ] {
        page.write("a.tape", bytes);
        page.part("a.tape holds", bytes);
        page.run(&["replay", "a.tape"]);
    }
    page.run(&[&RECORD[..], &["print(1)"]].concat());
    let whole = page.read("a.tape");
    page.write("a.tape", &whole[..whole.len() - 1]);
    page.part("a.tape lacks its last byte", "");
    page.run(&["replay", "--check", "a.tape"]);
    page.write("a.tape", &whole);
    edit(&page, 2, |line| line["turn"]["journal"] = json!("AAAA"));
    page.part("the journal is damaged", "");
    page.run(&["replay", "a.tape"]);
    page.write("a.tape", &whole);
    edit(&page, 1, |line| line["start"] = json!("AAAA"));
    page.part("the state is damaged", "");
    page.run(&["replay", "a.tape"]);
    page.run_all(&[
        &["replay", "missing.tape"],
        &["replay", "."],
        &["exec", "--record", "missing/a.tape", "-c", "print(1)"],
    ]);
    page.pinned("replay_no_recordings");
}
