//! Metered code is charged for its loops and recursion, and can be stopped in all of them.

use super::harness::{module, start};
use crate::call_graph::RecursionCut;
use crate::module_info::ModuleInfo;

/// Returns for each function of `wat` whether its entry is a meter point.
fn metered_entries(wat: &str) -> Vec<bool> {
    let parsed = wat::parse_str(wat).unwrap();
    let info = ModuleInfo::parse(&parsed).unwrap();
    let recursion = RecursionCut::compute(&info).unwrap();
    recursion.metered_entries().to_vec()
}

#[test]
fn a_loop_is_charged_by_its_size_and_can_be_stopped() {
    let wat = module(
        r#"(func (export "count") (param $n i32) (result i32) (local $i i32)
            (call $nothing)
            (loop $more
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $i) (local.get $n))))
            (local.get $i))
        (func (export "forever") (param i32) (result i32) (loop $l (br $l)) (unreachable))"#,
    );
    let mut running = start(&wat, 1 << 40, 100);
    assert_eq!(running.call("count", 10).unwrap(), 10);
    let ten = running.used();
    assert_eq!(running.call("count", 1010).unwrap(), 1010);
    let more = running.used() - ten;
    // The loop has nine instructions, its `end` included.
    assert_eq!((more - ten, ten), (9000, 90));
    let mut running = start(&wat, 1000, 100);
    assert_eq!(running.call("count", 500).unwrap(), 500);
    assert_eq!(running.store.data().count, 4);
    assert!(running.call("forever", 0).is_err());
}

#[test]
fn a_pass_costs_a_unit_for_each_instruction_and_at_most_100() {
    // Six instructions, the `end` included, are in each loop.
    for (nops, cost) in [(0, 6), (1, 7), (93, 99), (94, 100), (95, 100), (1000, 100)] {
        let wat = module(&format!(
            r#"(func (export "count") (param $n i32) (result i32)
                loop
                    {}
                    (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))
                end
                (i32.const 0))"#,
            "nop ".repeat(nops)
        ));
        for passes in [1, 2, 3, 7] {
            let mut running = start(&wat, 1 << 40, 100);
            running.call("count", passes).unwrap();
            assert_eq!(running.used(), i64::from(passes) * cost, "{nops}, {passes}");
        }
    }
}

#[test]
fn recursion_without_a_loop_is_stopped_for_every_kind_of_call() {
    // Only small functions check the counter at their entry. The fuel is the same for both.
    let padding = "nop ".repeat(100);
    let small = fuel_of_stopped_recursion("small", "");
    let long = fuel_of_stopped_recursion("long", &padding);
    assert_eq!(small, long);
}

/// Checks that each kind of recursion is stopped. Returns the fuel that each uses.
fn fuel_of_stopped_recursion(size: &str, padding: &str) -> Vec<i64> {
    let mut used = Vec::new();
    let tree = |call: &str| {
        format!(
            r#"(func $tree (export "tree") (type $f) (param $n i32) (result i32)
                {padding}
                (if (result i32) (i32.eqz (local.get $n)) (then (i32.const 1))
                    (else (i32.add {call} {call}))))"#
        )
    };
    let ty = "(type $f (func (param i32) (result i32)))";
    let equal_type = "(type $g (func (param i32) (result i32)))";
    let less = "(i32.sub (local.get $n) (i32.const 1))";
    let table = "(table 2 funcref) (elem (i32.const 0) $tree $tree)";
    for (name, body) in [
        (
            "direct",
            format!("{ty} {}", tree(&format!("(call $tree {less})"))),
        ),
        (
            "through another function",
            format!(
                "{ty} {} (func $other (param i32) (result i32) (call $tree (local.get 0)))",
                tree(&format!("(call $other {less})"))
            ),
        ),
        (
            "through a table, by an equal type",
            format!(
                "{ty} {equal_type} {table} {}",
                tree(&format!("(call_indirect (type $g) {less} (i32.const 1))"))
            ),
        ),
    ] {
        let mut running = start(&module(&body), 1000, 20);
        assert_eq!(running.call("tree", 8).unwrap(), 256, "{size}, {name}");
        used.push(running.used());
        assert!(running.call("tree", 40).is_err(), "{size}, {name}");
    }
    used
}

#[test]
fn functions_that_cannot_recurse_have_no_meter_point() {
    let wat = module(
        r#"(type $f (func (param i32) (result i32)))
        (table 1 funcref) (elem (i32.const 0) $leaf)
        (func $leaf (type $f) (local.get 0))
        (func $calls (export "calls") (type $f)
            (call_indirect (type $f) (local.get 0) (i32.const 0)))
        (func $self (type $f) (call $self (local.get 0)))"#,
    );
    assert_eq!(metered_entries(&wat), [false, false, false, true]);
}

#[test]
fn recursion_from_within_a_loop_is_metered_by_the_loop() {
    let wat = module(
        r#"(func $tree (export "tree") (param $n i32) (result i32) (local $i i32) (local $sum i32)
            (if (i32.eqz (local.get $n)) (then (return (i32.const 1))))
            (loop $twice
                (local.set $sum (i32.add (local.get $sum)
                    (call $tree (i32.sub (local.get $n) (i32.const 1)))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $twice (i32.lt_u (local.get $i) (i32.const 2))))
            (local.get $sum))"#,
    );
    assert_eq!(metered_entries(&wat), [false, false]);
    let mut running = start(&wat, 1000, 20);
    assert_eq!(running.call("tree", 8).unwrap(), 256);
    assert!(running.call("tree", 40).is_err());
}
