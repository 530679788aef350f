//! Invalid and unsupported modules are errors. No input makes the crate panic, and a valid module
//! never becomes invalid.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wasmparser::{Validator, WasmFeatures};

use super::harness::module;
use crate::emit::Options;
use crate::rewrite::rewritten;
use crate::{RewriteError, metered};

fn is_valid(module: &[u8]) -> bool {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    validator.validate_all(module).is_ok()
}

#[test]
fn a_module_that_is_incomplete_or_malformed_is_an_error() {
    for wasm in [
        &b""[..],
        b"\0asm",
        b"not a module at all",
        b"\0asm\x01\0\0\0",
    ] {
        assert!(metered(wasm, true).is_err(), "{wasm:?}");
    }
    let good = wat::parse_str(module("(func (export \"f\"))")).unwrap();
    metered(&good, true).unwrap();
    // Of all prefixes only the one without the name section is complete.
    let prefixes = (9..good.len()).map(|len| &good[..len]);
    let accepted = prefixes.filter(|prefix| metered(prefix, true).is_ok());
    assert_eq!(accepted.count(), 1);
    // The largest number of locals that can be encoded, which is far above the limit.
    let mut locals = wat::parse_str(module("(func (local i32) nop)")).unwrap();
    metered(&locals, true).unwrap();
    let at = (locals.windows(5))
        .position(|bytes| bytes == [0x01, 0x01, 0x7f, 0x01, 0x0b])
        .unwrap();
    locals.splice(at + 1..at + 2, [0xff, 0xff, 0xff, 0xff, 0x0f]);
    // The section and the body are four bytes longer.
    for back in [1, 3] {
        locals[at - back] += 4;
    }
    assert!(metered(&locals, true).is_err());
    // A loop without an `end`.
    let closed = [0x03, 0x40, 0x01, 0x0b, 0x0b];
    let mut open = wat::parse_str(module("(func loop nop end)")).unwrap();
    metered(&open, true).unwrap();
    let at = open.windows(5).position(|bytes| bytes == closed).unwrap();
    open[at + 3] = 0x01;
    assert!(metered(&open, true).is_err());
}

#[test]
fn a_reference_to_a_function_or_type_that_does_not_exist_stays_invalid() {
    for body in [
        "(func (drop (ref.func 99)))",
        "(func (call 4000000))",
        "(func (return_call 3))",
        "(func (call_indirect (type 99) (i32.const 0)))",
        "(func loop (call 99) end)",
    ] {
        let parsed = wat::parse_str(module(body)).unwrap();
        for points in [true, false] {
            if let Ok(metered) = metered(&parsed, points) {
                assert!(!is_valid(&metered), "{body}");
            }
        }
    }
}

