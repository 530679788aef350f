//! Functions that are the same are written once, and what is called still does what it did.

use super::super::calls::recursive;
use super::super::parts::Parts;
use super::super::same::Same;
use super::{module, start};

/// For each function of `body` the number it has when only the first of the same are counted. `$nothing` is the first.
fn numbers(body: &str) -> Vec<u32> {
    let parsed = wat::parse_str(module(body)).unwrap();
    let parts = Parts::read(&parsed).unwrap();
    let same = Same::find(&parts, &recursive(&parts).unwrap()).unwrap();
    (0..parts.function_types.len() as u32)
        .map(|number| same.number(number))
        .collect()
}

#[test]
fn functions_are_the_same_that_call_the_same() {
    // Leaves, what calls them, and what calls that.
    let chains = "(func $a (result i32) (i32.const 1)) (func $b (result i32) (i32.const 1))
        (func $c (result i32) (call $a)) (func $d (result i32) (call $b))
        (func $e (result i32) (call $c)) (func $f (result i32) (call $d))";
    assert_eq!(numbers(chains), [0, 1, 1, 2, 2, 3, 3]);
    let other = chains.replacen("(i32.const 1)", "(i32.const 2)", 1);
    assert_eq!(numbers(&other), [0, 1, 2, 3, 4, 5, 6]);
    // Those that call one another, where that is no circle to be metered.
    let circles = "(func $a loop (call $b) end) (func $b (call $nothing) loop (call $a) end)
        (func $c loop (call $d) end) (func $d (call $nothing) loop (call $c) end)";
    assert_eq!(numbers(circles), [0, 1, 2, 1, 2]);
    let other = circles.replace("(call $c)", "(call $d)");
    assert_eq!(numbers(&other), [0, 1, 2, 3, 4]);
}

#[test]
fn functions_differ_by_type_locals_and_where_they_are_metered() {
    for body in [
        "(func (param i32)) (func (param i64))",
        "(func (local i32)) (func (local i64))",
        "(func $a (call $nothing)) (func $b (call $b))",
        // Each in a circle of its own.
        "(func $a (call $a)) (func $b (call $b))",
        // One of the two is in a circle.
        "(table 1 funcref) (type $f (func)) (elem (i32.const 0) $a)
            (func $a (call_indirect (type $f) (i32.const 0)))
            (func $b (call_indirect (type $f) (i32.const 0)))",
    ] {
        assert_eq!(numbers(body), [0, 1, 2], "{body}");
    }
}

#[test]
fn what_is_the_same_is_called_under_all_its_names() {
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
    for (at, gives) in [(0, 11), (1, 11), (2, 12)] {
        assert_eq!(running.call("at", at).unwrap(), gives);
    }
    let stopped = running.call("self", 0).unwrap_err();
    assert!(format!("{stopped:?}").contains("stopped"), "{stopped:?}");
}

#[test]
fn more_functions_pause_than_one_can_go_on_with() {
    // Each calls the next by way of a table until there is none, and gives what the last does.
    let all: String = (0..600)
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
    let places: String = (1..=600).map(|n| format!("{n} ")).collect();
    let wat = module(&format!(
        r#"(type $f (func (param i32) (result i32))) (table 600 funcref)
        (elem (i32.const 0) func {places})
        {all}
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
