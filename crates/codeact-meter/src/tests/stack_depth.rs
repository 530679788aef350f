//! A recursion through destructors uses the stack in memory.

use super::harness::{module, start};

/// Objects are numbers: the destructor of n destroys n - 1, unless the stack is nearly used up.
fn nested(function: &str, stack_pointer: &str) -> String {
    module(&format!(
        r#"
    (global ${stack_pointer} (mut i32) (i32.const 2048))
    (global $destroyed (mut i32) (i32.const 0))
    (table funcref (elem $destructor))
    (func ${function} (param $object i32)
        (br_if 0 (i32.lt_s (global.get ${stack_pointer}) (i32.const 1024)))
        (call_indirect (param i32) (local.get $object) (i32.const 0)))
    (func $destructor (param $object i32)
        (global.set $destroyed (i32.add (global.get $destroyed) (i32.const 1)))
        (if (local.get $object)
            (then (call ${function} (i32.sub (local.get $object) (i32.const 1))))))
    (func (export "destroy") (param $object i32) (result i32)
        (call ${function} (local.get $object))
        (global.get $destroyed))
    (func (export "stack") (param i32) (result i32) (global.get ${stack_pointer}))"#
    ))
}

#[test]
fn a_call_of_a_destructor_reserves_stack_and_releases_it() {
    let mut running = start(&nested("_Py_Dealloc", "__stack_pointer"), 1 << 20, 100);
    assert_eq!(running.call("destroy", 10).unwrap(), 11);
    assert_eq!(running.call("stack", 0).unwrap(), 2048);
    // The module ends the recursion after 1 KiB of stack.
    assert_eq!(running.call("destroy", 1000).unwrap(), 11 + 65);
    assert_eq!(running.call("stack", 0).unwrap(), 2048);
}

#[test]
fn calls_of_other_functions_reserve_nothing() {
    for (function, stack_pointer) in [("other", "__stack_pointer"), ("_Py_Dealloc", "other")] {
        let mut running = start(&nested(function, stack_pointer), 1 << 20, 100);
        assert_eq!(running.call("destroy", 1000).unwrap(), 1001);
        assert_eq!(running.call("stack", 0).unwrap(), 2048);
    }
}
