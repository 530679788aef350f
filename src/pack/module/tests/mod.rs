//! Metered modules do what they did, and are never away for long.

use proptest::prelude::*;
use wasmtime::{Caller, Config, Engine, Instance, Linker, Module, Store, Val};

use super::calls::recursive;
use super::parts::Parts;
use super::{COUNTER, GIVE_WAY, TICK, metered};

mod doubled;
mod loops;
mod same;

struct Ticks {
    done: u32,
    /// After so many the guest is stopped.
    most: u32,
    /// What was used before the last one.
    used: i64,
}

/// A module that is metered, with so many units a tick.
struct Running {
    store: Store<Ticks>,
    instance: Instance,
    slice: i64,
}

fn start(wat: &str, slice: i64, most: u32) -> Running {
    let module = wat::parse_str(wat).unwrap();
    run(&metered(&module, true).unwrap(), slice, most)
}

fn run(module: &[u8], slice: i64, most: u32) -> Running {
    let engine = Engine::new(Config::new().wasm_branch_hinting(true)).unwrap();
    let module = Module::new(&engine, module).unwrap();
    let mut linker = Linker::new(&engine);
    linker
        .func_wrap(
            TICK.0,
            TICK.1,
            move |mut caller: Caller<'_, Ticks>, left: i64| {
                assert!(left < 0, "{left}");
                let ticks = caller.data_mut();
                ticks.done += 1;
                ticks.used += slice - left;
                match ticks.done < ticks.most {
                    // Each other one gives way.
                    true => Ok(if ticks.done.is_multiple_of(2) {
                        slice
                    } else {
                        -1
                    }),
                    false => Err(wasmtime::Error::msg("stopped")),
                }
            },
        )
        .unwrap();
    linker
        .func_wrap(GIVE_WAY.0, GIVE_WAY.1, move || slice)
        .unwrap();
    linker.func_wrap("env", "nothing", || ()).unwrap();
    let mut store = Store::new(
        &engine,
        Ticks {
            done: 0,
            most,
            used: 0,
        },
    );
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let counter = instance.get_global(&mut store, COUNTER).unwrap();
    counter.set(&mut store, Val::I64(slice)).unwrap();
    Running {
        store,
        instance,
        slice,
    }
}

impl Running {
    fn call(&mut self, name: &str, argument: i32) -> wasmtime::Result<i32> {
        let function = self.instance.get_typed_func(&mut self.store, name)?;
        function.call(&mut self.store, argument)
    }

    fn used(&mut self) -> i64 {
        let counter = self.instance.get_global(&mut self.store, COUNTER).unwrap();
        self.store.data().used + self.slice - counter.get(&mut self.store).i64().unwrap()
    }
}

/// A module of `body`, with what the pack's has as well.
fn module(body: &str) -> String {
    format!(
        r#"(module
            (import "env" "nothing" (func $nothing))
            (memory (export "memory") 80)
            (global $stack (mut i32) (i32.const 0))
            {body})"#
    )
}

#[test]
fn a_loop_is_counted_by_its_size_and_stopped() {
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
    // Nine instructions: what the loop holds, and its end.
    assert_eq!((more - ten, ten), (9000, 90));
    let mut running = start(&wat, 1000, 100);
    assert_eq!(running.call("count", 500).unwrap(), 500);
    assert_eq!(running.store.data().done, 4);
    assert!(running.call("forever", 0).is_err());
}

#[test]
fn recursion_without_a_loop_is_stopped_however_it_calls() {
    // A function that is not small looks at the counter where it calls, and not at its entry.
    let long = "nop ".repeat(100);
    let mut used = Vec::new();
    for (size, padding) in [("small", ""), ("long", &*long)] {
        used.push(recursion_is_stopped(size, padding));
    }
    assert_eq!(used[0], used[1]);
}

