//! Texts of the REPL and its commands, through a pipe.

use crate::texts::Page;

const REPL: [&str; 2] = ["repl", "--no-mcp-config"];

#[test]
fn commands_of_the_repl() {
    let mut page = Page::with_pack();
    page.typed(&REPL, ":help\n");
    page.typed(
        &REPL,
        "\
x = 1
df = __import__('pandas').DataFrame({'a': [1, 2]})
open('f.txt', 'w').write('one')
:vars
:files
:branches
:fork
x = 2
:fork what-if
:branches
:switch main
x
:undo
:undo 2
:save state.bin
x = 5
:load state.bin
x
:time sum(range(1000))
:out saved
:files
:quit
",
    );
    page.typed(&[&REPL[..], &["--quiet"]].concat(), "x = 1\n:fork\n:undo\n");
    page.pinned("repl_commands");
}

#[test]
fn invalid_commands_of_the_repl() {
    let mut page = Page::with_pack();
    page.write("rubbish.bin", "no state");
    page.typed(
        &REPL,
        "\
:frob
:undo x
:undo 9
:save
:save missing/state.bin
:load
:load missing.bin
:load rubbish.bin
:switch
:switch none
:fork a b
:fork main
:time
:time 1 / 0
:out
:out saved
",
    );
    let session = [&REPL[..], &["--session", "work"]].concat();
    page.typed(
        &session,
        "x = 1\n:undo 5\n:save state.bin\n:load state.bin\n:fork a/b\n:fork new\n:branches\n",
    );
    page.typed(
        &session,
        ":branches\n:undo 1\n:undo 1\n:switch none\n:switch new\nx\n",
    );
    page.pinned("repl_commands_wrong");
}

#[test]
fn blocks_that_fail() {
    let mut page = Page::with_pack();
    page.typed(
        &REPL,
        "1 / 0\nx = = 1\nfor i in range(2):\n\nimport sys; sys.exit(3)\n",
    );
    page.typed(
        &[&REPL[..], &["--fuel", "100000000"]].concat(),
        "x = 1\nwhile True: pass\n\nprint('x' * 10)\n",
    );
    page.typed(
        &[&REPL[..], &["--max-output", "1K"]].concat(),
        "print('x' * 5000)\n",
    );
    page.typed(&REPL, "ask_user('who?')\ninput('who? ')\n");
    page.pinned("repl_blocks");
}
