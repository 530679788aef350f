//! The rewriter that adds meter points to a module.

use std::sync::LazyLock;

use codeact_meter::metered;
use wasmparser::{Validator, WasmFeatures};

use super::input::Input;

/// A valid module: loops, calls, recursion, locals, a table, bulk memory.
static VALID: LazyLock<Vec<u8>> = LazyLock::new(|| {
    wat::parse_str(
        r#"(module
            (import "env" "log" (func $log (param i32)))
            (memory (export "memory") 1)
            (table 2 funcref)
            (elem (i32.const 0) $sum $even)
            (global $count (mut i32) (i32.const 0))
            (func $sum (export "sum") (param $n i32) (result i32) (local $all i32) (local $wide i64)
                (loop $again
                    (local.set $all (i32.add (local.get $all) (local.get $n)))
                    (local.set $wide (i64.extend_i32_u (local.get $all)))
                    (local.tee $n (i32.sub (local.get $n) (i32.const 1)))
                    (br_if $again))
                (i32.wrap_i64 (local.get $wide)))
            (func $even (param $n i32) (result i32)
                (if (result i32) (i32.eqz (local.get $n))
                    (then (i32.const 1))
                    (else (call $odd (i32.sub (local.get $n) (i32.const 1))))))
            (func $odd (param $n i32) (result i32)
                (if (result i32) (i32.eqz (local.get $n))
                    (then (i32.const 0))
                    (else (call $even (i32.sub (local.get $n) (i32.const 1))))))
            (func (export "run") (param $which i32) (result f64)
                (block $out
                    (loop $outer
                        (loop $inner
                            (memory.fill (i32.const 0) (i32.const 1) (local.get $which))
                            (memory.copy (i32.const 8) (i32.const 0) (local.get $which))
                            (br_table $inner $outer $out
                                (call_indirect (param i32) (result i32) (local.get $which) (i32.const 0)))))
                    (call $log (global.get $count)))
                (f64.const 0.5)))"#,
    )
    .expect("a valid module")
});

/// Rewrites a module: text that starts with `(`, or a valid binary one with edits. The result of a valid module must be
/// valid.
pub fn rewriter(data: &[u8]) {
    let mut input = Input::new(data);
    let module = match (data.first(), input.as_whole_file()) {
        (Some(b'('), _) => match std::str::from_utf8(data).map(wat::parse_str) {
            Ok(Ok(module)) => module,
            _ => return,
        },
        (_, Some(file)) => file.to_vec(),
        _ => {
            let mut module = VALID.clone();
            input.edit(&mut module);
            module
        }
    };
    let is_valid = validate(&module).is_ok();
    for points in [true, false] {
        match metered(&module, points) {
            Ok(rewritten) if is_valid => {
                validate(&rewritten).expect("a valid module stays valid");
            }
            Ok(_) => {}
            Err(error) => assert!(!data.is_empty(), "{error}"),
        }
    }
}

fn validate(module: &[u8]) -> Result<(), wasmparser::BinaryReaderError> {
    Validator::new_with_features(WasmFeatures::default())
        .validate_all(module)
        .map(drop)
}
