//! Loops that become functions, and functions that are continued in their loops, do what they did, and cost what
//! they cost.

use std::ops::Range;

use proptest::prelude::*;

use super::super::outline::{Outlined, outlined};
use super::super::parts::Parts;
use super::super::rewrite::{Bounds, rewritten};
use super::super::source::Source;
use super::{module, run};

/// The loops of `body`, the module's only function, that become functions.
fn loops_of(body: &str) -> Vec<Outlined> {
    let parsed = wat::parse_str(module(body)).unwrap();
    let mut parts = Parts::read(&parsed).unwrap();
    let (body, function) = parts.bodies.remove(0);
    let (source, _) = Source::read(parts.imported, &body, function).unwrap();
    outlined(&source.code, &source.locals)
}

#[test]
fn a_loop_takes_what_it_reads_and_gives_what_is_read_after_it() {
    let loops = loops_of(
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
    assert_eq!(one.takes, [n, i, sum]);
    assert_eq!(one.gives, [sum]);
    assert_eq!(one.exits, [0]);
}

#[test]
fn loops_that_cannot_be_functions_stay() {
    for inside in [
        "(return (i32.const 1))",
        "(return_call $self (local.get 0))",
        "(br_table 0 1 (local.get 0))",
        // A label that takes a value along.
        "(br 1 (i32.const 1))",
        "(br_if 0 (ref.is_null (local.get $r)))",
    ] {
        let body = format!(
            "(func $self (param i32) (result i32) (local $r externref)
                block (result i32) loop {inside} end (i32.const 2) end)"
        );
        assert_eq!(loops_of(&body), [], "{inside}");
    }
    // Of two, one in the other, the inner one.
    let two = loops_of("(func (param i32) loop loop (br_if 1 (local.get 0)) end end)");
    assert_eq!(two.len(), 1);
    assert_eq!((two[0].start, &two[0].exits[..]), (1, &[0][..]));
}

/// A piece of a function. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Piece {
    Set(u8, u8, i8),
    Wide(u8),
    Float(u8),
    Single(u8),
    Store(u8),
    Call,
    Block(Vec<Piece>),
    If(u8, Vec<Piece>, Vec<Piece>),
    Loop(Vec<Piece>),
    /// A loop that gives a number to a local.
    Giving(u8, Vec<Piece>),
    Branch(u8, u8),
    Jump(u8),
    Table(u8, u8, u8),
    Return(u8),
}

const LOCALS: [&str; 4] = ["$n", "$a", "$b", "$c"];

fn local(number: u8) -> &'static str {
    LOCALS[number as usize % LOCALS.len()]
}

/// Whether something is left of what all branches together may do, and takes from it.
const LEFT: &str = "(global.set $left (i32.sub (global.get $left) (i32.const 1)))
    (i32.gt_s (global.get $left) (i32.const 0))";

