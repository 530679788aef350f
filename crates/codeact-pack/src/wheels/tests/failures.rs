//! Requirements that cannot be fulfilled, and their errors.

use std::fs;

use super::fetch::{add, add_other, add_source, cache, client, error_of, home, packages, wanted};
use super::wheel_with;
use crate::tests::clients::{calls, fake};
use crate::tests::names_in;
use crate::{Clients, PackError};

#[test]
fn the_error_names_an_impure_dependency_and_its_parent() {
    let mut home = home();
    add(&home, "thing", "1.0", &["native"], &[]);
    add_other(&home, "compiled", "native", "3.0");
    let error = error_of(&home, &["thing"]);
    let PackError::NeedsCompiledCode {
        name,
        required_by,
        instead: None,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (name.as_str(), required_by.as_deref()),
        ("native", Some("thing"))
    );
    assert!(
        error
            .to_string()
            .starts_with("`native`, a dependency of `thing`, cannot be added")
    );
    home.manifest.instead = [("thing".to_owned(), "json".to_owned())].into();
    add(&home, "thing", "1.1", &["native"], &[]);
    let error = error_of(&home, &["thing==1.1"]);
    assert!(error.to_string().ends_with("\nuse json instead"), "{error}");
}

#[test]
fn known_compiled_packages_fail_at_once() {
    let mut home = home();
    home.manifest.instead = [("torch".to_owned(), "tiny".to_owned())].into();
    let error = error_of(&home, &["torch"]);
    assert!(
        error
            .to_string()
            .starts_with("`torch` cannot be added: it needs compiled code")
    );
    assert!(error.to_string().ends_with("\nuse tiny instead"), "{error}");
    assert_eq!(calls(&home).len(), 1);
    // A pure release of long ago is no help.
    add(&home, "torch", "0.1", &[], &[]);
    add_source(&home, "torch", "2.9");
    let error = error_of(&home, &["torch", "other"]);
    assert!(error.to_string().contains("`torch`"), "{error}");
    packages(&home, &["torch==0.1"]).unwrap();
}

