//! Globals that carry the values of locals from one function to another.
//!
//! Nothing but the code that is added here knows them. They are numbers of 64 bits, so there are none for vectors
//! and references.

use wasmparser::ValType;

use super::bodies::Written;
use super::rewrite::Meter;

/// Whether values of type `ty` can be carried.
pub(super) fn can_be_kept(ty: ValType) -> bool {
    !matches!(ty, ValType::Ref(_) | ValType::V128)
}

impl Meter<'_> {
    /// Puts the value of `local`, of type `ty`, into the global at `place`.
    pub(super) fn put_away(&mut self, place: u32, local: u32, ty: ValType, out: &mut Written) {
        let global = self.keeping(place);
        let mut out = out.function.instructions();
        out.local_get(local);
        match ty {
            ValType::I32 => out.i64_extend_i32_u(),
            ValType::F32 => out.i32_reinterpret_f32().i64_extend_i32_u(),
            ValType::F64 => out.i64_reinterpret_f64(),
            _ => &mut out,
        };
        out.global_set(global);
    }

    /// Gives `local`, of type `ty`, the value that was put into the global at `place`.
    pub(super) fn take_back(&mut self, place: u32, local: u32, ty: ValType, out: &mut Written) {
        let global = self.keeping(place);
        let mut out = out.function.instructions();
        out.global_get(global);
        match ty {
            ValType::I32 => out.i32_wrap_i64(),
            ValType::F32 => out.i32_wrap_i64().f32_reinterpret_i32(),
            ValType::F64 => out.f64_reinterpret_i64(),
            _ => &mut out,
        };
        out.local_set(local);
    }

    /// Puts the values of all `locals` away, each at a place of its own.
    pub(super) fn put_all_away(&mut self, locals: &[(u32, ValType)], out: &mut Written) {
        for (place, (local, ty)) in (0..).zip(locals) {
            self.put_away(place, *local, *ty, out);
        }
    }

    /// Gives `locals` the values that [`Self::put_all_away`] put away, in the same order.
    pub(super) fn take_all_back(&mut self, locals: &[(u32, ValType)], out: &mut Written) {
        for (place, (local, ty)) in (0..).zip(locals) {
            self.take_back(place, *local, *ty, out);
        }
    }

    /// The global at `place`.
    fn keeping(&mut self, place: u32) -> u32 {
        self.bodies.keeping = self.bodies.keeping.max(place + 1);
        self.which() + 1 + place
    }
}
