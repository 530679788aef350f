//! Parsing of pip's output.

use super::super::pip_output::{NoMatch, listed_versions, no_match};
use crate::pip::ClientOutput;

fn output(stdout: &[&str], stderr: &[&str]) -> ClientOutput {
    let owned = |lines: &[&str]| lines.iter().map(|line| line.to_string()).collect();
    ClientOutput {
        stdout: owned(stdout),
        stderr: owned(stderr),
    }
}

#[test]
fn a_requirement_without_a_match_is_parsed() {
    let cases = [
        ("Rich==999", "rich"),
        ("numba>=0.62; extra == \"accel\"", "numba"),
        ("a_b[x]>1 (from other)", "a-b"),
    ];
    for (text, name) in cases {
        let found = format!("ERROR: No matching distribution found for {text}");
        let could = "ERROR: Could not find a version that satisfies the requirement x (from other) \
                     (from versions: 1.0, 2.0b1)";
        let expected = NoMatch {
            name: name.to_owned(),
            versions: vec!["1.0".to_owned(), "2.0b1".to_owned()],
        };
        assert_eq!(no_match(&output(&[], &[could, &found])), Some(expected));
    }
    let none =
        "ERROR: Could not find a version that satisfies the requirement x (from versions: none)";
    let found = "ERROR: No matching distribution found for x";
    let found = no_match(&output(&[], &[none, found])).unwrap();
    assert!(found.versions.is_empty());
}

#[test]
fn a_network_error_is_not_a_missing_package() {
    let found = "ERROR: No matching distribution found for x";
    for error in [
        "WARNING: Retrying (Retry(total=4)) after connection broken by 'X'",
        "Could not fetch URL https://x.invalid: connection error",
        "WARNING: 401 Error, Credentials not correct for https://x.invalid",
    ] {
        assert_eq!(no_match(&output(&[], &[error, found])), None);
    }
    assert_eq!(
        no_match(&output(&["Collecting x"], &["no such option: --dry-run"])),
        None
    );
}

#[test]
fn listed_versions_are_parsed() {
    let listed = output(
        &[
            "x (2.0)",
            "Available versions: 2.0, 1.0",
            "  INSTALLED: 1.0",
        ],
        &[],
    );
    assert_eq!(listed_versions(&listed), ["2.0", "1.0"]);
    assert!(listed_versions(&output(&[], &["ERROR: unknown command"])).is_empty());
}
