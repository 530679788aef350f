//! Which loops of a large function become functions of their own.
//!
//! Large functions have no continuations (`continued`): the way to the host is a call, even in a loop that has no
//! other. In a function as
//! large as the interpreter's main one a few such calls, in loops of a dozen instructions, make the
//! compiler's register allocator give up the register that has held the memory's address all through the function
//! (regalloc2 cuts a value's life into pieces twice at most, and keeps it on the stack after that): each
//! access to memory then loads it first. Written as a function, such a loop is a plain call to the one it
//! was in.

use std::collections::BTreeSet;

use wasmparser::{BlockType, Operator, ValType};

use super::flow::{Ends, Flow, changes, local};

/// From so many instructions on a function is large.
pub(super) const LARGE: usize = 5_000;
/// The most locals that a loop is given, or gives back.
const MOST_LOCALS: usize = 12;

/// A loop that becomes a function.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outlined {
    /// Its `loop`, by number of the instruction.
    pub(super) start: usize,
    /// Its `end`.
    pub(super) end: usize,
    /// The locals whose values it needs: the function's parameters.
    pub(super) takes: Vec<u32>,
    /// Those that it changes and that are looked at after it: the function's results.
    pub(super) gives: Vec<u32>,
    /// The labels outside that it branches to, by their depths as seen from where it is.
    pub(super) exits: Vec<u32>,
}

/// The innermost loops of `code` that can be functions, in their order. `locals` has the types of the
/// function's parameters and locals.
pub(super) fn outlined(code: &[Operator], locals: &[ValType]) -> Vec<Outlined> {
    if !(code.iter()).any(|operator| matches!(operator, Operator::Loop { .. })) {
        return Vec::new();
    }
    let Some(ends) = Ends::of(code) else {
        return Vec::new();
    };
    let Some(flow) = Flow::of(code, &ends, locals.len()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for (start, operator) in code.iter().enumerate() {
        match operator {
            Operator::Block { .. } | Operator::If { .. } => open.push(start),
            Operator::Loop { blockty } => {
                if *blockty == BlockType::Empty {
                    let function = Function {
                        code,
                        locals,
                        flow: &flow,
                        ends: &ends,
                        open: &open,
                    };
                    found.extend(function.outlined(start));
                }
                open.push(start);
            }
            Operator::End => {
                open.pop();
            }
            _ => {}
        }
    }
    found
}

/// A function, at a loop that begins in it.
struct Function<'a> {
    code: &'a [Operator<'a>],
    locals: &'a [ValType],
    flow: &'a Flow,
    ends: &'a Ends,
    /// Where the blocks begin that the loop is in.
    open: &'a [usize],
}

impl Function<'_> {
    fn outlined(&self, start: usize) -> Option<Outlined> {
        let end = self.ends.end[start];
        let mut used = BTreeSet::new();
        let mut changed = BTreeSet::new();
        let mut exits = BTreeSet::new();
        // How many blocks are open within the loop.
        let mut depth = 0;
        for operator in &self.code[start + 1..end] {
            if let Some(local) = local(operator) {
                used.insert(local);
                if changes(operator) {
                    changed.insert(local);
                }
            }
            match operator {
                Operator::Block { .. } | Operator::If { .. } => depth += 1,
                Operator::End => depth -= 1,
                Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                    exits.extend(relative_depth.checked_sub(depth + 1));
                }
                Operator::BrTable { targets } => {
                    let mut all = targets.targets().chain([Ok(targets.default())]);
                    if all.any(|target| target.map_or(true, |target| target > depth)) {
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
        let mut after = vec![end + 1];
        for exit in &exits {
            after.push(self.label(*exit)?);
        }
        let numbers = |local: &u32| {
            let ty = self.locals.get(*local as usize);
            ty.is_some_and(|ty| !matches!(ty, ValType::Ref(_)))
        };
        if !used.iter().all(numbers) {
            return None;
        }
        let takes = used.into_iter().filter(|l| self.flow.is_live(start, *l));
        let takes: Vec<_> = takes.collect();
        let looked_at = |local: &u32| after.iter().any(|at| self.flow.is_live(*at, *local));
        let gives: Vec<_> = changed.into_iter().filter(looked_at).collect();
        (takes.len() <= MOST_LOCALS && gives.len() <= MOST_LOCALS).then(|| Outlined {
            start,
            end,
            takes,
            gives,
            exits: exits.into_iter().collect(),
        })
    }

    /// The instruction that a branch to the label `depth` blocks outside the loop goes to, where it takes
    /// no values along.
    fn label(&self, depth: u32) -> Option<usize> {
        let start = *self.open.iter().rev().nth(depth as usize)?;
        match self.code[start] {
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
