//! Meter points of a function outside of its loops.

use crate::call_graph::RecursionCut;
use crate::emitter::Emitter;
use crate::function_builder::FunctionBuilder;
use crate::function_ir::FunctionIr;
use crate::loop_nesting::indirect_call_type;

/// Functions with fewer operators check the counter at their entry instead of at their indirect
/// calls. For a small function, saving the values that are live across a call of the host would be
/// half of its work. At its entry it can yield by a tail call, with nothing to save.
const SMALL_FUNCTION: usize = 64;

/// Meter points of a function at its entry and at its indirect calls.
pub(crate) struct CallPoints {
    /// The entry charges a unit.
    pub(crate) charges_entry: bool,
    /// The entry checks the counter. Indirect calls only charge.
    pub(crate) checks_entry: bool,
    /// Positions of the indirect calls that charge a unit, in order.
    calls: Vec<usize>,
}

impl CallPoints {
    pub(crate) fn find(ir: &FunctionIr, recursion: &RecursionCut, points: bool) -> Self {
        if !points {
            return Self {
                charges_entry: false,
                checks_entry: false,
                calls: Vec::new(),
            };
        }
        let recurses = |ty| recursion.may_recurse(ir.index, ty);
        let is_metered = |position: &usize| {
            ir.innermost_loop[*position].is_none()
                && indirect_call_type(&ir.operators[*position]).is_some_and(recurses)
        };
        let calls: Vec<_> = (0..ir.operators.len()).filter(is_metered).collect();
        let is_small = ir.operators.len() < SMALL_FUNCTION;
        let charges_entry = recursion.is_metered_entry(ir.index);
        Self {
            charges_entry,
            checks_entry: charges_entry || is_small && !calls.is_empty(),
            calls,
        }
    }

    /// Appends the meter point of the operator at `position`, if it has one.
    pub(crate) fn emit_before(
        &self,
        position: usize,
        emitter: &Emitter,
        out: &mut FunctionBuilder,
    ) {
        if self.calls.binary_search(&position).is_ok() {
            match self.checks_entry {
                true => emitter.charge(1, out),
                false => emitter.meter_point(1, out),
            }
        }
    }
}