#[test]
fn a_valid_module_that_cannot_be_metered_is_unsupported() {
    let start = r#"(module (import "env" "nothing" (func))"#;
    let rest = r#"(global i32 (i32.const 0)) (func (export "f"))"#;
    for module in [
        // Without a memory.
        format!("{start} {rest})"),
        format!("{start} (memory i64 1) {rest})"),
        // Without imports.
        format!("(module (memory 1) {rest})"),
        // With names that metering adds.
        format!(r#"{start} (memory (export "codeact_meter") 1) {rest})"#),
        format!(r#"{start} (memory (export "codeact_call") 1) {rest})"#),
        // Bulk operations on another memory than the first.
        format!(
            "{start} (memory 1) (memory $m 1) {rest}
            (func (memory.fill $m (i32.const 0) (i32.const 0) (i32.const 9))))"
        ),
        format!(
            "{start} (memory 1) (memory $m 1) {rest}
            (func (memory.copy 0 $m (i32.const 0) (i32.const 0) (i32.const 9))))"
        ),
    ] {
        let wasm = wat::parse_str(&module).unwrap();
        assert!(is_valid(&wasm), "{module}");
        let result = metered(&wasm, true);
        assert!(
            matches!(result, Err(RewriteError::Unsupported(_))),
            "{module}"
        );
    }
    // A memory may be imported.
    let imported = format!(r#"{start} (import "env" "memory" (memory 1)) {rest})"#);
    let result = metered(&wat::parse_str(imported).unwrap(), true).unwrap();
    assert!(is_valid(&result));
}

/// Modules to mutate. Together they use all passes.
const SEEDS: [&str; 4] = [
    // Loops with and without calls, nested blocks, and several exits.
    r#"(func (export "loops") (param $n i32) (result i32) (local $i i32) (local $x f64) (local $w i64)
        block $out
            loop $outer
                (local.set $w (i64.add (local.get $w) (i64.extend_i32_u (local.get $i))))
                (if (local.get $i) (then
                    loop $inner
                        (local.set $x (f64.add (local.get $x) (f64.const 1)))
                        (br_if $out (i32.gt_u (local.get $i) (i32.const 9)))
                        (br_if $outer (i32.eqz (local.get $n)))
                        (br_if $inner (local.tee $i (i32.sub (local.get $i) (local.get $n))))
                    end)
                (else (call $nothing)))
                (br_if $outer (i32.lt_u (local.get $i) (local.get $n)))
            end
        end
        block block block (br_table 0 1 2 (local.get $n)) end end end
        (i32.add (local.get $i) (i32.wrap_i64 (local.get $w))))"#,
    // Direct and indirect recursion, identical functions, references, tail calls.
    r#"(type $f (func (param i32) (result i32)))
        (table 3 funcref) (elem (i32.const 0) $a $b $tree)
        (func $a (type $f) (i32.add (local.get 0) (i32.const 1)))
        (func $b (type $f) (i32.add (local.get 0) (i32.const 1)))
        (func $tree (export "tree") (type $f)
            (if (result i32) (local.get 0)
                (then (call_indirect (type $f) (local.get 0) (i32.const 2)))
                (else (call $tree (local.get 0)))))
        (func (type $f) (drop (ref.func $a)) (return_call $b (local.get 0)))"#,
    // Bulk memory, vectors, references as locals, data.
    r#"(func (export "bulk") (param $n i32) (local $v v128) (local $r externref)
            loop $more
                (memory.copy (i32.const 8) (local.get $n) (i32.const 80))
                (memory.fill (i32.const 8) (local.get $n) (i32.const 80))
                (local.set $v (i32x4.add (local.get $v) (i32x4.splat (local.get $n))))
                (br_if $more (ref.is_null (local.get $r)))
            end)
        (data (i32.const 0) "data")"#,
    // Exceptions.
    r#"(tag $e (param i32))
        (func (export "catches") (result i32)
            block $caught (result i32)
                try_table (catch $e $caught)
                    loop (throw $e (i32.const 1)) end
                end
                (i32.const 2)
            end)"#,
];

/// A change of a module: a byte is replaced, removed, or inserted.
#[derive(Debug, Clone)]
enum Mutation {
    Replace(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, u8),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let position = any::<prop::sample::Index>;
    // Small numbers are likely to be valid opcodes, types and indices.
    let byte = || prop_oneof![any::<u8>(), 0_u8..0x12];
    prop_oneof![
        8 => (position(), byte()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        1 => position().prop_map(Mutation::Remove),
        1 => (position(), byte()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
    ]
}

proptest! {
    // The seed is fixed, so that the test has the same result each time.
    #![proptest_config(ProptestConfig {
        cases: 2000,
        rng_seed: RngSeed::Fixed(0),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn mutated_modules_do_not_panic_and_valid_ones_stay_valid(
        seed in 0..SEEDS.len(),
        mutations in prop::collection::vec(mutation(), 0..4),
        large_function in prop_oneof![Just(0), Just(usize::MAX)],
        points in any::<bool>(),
    ) {
        let mut wasm = wat::parse_str(module(SEEDS[seed])).unwrap();
        for mutation in mutations {
            match mutation {
                Mutation::Replace(at, byte) => { let at = at.index(wasm.len()); wasm[at] = byte; }
                Mutation::Remove(at) => { wasm.remove(at.index(wasm.len())); }
                Mutation::Insert(at, byte) => wasm.insert(at.index(wasm.len()), byte),
            }
        }
        let options = Options { points, large_function, busy_loop: 0 };
        match rewritten(&wasm, options) {
            // Bodies are not validated completely, so an invalid module can have a result.
            Ok(result) => prop_assert!(is_valid(&result) || !is_valid(&wasm)),
            Err(RewriteError::Parse(_)) => prop_assert!(!is_valid(&wasm)),
            // Unsupported, or too large to be encoded.
            Err(_) => {}
        }
    }
}