#[test]
fn missing_packages_versions_source_archives_and_other_pythons_differ() {
    let home = home();
    let error = error_of(&home, &["nothing"]);
    assert!(
        matches!(error, PackError::NoSuchPackage { newest: None, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("check the spelling"), "{error}");

    let error = error_of(&home, &["thing==9"]);
    assert!(error.to_string().contains("`thing==9`"), "{error}");
    assert!(
        error.to_string().contains("newest version is 1.0"),
        "{error}"
    );

    add_source(&home, "source", "1.4");
    let error = error_of(&home, &["source"]);
    assert!(matches!(error, PackError::SourceOnly { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("it has no wheel, only source archives"),
        "{error}"
    );

    add_other(&home, "other-python", "legacy", "1.0");
    let error = error_of(&home, &["legacy"]);
    assert!(matches!(error, PackError::OtherPython { .. }), "{error}");
    assert!(error.to_string().contains("Python 3.15"), "{error}");

    add_other(&home, "compiled", "thing", "3.0");
    let error = error_of(&home, &["thing==3.0"]);
    assert!(
        matches!(error, PackError::NeedsCompiledCode { .. }),
        "{error}"
    );
}

#[test]
fn a_refusal_is_remembered_for_the_same_settings() {
    let home = home();
    add_source(&home, "source", "1.4");
    error_of(&home, &["source"]);
    let before = calls(&home).len();
    let error = error_of(&home, &["source"]);
    assert!(matches!(error, PackError::SourceOnly { .. }), "{error}");
    assert_eq!(calls(&home).len(), before);
    let settings = |name: &str| match name {
        "PATH" => Some(home.path("bin").into()),
        "PIP_INDEX_URL" => Some("https://mirror.invalid".into()),
        _ => None,
    };
    let store = home.store().with_clients(Clients::from_env(&settings));
    store
        .packages(&home.manifest, &wanted(&["source"]), false)
        .unwrap_err();
    assert!(calls(&home).len() > before);
    // A package that does not exist may be a new one.
    error_of(&home, &["nothing"]);
    add(&home, "nothing", "1.0", &[], &[]);
    packages(&home, &["nothing"]).unwrap();
}

#[test]
fn attack_a_direct_reference_is_refused_before_anything_is_fetched() {
    let home = home();
    let address = "https://attacker.invalid/evil-1.0.tar.gz";
    add(&home, "innocent", "1.0", &["middle"], &[]);
    add(&home, "middle", "1.0", &[&format!("evil @ {address}")], &[]);
    let error = error_of(&home, &["innocent"]);
    assert!(
        matches!(error, PackError::DirectReference { .. }),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains(address) && text.contains("innocent -> middle -> evil"),
        "{text}"
    );
    let calls = calls(&home);
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls.iter().all(|call| !call.contains("evil")), "{calls:?}");
}

#[test]
fn attack_dependencies_become_no_options_of_the_client() {
    for odd in [
        "--index-url=https://attacker.invalid",
        "-e .",
        "./evil",
        "a --pre",
    ] {
        let home = home();
        add(&home, "innocent", "1.0", &[odd], &[]);
        let error = error_of(&home, &["innocent"]);
        assert!(
            matches!(error, PackError::BadWheel { .. }),
            "{odd}: {error}"
        );
        let calls = calls(&home);
        assert_eq!(calls.len(), 2, "{calls:?}");
        assert!(calls.iter().all(|call| !call.contains(odd)), "{calls:?}");
    }
}

#[test]
fn attack_metadata_of_another_package_or_size_is_refused() {
    let home = home();
    let wheel = |bytes: Vec<u8>| {
        fs::write(home.path("index/pure/thing-1.0-py3-none-any.whl"), bytes).unwrap();
        error_of(&home, &["thing"]).to_string()
    };
    let text = wheel(wheel_with("other", "1.0", &[]));
    assert!(text.contains("no METADATA of its own"), "{text}");
    let name = "thing-1.0.dist-info/METADATA";
    let zip = |text: &str| crate::tests::zip_with(&[(name, text.as_bytes())]);
    let text = wheel(zip("Name: other\n\n"));
    assert!(text.contains("another name"), "{text}");
    let text = wheel(zip(&format!("Name: thing\n{}", "X: y\n".repeat(400_000))));
    assert!(text.contains("bytes of headers"), "{text}");
    let text = wheel(zip(&format!(
        "Name: thing\n{}\n",
        "Requires-Dist: a\n".repeat(3000)
    )));
    assert!(text.contains("dependencies"), "{text}");
}

#[test]
fn a_wheel_that_the_client_or_the_resolver_cannot_read_does_not_block_older_versions() {
    let home = home();
    let wheel = home.path("index/pure/thing-2.0-py3-none-any.whl");
    fs::write(wheel, wheel_with("other", "1.0", &[])).unwrap();
    packages(&home, &["thing"]).unwrap();
    assert!(calls(&home).iter().any(|call| call.contains("thing!=2.0")));

    let home = super::fetch::home();
    add(&home, "thing", "3.0", &[], &[]);
    let fails = "case \"$all\" in *'<0.dev0'*|*'!=3.0'*|*other*) ;; \
                 *) echo 'Traceback (most recent call last):' >&2; exit 2;; esac";
    client(&home, fails);
    packages(&home, &["thing"]).unwrap();
    let text = error_of_client(&home, "thing==3.0");
    assert!(text.contains("Traceback"), "{text}");
}

/// Returns the text of the error for `requirement`, with the output of the client.
fn error_of_client(home: &crate::tests::Home, requirement: &str) -> String {
    let error = packages(home, &[requirement]).unwrap_err();
    format!("{error} {error:?}")
}

#[test]
fn a_conflict_error_names_the_dependent_packages() {
    let home = home();
    add(&home, "more", "1.0", &["other==3.0"], &[]);
    let error = error_of(&home, &["thing", "more"]);
    assert!(
        matches!(error, PackError::PackagesConflict { .. }),
        "{error}"
    );
    assert_eq!(error.hint(), Some(codeact_base::Hint::ListPackages));
    let text = error.to_string();
    assert!(text.contains("  | more 1.0 needs other==3.0\n"), "{text}");
    assert!(text.contains("  | thing 1.0 needs other>=1\n"), "{text}");
}

#[test]
fn a_failed_client_is_followed_by_the_next_and_reported() {
    let home = home();
    client(&home, "echo no network >&2; exit 3");
    let error = error_of(&home, &["thing"]);
    assert!(
        matches!(error, PackError::PackagesNotFetched { .. }),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("| no network") && text.contains("exit status: 3"),
        "{text}"
    );
    client(&home, "");
    fs::rename(home.path("bin/uv"), home.path("bin/python3")).unwrap();
    fake(&home, "uv", "exit 3");
    packages(&home, &["thing"]).unwrap();

    let none = home.store().with_clients(Clients::in_path("/nowhere"));
    let error = none
        .packages(&home.manifest, &wanted(&["x"]), false)
        .unwrap_err();
    assert!(
        matches!(error, PackError::NoClientForPackages { .. }),
        "{error}"
    );
}

#[test]
fn missing_or_wrong_wheels_are_errors() {
    let home = home();
    client(&home, "mkdir -p \"$dest\"; exit 0");
    let text = error_of(&home, &["thing"]).to_string();
    assert!(
        text.contains("it succeeded, but did not write a wheel of thing"),
        "{text}"
    );

    client(&home, "");
    let library: [(&str, &[u8]); 1] = [("other/_x.so", b"\x7fELF")];
    add(&home, "other", "2.0", &[], &library);
    let error = packages(&home, &["thing"]).unwrap_err();
    assert!(
        matches!(error, PackError::NeedsCompiledCode { .. }),
        "{error}"
    );
    fs::write(
        home.path("index/pure/other-2.0-py3-none-any.whl"),
        b"no archive",
    )
    .unwrap();
    let error = packages(&home, &["thing==1.0"]).unwrap_err();
    assert!(matches!(error, PackError::BadWheel { .. }), "{error}");
    assert!(
        !names_in(&cache(&home))
            .iter()
            .any(|name| name.starts_with("resolution"))
    );
}
