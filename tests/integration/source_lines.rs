//! Source lines: tracebacks and `inspect` show the text that the code was compiled from.

use crate::support::{Codeact, codeact, exec, ready};

/// A folder of sessions, and of scripts.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        ready();
        Self(tempfile::tempdir().unwrap())
    }

    fn exec(&self, args: &[&str]) -> Codeact {
        let exec = exec()
            .args(["--session", "s"])
            .args(args.iter().copied())
            .cwd(self.0.path());
        exec.host_env("CODEACT_SESSIONS", self.0.path())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }
}

#[test]
fn a_function_of_an_earlier_turn_keeps_its_lines() {
    let home = Home::new();
    (home.exec(&["-c", "def f(d):\n    return d['key'] / 0"]))
        .run()
        .success();
    let done = (home.exec(&["-c", "a = 1\nb = 2  # innocent\nf({})"]))
        .run()
        .code(1);
    for part in [
        "File \"<turn 2>\", line 3, in <module>\n    f({})\n",
        "File \"<turn 1>\", line 2, in f\n    return d['key'] / 0\n",
    ] {
        assert!(done.stderr.contains(part), "{}", done.stderr);
    }
    let code = "import inspect\nprint('x')\nprint(inspect.getsource(f))";
    let done = home.exec(&["-c", code]).run().success();
    assert_eq!(done.stdout, "x\ndef f(d):\n    return d['key'] / 0\n\n");
}

#[test]
fn undoing_a_turn_undoes_its_text() {
    let home = Home::new();
    home.exec(&["-c", "def f(): 1 / 0"]).run().success();
    home.exec(&["-c", "def f(): [][1]"]).run().success();
    (codeact(["session", "undo", "s"]))
        .host_env("CODEACT_SESSIONS", home.0.path())
        .run()
        .success();
    let done = home.exec(&["-c", "# other\nf()"]).run().code(1);
    assert!(
        done.stderr.contains("line 1, in f\n    def f(): 1 / 0\n")
            && done
                .stderr
                .contains("File \"<turn 2>\", line 2, in <module>\n    f()\n"),
        "{}",
        done.stderr
    );
}

#[test]
fn an_edited_script_does_not_change_the_lines_of_its_earlier_version() {
    let home = Home::new();
    home.write("prog.py", "def old():\n    1 / 0  # first\n");
    home.exec(&["prog.py"]).run().success();
    home.write("prog.py", "# edited\n\ndef new():\n    1 / 0  # second\n");
    home.exec(&["prog.py"]).run().success();
    let done = home.exec(&["-c", "old()"]).run().code(1);
    let part = "File \"prog.py\", line 2, in old\n    1 / 0  # first\n";
    assert!(done.stderr.contains(part), "{}", done.stderr);
    let done = home.exec(&["-c", "new()"]).run().code(1);
    let part = "File \"prog.py (2)\", line 4, in new\n    1 / 0  # second\n";
    assert!(done.stderr.contains(part), "{}", done.stderr);
}

#[test]
fn the_position_of_a_stopped_turn_has_the_lines_of_earlier_turns() {
    let home = Home::new();
    let code = "def spin(x):\n    while True:\n        x += 1  # for ever";
    home.exec(&["-c", code]).run().success();
    let done = (home.exec(&["--timeout", "1s", "-c", "# other\n\n\nspin(1)"]))
        .run()
        .code(124);
    for part in [
        "File \"<turn 2>\", line 4, in <module>\n    spin(1)\n",
        "File \"<turn 1>\", line ",
        ", in spin\n    ",
    ] {
        assert!(done.stderr.contains(part), "{}", done.stderr);
    }
    assert!(
        done.stderr.contains("while True:\n") || done.stderr.contains("x += 1  # for ever\n"),
        "{}",
        done.stderr
    );
}

#[test]
fn inspect_has_the_source_of_classes() {
    let home = Home::new();
    let first =
        "class A:\n    x = 1\n\nclass Same:\n    first = 1\n    def f(self): pass\nOld = Same";
    home.exec(&["-c", first]).run().success();
    let second = "
import dataclasses, enum, inspect


@dataclasses.dataclass
class Data:
    x: int = 0
class Kind(enum.Enum):
    ONE = 1
def make():
    class Inner:
        y = 2
    return Inner
for cls in (A, Old, Data, Kind, make()):
    print(inspect.getsource(cls), end='|')
try: inspect.getsource(type('Made', (), {}))
except (OSError, TypeError) as error: print(type(error).__name__)
";
    let done = home.exec(&["-c", second]).run().success();
    assert_eq!(
        done.stdout,
        "class A:\n    x = 1\n|class Same:\n    first = 1\n    def f(self): pass\n|\
         @dataclasses.dataclass\nclass Data:\n    x: int = 0\n|class Kind(enum.Enum):\n    ONE = 1\n|\
         \x20   class Inner:\n        y = 2\n|OSError\n"
    );
}