fn write(pieces: &[Piece], open: u32, out: &mut String) {
    for piece in pieces {
        match piece {
            Piece::Set(to, from, by) => {
                let (to, from) = (local(*to), local(*from));
                *out += &format!(
                    "(local.set {to} (i32.add (i32.mul (local.get {from}) (i32.const 31))
                        (i32.xor (local.get {to}) (i32.const {by}))))\n"
                );
            }
            Piece::Wide(from) => {
                let from = local(*from);
                *out += &format!(
                    "(local.set $w (i64.add (i64.mul (local.get $w) (i64.const 3))
                        (i64.extend_i32_s (local.get {from}))))
                    (local.set $a (i32.xor (local.get $a) (i32.wrap_i64 (local.get $w))))\n"
                );
            }
            Piece::Float(from) => {
                let from = local(*from);
                *out += &format!(
                    "(local.set $x (f64.add (f64.mul (local.get $x) (f64.const 0.5))
                        (f64.convert_i32_s (local.get {from}))))\n"
                );
            }
            Piece::Single(from) => {
                let from = local(*from);
                *out += &format!(
                    "(local.set $y (f32.add (f32.mul (local.get $y) (f32.const 0.25))
                        (f32.convert_i32_s (local.get {from}))))
                    (local.set $b (i32.xor (local.get $b) (i32.trunc_sat_f32_s (local.get $y))))\n"
                );
            }
            Piece::Store(at) => {
                let at = local(*at);
                *out += &format!(
                    "(i32.store (i32.and (local.get {at}) (i32.const 0xfff)) (local.get $b))\n"
                );
            }
            Piece::Call => *out += "(call $bump)\n",
            Piece::Block(inside) => {
                *out += "block\n";
                write(inside, open + 1, out);
                *out += "end\n";
            }
            Piece::If(on, then, otherwise) => {
                *out += &format!("(i32.and (local.get {}) (i32.const 1)) if\n", local(*on));
                write(then, open + 1, out);
                *out += "else\n";
                write(otherwise, open + 1, out);
                *out += "end\n";
            }
            Piece::Giving(to, inside) => {
                let to = local(*to);
                *out += "loop (result i32)\n";
                write(inside, open + 1, out);
                *out += &format!("{LEFT} br_if 0 local.get $c end local.set {to}\n");
            }
            Piece::Loop(inside) => {
                *out += "loop\n";
                write(inside, open + 1, out);
                *out += &format!("{LEFT} br_if 0 end\n");
            }
            Piece::Branch(to, on) if open > 0 => {
                let to = u32::from(*to) % open;
                let on = local(*on);
                *out += &format!(
                    "{LEFT} (i32.and (local.get {on}) (i32.const 1)) i32.and br_if {to}\n"
                );
            }
            // One block more is open where it is.
            Piece::Jump(to) if open > 0 => {
                let to = u32::from(*to) % open + 1;
                *out += &format!("{LEFT} if br {to} end\n");
            }
            Piece::Table(on, first, second) if open > 0 => {
                let [first, second] = [first, second].map(|to| u32::from(*to) % open + 1);
                let on = local(*on);
                *out += &format!(
                    "{LEFT} if (br_table {first} {second} (i32.and (local.get {on}) (i32.const 1))) end\n"
                );
            }
            Piece::Return(on) => {
                let on = local(*on);
                *out += &format!(
                    "(i32.eq (i32.and (local.get {on}) (i32.const 7)) (i32.const 5))
                        if (return (local.get {on})) end\n"
                );
            }
            Piece::Branch(..) | Piece::Jump(_) | Piece::Table(..) => {}
        }
    }
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let leaf = prop_oneof![
        (any::<u8>(), any::<u8>(), any::<i8>()).prop_map(|(to, from, by)| Piece::Set(to, from, by)),
        any::<u8>().prop_map(Piece::Wide),
        any::<u8>().prop_map(Piece::Float),
        any::<u8>().prop_map(Piece::Single),
        any::<u8>().prop_map(Piece::Store),
        Just(Piece::Call),
        (any::<u8>(), any::<u8>()).prop_map(|(to, on)| Piece::Branch(to, on)),
        any::<u8>().prop_map(Piece::Jump),
        (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(on, a, b)| Piece::Table(on, a, b)),
        any::<u8>().prop_map(Piece::Return),
    ];
    let piece = leaf.prop_recursive(5, 60, 6, |inner| {
        let some = prop::collection::vec(inner, 0..6);
        prop_oneof![
            some.clone().prop_map(Piece::Block),
            (any::<u8>(), some.clone(), some.clone())
                .prop_map(|(on, then, otherwise)| Piece::If(on, then, otherwise)),
            some.clone().prop_map(Piece::Loop),
            (any::<u8>(), some.clone()).prop_map(|(to, inside)| Piece::Giving(to, inside)),
            some.prop_map(Piece::Loop),
        ]
    });
    prop::collection::vec(piece, 1..8)
}

/// `wat` rewritten, where functions are large from so many instructions on, loops are busy from so many locals on, and passes are
/// written twice up to so many instructions.
pub(super) fn rewritten_with(wat: &str, large: usize, busy: usize, doubled: usize) -> Vec<u8> {
    let bounds = Bounds {
        large,
        busy,
        doubled,
    };
    rewritten(&wat::parse_str(wat).unwrap(), true, bounds).unwrap()
}

/// A module whose loops call the host from where they are, one whose loops are functions, and one whose
/// functions are continued, where that can be, in loops that are busy from so many locals on.
fn ways(wat: &str, busy: usize) -> [Vec<u8>; 3] {
    let never = usize::MAX;
    [(never, never), (0, never), (never, busy)]
        .map(|(large, busy)| rewritten_with(wat, large, busy, 0))
}

/// A module with a function `work` of this body, that takes `$n`, has `$i` and `$sum`, and gives a number. There are ten
/// passes of `$sum = $sum * 3 + $i` in place of each `LOOP`.
pub(super) fn work(body: &str) -> String {
    let passes = "(local.set $i (i32.const 10))
        loop
            (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3)) (local.get $i)))
            (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1))))
        end";
    let body = body.replace("LOOP", &format!("{passes} "));
    module(&format!(
        r#"(type $two (func (param i32) (result i32)))
        (func (export "work") (param $n i32) (result i32) (local $i i32) (local $sum i32)
            {body})"#
    ))
}

