//! Liveness analysis of a function's locals.

use wasmparser::Operator;

/// Maximum size of the result in words of 64 bits: 128 MB.
const MAX_WORDS: usize = 16 << 20;

/// The locals that are live before each operator: those whose values may still be read.
pub(crate) struct Liveness {
    /// A row of `words_per_row` words for each operator, and one for the end of the function. A
    /// row has a bit for each local.
    live: Vec<u64>,
    words_per_row: usize,
}

impl Liveness {
    /// Analyzes a function with `locals` locals, parameters included.
    ///
    /// Returns `None` if the operators use other locals, are not nested correctly, or if the result
    /// would be larger than [`MAX_WORDS`].
    pub(crate) fn analyze(operators: &[Operator], ends: &BlockEnds, locals: usize) -> Option<Self> {
        let exists = |local: u32| (local as usize) < locals;
        if !operators.iter().filter_map(accessed_local).all(exists) {
            return None;
        }
        let words_per_row = locals.div_ceil(64);
        if operators.len().saturating_mul(words_per_row) > MAX_WORDS {
            return None;
        }
        let successors = Successors::find(operators, ends)?;
        let mut live = vec![0_u64; (operators.len() + 1) * words_per_row];
        let mut row = vec![0_u64; words_per_row];
        loop {
            let mut changed = false;
            for (i, operator) in operators.iter().enumerate().rev() {
                row.fill(0);
                for successor in successors.of(i) {
                    let from = &live[successor as usize * words_per_row..][..words_per_row];
                    row.iter_mut().zip(from).for_each(|(to, from)| *to |= from);
                }
                if let Some(local) = accessed_local(operator) {
                    set_bit(&mut row, local, !writes_local(operator));
                }
                let old = &mut live[i * words_per_row..][..words_per_row];
                if old != row {
                    old.copy_from_slice(&row);
                    changed = true;
                }
            }
            if !changed {
                return Some(Self {
                    live,
                    words_per_row,
                });
            }
        }
    }

    /// Returns whether `local` is live before the operator at `position`.
    pub(crate) fn is_live(&self, position: usize, local: u32) -> bool {
        let word = self.live[position * self.words_per_row + local as usize / 64];
        word >> (local % 64) & 1 == 1
    }
}

/// Returns the local that `operator` reads or writes.
pub(crate) fn accessed_local(operator: &Operator) -> Option<u32> {
    match operator {
        Operator::LocalGet { local_index }
        | Operator::LocalSet { local_index }
        | Operator::LocalTee { local_index } => Some(*local_index),
        _ => None,
    }
}

/// Returns whether `operator` writes a local.
pub(crate) fn writes_local(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::LocalSet { .. } | Operator::LocalTee { .. }
    )
}

fn set_bit(row: &mut [u64], local: u32, value: bool) {
    let (word, bit) = (&mut row[local as usize / 64], 1 << (local % 64));
    match value {
        true => *word |= bit,
        false => *word &= !bit,
    }
}

/// The control-flow successors of each operator.
struct Successors {
    /// For each operator whether control can reach the next one.
    falls_through: Vec<bool>,
    /// Branch targets of all operators, in order.
    targets: Vec<u32>,
    /// Position in `targets` of the first target of each operator.
    first_target: Vec<usize>,
}

impl Successors {
    fn find(operators: &[Operator], ends: &BlockEnds) -> Option<Self> {
        let mut open: Vec<usize> = Vec::new();
        let mut found = Self {
            falls_through: Vec::with_capacity(operators.len()),
            targets: Vec::new(),
            first_target: Vec::with_capacity(operators.len() + 1),
        };
        for (i, operator) in operators.iter().enumerate() {
            found.first_target.push(found.targets.len());
            // The label of the function itself is its end.
            let label = |depth: u32| match open.iter().rev().nth(depth as usize) {
                Some(start) if matches!(operators[*start], Operator::Loop { .. }) => {
                    *start as u32 + 1
                }
                Some(start) => ends.end[*start] as u32 + 1,
                None => operators.len() as u32,
            };
            let mut falls_through = true;
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } => open.push(i),
                Operator::If { .. } => {
                    found.targets.push(ends.else_or_end[i] as u32 + 1);
                    open.push(i);
                }
                Operator::Else => {
                    found.targets.push(ends.end[*open.last()?] as u32);
                    falls_through = false;
                }
                Operator::End => {
                    open.pop();
                }
                Operator::Br { relative_depth } => {
                    found.targets.push(label(*relative_depth));
                    falls_through = false;
                }
                Operator::BrIf { relative_depth } => found.targets.push(label(*relative_depth)),
                Operator::BrTable { targets } => {
                    for target in targets.targets() {
                        found.targets.push(label(target.ok()?));
                    }
                    found.targets.push(label(targets.default()));
                    falls_through = false;
                }
                Operator::Return
                | Operator::Unreachable
                | Operator::ReturnCall { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::ReturnCallRef { .. } => falls_through = false,
                _ => {}
            }
            found.falls_through.push(falls_through);
        }
        found.first_target.push(found.targets.len());
        Some(found)
    }

    fn of(&self, i: usize) -> impl Iterator<Item = u32> {
        let targets = &self.targets[self.first_target[i]..self.first_target[i + 1]];
        let next = self.falls_through[i].then_some(i as u32 + 1);
        targets.iter().copied().chain(next)
    }
}

/// For each operator that opens a block, the positions where its parts end.
pub(crate) struct BlockEnds {
    /// Position of the `end`.
    pub(crate) end: Vec<usize>,
    /// Position of the `else`, or of the `end` if there is no `else`.
    pub(crate) else_or_end: Vec<usize>,
}

impl BlockEnds {
    /// Returns `None` if the function has control flow that the passes do not model: exceptions,
    /// branches on casts or null references, or stack switching.
    pub(crate) fn find(operators: &[Operator]) -> Option<Self> {
        let mut ends = Self {
            end: vec![0; operators.len()],
            else_or_end: vec![0; operators.len()],
        };
        let mut open: Vec<usize> = Vec::new();
        for (i, operator) in operators.iter().enumerate() {
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    open.push(i)
                }
                Operator::Else => ends.else_or_end[*open.last()?] = i,
                Operator::End => {
                    if let Some(start) = open.pop() {
                        ends.end[start] = i;
                        if ends.else_or_end[start] == 0 {
                            ends.else_or_end[start] = i;
                        }
                    }
                }
                other if is_unmodeled(other) => return None,
                _ => {}
            }
        }
        Some(ends)
    }
}

/// Returns whether the passes do not model the control flow of `operator`.
fn is_unmodeled(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::TryTable { .. }
            | Operator::Try { .. }
            | Operator::Catch { .. }
            | Operator::CatchAll
            | Operator::Delegate { .. }
            | Operator::Resume { .. }
            | Operator::ResumeThrow { .. }
            | Operator::ResumeThrowRef { .. }
            | Operator::BrOnNull { .. }
            | Operator::BrOnNonNull { .. }
            | Operator::BrOnCast { .. }
            | Operator::BrOnCastFail { .. }
            | Operator::BrOnCastDescEq { .. }
            | Operator::BrOnCastDescEqFail { .. }
    )
}
