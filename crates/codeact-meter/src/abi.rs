//! Names that connect a metered module with its host.

/// Name of the exported global that holds the remaining fuel: a mutable `i64`.
///
/// The host sets it before it calls the module. At the first meter point that makes it negative,
/// the module calls [`TICK`].
pub const COUNTER: &str = "codeact_meter";

/// Module and name of the import that is called when the fuel is used up: `(i64) -> i64`.
///
/// The parameter is the counter, a negative number. The result is the new counter. If the result
/// is negative, the module calls [`YIELD_NOW`]. The host stops the module by a trap.
pub const TICK: (&str, &str) = ("codeact", "tick");

/// Module and name of the import that lets other guests run: `() -> i64`.
///
/// The result is the new counter. This function may be asynchronous. It is separate from [`TICK`]
/// because an asynchronous host function costs several times as much as a plain one.
pub const YIELD_NOW: (&str, &str) = ("codeact", "yield_now");

/// Name of the CPython function that calls a Python object without arguments, and name of the
/// export that the metered module has for it.
///
/// The export exists only if the module has a name section that names the function exactly once.
/// A host that begins a turn through it needs no Python source to be compiled.
pub const CALL: (&str, &str) = ("PyObject_CallNoArgs", "codeact_call");
