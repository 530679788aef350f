//! Selection of the functions that get a continuation, and of the loops where they can resume.

use std::collections::HashSet;
use std::ops::Range;

use wasmparser::{Operator, ValType};

use crate::function_ir::FunctionIr;
use crate::liveness::{BlockEnds, Liveness, accessed_local};
use crate::spill::{TypedLocal, is_spillable};

/// Maximum number of locals of a function with a continuation, and so of spill globals.
const MAX_LOCALS: usize = 256;
/// Maximum block nesting of such a function. Continuations are emitted recursively.
const MAX_NESTING: usize = 200;
/// Maximum number of spills in such a function, over all its loops.
const MAX_SPILLS: usize = 20_000;
/// Minimum number of live locals that a loop accesses to be worth a continuation. Fewer fit into
/// the registers that a call preserves.
pub(crate) const BUSY_LOOP: usize = 4;

/// A function that gets a continuation.
pub(crate) struct ContinuationPlan<'a> {
    pub(crate) ir: &'a FunctionIr<'a>,
    pub(crate) ends: BlockEnds,
    liveness: Liveness,
    /// Positions of the loops where the function can resume. The resume point of a loop is its
    /// position here, from 1.
    heads: Vec<usize>,
    /// Index of the continuation in the metered module.
    pub(crate) continuation: u32,
}

impl<'a> ContinuationPlan<'a> {
    /// Returns `None` if the function has no busy loop without calls, or cannot have a
    /// continuation: because of exceptions, references, vectors, many locals, deep nesting, or the
    /// size that the continuation would have.
    ///
    /// `empty_stack` is the result of [`crate::function_ir::empty_stack_positions`]. A continuation
    /// cannot restore operands, so the stack has to be empty at the loop and at each block around it.
    /// `busy_loop` is the threshold in place of [`BUSY_LOOP`].
    pub(crate) fn find(
        ir: &'a FunctionIr<'a>,
        empty_stack: &[bool],
        busy_loop: usize,
        continuation: u32,
    ) -> Option<Self> {
        let mut types = ir.locals.iter();
        if ir.locals.len() > MAX_LOCALS || !types.all(|ty| is_spillable(*ty)) {
            return None;
        }
        let ends = BlockEnds::find(&ir.operators)?;
        let body = |start: usize| &ir.operators[start..ends.end[start]];
        let mut heads = Vec::new();
        let mut open_blocks = Vec::new();
        for (position, operator) in ir.operators.iter().enumerate() {
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    let outer_empty = open_blocks.last().is_none_or(|empty| *empty);
                    let empty = empty_stack[position] && outer_empty;
                    open_blocks.push(empty);
                    if open_blocks.len() > MAX_NESTING {
                        return None;
                    }
                    let is_loop = matches!(operator, Operator::Loop { .. });
                    if is_loop && empty && !body(position).iter().any(is_call) {
                        heads.push(position);
                    }
                }
                Operator::End => {
                    open_blocks.pop();
                }
                _ => {}
            }
        }
        if heads.is_empty() {
            return None;
        }
        let liveness = Liveness::analyze(&ir.operators, &ends, ir.locals.len())?;
        heads.retain(|head| {
            let accessed = body(*head).iter().filter_map(accessed_local);
            let live = accessed.filter(|local| liveness.is_live(head + 1, *local));
            live.collect::<HashSet<_>>().len() >= busy_loop
        });
        let plan = Self {
            ir,
            liveness,
            ends,
            heads,
            continuation,
        };
        let heads = plan.heads.iter();
        let spills: usize = heads.map(|head| plan.live_locals(*head).count()).sum();
        (!plan.heads.is_empty() && spills <= MAX_SPILLS).then_some(plan)
    }

    /// Returns the resume point of the loop at `start`, if it has one.
    pub(crate) fn resume_point(&self, start: usize) -> Option<u32> {
        let place = self.heads.binary_search(&start).ok()?;
        Some(place as u32 + 1)
    }

    /// Returns the resume points from position `from` up to but not including `to`.
    pub(crate) fn resume_points(&self, from: usize, to: usize) -> Range<u32> {
        let first_at = |position| self.heads.partition_point(|head| *head < position) as u32 + 1;
        first_at(from)..first_at(to)
    }

    /// Returns the locals that are live at the head of a loop.
    pub(crate) fn live_locals(&self, head: usize) -> impl Iterator<Item = TypedLocal> {
        let is_live = move |(local, _): &(u32, ValType)| self.liveness.is_live(head + 1, *local);
        (0..).zip(self.ir.locals.iter().copied()).filter(is_live)
    }

    /// Returns the locals that are live at any resume point.
    pub(crate) fn live_locals_at_any(&self) -> impl Iterator<Item = TypedLocal> {
        let is_live = |local| {
            let mut heads = self.heads.iter();
            heads.any(|head| self.liveness.is_live(head + 1, local))
        };
        let locals = (0..).zip(self.ir.locals.iter().copied());
        locals.filter(move |(local, _)| is_live(*local))
    }
}

/// Returns whether `operator` is emitted as a call. The other operators that the engine compiles to
/// calls are rare in loops.
fn is_call(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
    )
}
