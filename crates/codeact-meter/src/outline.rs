//! Selection of the loops of large functions that become functions of their own.
//!
//! Large functions have no continuations (see [`crate::continuation_candidates`]), so a loop of
//! such a function would call the host from within. In the main function of the interpreter, a few
//! such calls in loops of a dozen instructions are enough for the register allocator to give up the
//! register that holds the base address of the memory throughout the function, so that each memory
//! access loads it first. (regalloc2 splits a live range at most twice and keeps the value on the
//! stack after that.) An outlined loop is a plain call for the function that contained it.

use std::collections::BTreeSet;

use wasmparser::{BlockType, Operator, ValType};

use crate::liveness::{BlockEnds, Liveness, accessed_local, writes_local};

/// Maximum number of inputs of an outlined loop, and of outputs.
const MAX_LOCALS: usize = 12;

/// A loop that becomes a function.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutlinedLoop {
    /// Position of the `loop` operator.
    pub(crate) start: usize,
    /// Position of its `end`.
    pub(crate) end: usize,
    /// Locals whose values the loop needs.
    pub(crate) inputs: Vec<u32>,
    /// Locals that the loop writes and that are live after it.
    pub(crate) outputs: Vec<u32>,
    /// Labels outside of the loop that it branches to, by their depth at the `loop` operator.
    pub(crate) exits: Vec<u32>,
}

/// Returns the innermost loops of a function that can be outlined, in order. `locals` are the types
/// of the parameters and locals.
pub(crate) fn outlinable_loops(operators: &[Operator], locals: &[ValType]) -> Vec<OutlinedLoop> {
    let is_loop = |operator: &Operator| matches!(operator, Operator::Loop { .. });
    if !operators.iter().any(is_loop) {
        return Vec::new();
    }
    let Some(ends) = BlockEnds::find(operators) else {
        return Vec::new();
    };
    let Some(liveness) = Liveness::analyze(operators, &ends, locals.len()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut open_blocks: Vec<usize> = Vec::new();
    for (start, operator) in operators.iter().enumerate() {
        match operator {
            Operator::Block { .. } | Operator::If { .. } => open_blocks.push(start),
            Operator::Loop { blockty } => {
                if *blockty == BlockType::Empty {
                    let context = LoopContext {
                        operators,
                        locals,
                        liveness: &liveness,
                        ends: &ends,
                        open_blocks: &open_blocks,
                    };
                    found.extend(context.outline(start));
                }
                open_blocks.push(start);
            }
            Operator::End => {
                open_blocks.pop();
            }
            _ => {}
        }
    }
    found
}

/// A function at the position of one of its loops.
struct LoopContext<'a> {
    operators: &'a [Operator<'a>],
    locals: &'a [ValType],
    liveness: &'a Liveness,
    ends: &'a BlockEnds,
    /// Positions of the blocks that contain the loop.
    open_blocks: &'a [usize],
}

impl LoopContext<'_> {
    fn outline(&self, start: usize) -> Option<OutlinedLoop> {
        let end = self.ends.end[start];
        let mut accessed = BTreeSet::new();
        let mut written = BTreeSet::new();
        let mut exits = BTreeSet::new();
        // Number of open blocks within the loop.
        let mut depth = 0;
        for operator in &self.operators[start + 1..end] {
            if let Some(local) = accessed_local(operator) {
                accessed.insert(local);
                if writes_local(operator) {
                    written.insert(local);
                }
            }
            match operator {
                Operator::Block { .. } | Operator::If { .. } => depth += 1,
                Operator::End => depth -= 1,
                Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                    exits.extend(relative_depth.checked_sub(depth + 1));
                }
                Operator::BrTable { targets } => {
                    let mut targets = targets.targets().chain([Ok(targets.default())]);
                    if targets.any(|target| target.map_or(true, |target| target > depth)) {
                        return None;
                    }
                }
                Operator::Loop { .. }
                | Operator::Return
                | Operator::ReturnCall { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::ReturnCallRef { .. } => return None,
                _ => {}
            }
        }
        let mut continues_at = vec![end + 1];
        for exit in &exits {
            continues_at.push(self.branch_target(*exit)?);
        }
        // A reference may be of a type without a default, which a local could not hold.
        let is_value = |local: &u32| {
            let ty = self.locals.get(*local as usize);
            ty.is_some_and(|ty| !matches!(ty, ValType::Ref(_)))
        };
        if !accessed.iter().all(is_value) {
            return None;
        }
        let is_input = |local: &u32| self.liveness.is_live(start, *local);
        let inputs: Vec<_> = accessed.into_iter().filter(is_input).collect();
        let is_live_at = |position: usize, local: u32| self.liveness.is_live(position, local);
        let is_output = |local: &u32| continues_at.iter().any(|at| is_live_at(*at, *local));
        let outputs: Vec<_> = written.into_iter().filter(is_output).collect();
        (inputs.len() <= MAX_LOCALS && outputs.len() <= MAX_LOCALS).then(|| OutlinedLoop {
            start,
            end,
            inputs,
            outputs,
            exits: exits.into_iter().collect(),
        })
    }

    /// Returns the target of a branch to the label `depth` blocks outside of the loop, if the
    /// branch carries no values.
    fn branch_target(&self, depth: u32) -> Option<usize> {
        let start = *self.open_blocks.iter().rev().nth(depth as usize)?;
        match self.operators[start] {
            Operator::Loop {
                blockty: BlockType::Empty | BlockType::Type(_),
            } => Some(start + 1),
            Operator::Block {
                blockty: BlockType::Empty,
            }
            | Operator::If {
                blockty: BlockType::Empty,
            } => Some(self.ends.end[start] + 1),
            _ => None,
        }
    }
}
