//! Generated functions with nested loops behave as before and use the same fuel, however their
//! loops yield.

use proptest::prelude::*;

use super::harness::module;
use super::loops::{outcome, strategies};

/// A statement of a generated function. Numbers select a local or a label from those that exist.
#[derive(Debug, Clone)]
enum Statement {
    Set(u8, u8, i8),
    /// Updates the `i64` local.
    Wide(u8),
    /// Updates the `f64` local.
    Float(u8),
    /// Updates the `f32` local.
    Single(u8),
    Store(u8),
    Call,
    Block(Vec<Statement>),
    If(u8, Vec<Statement>, Vec<Statement>),
    Loop(Vec<Statement>),
    /// A loop with a result.
    ValueLoop(u8, Vec<Statement>),
    BranchIf(u8, u8),
    Branch(u8),
    BranchTable(u8, u8, u8),
    Return(u8),
}

const LOCALS: [&str; 4] = ["$n", "$a", "$b", "$c"];

fn local(number: u8) -> &'static str {
    LOCALS[number as usize % LOCALS.len()]
}

/// Takes one from the number of branches that the function may still execute. Pushes whether
/// some are left.
const BRANCHES_LEFT: &str = "(global.set $left (i32.sub (global.get $left) (i32.const 1)))
    (i32.gt_s (global.get $left) (i32.const 0))";

/// Appends the text of `statements`, which are in `open` blocks.
fn write(statements: &[Statement], open: u32, out: &mut String) {
    for statement in statements {
        match statement {
            Statement::Set(to, from, by) => {
                let (to, from) = (local(*to), local(*from));
                *out += &format!(
                    "(local.set {to} (i32.add (i32.mul (local.get {from}) (i32.const 31))
                        (i32.xor (local.get {to}) (i32.const {by}))))\n"
                );
            }
            Statement::Wide(from) => {
                let from = local(*from);
                *out += &format!(
                    "(local.set $w (i64.add (i64.mul (local.get $w) (i64.const 3))
                        (i64.extend_i32_s (local.get {from}))))
                    (local.set $a (i32.xor (local.get $a) (i32.wrap_i64 (local.get $w))))\n"
                );
            }
            Statement::Float(from) => {
                let from = local(*from);
                *out += &format!(
                    "(local.set $x (f64.add (f64.mul (local.get $x) (f64.const 0.5))
                        (f64.convert_i32_s (local.get {from}))))\n"
                );
            }
            Statement::Single(from) => {
                let from = local(*from);
                *out += &format!(
                    "(local.set $y (f32.add (f32.mul (local.get $y) (f32.const 0.25))
                        (f32.convert_i32_s (local.get {from}))))
                    (local.set $b (i32.xor (local.get $b) (i32.trunc_sat_f32_s (local.get $y))))\n"
                );
            }
            Statement::Store(at) => {
                let at = local(*at);
                *out += &format!(
                    "(i32.store (i32.and (local.get {at}) (i32.const 0xfff)) (local.get $b))\n"
                );
            }
            Statement::Call => *out += "(call $bump)\n",
            Statement::Block(body) => {
                *out += "block\n";
                write(body, open + 1, out);
                *out += "end\n";
            }
            Statement::If(on, then, otherwise) => {
                let on = local(*on);
                *out += &format!("(i32.and (local.get {on}) (i32.const 1)) if\n");
                write(then, open + 1, out);
                *out += "else\n";
                write(otherwise, open + 1, out);
                *out += "end\n";
            }
            Statement::ValueLoop(to, body) => {
                let to = local(*to);
                *out += "loop (result i32)\n";
                write(body, open + 1, out);
                *out += &format!("{BRANCHES_LEFT} br_if 0 local.get $c end local.set {to}\n");
            }
            Statement::Loop(body) => {
                *out += "loop\n";
                write(body, open + 1, out);
                *out += &format!("{BRANCHES_LEFT} br_if 0 end\n");
            }
            Statement::BranchIf(to, on) if open > 0 => {
                let to = u32::from(*to) % open;
                let on = local(*on);
                *out += &format!(
                    "{BRANCHES_LEFT} (i32.and (local.get {on}) (i32.const 1)) i32.and br_if {to}\n"
                );
            }
            // The `if` around the branch is one more block.
            Statement::Branch(to) if open > 0 => {
                let to = u32::from(*to) % open + 1;
                *out += &format!("{BRANCHES_LEFT} if br {to} end\n");
            }
            Statement::BranchTable(on, first, second) if open > 0 => {
                let [first, second] = [first, second].map(|to| u32::from(*to) % open + 1);
                let on = local(*on);
                *out += &format!(
                    "{BRANCHES_LEFT}
                    if (br_table {first} {second} (i32.and (local.get {on}) (i32.const 1))) end\n"
                );
            }
            Statement::Return(on) => {
                let on = local(*on);
                *out += &format!(
                    "(i32.eq (i32.and (local.get {on}) (i32.const 7)) (i32.const 5))
                        if (return (local.get {on})) end\n"
                );
            }
            Statement::BranchIf(..) | Statement::Branch(_) | Statement::BranchTable(..) => {}
        }
    }
}

