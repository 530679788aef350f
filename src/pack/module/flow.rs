//! Which of a function's locals are live where.

use wasmparser::Operator;

/// The most words of 64 bits that tell where a function's locals are live: 128 MB.
const MOST_WORDS: usize = 16 << 20;

/// The locals that are live before each instruction: those whose values may still be looked at.
pub(super) struct Flow {
    /// Rows of `words` words, a bit for each local; one row more than there are instructions.
    live: Vec<u64>,
    words: usize,
}

impl Flow {
    /// For a function of `locals` locals, parameters included. `None` where it names others, is not nested as it
    /// should, or is so large that it would take more than [`MOST_WORDS`].
    pub(super) fn of(code: &[Operator], ends: &Ends, locals: usize) -> Option<Self> {
        let is_there = |local: u32| (local as usize) < locals;
        if !code.iter().filter_map(local).all(is_there) {
            return None;
        }
        let words = locals.div_ceil(64);
        if code.len().saturating_mul(words) > MOST_WORDS {
            return None;
        }
        let next = Next::of(code, ends)?;
        let mut live = vec![0_u64; (code.len() + 1) * words];
        let mut row = vec![0_u64; words];
        loop {
            let mut changed = false;
            for (i, operator) in code.iter().enumerate().rev() {
                row.fill(0);
                for next in next.after(i) {
                    let from = &live[next as usize * words..][..words];
                    row.iter_mut().zip(from).for_each(|(to, from)| *to |= from);
                }
                if let Some(local) = local(operator) {
                    set(&mut row, local, !changes(operator));
                }
                let old = &mut live[i * words..][..words];
                if old != row {
                    old.copy_from_slice(&row);
                    changed = true;
                }
            }
            if !changed {
                return Some(Self { live, words });
            }
        }
    }

    /// Whether `local` is live before instruction `at`.
    pub(super) fn is_live(&self, at: usize, local: u32) -> bool {
        self.live[at * self.words + local as usize / 64] >> (local % 64) & 1 == 1
    }
}

/// The local that `operator` gets or sets.
pub(super) fn local(operator: &Operator) -> Option<u32> {
    match operator {
        Operator::LocalGet { local_index }
        | Operator::LocalSet { local_index }
        | Operator::LocalTee { local_index } => Some(*local_index),
        _ => None,
    }
}

/// Whether `operator` sets its local.
pub(super) fn changes(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::LocalSet { .. } | Operator::LocalTee { .. }
    )
}

fn set(row: &mut [u64], local: u32, live: bool) {
    let (word, bit) = (&mut row[local as usize / 64], 1 << (local % 64));
    match live {
        true => *word |= bit,
        false => *word &= !bit,
    }
}

/// Which instructions can come after which.
struct Next {
    /// Whether the next one can.
    goes_on: Vec<bool>,
    /// The others, one instruction's behind another's.
    others: Vec<u32>,
    /// Where those of each begin.
    begin: Vec<usize>,
}

impl Next {
    fn of(code: &[Operator], ends: &Ends) -> Option<Self> {
        let mut open: Vec<usize> = Vec::new();
        let mut next = Self {
            goes_on: Vec::with_capacity(code.len()),
            others: Vec::new(),
            begin: Vec::with_capacity(code.len() + 1),
        };
        for (i, operator) in code.iter().enumerate() {
            next.begin.push(next.others.len());
            // The function's own label is its end.
            let label = |depth: u32| match open.iter().rev().nth(depth as usize) {
                Some(start) if matches!(code[*start], Operator::Loop { .. }) => *start as u32 + 1,
                Some(start) => ends.end[*start] as u32 + 1,
                None => code.len() as u32,
            };
            let mut goes_on = true;
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } => open.push(i),
                Operator::If { .. } => {
                    next.others.push(ends.otherwise[i] as u32 + 1);
                    open.push(i);
                }
                Operator::Else => {
                    next.others.push(ends.end[*open.last()?] as u32);
                    goes_on = false;
                }
                Operator::End => {
                    open.pop();
                }
                Operator::Br { relative_depth } => {
                    next.others.push(label(*relative_depth));
                    goes_on = false;
                }
                Operator::BrIf { relative_depth } => next.others.push(label(*relative_depth)),
                Operator::BrTable { targets } => {
                    for target in targets.targets() {
                        next.others.push(label(target.ok()?));
                    }
                    next.others.push(label(targets.default()));
                    goes_on = false;
                }
                Operator::Return
                | Operator::Unreachable
                | Operator::ReturnCall { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::ReturnCallRef { .. } => goes_on = false,
                _ => {}
            }
            next.goes_on.push(goes_on);
        }
        next.begin.push(next.others.len());
        Some(next)
    }

    fn after(&self, i: usize) -> impl Iterator<Item = u32> {
        let others = &self.others[self.begin[i]..self.begin[i + 1]];
        let on = self.goes_on[i].then_some(i as u32 + 1);
        others.iter().copied().chain(on)
    }
}

/// For each instruction that opens a block, where its `end` is, and its `else`: the `end` where it has none.
pub(super) struct Ends {
    pub(super) end: Vec<usize>,
    pub(super) otherwise: Vec<usize>,
}

impl Ends {
    /// `None` where an instruction branches in a way that is not looked at here, which is that of exceptions,
    /// casts and stacks that are switched.
    pub(super) fn of(code: &[Operator]) -> Option<Self> {
        let mut ends = Self {
            end: vec![0; code.len()],
            otherwise: vec![0; code.len()],
        };
        let mut open: Vec<usize> = Vec::new();
        for (i, operator) in code.iter().enumerate() {
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    open.push(i)
                }
                Operator::Else => ends.otherwise[*open.last()?] = i,
                Operator::End => {
                    if let Some(start) = open.pop() {
                        ends.end[start] = i;
                        if ends.otherwise[start] == 0 {
                            ends.otherwise[start] = i;
                        }
                    }
                }
                odd if is_odd(odd) => return None,
                _ => {}
            }
        }
        Some(ends)
    }
}

/// Whether `operator` branches, or is branched to, in a way that is not looked at here.
fn is_odd(operator: &Operator) -> bool {
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
