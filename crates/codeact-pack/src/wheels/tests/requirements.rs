//! Parsing of requirements.

use super::super::requirement::normalised;
use crate::PackError;
use crate::Requirement;

#[test]
fn names_extras_and_specifiers_are_normalised() {
    let cases = [
        ("rich", "rich"),
        ("Rich==14.0.0", "rich==14.0.0"),
        ("zope.interface", "zope-interface"),
        ("Foo__.-bar", "foo-bar"),
        ("a", "a"),
        ("httpx[HTTP2,cli]==0.28.1", "httpx[cli,http2]==0.28.1"),
        ("rich>=13,<15", "rich<15,>=13"),
        (" rich ~= 13.1 , != 13.2.* ", ""),
        ("rich ~= 13.1 , != 13.2.*", "rich!=13.2.*,~=13.1"),
        ("rich (<15)", "rich<15"),
        ("rich( >=13, <15 )", "rich<15,>=13"),
        ("rich[all] (==14.0.0)", "rich[all]==14.0.0"),
        ("rich===14.0", "rich===14.0"),
        (
            "rich [ all ] == 1!2.0RC1+local.1",
            "rich[all]==1!2.0rc1+local.1",
        ),
    ];
    for (text, shown) in cases {
        match text.parse::<Requirement>() {
            Ok(requirement) => assert_eq!(requirement.to_string(), shown, "{text}"),
            Err(error) => assert!(shown.is_empty(), "{text}: {error}"),
        }
    }
}

#[test]
fn only_one_exact_version_is_a_pin() {
    let pin = |text: &str| {
        let requirement: Requirement = text.parse().unwrap();
        requirement.pin().map(str::to_owned)
    };
    assert_eq!(pin("rich[all]==14.0.0").as_deref(), Some("14.0.0"));
    for text in [
        "rich",
        "rich==14.*",
        "rich>=14",
        "rich==14.0,!=13",
        "rich===14.0",
    ] {
        assert_eq!(pin(text), None, "{text}");
    }
}

#[test]
fn options_paths_urls_and_malformed_texts_are_rejected() {
    let cases = [
        ("", "not a valid name"),
        ("-r", "option"),
        ("--index-url=https://x.invalid", "option"),
        ("rich @ https://x.invalid/rich.whl", "addresses"),
        ("git+https://x.invalid", "addresses"),
        ("./rich", "paths"),
        ("a/b", "paths"),
        ("c:\\rich", "paths"),
        ("..", "paths"),
        ("rich; python_version > '3'", "markers"),
        ("rich\n--pre", "forbidden character"),
        ("rich\t==1", "forbidden character"),
        ("rich\u{a0}==1", "forbidden character"),
        ("rích", "forbidden character"),
        ("rich --pre", "not a version specifier"),
        ("rich click", "not a version specifier"),
        ("rich=1", "not a version specifier"),
        ("rich==", "not a valid version"),
        ("rich==-1", "not a valid version"),
        ("rich==1 2", "not a valid version"),
        ("rich>=1.*", "not a valid version"),
        ("rich==1,", "not a version specifier"),
        ("rich(>=1", "not closed"),
        ("rich(>=1) x", "not closed"),
        ("rich((>=1))", "not a version specifier"),
        ("rich(x)", "not a version specifier"),
        ("rich===", "not a valid version"),
        ("rich[", "not closed"),
        ("rich[]", "not a valid name"),
        ("rich[a b]", "not a valid name"),
        ("rich_", "not a valid name"),
        ("*", "not a valid name"),
    ];
    for (text, reason) in cases {
        let error = text.parse::<Requirement>().unwrap_err();
        assert!(matches!(error, PackError::BadRequirement { .. }));
        assert!(error.to_string().contains(reason), "{text}: {error}");
    }
    let long = "x".repeat(300).parse::<Requirement>().unwrap_err();
    assert!(long.to_string().contains("longer than 256"), "{long}");
}

#[test]
fn names_are_normalised() {
    assert_eq!(normalised("A.b_C").unwrap(), "a-b-c");
}
