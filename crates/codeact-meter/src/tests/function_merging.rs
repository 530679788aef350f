//! Identical functions are merged, and calls have the same results.

use super::harness::{module, start};
use crate::call_graph::RecursionCut;
use crate::function_merging::MergedFunctions;
use crate::module_info::ModuleInfo;

/// Returns the class of each function. Function 0 is the imported `$nothing`.
fn classes(definitions: &str) -> Vec<u32> {
    let parsed = wat::parse_str(module(definitions)).unwrap();
    let info = ModuleInfo::parse(&parsed).unwrap();
    let recursion = RecursionCut::compute(&info).unwrap();
    let merged = MergedFunctions::compute(&info, &recursion).unwrap();
    (0..info.function_count())
        .map(|function| merged.class(function))
        .collect()
}

#[test]
fn functions_that_call_identical_functions_are_identical() {
    // Leaves, their callers, and the callers of those.
    let chains = "(func $a (result i32) (i32.const 1)) (func $b (result i32) (i32.const 1))
        (func $c (result i32) (call $a)) (func $d (result i32) (call $b))
        (func $e (result i32) (call $c)) (func $f (result i32) (call $d))";
    assert_eq!(classes(chains), [0, 1, 1, 2, 2, 3, 3]);
    let different = chains.replacen("(i32.const 1)", "(i32.const 2)", 1);
    assert_eq!(classes(&different), [0, 1, 2, 3, 4, 5, 6]);
    // Mutual recursion that is metered by a loop.
    let cycles = "(func $a loop (call $b) end) (func $b (call $nothing) loop (call $a) end)
        (func $c loop (call $d) end) (func $d (call $nothing) loop (call $c) end)";
    assert_eq!(classes(cycles), [0, 1, 2, 1, 2]);
    let different = cycles.replace("(call $c)", "(call $d)");
    assert_eq!(classes(&different), [0, 1, 2, 3, 4]);
}

#[test]
fn functions_differ_by_type_locals_and_meter_points() {
    for definitions in [
        "(func (param i32)) (func (param i64))",
        "(func (local i32)) (func (local i64))",
        "(func $a (call $nothing)) (func $b (call $b))",
        // Each is a cycle of its own.
        "(func $a (call $a)) (func $b (call $b))",
        // Only one of them is part of a cycle.
        "(table 1 funcref) (type $f (func)) (elem (i32.const 0) $a)
            (func $a (call_indirect (type $f) (i32.const 0)))
            (func $b (call_indirect (type $f) (i32.const 0)))",
    ] {
        assert_eq!(classes(definitions), [0, 1, 2], "{definitions}");
    }
}

#[test]
fn a_merged_function_can_be_called_in_all_previous_ways() {
    let wat = module(
        r#"(type $f (func (param i32) (result i32)))
        (table 3 funcref) (elem (i32.const 0) $one $other $two)
        (func $one (type $f) (i32.add (local.get 0) (i32.const 1)))
        (func $other (type $f) (i32.add (local.get 0) (i32.const 1)))
        (func $two (export "two") (type $f) (i32.add (local.get 0) (i32.const 2)))
        (func (export "other") (type $f) (call $other (local.get 0)))
        (func (export "at") (type $f) (call_indirect (type $f) (i32.const 10) (local.get 0)))
        (func (export "self") (type $f) (call $twin (local.get 0)))
        (func $twin (type $f) (call $twin (local.get 0)))"#,
    );
    let mut running = start(&wat, 1000, 20);
    assert_eq!(running.call("other", 4).unwrap(), 5);
    assert_eq!(running.call("two", 4).unwrap(), 6);
    for (entry, result) in [(0, 11), (1, 11), (2, 12)] {
        assert_eq!(running.call("at", entry).unwrap(), result);
    }
    let stopped = running.call("self", 0).unwrap_err();
    assert!(format!("{stopped:?}").contains("stopped"), "{stopped:?}");
}

#[test]
fn more_functions_yield_than_one_stub_can_restart() {
    // Each calls the next through a table. The result is that of the last.
    let functions: String = (0..600)
        .map(|n| {
            format!(
                "(func (type $f) (if (result i32) (i32.eq (local.get 0) (i32.const 599))
                    (then (i32.const {n}))
                    (else (call_indirect (type $f)
                        (i32.add (local.get 0) (i32.const 1)) (i32.const {})))))",
                (n + 1) % 600
            )
        })
        .collect();
    let entries: String = (1..=600).map(|n| format!("{n} ")).collect();
    let wat = module(&format!(
        r#"(type $f (func (param i32) (result i32))) (table 600 funcref)
        (elem (i32.const 0) func {entries})
        {functions}
        (func (export "first") (type $f) (call_indirect (type $f) (local.get 0) (i32.const 0)))"#
    ));
    let mut used = Vec::new();
    for slice in [1, 7, 1 << 40] {
        let mut running = start(&wat, slice, u32::MAX);
        assert_eq!(running.call("first", 0).unwrap(), 599);
        used.push(running.used());
    }
    assert_eq!((used[0], used[1]), (used[2], used[2]));
}