#[test]
fn a_function_goes_on_in_each_of_its_loops() {
    for (name, body) in [
        ("the first of two", "LOOP LOOP (local.get $sum)"),
        (
            "a half that has none, behind another",
            "LOOP (if (local.get $n) (then (local.set $sum (i32.const 5))) (else LOOP)) (local.get $sum)",
        ),
        (
            "both halves of one that gives a number",
            "(if (result i32) (local.get $n) (then LOOP (local.get $i)) (else LOOP (local.get $sum)))",
        ),
        (
            "a half in a loop that calls",
            "loop (call $nothing)
                (if (i32.and (local.get $n) (i32.const 1)) (then LOOP) (else (local.set $sum (i32.const 9))))
                (br_if 0 (local.tee $n (i32.shr_u (local.get $n) (i32.const 1))))
            end (local.get $sum)",
        ),
        (
            "a block that gives a number",
            "(block (result i32) (br_if 0 (i32.const 4) (local.get $n)) drop LOOP (local.get $sum))",
        ),
        (
            "by a table of labels",
            "block block block (br_table 0 1 2 (local.get $n)) end LOOP end LOOP end LOOP (local.get $sum)",
        ),
    ] {
        let [left, _, continued] = ways(&work(body), 0);
        assert!(continued.len() > left.len(), "{name}");
        for n in [0, 1, 2, 11] {
            let plain = outcome(&left, n, 1 << 40);
            for slice in [1, 7, 40, 1 << 40] {
                assert_eq!(outcome(&continued, n, slice), plain, "{name}, {n}, {slice}");
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
            "an operand under the loop",
            "(local.get $n) LOOP (i32.add (local.get $sum))",
        ),
        (
            "an operand under a block around it",
            "(local.get $n) block LOOP end (i32.add (local.get $sum))",
        ),
        (
            "a block that takes an operand",
            "(local.get $n) (block (type $two) (local.set $sum) LOOP (local.get $sum))",
        ),
        (
            "what nothing comes to",
            "block (br 0) LOOP end (local.get $sum)",
        ),
        ("a depth that would overflow the stack", &deep),
        ("very many loops with very many locals", &many),
    ] {
        let [left, _, continued] = ways(&work(body), 0);
        assert_eq!(continued.len(), left.len(), "{name}");
        if body.len() < 1000 {
            assert_eq!(
                outcome(&continued, 3, 1),
                outcome(&left, 3, 1 << 40),
                "{name}"
            );
        }
    }
}

/// What `work` gives, what it has made of the memory, and what it cost.
pub(super) fn outcome(module: &[u8], n: i32, slice: i64) -> (i32, Vec<u8>, i64) {
    let mut running = run(module, slice, u32::MAX);
    let given = running.call("work", n).unwrap();
    let memory = (running.instance)
        .get_memory(&mut running.store, "memory")
        .unwrap();
    let bytes = memory.data(&running.store)[..0x1010].to_vec();
    (given, bytes, running.used())
}

#[test]
fn a_loop_has_locals_of_all_types_and_more_than_its_function_takes() {
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
    // All are looked at after the loop, and one more that no global can carry.
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
            let [left, moved, _] = ways(&wat, 0);
            assert!(moved.len() > left.len());
            for n in [1, 5, 9] {
                let plain = outcome(&left, n, 1 << 40);
                for slice in [1, 30, 1 << 40] {
                    assert_eq!(
                        outcome(&moved, n, slice),
                        plain,
                        "{types:?}, {leave}, {n}, {slice}"
                    );
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn loops_do_what_they_did_and_cost_what_they_cost(
        pieces in pieces(),
        n in any::<i32>(),
        slice in 1_i64..500,
        busy in 0_usize..4,
    ) {
        let mut body = String::new();
        write(&pieces, 0, &mut body);
        let wat = module(&format!(
            r#"(global $left (mut i32) (i32.const 200))
            (func $bump (i32.store (i32.const 0x1004)
                (i32.add (i32.load (i32.const 0x1004)) (i32.const 1))))
            (func (export "work") (param $n i32) (result i32)
                (local $a i32) (local $b i32) (local $c i32) (local $w i64) (local $x f64) (local $y f32)
                {body}
                (f64.store (i32.const 0x1008) (local.get $x))
                (i32.add (i32.xor (local.get $n) (local.get $a))
                    (i32.mul (local.get $b) (i32.add (local.get $c) (i32.wrap_i64 (local.get $w))))))"#
        ));
        let [left, moved, continued] = ways(&wat, busy);
        let has_loops = wat.contains("loop");
        let all_are_moved = has_loops && !["(result i32)\n", "br_table", "return"].iter().any(|o| body.contains(o));
        prop_assert!(moved.len() > left.len() || !all_are_moved);
        let all_are_continued = busy == 0 && has_loops && !wat.contains("call $bump");
        prop_assert!(continued.len() > left.len() || !all_are_continued);
        // However often the host is called, which is never with so large a slice.
        let plain = outcome(&left, n, 1 << 40);
        for module in [&left, &moved, &continued] {
            for slice in [slice, 1 << 40] {
                prop_assert_eq!(&plain, &outcome(module, n, slice), "slices of {}", slice);
            }
        }
        // With passes written twice it costs more, and the same again however it goes on.
        let never = usize::MAX;
        let doubled = [(never, never), (0, never), (never, busy)]
            .map(|(large, busy)| rewritten_with(&wat, large, busy, 1000));
        let twice = outcome(&doubled[0], n, 1 << 40);
        prop_assert_eq!((plain.0, &plain.1), (twice.0, &twice.1));
        prop_assert!((plain.2..=2 * plain.2).contains(&twice.2));
        for module in &doubled {
            for slice in [slice, 1 << 40] {
                prop_assert_eq!(&twice, &outcome(module, n, slice), "twice, slices of {}", slice);
            }
        }
    }
}
