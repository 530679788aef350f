//! Reading what pip says.

use super::super::super::pip::Words;
use super::super::answers::{Refusal, Report, last_fetched, refusal, versions};

fn words(stdout: &[&str], stderr: &[&str]) -> Words {
    let own = |lines: &[&str]| lines.iter().map(|line| line.to_string()).collect();
    Words {
        stdout: own(stdout),
        stderr: own(stderr),
    }
}

#[test]
fn a_requirement_that_nothing_fits_is_named() {
    let cases = [
        ("Rich==999", "rich", "Rich==999"),
        ("numba>=0.62; extra == \"accel\"", "numba", "numba>=0.62"),
        ("a_b[x]>1 (from other)", "a-b", "a_b[x]>1"),
    ];
    for (text, name, requirement) in cases {
        let found = format!("ERROR: No matching distribution found for {text}");
        let could = "ERROR: Could not find a version that satisfies the requirement x (from other) \
                     (from versions: 1.0, 2.0b1)";
        let expected = Refusal::NothingFits {
            name: name.to_owned(),
            requirement: requirement.to_owned(),
            wheels: vec!["1.0".to_owned(), "2.0b1".to_owned()],
        };
        assert_eq!(refusal(&words(&[], &[could, &found])), Some(expected));
    }
    let none =
        "ERROR: Could not find a version that satisfies the requirement x (from versions: none)";
    let found = "ERROR: No matching distribution found for x";
    let Some(Refusal::NothingFits { wheels, .. }) = refusal(&words(&[], &[none, found])) else {
        panic!("no refusal");
    };
    assert!(wheels.is_empty());
}

#[test]
fn trouble_with_the_network_is_no_refusal() {
    let found = "ERROR: No matching distribution found for x";
    for trouble in [
        "WARNING: Retrying (Retry(total=4)) after connection broken by 'X'",
        "Could not fetch URL https://x.invalid: connection error",
        "WARNING: 401 Error, Credentials not correct for https://x.invalid",
    ] {
        assert_eq!(refusal(&words(&[], &[trouble, found])), None);
    }
    assert_eq!(
        refusal(&words(&["Collecting x"], &["no such option: --dry-run"])),
        None
    );
}

#[test]
fn a_wheel_for_other_pythons_is_left_to_pips_own_words() {
    let found = "ERROR: No matching distribution found for x==1.0";
    let ignored = |versions: &str| {
        format!(
            "ERROR: Ignored the following versions that require a different python version: {versions}"
        )
    };
    let own = ignored("0.9 Requires-Python <3; 1.0 Requires-Python <3.15");
    assert_eq!(refusal(&words(&[], &[&own, found])), None);
    // Of other packages, which pip lists as well.
    let others = ignored("0.9 Requires-Python <3; 11.0 Requires-Python <3.15");
    assert!(refusal(&words(&[], &[&others, found])).is_some());
}

#[test]
fn a_conflict_is_told_in_pips_words() {
    let stdout = [
        "Collecting x",
        "The conflict is caused by:",
        "    The user requested numpy<2",
        "    The user requested (constraint) numpy==2.5.2",
        "To fix this you could try to:",
    ];
    let found = refusal(&words(
        &stdout,
        &["ERROR: ResolutionImpossible: for help visit"],
    ));
    let account = stdout[1..4].iter().map(|line| line.to_string()).collect();
    assert_eq!(found, Some(Refusal::Conflict(account)));
}

#[test]
fn versions_and_the_last_wheel_are_found() {
    let listed = words(
        &[
            "x (2.0)",
            "Available versions: 2.0, 1.0",
            "  INSTALLED: 1.0",
        ],
        &[],
    );
    assert_eq!(versions(&listed), ["2.0", "1.0"]);
    assert!(versions(&words(&[], &["ERROR: unknown command"])).is_empty());
    let fetching = words(
        &[
            "  Downloading https://x.invalid/a-1-py3-none-any.whl (1 kB)",
            "  Downloading torch-2-cp315-cp315-linux_x86_64.whl (539.2 MB)",
        ],
        &[],
    );
    assert_eq!(
        last_fetched(&fetching),
        Some("torch-2-cp315-cp315-linux_x86_64.whl")
    );
}

#[test]
fn a_report_is_read_or_refused() {
    let text = r#"{"version": "1", "pip_version": "26", "install": [
        {"metadata": {"name": "A.b", "version": "1.0", "requires_dist": ["C_d>=1; x", "e[f]"]}}
    ], "environment": {}}"#;
    let chosen = Report::read(text.as_bytes()).unwrap();
    assert_eq!(
        (chosen[0].name.as_str(), chosen[0].version.as_str()),
        ("a-b", "1.0")
    );
    assert_eq!(chosen[0].dependencies, ["c-d", "e"]);
    for (from, to) in [
        (r#""version": "1","#, r#""version": "2","#),
        ("A.b", "--pre"),
        (r#""1.0""#, r#""1.0 --pre""#),
        ("install", "other"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert!(Report::read(changed.as_bytes()).is_err(), "{to}");
    }
}
