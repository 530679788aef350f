//! Tracebacks, and errors of programs that cannot be read.

use std::io::Write;

use crate::support::exec;

#[test]
fn a_traceback_shows_file_line_and_source_and_no_internal_frames() {
    exec()
        .code("def f(x):\n    return 1 / x\n\nf(0)")
        .run()
        .code(1)
        .stdout("")
        .stderr(
            "Traceback (most recent call last):
  File \"<string>\", line 4, in <module>
    f(0)
    ~^^^
  File \"<string>\", line 2, in f
    return 1 / x
           ~~^~~
ZeroDivisionError: division by zero
",
        );
}

#[test]
fn a_files_traceback_names_the_file_as_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("prog.py"), "\n\nboom\n").unwrap();
    exec()
        .cwd(folder.path())
        .arg("prog.py")
        .run()
        .code(1)
        .stderr_contains("File \"prog.py\", line 3, in <module>\n    boom\n")
        .stderr_contains("NameError: name 'boom' is not defined");
}

#[test]
fn no_traceback_shows_internal_files() {
    for code in [
        "raise ValueError('a') from KeyError('b')",
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise KeyError('x')",
        "raise ExceptionGroup('two', [ValueError(1), ExceptionGroup('in', [TypeError(2)])])",
        "x =",
        "  x = 1",
        "import nothing_of_that_name",
        "import pip",
        "import socket; socket.create_connection(('example.com', 80))",
        "import subprocess; subprocess.run(['ls'])",
        "import os; os.system('ls')",
        "def f(): return f()\nf()",
        "import __future__; eval('1 +')",
        "class A:\n    def __repr__(self): 1 / 0\nA()",
    ] {
        exec()
            .code(code)
            .run()
            .code(1)
            .stderr_lacks("<codeact>")
            .stderr_lacks("_codeact")
            .stderr_lacks("Site initialization");
    }
}

#[test]
fn chained_exceptions_are_all_shown() {
    exec()
        .code("try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('v') from e")
        .run()
        .code(1)
        .stderr_contains("KeyError: 'k'\n\nThe above exception was the direct cause")
        .stderr_contains("ValueError: v\n");
    exec()
        .code("try:\n    {}['k']\nexcept KeyError:\n    1 / 0")
        .run()
        .code(1)
        .stderr_contains("During handling of the above exception, another exception occurred")
        .stderr_contains("ZeroDivisionError: division by zero\n");
}

#[test]
fn an_exception_group_shows_its_members() {
    exec()
        .code("raise ExceptionGroup('two', [ValueError('one'), KeyError('other')])")
        .run()
        .code(1)
        .stderr_contains("ExceptionGroup: two (2 sub-exceptions)")
        .stderr_contains("| ValueError: one")
        .stderr_contains("| KeyError: 'other'");
}

#[test]
fn notes_on_an_exception_are_shown() {
    exec()
        .code("e = ValueError('v')\ne.add_note('look here')\nraise e")
        .run()
        .code(1)
        .stderr_contains("ValueError: v\nlook here\n");
}

#[test]
fn a_syntax_error_points_at_its_position() {
    exec()
        .code("a = 1\nif a\n    pass")
        .run()
        .code(1)
        .stdout("")
        .stderr("  File \"<string>\", line 2\n    if a\n        ^\nSyntaxError: expected ':'\n");
}

#[test]
fn a_program_with_a_syntax_error_does_not_run() {
    exec()
        .code("print('ran')\nx = = 1")
        .run()
        .code(1)
        .stdout("");
}

#[test]
fn keyboard_interrupt_raised_by_the_code_is_an_exception_like_others() {
    exec()
        .code("raise KeyboardInterrupt('mine')")
        .run()
        .code(1)
        .stderr_contains("KeyboardInterrupt: mine");
}

#[test]
fn an_exception_whose_str_raises_is_still_reported() {
    exec()
        .code("class E(Exception):\n    def __str__(self): raise RuntimeError('no')\nraise E")
        .run()
        .code(1)
        .stderr_contains("E: <exception str() failed>");
}

#[test]
fn a_huge_message_is_shortened_with_a_notice() {
    let done = exec()
        .code("raise ValueError('x' * 10_000_000)")
        .run()
        .code(1);
    assert!(done.stderr.len() < 200_000, "{}", done.stderr.len());
    done.stderr_contains("characters left out");
}

#[test]
fn output_before_an_exception_is_preserved() {
    exec()
        .code("print('before', end='')\n1 / 0")
        .run()
        .code(1)
        .stdout("before")
        .stderr_contains("ZeroDivisionError");
}

#[test]
fn a_missing_file_is_exit_code_125() {
    exec()
        .arg("no/such/file.py")
        .run()
        .code(125)
        .stdout("")
        .stderr_contains("cannot open no/such/file.py");
}

#[test]
fn a_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    exec()
        .arg(folder.path())
        .run()
        .code(125)
        .stderr_contains("cannot read");
}

#[test]
fn a_file_that_is_not_utf8_is_an_error() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"print('\xE9')\n").unwrap();
    exec()
        .arg(file.path())
        .run()
        .code(125)
        .stderr_contains("is not UTF-8 text");
}

#[test]
fn a_file_over_the_size_limit_is_an_error_and_one_at_the_limit_runs() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let comment = vec![b'#'; (16 << 20) - 9];
    file.write_all(b"print(1)\n").unwrap();
    file.write_all(&comment).unwrap();
    exec()
        .arg(file.path())
        .args(["--timeout", "100s"])
        .run()
        .success()
        .stdout("1\n");
    file.write_all(b"#").unwrap();
    exec()
        .arg(file.path())
        .run()
        .code(125)
        .stderr_contains("is longer than 16 MiB");
}

#[test]
fn a_nul_in_the_code_is_a_syntax_error() {
    exec()
        .arg("-")
        .stdin(b"print(1)\n\0\n")
        .run()
        .code(1)
        .stdout("")
        .stderr_contains("SyntaxError")
        .stderr_contains("null bytes");
}

#[test]
fn a_source_line_with_wide_characters_is_shown() {
    exec()
        .code("x = '日本語'; y = 1 / 0")
        .run()
        .code(1)
        .stderr_contains("x = '日本語'; y = 1 / 0")
        .stderr_contains("ZeroDivisionError");
}
