//! Patches and overlays of small modules.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::overlay::Overlay;
use super::sections::Sections;
use super::{Problem, patch};
use crate::ModulePatch;

/// Two functions that add constants, one of which has the name of another.
const MODULE: &str = r#"(module
    (import "env" "log" (func $log (param i32)))
    (memory 1)
    (global $stack (mut i32) (i32.const 64))
    (func $seven (export "seven") (result i32) (i32.const 7))
    (func $double (export "double") (param i32) (result i32) (i32.add (local.get 0) (local.get 0)))
    (func $twice (export "twice") (param i32) (result i32) (call $double (call $double (local.get 0))))
    (func $wide (result i64) (i64.const 1))
    (func $same (@name "same") (result i32) (i32.const 1))
    (func $other (@name "same") (result i32) (i32.const 2)))"#;

fn patch(function: &str, offset: u64, expected: &str, replacement: &str) -> ModulePatch {
    ModulePatch {
        function: function.to_owned(),
        offset,
        expected: expected.to_owned(),
        replacement: replacement.to_owned(),
        reason: "a test".to_owned(),
    }
}

/// Names of wrapped functions by kind.
type Wraps<'a> = &'a [(&'a str, &'a [&'a str])];

/// Returns the module of `text` with patches and, if `overlay` is not empty, with an overlay.
fn rewrite(
    text: &str,
    patches: &[ModulePatch],
    overlay: &str,
    wraps: Wraps<'_>,
) -> Result<Vec<u8>, String> {
    let module = wat::parse_str(text).unwrap();
    let overlay_bytes = match overlay.is_empty() {
        true => Vec::new(),
        false => wat::parse_str(overlay).unwrap(),
    };
    let wraps: BTreeMap<String, Vec<String>> = wraps
        .iter()
        .map(|(kind, names)| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            ((*kind).to_owned(), names)
        })
        .collect();
    let rewrite = || {
        let sections = Sections::parse(&module)?;
        let patched = patch::apply(&sections, patches)?;
        let overlay = match overlay.is_empty() {
            true => None,
            false => Some(Overlay::parse(&overlay_bytes)?),
        };
        sections.encode(&patched, overlay.as_ref(), &wraps)
    };
    let rewritten = rewrite().map_err(|problem: Problem| problem.0)?;
    wasmparser::Validator::new()
        .validate_all(&rewritten)
        .expect("the rewritten module is valid");
    Ok(rewritten)
}

fn patched(patches: &[ModulePatch]) -> Result<Vec<u8>, String> {
    rewrite(MODULE, patches, "", &[])
}

/// Returns the bodies of all functions, without their names.
fn bodies(module: &[u8]) -> Vec<Vec<u8>> {
    let sections = Sections::parse(module).unwrap();
    (0..sections.function_count())
        .filter_map(|function| sections.body(function).map(<[u8]>::to_vec))
        .collect()
}

#[test]
fn a_patch_replaces_the_expected_bytes() {
    let out = patched(&[patch("seven", 1, "4107", "4109")]).unwrap();
    assert_eq!(bodies(&out)[0], [0, 0x41, 9, 0x0b]);
    assert_eq!(bodies(&out)[1..], bodies(&patched(&[]).unwrap())[1..]);
}

#[test]
fn a_replacement_can_have_another_length() {
    let longer = patched(&[patch("seven", 1, "4107", "4101410e6a")]).unwrap();
    assert_eq!(bodies(&longer)[0], [0, 0x41, 1, 0x41, 14, 0x6a, 0x0b]);
    let out = patched(&[
        patch("double", 5, "6a", "0b"),
        patch("double", 3, "2000", ""),
        patch("double", 6, "0b", ""),
    ]);
    assert_eq!(bodies(&out.unwrap())[1], [0, 0x20, 0, 0x0b]);
}

#[test]
fn a_patch_that_does_not_match_is_an_error() {
    let cases = [
        (
            patch("seven", 1, "4108", "4109"),
            "expects the bytes 4108, but they are 4107",
        ),
        (
            patch("eight", 1, "4107", "4109"),
            "no function named `eight`",
        ),
        (
            patch("seven", 3, "0b00", "0b"),
            "beyond the end of the function, which has 4 bytes",
        ),
        (patch("seven", u64::MAX, "41", "41"), "beyond the end"),
        (patch("log", 0, "41", "41"), "`log` is imported"),
        (
            patch("same", 1, "4101", "4103"),
            "2 functions named `same`; add `@`",
        ),
        (
            patch("same@0", 1, "4101", "4103"),
            "function 0 is not named `same`",
        ),
    ];
    for (patch, reason) in cases {
        let error = patched(std::slice::from_ref(&patch)).unwrap_err();
        assert!(error.contains(reason), "{patch:?}: {error}");
    }
}

#[test]
fn one_of_several_functions_of_a_name_is_selected_by_its_index() {
    let out = patched(&[patch("same@6", 1, "4102", "4103")]).unwrap();
    assert_eq!(bodies(&out)[4], [0, 0x41, 1, 0x0b]);
    assert_eq!(bodies(&out)[5], [0, 0x41, 3, 0x0b]);
}

#[test]
fn overlapping_patches_are_an_error() {
    let error = patched(&[
        patch("double", 1, "2000", "2000"),
        patch("double", 2, "00", "00"),
    ]);
    assert!(error.unwrap_err().contains("overlaps"));
    let same = [
        patch("seven", 1, "4107", "4109"),
        patch("seven", 1, "4107", "4109"),
    ];
    assert!(patched(&same).unwrap_err().contains("overlaps"));
}

#[test]
fn a_module_without_names_cannot_be_patched() {
    let module = "(module (func (result i32) (i32.const 7)))";
    let error = rewrite(module, &[patch("seven", 1, "4107", "4109")], "", &[]);
    assert!(error.unwrap_err().contains("no function named `seven`"));
}

/// A wrapper that adds 1 to the result, counts its calls in a global, and uses a function and a global of the module.
const OVERLAY: &str = r#"(module
    (import "module" "memory" (memory 0))
    (import "module" "stack" (global $stack (mut i32)))
    (import "module" "seven" (func $seven (result i32)))
    (import "original" "add_one" (func $original (param i32) (result i32)))
    (global $calls (mut i32) (i32.const 0))
    (func $helper (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (drop (call $seven))
        (drop (global.get $stack))
        (i32.const 1))
    (func (export "add_one") (param i32) (result i32)
        (i32.add (call $original (local.get 0)) (call $helper))))"#;

#[test]
fn a_wrapper_takes_the_place_of_its_function_for_all_callers() {
    let out = rewrite(MODULE, &[], OVERLAY, &[("add_one", &["double"])]).unwrap();
    let text = calls(&out);
    // `twice` calls function 2, which is the wrapper now; the wrapper calls the original at the end.
    assert_eq!(text, "1: -; 2: 7 8; 3: 2 2; 4: -; 5: -; 6: -; 7: -; 8: 1");
}

#[test]
fn each_wrapped_function_has_a_wrapper_of_its_own() {
    let out = rewrite(MODULE, &[], OVERLAY, &[("add_one", &["double", "twice"])]).unwrap();
    let text = calls(&out);
    assert_eq!(
        text,
        "1: -; 2: 7 9; 3: 8 9; 4: -; 5: -; 6: -; 7: -; 8: 2 2; 9: 1"
    );
}

#[test]
fn a_patched_function_can_be_wrapped() {
    let patches = [patch("double", 5, "6a", "6c")];
    let out = rewrite(MODULE, &patches, OVERLAY, &[("add_one", &["double"])]).unwrap();
    assert_eq!(bodies(&out)[6], [0, 0x20, 0, 0x20, 0, 0x6c, 0x0b]);
}

#[test]
fn an_overlay_that_does_not_match_is_an_error() {
    let cases: [(&str, &str, Wraps<'_>, &str); 9] = [
        (
            "",
            "",
            &[("add_one", &["none"])],
            "no function named `none`",
        ),
        ("", "", &[("add_two", &["double"])], "no wrapper `add_two`"),
        (
            "",
            "",
            &[("add_one", &["seven"])],
            "another type than its wrapper",
        ),
        ("", "", &[("add_one", &["log"])], "`log` is imported"),
        (
            "",
            "",
            &[("add_one", &["double", "double"])],
            "wrapped twice",
        ),
        ("\"seven\"", "\"wide\"", &[], "`wide` with another type"),
        ("\"stack\"", "\"heap\"", &[], "no global named `heap`"),
        ("\"original\"", "\"env\"", &[], "imports `env.add_one`"),
        (
            "(drop (call $seven))",
            "(drop (call $original (i32.const 1)))",
            &[],
            "outside of its wrapper",
        ),
    ];
    for (from, to, wraps, reason) in cases {
        let overlay = OVERLAY.replacen(from, to, usize::from(!from.is_empty()));
        let error = rewrite(MODULE, &[], &overlay, wraps).unwrap_err();
        assert!(error.contains(reason), "{from} {wraps:?}: {error}");
    }
}

/// Returns the targets of the calls of each function that is not imported.
fn calls(module: &[u8]) -> String {
    let sections = Sections::parse(module).unwrap();
    let of = |function| {
        let body = sections.body(function)?;
        let body = wasmparser::FunctionBody::new(wasmparser::BinaryReader::new(body, 0));
        let operators = body.get_operators_reader().unwrap().into_iter();
        let calls = operators.filter_map(|operator| match operator.unwrap() {
            wasmparser::Operator::Call { function_index } => Some(function_index.to_string()),
            _ => None,
        });
        let calls: Vec<String> = calls.collect();
        let calls = match calls.is_empty() {
            true => "-".to_owned(),
            false => calls.join(" "),
        };
        Some(format!("{function}: {calls}"))
    };
    let all: Vec<String> = (0..sections.function_count()).filter_map(of).collect();
    all.join("; ")
}

proptest! {
    /// Whatever the patch is, the result is an error or a module with exactly that change.
    #[test]
    fn a_patch_changes_nothing_else(
        offset in 0u64..12,
        expected in proptest::collection::vec(any::<u8>(), 1..4),
        replacement in proptest::collection::vec(any::<u8>(), 0..4),
    ) {
        let module = wat::parse_str(MODULE).unwrap();
        let sections = Sections::parse(&module).unwrap();
        let hex = codeact_base::text::hex;
        let one = patch("double", offset, &hex(&expected), &hex(&replacement));
        let body = sections.body(2).unwrap();
        match patch::apply(&sections, &[one]) {
            Ok(bodies) => {
                let start = offset as usize;
                let mut wanted = body[..start].to_vec();
                wanted.extend(&replacement);
                wanted.extend(&body[start + expected.len()..]);
                prop_assert_eq!(&bodies[&2], &wanted);
                prop_assert_eq!(&body[start..start + expected.len()], &expected[..]);
            }
            Err(_) => {
                let end = offset as usize + expected.len();
                prop_assert!(body.get(offset as usize..end) != Some(&expected[..]));
            }
        }
    }

    /// Bytes that are no module, or a damaged one, are an error and never a panic.
    #[test]
    fn a_damaged_module_is_an_error_or_another_module(at in 0usize..400, value in any::<u8>()) {
        let mut module = wat::parse_str(MODULE).unwrap();
        let at = at % module.len();
        module[at] = value;
        let overlay = wat::parse_str(OVERLAY).unwrap();
        let wraps = BTreeMap::from([("add_one".to_owned(), vec!["double".to_owned()])]);
        if let Ok(sections) = Sections::parse(&module)
            && let Ok(patched) = patch::apply(&sections, &[patch("seven", 1, "4107", "4109")])
        {
            let overlay = Overlay::parse(&overlay).unwrap();
            let _ = sections.encode(&patched, Some(&overlay), &wraps);
        }
    }
}