fn statements() -> impl Strategy<Value = Vec<Statement>> {
    use Statement::*;
    let leaf = prop_oneof![
        (any::<u8>(), any::<u8>(), any::<i8>()).prop_map(|(to, from, by)| Set(to, from, by)),
        any::<u8>().prop_map(Wide),
        any::<u8>().prop_map(Float),
        any::<u8>().prop_map(Single),
        any::<u8>().prop_map(Store),
        Just(Call),
        (any::<u8>(), any::<u8>()).prop_map(|(to, on)| BranchIf(to, on)),
        any::<u8>().prop_map(Branch),
        (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(on, a, b)| BranchTable(on, a, b)),
        any::<u8>().prop_map(Return),
    ];
    let statement = leaf.prop_recursive(5, 60, 6, |inner| {
        let body = prop::collection::vec(inner, 0..6);
        prop_oneof![
            1 => body.clone().prop_map(Block),
            1 => (any::<u8>(), body.clone(), body.clone())
                .prop_map(|(on, then, otherwise)| If(on, then, otherwise)),
            2 => body.clone().prop_map(Loop),
            1 => (any::<u8>(), body).prop_map(|(to, body)| ValueLoop(to, body)),
        ]
    });
    prop::collection::vec(statement, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn loops_behave_as_before_and_use_the_same_fuel(
        statements in statements(),
        n in any::<i32>(),
        slice in 1_i64..500,
        busy_loop in 0_usize..4,
    ) {
        let mut body = String::new();
        write(&statements, 0, &mut body);
        let wat = module(&format!(
            r#"(global $left (mut i32) (i32.const 200))
            (func $bump (i32.store (i32.const 0x1004)
                (i32.add (i32.load (i32.const 0x1004)) (i32.const 1))))
            (func (export "work") (param $n i32) (result i32)
                (local $a i32) (local $b i32) (local $c i32)
                (local $w i64) (local $x f64) (local $y f32)
                {body}
                (f64.store (i32.const 0x1008) (local.get $x))
                (i32.add (i32.xor (local.get $n) (local.get $a))
                    (i32.mul (local.get $b)
                        (i32.add (local.get $c) (i32.wrap_i64 (local.get $w))))))"#
        ));
        let [in_place, outlined, continued] = strategies(&wat, busy_loop);
        let has_loops = wat.contains("loop");
        let obstacles = ["(result i32)\n", "br_table", "return"];
        let all_outlined = has_loops && !obstacles.iter().any(|obstacle| body.contains(obstacle));
        prop_assert!(outlined.len() > in_place.len() || !all_outlined);
        let all_continued = busy_loop == 0 && has_loops && !wat.contains("call $bump");
        prop_assert!(continued.len() > in_place.len() || !all_continued);
        // With a slice this large, the module never yields.
        let expected = outcome(&in_place, n, 1 << 40);
        for module in [&in_place, &outlined, &continued] {
            for slice in [slice, 1 << 40] {
                prop_assert_eq!(&expected, &outcome(module, n, slice), "slices of {}", slice);
            }
        }
    }
}
