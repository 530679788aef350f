//! What cannot be had: which of the reasons it is, and what the user is told.

use std::fs;

use super::super::super::tests::clients::{calls, fake};
use super::super::super::tests::names_in;
use super::super::super::{Clients, PackError};
use super::fetch::{cache, client, home, packages, refused, wanted};
use super::wheel_of;

const NOT_FOUND: &str = "echo 'ERROR: No matching distribution found for'";

#[test]
fn a_dependency_without_a_pure_wheel_is_named_with_what_needs_it() {
    let mut home = home();
    client(
        &home,
        "",
        "",
        &format!("{NOT_FOUND} other==2.0 >&2; exit 1"),
    );
    let error = refused(&home, &["thing"]);
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
            .starts_with("`other`, which `thing` depends on, cannot be added")
    );
    home.manifest.instead = [("thing".to_owned(), "json".to_owned())].into();
    client(
        &home,
        "",
        "",
        &format!("case \"$all\" in *probe*);; *) {NOT_FOUND} other==2.0 >&2; exit 1;; esac"),
    );
    let error = refused(&home, &["thing"]);
    assert!(error.to_string().ends_with("\nuse json instead"), "{error}");
}

#[test]
fn a_package_known_to_need_compiled_code_is_asked_for_before_anything_large() {
    let mut home = home();
    home.manifest.instead = [("torch".to_owned(), "tiny".to_owned())].into();
    client(&home, "", "", &format!("{NOT_FOUND} torch >&2; exit 1"));
    let error = refused(&home, &["torch"]);
    assert!(
        error
            .to_string()
            .starts_with("`torch` cannot be added: it needs compiled code")
    );
    assert!(error.to_string().ends_with("\nuse tiny instead"), "{error}");
    assert!(calls(&home).iter().all(|call| !call.contains("install")));
}

#[test]
fn an_old_pure_version_is_not_taken_for_a_new_one_that_is_not() {
    let home = home();
    let newest = "echo 'Available versions: 3.0, 1.0'; exit 0";
    let only_old = format!("case \"$all\" in *==3.0) {NOT_FOUND} thing==3.0 >&2; exit 1;; esac");
    client(&home, &only_old, newest, "");
    let error = refused(&home, &["thing"]);
    assert!(
        matches!(error, PackError::NeedsCompiledCode { .. }),
        "{error}"
    );
    // Asked for, it is had; and so it is if the new one does not go with the pack.
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
fn no_such_package_and_no_such_version_are_told_apart_from_source_only() {
    let home = home();
    let fails = |what: &str| format!("{NOT_FOUND} {what} >&2; exit 1");
    client(&home, &fails("thing"), "exit 1", "");
    let error = refused(&home, &["thing"]);
    assert!(
        matches!(error, PackError::NoSuchPackage { newest: None, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("check the spelling"), "{error}");

    client(&home, &fails("thing==9"), "", "");
    let error = refused(&home, &["thing==9"]);
    assert!(error.to_string().contains("`thing==9`"), "{error}");
    assert!(
        error.to_string().contains("newest version is 1.0"),
        "{error}"
    );

    for source_only in ["thing==0.9", "thing"] {
        client(&home, &fails(source_only), "", "");
        let error = refused(&home, &["thing"]);
        assert!(
            matches!(error, PackError::NeedsCompiledCode { .. }),
            "{error}"
        );
    }
    let list = "echo 'ERROR: Could not find a version that satisfies the requirement thing>=9 \
                (from versions: 0.9, 1.0)' >&2;";
    client(&home, &format!("{list} {}", fails("'thing>=9'")), "", "");
    let error = refused(&home, &["thing>=9"]);
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
fn a_conflict_with_the_pack_is_told_in_the_clients_words() {
    let home = home();
    let words = "echo 'The conflict is caused by:'; echo '  thing 1.0 depends on tiny<1'";
    client(
        &home,
        &format!("{words}; echo 'ERROR: ResolutionImpossible' >&2; exit 1"),
        "",
        "",
    );
    let error = refused(&home, &["thing", "tiny>=1"]);
    assert!(
        matches!(error, PackError::PackagesConflict { .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("  |   thing 1.0 depends on tiny<1\n"),
        "{error}"
    );
}

#[test]
fn a_client_that_fails_is_followed_by_the_next_and_then_shown() {
    let home = home();
    client(&home, "echo no network >&2; exit 3", "", "");
    let error = refused(&home, &["thing"]);
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
fn a_client_that_brings_less_or_something_else_is_no_success() {
    let home = home();
    client(&home, "exit 0", "", "");
    assert!(
        refused(&home, &["thing"])
            .to_string()
            .contains("it ended well, but")
    );
    client(&home, "", "", "mkdir -p wheels; exit 0");
    let text = refused(&home, &["thing"]).to_string();
    assert!(
        text.contains("it ended well, but left no wheel of thing"),
        "{text}"
    );

    client(&home, "", "", "");
    let library: [(&str, &[u8]); 1] = [("other/_x.so", b"\x7fELF")];
    fs::write(
        home.path("index/other-2.0-py3-none-any.whl"),
        wheel_of("other", "2.0", &library),
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
