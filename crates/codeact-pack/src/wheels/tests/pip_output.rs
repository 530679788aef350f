//! Parsing of pip's output.

use super::super::pip_output::{
    PipReport, ResolveFailure, last_download, listed_versions, resolve_failure,
};
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
        ("Rich==999", "rich", "Rich==999"),
        ("numba>=0.62; extra == \"accel\"", "numba", "numba>=0.62"),
        ("a_b[x]>1 (from other)", "a-b", "a_b[x]>1"),
    ];
    for (text, name, requirement) in cases {
        let found = format!("ERROR: No matching distribution found for {text}");
        let could = "ERROR: Could not find a version that satisfies the requirement x (from other) \
                     (from versions: 1.0, 2.0b1)";
        let expected = ResolveFailure::NoMatch {
            name: name.to_owned(),
            requirement: requirement.to_owned(),
            wheels: vec!["1.0".to_owned(), "2.0b1".to_owned()],
        };
        assert_eq!(
            resolve_failure(&output(&[], &[could, &found])),
            Some(expected)
        );
    }
    let none =
        "ERROR: Could not find a version that satisfies the requirement x (from versions: none)";
    let found = "ERROR: No matching distribution found for x";
    let Some(ResolveFailure::NoMatch { wheels, .. }) =
        resolve_failure(&output(&[], &[none, found]))
    else {
        panic!("no failure");
    };
    assert!(wheels.is_empty());
}

#[test]
fn a_network_error_is_not_a_missing_package() {
    let found = "ERROR: No matching distribution found for x";
    for error in [
        "WARNING: Retrying (Retry(total=4)) after connection broken by 'X'",
        "Could not fetch URL https://x.invalid: connection error",
        "WARNING: 401 Error, Credentials not correct for https://x.invalid",
    ] {
        assert_eq!(resolve_failure(&output(&[], &[error, found])), None);
    }
    assert_eq!(
        resolve_failure(&output(&["Collecting x"], &["no such option: --dry-run"])),
        None
    );
}

#[test]
fn a_wheel_for_other_pythons_gives_no_cause() {
    let found = "ERROR: No matching distribution found for x==1.0";
    let ignored = |versions: &str| {
        format!(
            "ERROR: Ignored the following versions that require a different python version: {versions}"
        )
    };
    let own = ignored("0.9 Requires-Python <3; 1.0 Requires-Python <3.15");
    assert_eq!(resolve_failure(&output(&[], &[&own, found])), None);
    // pip lists the ignored versions of other packages as well.
    let others = ignored("0.9 Requires-Python <3; 11.0 Requires-Python <3.15");
    assert!(resolve_failure(&output(&[], &[&others, found])).is_some());
}

#[test]
fn a_conflict_has_pips_description() {
    let stdout = [
        "Collecting x",
        "The conflict is caused by:",
        "    The user requested numpy<2",
        "    The user requested (constraint) numpy==2.5.2",
        "To fix this you could try to:",
    ];
    let found = resolve_failure(&output(
        &stdout,
        &["ERROR: ResolutionImpossible: for help visit"],
    ));
    let report = stdout[1..4].iter().map(|line| line.to_string()).collect();
    assert_eq!(found, Some(ResolveFailure::Conflict(report)));
}

#[test]
fn versions_and_the_last_download_are_parsed() {
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
    let fetching = output(
        &[
            "  Downloading https://x.invalid/a-1-py3-none-any.whl (1 kB)",
            "  Downloading torch-2-cp315-cp315-linux_x86_64.whl (539.2 MB)",
        ],
        &[],
    );
    assert_eq!(
        last_download(&fetching),
        Some("torch-2-cp315-cp315-linux_x86_64.whl")
    );
}

#[test]
fn a_report_is_parsed_or_rejected() {
    let text = r#"{"version": "1", "pip_version": "26", "install": [
        {"metadata": {"name": "A.b", "version": "1.0", "requires_dist": ["C_d>=1; x", "e[f]"]}}
    ], "environment": {}}"#;
    let packages = PipReport::parse(text.as_bytes()).unwrap();
    assert_eq!(
        (packages[0].name.as_str(), packages[0].version.as_str()),
        ("a-b", "1.0")
    );
    assert_eq!(packages[0].dependencies, ["c-d", "e"]);
    for (from, to) in [
        (r#""version": "1","#, r#""version": "2","#),
        ("A.b", "--pre"),
        (r#""1.0""#, r#""1.0 --pre""#),
        ("install", "other"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert!(PipReport::parse(changed.as_bytes()).is_err(), "{to}");
    }
}
