//! Loops that are outlined or have a continuation behave as before and use the same fuel.

use std::ops::Range;

use super::harness::{module, run};
use crate::emit::Options;
use crate::function_ir::FunctionIr;
use crate::module_info::ModuleInfo;
use crate::outline::{OutlinedLoop, outlinable_loops};
use crate::rewrite::rewritten;

/// Returns the loops that are outlined in the only function of a module.
fn outlined(function: &str) -> Vec<OutlinedLoop> {
    let parsed = wat::parse_str(module(function)).unwrap();
    let mut info = ModuleInfo::parse(&parsed).unwrap();
    let (body, to_validate) = info.bodies.remove(0);
    let (ir, _) = FunctionIr::parse(info.imported_functions, &body, to_validate).unwrap();
    outlinable_loops(&ir.operators, &ir.locals)
}

#[test]
fn inputs_are_the_locals_read_and_outputs_those_that_are_live_afterwards() {
    let loops = outlined(
        r#"(func (param $n i32) (result i32) (local $i i32) (local $sum i32) (local $t i32) (local $u i32)
            (local.set $u (i32.const 7))
            block $out
                loop $more
                    (local.set $t (i32.mul (local.get $i) (local.get $n)))
                    (local.set $sum (i32.add (local.get $sum) (local.get $t)))
                    (br_if $out (i32.gt_u (local.get $sum) (i32.const 1000)))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $more (i32.lt_u (local.get $i) (local.get $n)))
                end
                (local.set $sum (i32.const 0))
            end
            (i32.add (local.get $sum) (local.get $u)))"#,
    );
    let [one] = &loops[..] else {
        panic!("{loops:?}")
    };
    let (n, i, sum) = (0, 1, 2);
    assert_eq!(one.inputs, [n, i, sum]);
    assert_eq!(one.outputs, [sum]);
    assert_eq!(one.exits, [0]);
}

#[test]
fn some_loops_cannot_be_outlined() {
    for statement in [
        "(return (i32.const 1))",
        "(return_call $self (local.get 0))",
        "(br_table 0 1 (local.get 0))",
        // A branch that carries a value.
        "(br 1 (i32.const 1))",
        "(br_if 0 (ref.is_null (local.get $r)))",
    ] {
        let body = format!(
            "(func $self (param i32) (result i32) (local $r externref)
                block (result i32) loop {statement} end (i32.const 2) end)"
        );
        assert_eq!(outlined(&body), [], "{statement}");
    }
    // Of two nested loops only the inner one is outlined.
    let two = outlined("(func (param i32) loop loop (br_if 1 (local.get 0)) end end)");
    assert_eq!(two.len(), 1);
    assert_eq!((two[0].start, &two[0].exits[..]), (1, &[0][..]));
}

/// Meters `wat` in three ways: loops yield by a call, loops are outlined, and functions have
/// continuations for loops that access `busy_loop` live locals or more.
pub(super) fn strategies(wat: &str, busy_loop: usize) -> [Vec<u8>; 3] {
    let parsed = wat::parse_str(wat).unwrap();
    let never = usize::MAX;
    [(never, never), (0, never), (never, busy_loop)].map(|(large_function, busy_loop)| {
        let options = Options {
            points: true,
            large_function,
            busy_loop,
        };
        rewritten(&parsed, options).unwrap()
    })
}

/// Returns a module with a function `work` of type `(i32) -> i32`. It has the locals `$n`, `$i` and
/// `$sum`. `LOOP` in its body stands for a loop with ten passes of `$sum = $sum * 3 + $i`.
fn work(body: &str) -> String {
    let counted_loop = "(local.set $i (i32.const 10))
        loop
            (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3)) (local.get $i)))
            (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1))))
        end";
    let body = body.replace("LOOP", &format!("{counted_loop} "));
    module(&format!(
        r#"(type $two (func (param i32) (result i32)))
        (func (export "work") (param $n i32) (result i32) (local $i i32) (local $sum i32)
            {body})"#
    ))
}

#[test]
fn a_function_resumes_in_each_of_its_loops() {
    for (name, body) in [
        ("the first of two", "LOOP LOOP (local.get $sum)"),
        (
            "a branch without a loop, after another loop",
            "LOOP (if (local.get $n) (then (local.set $sum (i32.const 5))) (else LOOP)) (local.get $sum)",
        ),
        (
            "both branches of an `if` with a result",
            "(if (result i32) (local.get $n) (then LOOP (local.get $i)) (else LOOP (local.get $sum)))",
        ),
        (
            "a branch within a loop that calls",
            "loop (call $nothing)
                (if (i32.and (local.get $n) (i32.const 1)) (then LOOP) (else (local.set $sum (i32.const 9))))
                (br_if 0 (local.tee $n (i32.shr_u (local.get $n) (i32.const 1))))
            end (local.get $sum)",
        ),
        (
            "a block with a result",
            "(block (result i32) (br_if 0 (i32.const 4) (local.get $n)) drop LOOP (local.get $sum))",
        ),
        (
            "by a branch table",
            "block block block (br_table 0 1 2 (local.get $n)) end LOOP end LOOP end LOOP (local.get $sum)",
        ),
    ] {
        let [in_place, _, continued] = strategies(&work(body), 0);
        assert!(continued.len() > in_place.len(), "{name}");
        for n in [0, 1, 2, 11] {
            let expected = outcome(&in_place, n, 1 << 40);
            for slice in [1, 7, 40, 1 << 40] {
                assert_eq!(outcome(&continued, n, slice), expected, "{name}, {n}, {slice}");
            }
        }
    }
}

