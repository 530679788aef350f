//! Globals that carry the values of locals from one function to another.
//!
//! Only added code accesses these globals. They are of type `i64`, so vectors and references cannot
//! be spilled.

use wasmparser::ValType;

use crate::emitter::Emitter;
use crate::function_builder::FunctionBuilder;

/// A local and its type.
pub(crate) type TypedLocal = (u32, ValType);

/// Returns whether values of type `ty` can be spilled.
pub(crate) fn is_spillable(ty: ValType) -> bool {
    !matches!(ty, ValType::Ref(_) | ValType::V128)
}

/// Appends code that stores `local` in the spill global of `slot`.
pub(crate) fn spill(
    slot: u32,
    (local, ty): TypedLocal,
    emitter: &mut Emitter,
    out: &mut FunctionBuilder,
) {
    let global = emitter.spill_global(slot);
    let mut out = out.instructions();
    out.local_get(local);
    match ty {
        ValType::I32 => out.i64_extend_i32_u(),
        ValType::F32 => out.i32_reinterpret_f32().i64_extend_i32_u(),
        ValType::F64 => out.i64_reinterpret_f64(),
        _ => &mut out,
    };
    out.global_set(global);
}

/// Appends code that loads `local` from the spill global of `slot`.
pub(crate) fn reload(
    slot: u32,
    (local, ty): TypedLocal,
    emitter: &mut Emitter,
    out: &mut FunctionBuilder,
) {
    let global = emitter.spill_global(slot);
    let mut out = out.instructions();
    out.global_get(global);
    match ty {
        ValType::I32 => out.i32_wrap_i64(),
        ValType::F32 => out.i32_wrap_i64().f32_reinterpret_i32(),
        ValType::F64 => out.f64_reinterpret_i64(),
        _ => &mut out,
    };
    out.local_set(local);
}

/// Appends code that spills `locals` to consecutive slots.
pub(crate) fn spill_all(locals: &[TypedLocal], emitter: &mut Emitter, out: &mut FunctionBuilder) {
    for (slot, local) in (0..).zip(locals) {
        spill(slot, *local, emitter, out);
    }
}

/// Appends code that reloads `locals` from the slots that [`spill_all`] stored them in.
pub(crate) fn reload_all(locals: &[TypedLocal], emitter: &mut Emitter, out: &mut FunctionBuilder) {
    for (slot, local) in (0..).zip(locals) {
        reload(slot, *local, emitter, out);
    }
}
