//! Versions, specifiers, markers and dependencies. The expected values are those of PyPA's `packaging`.

use std::collections::BTreeSet;

use crate::wheels::syntax::{Dependency, Environment, Source, Specifiers, Version};

fn version(text: &str) -> Version {
    Version::parse(text).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn versions_are_ordered() {
    let ordered = [
        "0",
        "1.dev0",
        "1.0a1.dev2",
        "1.0a1",
        "1.0a1.post2",
        "1.0b2",
        "1.0rc1",
        "1.0",
        "1.0+abc",
        "1.0+abc.1",
        "1.0+5",
        "1.0.post1.dev3",
        "1.0.post1",
        "1.0.1",
        "1.2",
        "1.10",
        "2024.1",
        "1!0.1",
    ];
    for (i, one) in ordered.iter().enumerate() {
        for (j, other) in ordered.iter().enumerate() {
            assert_eq!(
                version(one).cmp(&version(other)),
                i.cmp(&j),
                "{one} {other}"
            );
        }
    }
}

#[test]
fn spellings_of_a_version_are_equal() {
    let equal = [
        ["1", "1.0.0"],
        ["v1.0", "1"],
        ["1.0-alpha.1", "1a1"],
        ["1.0c2", "1rc2"],
        ["1.0-1", "1.post1"],
        ["1.0-r4", "1.0.POST4"],
        ["1.0_pre", "1rc0"],
        ["1.0.dev", "1dev0"],
        ["1.0+ubuntu-1", "1+ubuntu.1"],
    ];
    for [one, other] in equal {
        assert_eq!(version(one), version(other));
    }
    let long = "1".repeat(200);
    for odd in [
        "",
        "a",
        "1.",
        "1..2",
        "1+",
        "1 2",
        "1a1b2",
        "99999999999999999999",
        "١",
        "-1",
        &long,
    ] {
        assert!(Version::parse(odd).is_none(), "{odd}");
    }
}

#[test]
fn specifiers_match() {
    let cases = [
        ("", "1", true),
        (">=1, <2", "1.9", true),
        (">=1,<2", "2", false),
        ("==1.0", "1", true),
        ("==1.0", "1+local", true),
        ("==1+a", "1", false),
        ("==1.*", "1.9a1", true),
        ("==1.0.*", "1.1", false),
        ("!=1.*", "1.5", false),
        ("~=1.4.2", "1.4.9", true),
        ("~=1.4.2", "1.5", false),
        ("~=1.4", "1.5", true),
        ("<2", "2rc1", false),
        ("<2rc2", "2rc1", true),
        (">1", "1.post1", false),
        (">1", "1+local", false),
        (">1.post1", "1.post2", true),
        ("<=1", "1+local", true),
        ("===1.0", "1", false),
        ("===1.0", "1.0", true),
    ];
    for (specifiers, text, expected) in cases {
        let parsed = Specifiers::parse(specifiers).unwrap();
        assert_eq!(
            parsed.contains(&version(text)),
            expected,
            "{specifiers} {text}"
        );
    }
    for odd in [
        "1",
        "=1",
        "~=1",
        ">=1.*",
        ">=1+local",
        "==",
        "==1.*.*",
        "<0 --pre",
        "==1;x",
    ] {
        assert!(Specifiers::parse(odd).is_err(), "{odd}");
    }
}

#[test]
fn a_newer_version_exceeds_upper_limits_only() {
    let exceeds = |specifiers: &str| {
        Specifiers::parse(specifiers)
            .unwrap()
            .is_exceeded_by(&version("3"))
    };
    assert!(exceeds("<3") && exceeds("==2.*") && exceeds("~=2.1") && exceeds(">=1,<=2"));
    assert!(!exceeds(">=4") && !exceeds("!=3") && !exceeds(">=1") && !exceeds("<2,!=3"));
}

#[test]
fn dependencies_apply_by_their_markers() {
    let environment = Environment::new("3.15.0");
    let cases = [
        ("a", "", true),
        ("a; python_version >= '3.9'", "", true),
        ("a; python_version < '3.9'", "", false),
        (
            "a ; sys_platform == 'win32' or os_name == 'posix'",
            "",
            true,
        ),
        (
            "a; (sys_platform == 'win32' or os_name == 'nt') and python_version>'3'",
            "",
            false,
        ),
        ("a; extra == 'X_y'", "", false),
        ("a; extra == 'X_y'", "x-y", true),
        ("a; 'linux' in sys_platform", "", false),
        ("a; platform_python_implementation != 'PyPy'", "", true),
        ("a (>=1,<2) ; implementation_name=='cpython'", "", true),
        ("a; python_full_version == '3.15.*'", "", true),
    ];
    for (text, extra, expected) in cases {
        let dependency = Dependency::parse(text, &environment).unwrap();
        let extras: BTreeSet<_> = Some(extra.to_owned())
            .filter(|e| !e.is_empty())
            .into_iter()
            .collect();
        assert_eq!(
            dependency.applies(&environment, &extras),
            expected,
            "{text}"
        );
    }
    let nested = format!("a; {}os_name == 'x'{}", "(".repeat(50), ")".repeat(50));
    let many = format!("a; {}os_name == 'x'", "os_name == 'x' or ".repeat(400));
    for odd in [
        "",
        "-e a",
        "a; nonsense == 'x'",
        "a; os_name",
        "a b",
        "a; os_name == 'x' and",
        "a[",
        &nested,
        &many,
    ] {
        assert!(Dependency::parse(odd, &environment).is_err(), "{odd}");
    }
}

#[test]
fn direct_references_are_recognised() {
    let environment = Environment::new("3.15.0");
    for text in [
        "A.b @ https://x/y.zip",
        "a_b@file:///x ; os_name == 'posix'",
        "a-b[z] @ git+ssh://x;y",
    ] {
        let dependency = Dependency::parse(text, &environment).unwrap();
        assert!(matches!(dependency.source, Source::Address(_)), "{text}");
        assert_eq!(dependency.name, "a-b");
    }
}