/// What each kind of recursion has used.
fn recursion_is_stopped(size: &str, padding: &str) -> Vec<i64> {
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
    let same = "(type $g (func (param i32) (result i32)))";
    let less = "(i32.sub (local.get $n) (i32.const 1))";
    let table = "(table 2 funcref) (elem (i32.const 0) $tree $tree)";
    for (name, body) in [
        (
            "plain",
            format!("{ty} {}", tree(&format!("(call $tree {less})"))),
        ),
        (
            "in a circle",
            format!(
                "{ty} {} (func $other (param i32) (result i32) (call $tree (local.get 0)))",
                tree(&format!("(call $other {less})"))
            ),
        ),
        (
            "through a table, by an equal type",
            format!(
                "{ty} {same} {table} {}",
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
fn functions_that_cannot_recurse_are_left_alone() {
    let wat = module(
        r#"(type $f (func (param i32) (result i32)))
        (table 1 funcref) (elem (i32.const 0) $leaf)
        (func $leaf (type $f) (local.get 0))
        (func $calls (export "calls") (type $f)
            (call_indirect (type $f) (local.get 0) (i32.const 0)))
        (func $self (type $f) (call $self (local.get 0)))"#,
    );
    let module = wat::parse_str(wat).unwrap();
    let parts = Parts::read(&module).unwrap();
    assert_eq!(
        recursive(&parts).unwrap().entries,
        [false, false, false, true]
    );
}

#[test]
fn a_call_within_a_loop_has_passed_its_head() {
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
    let parsed = wat::parse_str(&wat).unwrap();
    let parts = Parts::read(&parsed).unwrap();
    assert_eq!(recursive(&parts).unwrap().entries, [false, false]);
    let mut running = start(&wat, 1000, 20);
    assert_eq!(running.call("tree", 8).unwrap(), 256);
    assert!(running.call("tree", 40).is_err());
}

#[test]
fn what_is_no_module_or_lacks_a_part_is_an_error() {
    for wasm in [&b""[..], b"\0asm", b"no module at all", b"\0asm\x01\0\0\0"] {
        assert!(metered(wasm, true).is_err(), "{wasm:?}");
    }
    let good = wat::parse_str(module("(func (export \"f\"))")).unwrap();
    metered(&good, true).unwrap();
    // Cut anywhere but before its names, which it can do without.
    let whole = (9..good.len()).filter(|len| metered(&good[..*len], true).is_ok());
    assert_eq!(whole.count(), 1);
    // As many locals as can be written, and far more than may be.
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
    // A loop that has no end.
    let closed = [0x03, 0x40, 0x01, 0x0b, 0x0b];
    let mut open = wat::parse_str(module("(func loop nop end)")).unwrap();
    metered(&open, true).unwrap();
    let at = open.windows(5).position(|bytes| bytes == closed).unwrap();
    open[at + 3] = 0x01;
    assert!(metered(&open, true).is_err());
}

#[test]
fn what_names_a_function_or_type_that_is_not_there_stays_invalid() {
    for body in [
        "(func (drop (ref.func 99)))",
        "(func (call 4000000))",
        "(func (return_call 3))",
        "(func (call_indirect (type 99) (i32.const 0)))",
        "(func loop (call 99) end)",
    ] {
        let parsed = wat::parse_str(module(body)).unwrap();
        for points in [true, false] {
            if let Ok(made) = metered(&parsed, points) {
                let valid = wasmparser::Validator::new().validate_all(&made).is_ok();
                assert!(!valid, "{body}");
            }
        }
    }
}

const BLOCKS: &str = r#"
    (func (export "copy") (param $at i32) (result i32)
        (memory.copy
            (i32.load (local.get $at))
            (i32.load offset=4 (local.get $at))
            (i32.load offset=8 (local.get $at)))
        (i32.const 0))
    (func (export "fill") (param $at i32) (result i32)
        (memory.fill
            (i32.load (local.get $at))
            (i32.load offset=4 (local.get $at))
            (i32.load offset=8 (local.get $at)))
        (i32.const 0))"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn blocks_of_memory_are_copied_and_filled_as_before(
        (to, from) in (4096u32..3_000_000, 4096u32..3_000_000),
        near in proptest::option::of(-5000i32..5000),
        len in prop_oneof![0u32..4000, 0u32..2_200_000],
        fill in any::<bool>(),
        seed in any::<u8>(),
    ) {
        let from = near.map_or(from, |by| to.saturating_add_signed(by).max(4096));
        let mut running = start(&module(BLOCKS), 1 << 40, 100);
        let memory = running.instance.get_memory(&mut running.store, "memory").unwrap();
        let bytes = memory.data_mut(&mut running.store);
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0] ^ seed;
        }
        for (i, number) in [to, from, len].into_iter().enumerate() {
            bytes[4 * i..4 * i + 4].copy_from_slice(&number.to_le_bytes());
        }
        let mut expected = bytes.to_vec();
        let (to, from, len) = (to as usize, from as usize, len as usize);
        match fill {
            true => expected[to..to + len].fill(from as u8),
            false => expected.copy_within(from..from + len, to),
        }
        running.call(if fill { "fill" } else { "copy" }, 0).unwrap();
        prop_assert!(memory.data(&running.store) == &expected[..]);
        let pieces = if len == 0 { 0 } else { (len - 1) >> 20 };
        prop_assert_eq!(running.used(), pieces as i64 * (1 << 18));
    }
}
