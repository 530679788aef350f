//! Texts of `codeact session` and `--session`.

use crate::support::codeact;
use crate::texts::Page;

#[test]
fn sessions_that_are_listed_undone_forked_and_moved() {
    let mut page = Page::with_pack();
    page.run_all(&[
        &["session", "list"],
        &[
            "exec",
            "--session",
            "work",
            "-c",
            "x = [1, 2]; print(x); open('f.txt', 'w').write('one')",
        ],
        &[
            "exec",
            "--session",
            "work",
            "-c",
            "import sys; print('to stderr', file=sys.stderr); 1 / 0",
        ],
        &[
            "exec",
            "--session",
            "work",
            "-c",
            "\nopen('f.txt', 'a').write('two'); x",
        ],
        &["exec", "--session", "work", "-c", "import sys; sys.exit(3)"],
        &[
            "exec",
            "--session",
            "work",
            "--fuel",
            "100000000",
            "-c",
            "while True: pass",
        ],
        &[
            "exec",
            "--session",
            "work",
            "-c",
            "import os; os.remove('f.txt'); del x",
        ],
        &["exec", "--session", "one", "-c", "x = 1"],
        &["session", "list"],
        &["session", "show", "work"],
        &["session", "log", "work"],
        &["session", "show", "one", "--json"],
        &["session", "undo", "work"],
        &["session", "undo", "work", "2"],
        &["session", "undo", "one"],
        &["session", "show", "one"],
        &["session", "fork", "work", "copy"],
        &["session", "fork", "work@1", "first"],
        &["session", "export", "work", "-o", "work.zip"],
        &["session", "import", "work.zip", "moved"],
        &["session", "rm", "moved", "first"],
        &["session", "import", "work.zip", "quiet", "--quiet"],
        &["session", "gc"],
    ]);
    page.pinned("sessions");
}

#[test]
fn missing_and_invalid_sessions() {
    let mut page = Page::with_pack();
    for name in ["../x", ".hidden", "a/b", "", "a b", "x."] {
        page.run(&["exec", "-c", "1", "--session", name]);
    }
    page.run_all(&[
        &["session", "show", "none"],
        &["session", "log", "none"],
        &["session", "undo", "none"],
        &["session", "fork", "none", "new"],
        &["session", "resume", "none"],
        &["session", "export", "none", "-o", "x.zip"],
        &["session", "rm", "none"],
        &["exec", "--session", "s", "-c", "x = 1"],
        &["exec", "--session", "s", "-c", "x = 2"],
        &["session", "undo", "s", "0"],
        &["session", "undo", "s", "9"],
        &["session", "fork", "s@99", "new"],
        &["session", "fork", "s@x", "new"],
        &["session", "fork", "s", "s"],
        &["session", "fork", "s", "a/b"],
        &["session", "resume", "s"],
        &["session", "export", "s", "-o", "missing/s.zip"],
        &["session", "gc", "--keep", "1"],
        &["session", "fork", "s@1", "gone"],
    ]);
    page.pinned("sessions_not_there");
}

#[test]
fn damaged_sessions() {
    let mut page = Page::with_pack();
    page.write("rubbish.zip", "no archive");
    page.write("half.zip", "");
    page.run_all(&[
        &["exec", "--session", "s", "-c", "x = 1"],
        &["session", "export", "s", "-o", "s.zip"],
    ]);
    let mut bytes = std::fs::read(page.path("s.zip")).expect("it was written");
    bytes.truncate(bytes.len() / 2);
    page.write("half.zip", bytes);
    page.run_all(&[
        &["session", "import", "missing.zip"],
        &["session", "import", "rubbish.zip"],
        &["session", "import", "half.zip"],
        &["session", "import", "s.zip"],
        &["session", "import", "s.zip", "a b"],
    ]);
    flip_a_bit(&page, "sessions/s/000001.snapshot");
    page.run_all(&[
        &["exec", "--session", "s", "-c", "1"],
        &["session", "undo", "s"],
    ]);
    page.write("sessions/t/000001.json", "{}");
    page.run_all(&[
        &["session", "show", "t"],
        &["exec", "--session", "t", "-c", "1"],
    ]);
    page.pinned("sessions_damaged");
}

fn flip_a_bit(page: &Page, name: &str) {
    let mut bytes = std::fs::read(page.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    page.write(name, bytes);
}

#[test]
fn a_session_in_use() {
    let mut page = Page::with_pack();
    let busy = [
        "exec",
        "--session",
        "s",
        "-c",
        "print('begun', flush=True); input()",
    ];
    let mut first = page.command(codeact(busy)).spawn();
    assert_eq!(first.line(), "begun\n");
    page.run_all(&[
        &["exec", "--session", "s", "-c", "1"],
        &["session", "undo", "s"],
        &["session", "fork", "s", "t"],
        &["session", "export", "s", "-o", "s.zip"],
        &["session", "rm", "s"],
        &["session", "list"],
    ]);
    first.write("\n");
    first.end().code(0);
    page.pinned("sessions_busy");
}

#[test]
fn a_suspended_question() {
    let mut page = Page::with_pack();
    page.script(
        "buy",
        "if [ \"$1\" = --describe ]; then echo '{}'; exit; fi\necho 7\n",
    );
    let grants = ["--tool", "buy=./buy", "--approve", "ask", "--no-mcp-config"];
    let code = "name = ask_user('Who are you?', choices=['Ann', 'Bob'])\nprint(name, tools.buy(item='pear'))";
    let ask = ["exec", "--session", "work", "-c", code];
    let granted = |args: &[&'static str]| [args, &grants].concat();
    page.run(&[&ask[..], &grants].concat());
    page.run_all(&[
        &["exec", "--session", "work", "-c", "1"],
        &["repl", "--session", "work", "--no-mcp-config"],
        &["session", "show", "work"],
        &["session", "list"],
        &["session", "resume", "work", "--no-mcp-config"],
    ]);
    page.run(&granted(&["session", "resume", "work", "--answer", "1"]));
    page.run(&granted(&["session", "resume", "work", "--answer", "yes"]));
    page.run(&["session", "resume", "work", "--no-mcp-config"]);
    page.run(&[&ask[..], &grants].concat());
    page.run(&["session", "undo", "work"]);
    // A negative answer, and one without the tools.
    let call = "try: tools.buy()\nexcept ToolDenied as e: print(e)";
    for answer in ["no", "it costs too much"] {
        page.run(&[&["exec", "--session", "no", "-c", call][..], &grants].concat());
        page.run(&granted(&["session", "resume", "no", "--answer", answer]));
    }
    page.run(&[&["exec", "--session", "no", "-c", call][..], &grants].concat());
    page.run(&[
        "session",
        "resume",
        "no",
        "--answer",
        "yes",
        "--no-mcp-config",
    ]);
    page.run_json(&[
        "exec",
        "--session",
        "json",
        "--json",
        "-c",
        "ask_user('A?')",
    ]);
    page.pinned("sessions_waiting");
}