#[test]
fn some_functions_have_no_continuation() {
    let mut deep = "block ".repeat(20_000) + "LOOP" + &"end ".repeat(20_000);
    deep += "(local.get $sum)";
    let many = "(local i64)".repeat(200)
        + "LOOP loop "
        + &"loop end ".repeat(200)
        + &(3..203)
            .map(|n| format!("(drop (local.get {n}))"))
            .collect::<String>()
        + "end (local.get $sum)";
    for (name, body) in [
        (
            "an operand below the loop",
            "(local.get $n) LOOP (i32.add (local.get $sum))",
        ),
        (
            "an operand below a block around the loop",
            "(local.get $n) block LOOP end (i32.add (local.get $sum))",
        ),
        (
            "a block with a parameter",
            "(local.get $n) (block (type $two) (local.set $sum) LOOP (local.get $sum))",
        ),
        ("unreachable code", "block (br 0) LOOP end (local.get $sum)"),
        ("a nesting that would overflow the stack", &deep),
        ("very many spills", &many),
    ] {
        let [in_place, _, continued] = strategies(&work(body), 0);
        assert_eq!(continued.len(), in_place.len(), "{name}");
        if body.len() < 1000 {
            assert_eq!(
                outcome(&continued, 3, 1),
                outcome(&in_place, 3, 1 << 40),
                "{name}"
            );
        }
    }
}

/// Runs `work`. Returns its result, the memory that it wrote, and the fuel that it used.
pub(super) fn outcome(module: &[u8], n: i32, slice: i64) -> (i32, Vec<u8>, i64) {
    let mut running = run(module, slice, u32::MAX);
    let result = running.call("work", n).unwrap();
    let memory = (running.instance)
        .get_memory(&mut running.store, "memory")
        .unwrap();
    let bytes = memory.data(&running.store)[..0x1010].to_vec();
    (result, bytes, running.used())
}

#[test]
fn an_outlined_loop_has_locals_of_all_types_and_more_than_are_parameters() {
    let sums = |ty: &str, which: Range<u32>| -> String {
        which
            .map(|n| {
                let more = match ty {
                    "i64" => "(i64.extend_i32_u (local.get $n))",
                    "f32" => "(f32.convert_i32_u (local.get $n))",
                    "f64" => "(f64.convert_i32_u (local.get $n))",
                    _ => "(local.get $n)",
                };
                let k = n % 5 + 2;
                format!(
                    "(local.set {n} ({ty}.add ({ty}.mul (local.get {n}) ({ty}.const {k})) {more}))\n"
                )
            })
            .collect()
    };
    // All locals are live after the loop. One more, a vector, cannot be spilled.
    for types in [&["i32"][..], &["i64", "f64"], &["f32", "i32", "i64"]] {
        let mut locals = String::new();
        let mut inside = String::new();
        let mut after = String::new();
        let each = 9 / types.len() as u32;
        for (ty, from) in types.iter().zip((4..).step_by(each as usize)) {
            locals += &format!("(local {})", format!("{ty} ").repeat(each as usize));
            inside += &sums(ty, from..from + each);
            for n in from..from + each {
                after += &format!("({ty}.store (i32.const {}) (local.get {n}))\n", (n - 4) * 8);
            }
        }
        for leave in ["", "(br_if $out (i32.eq (local.get $n) (i32.const 3)))"] {
            let wat = module(&format!(
                r#"(func (export "work") (param $n i32) (result i32)
                    (local $i i32) (local $sum i32) (local $v v128) {locals}
                    block $out
                        loop $more
                            {inside}
                            (local.set $v (i32x4.add (local.get $v) (i32x4.splat (local.get $n))))
                            {leave}
                            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))
                        end
                        (local.set $sum (i32.const 5))
                    end
                    {after}
                    (v128.store (i32.const 0x1000) (local.get $v))
                    (i32.add (local.get $n) (local.get $sum)))"#
            ));
            let [in_place, outlined, _] = strategies(&wat, 0);
            assert!(outlined.len() > in_place.len());
            for n in [1, 5, 9] {
                let expected = outcome(&in_place, n, 1 << 40);
                for slice in [1, 30, 1 << 40] {
                    assert_eq!(
                        outcome(&outlined, n, slice),
                        expected,
                        "{types:?}, {leave}, {n}, {slice}"
                    );
                }
            }
        }
    }
}
