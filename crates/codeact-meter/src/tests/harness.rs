//! A host that runs metered modules and counts the fuel that they use.

use wasmtime::{Caller, Config, Engine, Instance, Linker, Module, Store, Val};

use crate::{COUNTER, TICK, YIELD_NOW, metered};

/// What the host counts.
pub(super) struct Ticks {
    pub(super) count: u32,
    /// The guest is stopped at this tick.
    max: u32,
    /// Fuel that was used before the last tick.
    used: i64,
}

/// An instance of a metered module.
pub(super) struct Running {
    pub(super) store: Store<Ticks>,
    pub(super) instance: Instance,
    slice: i64,
}

/// Meters and starts a module. It gets `slice` units at each tick.
pub(super) fn start(wat: &str, slice: i64, max_ticks: u32) -> Running {
    let module = wat::parse_str(wat).unwrap();
    run(&metered(&module, true).unwrap(), slice, max_ticks)
}

/// Starts a metered module. It gets `slice` units at each tick.
pub(super) fn run(module: &[u8], slice: i64, max_ticks: u32) -> Running {
    let engine = Engine::new(Config::new().wasm_branch_hinting(true)).unwrap();
    let module = Module::new(&engine, module).unwrap();
    let mut linker = Linker::new(&engine);
    let tick = move |mut caller: Caller<'_, Ticks>, counter: i64| {
        assert!(counter < 0, "{counter}");
        let ticks = caller.data_mut();
        ticks.count += 1;
        ticks.used += slice - counter;
        if ticks.count >= ticks.max {
            return Err(wasmtime::Error::msg("stopped"));
        }
        // Every second tick asks the guest to yield.
        let yields = !ticks.count.is_multiple_of(2);
        Ok(if yields { -1 } else { slice })
    };
    linker.func_wrap(TICK.0, TICK.1, tick).unwrap();
    linker
        .func_wrap(YIELD_NOW.0, YIELD_NOW.1, move || slice)
        .unwrap();
    linker.func_wrap("env", "nothing", || ()).unwrap();
    let ticks = Ticks {
        count: 0,
        max: max_ticks,
        used: 0,
    };
    let mut store = Store::new(&engine, ticks);
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
    /// Calls an export of type `(i32) -> i32`.
    pub(super) fn call(&mut self, name: &str, argument: i32) -> wasmtime::Result<i32> {
        let function = self.instance.get_typed_func(&mut self.store, name)?;
        function.call(&mut self.store, argument)
    }

    /// Returns the fuel that was used since the start.
    pub(super) fn used(&mut self) -> i64 {
        let counter = self.instance.get_global(&mut self.store, COUNTER).unwrap();
        self.store.data().used + self.slice - counter.get(&mut self.store).i64().unwrap()
    }
}

/// Returns a module with these definitions and everything that metering requires.
pub(super) fn module(definitions: &str) -> String {
    format!(
        r#"(module
            (import "env" "nothing" (func $nothing))
            (memory (export "memory") 80)
            (global $stack (mut i32) (i32.const 0))
            {definitions})"#
    )
}