#[test]
fn a_script_has_a_file_name_and_other_code_has_none() {
    let home = Home::new();
    home.write(
        "prog.py",
        "import inspect, os, sys\nprint(__file__, os.path.dirname(os.path.abspath(__file__)))\n\
         print(inspect.getsource(sys.modules['__main__']).count('\\n'))\n",
    );
    let done = exec().cwd(home.0.path()).arg("prog.py").run().success();
    assert_eq!(done.stdout, "/home/user/prog.py /home/user\n3\n");
    exec()
        .code("assert '__file__' not in globals()")
        .run()
        .success();
}

#[test]
fn lines_are_counted_as_the_compiler_counts_them() {
    // `str.splitlines` splits at these characters, and the compiler does not.
    let done = exec()
        .code("a = 'x\u{2028}\u{c}\u{1c}\u{85}'\n\u{c}b = 2\n1 / 0  # here")
        .run()
        .code(1);
    let part = "line 3, in <module>\n    1 / 0  # here\n";
    assert!(done.stderr.contains(part), "{}", done.stderr);
}

#[test]
fn errors_of_the_compiler_have_their_line_and_carets() {
    for (code, line) in [
        (
            "x = 1\ndef f(x, x):\n    pass",
            "    def f(x, x):\n             ^\n",
        ),
        ("for x in []: pass\nbreak", "    break\n    ^"),
        ("nonlocal x", "    nonlocal x\n    ^"),
        ("def f():\n    x = 1\n    global x", "    global x\n    ^"),
        (
            "x = 1\nfrom __future__ import nothing",
            "    from __future__ import nothing\n",
        ),
        ("return 1\n", "    return 1\n    ^"),
    ] {
        let done = exec().code(code).run().code(1);
        assert!(done.stderr.contains(line), "{code}: {}", done.stderr);
        assert!(done.stderr.contains("SyntaxError: "), "{}", done.stderr);
    }
}

#[test]
fn a_source_file_can_declare_its_encoding() {
    let home = Home::new();
    let run = |content: &[u8]| {
        home.write("prog.py", content);
        exec().cwd(home.0.path()).arg("prog.py").run()
    };
    let done = run(b"# -*- coding: latin-1 -*-\nprint('caf\xE9', len('\xE9'))\n1 / 0  # \xE9\n");
    assert_eq!(done.stdout, "café 1\n");
    assert!(done.stderr.contains("    1 / 0  # é\n"), "{}", done.stderr);
    let done = run(b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nprint('\x80')").success();
    assert_eq!(done.stdout, "€\n");
    let done = run("# coding: koi8-r\nprint('\u{410}')".as_bytes()).success();
    assert_eq!(done.stdout, "п░\n");
    for (content, error) in [
        (
            &b"# coding: nonsense\nx = 1"[..],
            "SyntaxError: unknown encoding: nonsense",
        ),
        (b"# coding: ascii\nx = '\xE9'", "SyntaxError"),
    ] {
        let done = run(content).code(1);
        assert!(done.stderr.contains(error), "{}", done.stderr);
    }
    let done = run(b"x = '\xE9'").code(125);
    assert!(
        done.stderr.contains("does not declare another encoding"),
        "{}",
        done.stderr
    );
}

#[test]
fn lone_surrogates_in_errors_are_escaped() {
    let done = exec().code("raise ValueError('bad \\udcff')").run().code(1);
    assert!(
        done.stderr.ends_with("ValueError: bad \\udcff\n"),
        "{}",
        done.stderr
    );
    let done = exec()
        .args(["--json"])
        .code("raise KeyError('\\ud800')")
        .run()
        .code(1);
    assert!(done.stdout.contains(r"'\\ud800'"), "{}", done.stdout);
}

#[test]
fn printed_tracebacks_have_no_advice_on_site_packages() {
    let code = "
import logging, traceback
try: import nosuch
except ImportError as error:
    print(traceback.format_exc())
    print(traceback.TracebackException.from_exception(error))
    logging.exception('x')
try:
    try: import nosuch
    except ImportError as error: raise ValueError from error
except ValueError: traceback.print_exc()
";
    let done = exec().code(code).run().success();
    let all = done.stdout + &done.stderr;
    assert!(all.contains("No module named 'nosuch'\n"), "{all}");
    assert!(!all.contains("Site initialization"), "{all}");
}

#[test]
fn missing_standard_modules_are_not_offered_as_packages() {
    for (module, hint) in [
        ("resource", "use tracemalloc"),
        ("curses", "no terminal"),
        ("tkinter", "draw with matplotlib"),
        ("asyncio.nosuch", "No module named 'asyncio.nosuch'\n"),
        ("distutils", "use shutil, sysconfig or packaging"),
    ] {
        let done = exec().code(&format!("import {module}")).run().code(1);
        assert!(done.stderr.contains(hint), "{}", done.stderr);
        assert!(
            !done.stderr.contains("pure-Python package"),
            "{}",
            done.stderr
        );
    }
    let done = exec().code("import nosuch").run().code(1);
    assert!(
        done.stderr.contains("pure-Python package"),
        "{}",
        done.stderr
    );
}
