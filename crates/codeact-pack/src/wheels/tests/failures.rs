//! Requirements that cannot be fulfilled, and their errors.

use std::fs;

use super::fetch::{cache, client, error_of, home, packages, wanted};
use super::wheel_with;
use crate::tests::clients::{calls, fake};
use crate::tests::names_in;
use crate::{Clients, PackError};

const NOT_FOUND: &str = "echo 'ERROR: No matching distribution found for'";

#[test]
fn the_error_names_an_impure_dependency_and_its_parent() {
    let mut home = home();
    client(
        &home,
        "",
        "",
        &format!("{NOT_FOUND} other==2.0 >&2; exit 1"),
    );
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
        ("other", Some("thing"))
    );
    assert!(
        error
            .to_string()
            .starts_with("`other`, a dependency of `thing`, cannot be added")
    );
    home.manifest.instead = [("thing".to_owned(), "json".to_owned())].into();
    client(
        &home,
        "",
        "",
        &format!("case \"$all\" in *probe*);; *) {NOT_FOUND} other==2.0 >&2; exit 1;; esac"),
    );
    let error = error_of(&home, &["thing"]);
    assert!(error.to_string().ends_with("\nuse json instead"), "{error}");
}

#[test]
fn known_compiled_packages_fail_before_a_large_download() {
    let mut home = home();
    home.manifest.instead = [("torch".to_owned(), "tiny".to_owned())].into();
    client(&home, "", "", &format!("{NOT_FOUND} torch >&2; exit 1"));
    let error = error_of(&home, &["torch"]);
    assert!(
        error
            .to_string()
            .starts_with("`torch` cannot be added: it needs compiled code")
    );
    assert!(error.to_string().ends_with("\nuse tiny instead"), "{error}");
    assert!(calls(&home).iter().all(|call| !call.contains("install")));
}

#[test]
fn an_old_pure_version_does_not_replace_a_new_impure_one() {
    let home = home();
    let newest = "echo 'Available versions: 3.0, 1.0'; exit 0";
    let only_old = format!("case \"$all\" in *==3.0) {NOT_FOUND} thing==3.0 >&2; exit 1;; esac");
    client(&home, &only_old, newest, "");
    let error = error_of(&home, &["thing"]);
    assert!(
        matches!(error, PackError::NeedsCompiledCode { .. }),
        "{error}"
    );
    // The old version can be requested, and it is used if the new one conflicts with the pack.
    packages(&home, &["thing==1.0"]).unwrap();
    client(
        &home,
        "case \"$all\" in *==3.0) echo ResolutionImpossible >&2; exit 1;; esac",
        newest,
        "",
    );
    packages(&home, &["thing"]).unwrap();
}

#[test]
fn missing_packages_versions_and_source_only_differ() {
    let home = home();
    let fails = |name: &str| format!("{NOT_FOUND} {name} >&2; exit 1");
    client(&home, &fails("thing"), "exit 1", "");
    let error = error_of(&home, &["thing"]);
    assert!(
        matches!(error, PackError::NoSuchPackage { newest: None, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("check the spelling"), "{error}");

    client(&home, &fails("thing==9"), "", "");
    let error = error_of(&home, &["thing==9"]);
    assert!(error.to_string().contains("`thing==9`"), "{error}");
    assert!(
        error.to_string().contains("newest version is 1.0"),
        "{error}"
    );

    for source_only in ["thing==0.9", "thing"] {
        client(&home, &fails(source_only), "", "");
        let error = error_of(&home, &["thing"]);
        assert!(
            matches!(error, PackError::NeedsCompiledCode { .. }),
            "{error}"
        );
    }
    let list = "echo 'ERROR: Could not find a version that satisfies the requirement thing>=9 \
                (from versions: 0.9, 1.0)' >&2;";
    client(&home, &format!("{list} {}", fails("'thing>=9'")), "", "");
    let error = error_of(&home, &["thing>=9"]);
    assert!(
        matches!(
            error,
            PackError::NoSuchPackage {
                newest: Some(_),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_conflict_error_has_the_clients_description() {
    let home = home();
    let words = "echo 'The conflict is caused by:'; echo '  thing 1.0 depends on tiny<1'";
    client(
        &home,
        &format!("{words}; echo 'ERROR: ResolutionImpossible' >&2; exit 1"),
        "",
        "",
    );
    let error = error_of(&home, &["thing", "tiny>=1"]);
    assert!(
        matches!(error, PackError::PackagesConflict { .. }),
        "{error}"
    );
    assert_eq!(error.hint(), Some(codeact_base::Hint::ListPackages));
    assert!(
        error
            .to_string()
            .contains("  |   thing 1.0 depends on tiny<1\n"),
        "{error}"
    );
}

#[test]
fn a_failed_client_is_followed_by_the_next_and_reported() {
    let home = home();
    client(&home, "echo no network >&2; exit 3", "", "");
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
    client(&home, "", "", "");
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
    client(&home, "exit 0", "", "");
    assert!(
        error_of(&home, &["thing"])
            .to_string()
            .contains("it succeeded, but")
    );
    client(&home, "", "", "mkdir -p wheels; exit 0");
    let text = error_of(&home, &["thing"]).to_string();
    assert!(
        text.contains("it succeeded, but did not write a wheel of thing"),
        "{text}"
    );

    client(&home, "", "", "");
    let library: [(&str, &[u8]); 1] = [("other/_x.so", b"\x7fELF")];
    fs::write(
        home.path("index/other-2.0-py3-none-any.whl"),
        wheel_with("other", "2.0", &library),
    )
    .unwrap();
    let error = packages(&home, &["thing"]).unwrap_err();
    assert!(
        matches!(error, PackError::NeedsCompiledCode { .. }),
        "{error}"
    );
    fs::write(home.path("index/other-2.0-py3-none-any.whl"), b"no archive").unwrap();
    let error = packages(&home, &["thing"]).unwrap_err();
    assert!(matches!(error, PackError::BadWheel { .. }), "{error}");
    assert!(
        !names_in(&cache(&home))
            .iter()
            .any(|name| name.starts_with("resolution"))
    );
}
