//! Loops that are written twice do what they did, and two passes cost what two passes cost.

use super::loops::{outcome, rewritten_with, work};
use super::{module, start};

/// `work` with each loop as it was, and with loops written twice whose passes have up to 40 instructions.
fn ways(body: &str) -> [Vec<u8>; 2] {
    let never = usize::MAX;
    [0, 40].map(|doubled| rewritten_with(&work(body), never, never, doubled))
}

#[test]
fn two_passes_are_taken_from_the_counter_at_once() {
    let wat = module(
        r#"(func (export "count") (param $n i32) (result i32) (local $i i32)
            (loop $more
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $i) (local.get $n))))
            (local.get $i))"#,
    );
    for n in 1..8 {
        let mut running = start(&wat, 1 << 40, 100);
        assert_eq!(running.call("count", n).unwrap(), n);
        let pairs = i64::from((n + 1) / 2);
        assert_eq!(running.used(), pairs * 2 * 9, "{n}");
    }
}

#[test]
fn it_is_left_in_either_pass_by_each_way_out() {
    let down = "(local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3)) (local.get $n)))";
    for (name, body) in [
        (
            "its end",
            "loop DOWN (br_if 0 (i32.gt_s (local.get $n) (i32.const 0))) end (local.get $sum)",
        ),
        (
            "its end, with a number",
            "loop (result i32) DOWN (br_if 0 (i32.gt_s (local.get $n) (i32.const 0))) (local.get $sum) end",
        ),
        (
            "a label outside",
            "block $out loop DOWN (br_if $out (i32.le_s (local.get $n) (i32.const 0))) br 0 end end
            (local.get $sum)",
        ),
        (
            "a label outside, from within a block",
            "block $out loop
                DOWN
                (if (i32.le_s (local.get $n) (i32.const 0)) (then (local.set $i (i32.const 1)) (br $out)))
                br 0
            end end
            (i32.add (local.get $sum) (local.get $i))",
        ),
        (
            "a label outside, with a number",
            "block $out (result i32) loop
                DOWN
                (drop (br_if $out (local.get $sum) (i32.le_s (local.get $n) (i32.const 0))))
                br 0
            end unreachable end",
        ),
        (
            "a return",
            "loop DOWN (if (i32.le_s (local.get $n) (i32.const 0)) (then (return (local.get $sum)))) br 0 end
            unreachable",
        ),
        (
            "the head of a loop around it",
            "loop $around
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                loop
                    DOWN
                    (br_if $around (i32.eq (i32.rem_s (local.get $n) (i32.const 3)) (i32.const 1)))
                    (br_if 0 (i32.gt_s (local.get $n) (i32.const 0)))
                end
            end
            (i32.add (local.get $sum) (local.get $i))",
        ),
        (
            "its end, where it goes on from within a block with an operand left behind",
            "loop
                DOWN
                block
                    (i32.const 7)
                    (br_if 1 (i32.gt_s (local.get $n) (i32.const 0)))
                    drop
                end
            end
            (local.get $sum)",
        ),
    ] {
        let [once, twice] = ways(&body.replace("DOWN", down));
        assert!(twice.len() > once.len(), "{name}");
        for n in 0..9 {
            let (given, memory, cost) = outcome(&once, n, 1 << 40);
            let doubled = outcome(&twice, n, 1 << 40);
            assert_eq!((doubled.0, &doubled.1), (given, &memory), "{name}, {n}");
            assert!((cost..2 * cost + 1).contains(&doubled.2), "{name}, {n}");
            assert_eq!(outcome(&twice, n, 1), doubled, "{name}, {n}");
        }
    }
}

#[test]
fn some_loops_are_not_written_twice() {
    let again = "(br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))";
    let long = "(local.set $sum (local.get $n))".repeat(18);
    for (name, body) in [
        (
            "a call",
            format!("loop (call $nothing) {again} end (local.get $n)"),
        ),
        (
            "a table of labels",
            "loop block (br_table 0 1 (local.get $n)) end end (local.get $n)".into(),
        ),
        (
            "an operand that it takes",
            format!("(local.get $n) (loop (type $two) (local.set $sum) (local.get $sum) {again})"),
        ),
        (
            "a long pass",
            format!("loop {long} {again} end (local.get $n)"),
        ),
    ] {
        let [once, twice] = ways(&body);
        assert!(once == twice, "{name}");
    }
    // Of two, one in the other, the inner one; the outer one costs what it did.
    let inner = format!("loop {again} end");
    let [_, inner_alone] = ways(&format!("{inner} (local.get $n)"));
    let [inner_once, _] = ways(&format!("{inner} (local.get $n)"));
    let both = format!("loop {inner} (br_if 0 (local.get $i)) end (local.get $n)");
    let [once, twice] = ways(&both);
    assert_eq!(
        twice.len() - once.len(),
        inner_alone.len() - inner_once.len()
    );
    assert_eq!(outcome(&once, 4, 1 << 40), outcome(&twice, 4, 1 << 40));
}
