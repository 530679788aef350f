//! Invalid text: surrogates, NULs, control characters, bytes.

use super::{attack, survives};
use crate::support::{raised, result};

#[test]
fn lone_surrogates_in_a_result_are_shown_escaped() {
    let e = attack("'\\ud800'");
    assert_eq!(result(&e), "'\\ud800'");
    let e = attack("class A:\n    def __repr__(self): return 'a\\ud800b'\nA()");
    assert_eq!(result(&e), "a\\ud800b");
}

#[test]
fn lone_surrogates_in_output_are_an_error_or_escaped() {
    let e = attack(
        "import sys\ntry:\n    print('\\ud800')\nexcept UnicodeEncodeError: print('error')\nsys.stderr.write('\\ud800\\n')",
    );
    assert!(
        e.stdout.text == "error\n" || e.stdout.text.len() < 20,
        "{:?}",
        e.stdout
    );
    assert_eq!(e.stderr.text, "\\ud800\n");
}

#[test]
fn lone_surrogates_in_an_exception_are_escaped() {
    let e = attack("raise ValueError('a\\ud800b')");
    assert_eq!(raised(&e, "ValueError"), "a\\ud800b");
}

#[test]
fn nul_and_control_characters_pass_through_unchanged() {
    let e = attack("print('a\\0b\\x1b[2J\\r\\x07')\n'\\0'");
    assert_eq!(e.stdout.text, "a\0b\u{1b}[2J\r\u{7}\n");
    assert_eq!(result(&e), "'\\x00'");
}

#[test]
fn a_nul_in_the_code_is_a_syntax_error() {
    let e = attack("x = 1\n\0");
    assert!(raised(&e, "SyntaxError").contains("null bytes"));
}

#[test]
fn bytes_that_are_not_utf8_are_replaced() {
    assert_eq!(
        survives(
            "import sys; sys.stdout.buffer.write(b'a\\xffb\\xe2\\x82\\n'); sys.stdout.flush()"
        ),
        "a\u{FFFD}b\u{FFFD}\n"
    );
}

#[test]
fn a_coding_line_has_no_effect() {
    assert_eq!(survives("# -*- coding: latin-1 -*-\nprint('é')"), "é\n");
    assert_eq!(survives("# coding: no-such-codec\nprint('é')"), "é\n");
}

#[test]
fn names_in_odd_letters_work() {
    assert_eq!(
        survives("ﬁ = 1; print(fi, 'ﬁ' in globals())\nñ = 2; print(ñ)"),
        "1 False\n2\n"
    );
}
