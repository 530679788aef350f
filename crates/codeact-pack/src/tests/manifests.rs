//! Parsing of manifests, and the built-in manifests.

use super::Tiny;
use crate::{Manifest, Requirement, builtin_names};

#[test]
fn every_built_in_manifest_is_valid_and_has_its_name() {
    assert!(builtin_names().count() > 0);
    for name in builtin_names() {
        let manifest = Manifest::builtin(name).unwrap();
        assert_eq!(manifest.name, name);
        assert_eq!(manifest.hash().len(), 64);
        for package in manifest.instead.keys() {
            assert!(!manifest.packages.python.contains_key(package), "{package}");
            let normalised = package.parse::<Requirement>().unwrap();
            assert_eq!(normalised.to_string(), *package);
        }
        // The build of the base image tests that each of them can be imported.
        assert!(manifest.image.warm.iter().all(|warm| !warm.is_empty()));
    }
    assert!(Manifest::builtin("nothing").is_none());
    let error = Manifest::known("nothing").unwrap_err().to_string();
    assert!(error.contains("`nothing`") && error.contains("science"));
}

#[test]
fn imports_and_replacements_do_not_change_the_hash() {
    let parse = |tiny: Tiny| Manifest::parse(&tiny.build().1).unwrap();
    let one = parse(Tiny::default());
    let other = parse(Tiny {
        warm: "os",
        ..Tiny::default()
    });
    assert_ne!(one, other);
    assert_eq!(one.hash(), other.hash());
    let mut advised = one.clone();
    advised.instead.insert("x".to_owned(), "y".to_owned());
    assert_eq!(one.hash(), advised.hash());
}

const PATCH: &str = r#"
    [[patch]]
    function = "f"
    offset = 1
    expected = "4107"
    replacement = "4109"
    reason = "a test"
    "#;

#[test]
fn a_patch_changes_the_hash_and_not_the_folder() {
    let (_, plain) = Tiny::default().build();
    let parse = |text: &str| Manifest::parse(text).unwrap();
    let with = |patch: &str| parse(&plain.replacen("[image]", &format!("{patch}\n[image]"), 1));
    let (plain, patched) = (parse(&plain), with(PATCH));
    assert_ne!(plain.hash(), patched.hash());
    assert_eq!(plain.folder(), patched.folder());
    for (from, to) in [
        ("\"f\"", "\"g\""),
        ("= 1", "= 2"),
        ("4107", "4106"),
        ("4109", "41"),
    ] {
        let other = with(&PATCH.replacen(from, to, 1));
        assert_ne!(other.hash(), patched.hash(), "{to}");
    }
    let reason = with(&PATCH.replacen("a test", "another", 1));
    assert_eq!(reason.hash(), patched.hash());
    let wraps = "[overlay]\nname = \"numpy\"\n[overlay.wrap]\nkind = [\"f\"]";
    let (one, other) = (with(wraps), with(&wraps.replace("\"f\"", "\"g\"")));
    assert_ne!(one.hash(), plain.hash());
    assert_ne!(one.hash(), other.hash());
}

#[test]
fn an_invalid_patch_is_rejected_with_a_reason() {
    let (_, plain) = Tiny::default().build();
    let with =
        |patch: &str| Manifest::parse(&plain.replacen("[image]", &format!("{patch}\n[image]"), 1));
    with(PATCH).unwrap();
    let long = "41".repeat(65);
    let many = PATCH.repeat(257);
    let wrapped = format!(
        "[overlay]\nname = \"numpy\"\n[overlay.wrap]\nkind = [{}]",
        "\"f\", ".repeat(1001)
    );
    for (text, reason) in [
        (PATCH.replacen("4107", "", 1), "not 1 to 64 bytes"),
        (PATCH.replacen("4107", "410", 1), "not 1 to 64 bytes"),
        (PATCH.replacen("4107", "41x7", 1), "not 1 to 64 bytes"),
        (PATCH.replacen("4109", &long, 1), "not 1 to 64 bytes"),
        (PATCH.replacen("\"f\"", "\"\"", 1), "not a name"),
        (PATCH.replacen("a test", " ", 1), "no reason"),
        (PATCH.replacen("offset = 1", "offset = -1", 1), "offset"),
        (many, "more than 256 patches"),
        (
            "[overlay]\nname = \"other\"\nwrap = {}".to_owned(),
            "no overlay `other`",
        ),
        (wrapped, "more than 1000 functions"),
    ] {
        let error = with(&text).unwrap_err().to_string();
        assert!(error.contains(reason), "{reason}: {error}");
    }
}

#[test]
fn an_invalid_manifest_is_rejected_with_a_reason() {
    let (_, good) = Tiny::default().build();
    Manifest::parse(&good).unwrap();
    let cases = [
        ("abi = 1", "abi = 2", "abi 2 is not 1"),
        ("abi = 1", "abi = 1\nextra = 1", "unknown field"),
        (
            "name = \"tiny\"",
            "name = \"../x\"",
            "characters other than a-z",
        ),
        ("version = \"0.1.0\"", "version = \"a/b\"", "version `a/b`"),
        (
            "name = \"tiny-python\"",
            "name = \"-r\"",
            "is not a valid name",
        ),
        (
            "to = \"python.wasm\"",
            "to = \"../x\"",
            "not a plain relative path",
        ),
        (
            "to = \"python.wasm\"",
            "to = \"/x\"",
            "not a plain relative path",
        ),
        (
            "to = \"python.wasm\"",
            "to = \"STDLIB.zip\"",
            "occurs twice",
        ),
        (
            "to = \"python.wasm\"",
            "to = \"complete.json\"",
            "occurs twice",
        ),
        (
            "to = \"python.wasm\"",
            "to = \"mpl-data/x\"",
            "an entry of its own",
        ),
        (
            "role = \"module\"",
            "role = \"record\"",
            "one file with role module",
        ),
        (
            "archive = \"stdlib.zip\"",
            "archive = \"no.zip\"",
            "not one of the files",
        ),
        ("stdlib = \"/usr", "stdlib = \"usr", "absolute guest path"),
        (
            "sha256 = \"",
            "sha256 = \"A",
            "64 lowercase hexadecimal digits",
        ),
        (
            "size = 3000000",
            "size = 30000000000",
            "the size of python.wasm",
        ),
        (
            "unpacked_size = 9",
            "unpacked_size = 9000000000",
            "exceeds the limit",
        ),
        ("warm = [\"json\"]", "warm = [\"a;b\"]", "warm module `a;b`"),
        (
            "tiny = \"1\"",
            "tiny = \"1\"\n[instead]\nx = \"a\\u001bb\"",
            "instead `a\x1bb`",
        ),
    ];
    for (from, to, reason) in cases {
        assert!(good.contains(from), "{from}");
        let error = Manifest::parse(&good.replacen(from, to, 1))
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{to}: {error}");
    }
}
