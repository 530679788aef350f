//! Which functions have continuations, and at which of their loops.

use std::collections::HashSet;
use std::ops::Range;

use wasmparser::{Operator, ValType};

use super::flow::{Ends, Flow, local};
use super::kept::can_be_kept;
use super::source::Source;

/// The most locals of a function with a continuation, and so the most globals to keep them in.
const MOST_LOCALS: usize = 256;
/// The most blocks of such a function that are in one another: a continuation is written block by block.
const MOST_NESTED: usize = 200;
/// The most that all loops of such a function together put into globals.
const MOST_KEPT: usize = 20_000;
/// A loop is busy that uses so many locals, or more, that are live where it begins. For fewer there is room in the registers that a
/// call leaves alone.
pub(super) const BUSY: usize = 4;

/// A function that has a continuation.
pub(super) struct Continued<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) ends: Ends,
    flow: Flow,
    /// Where the loops begin at which it can go on. Such a loop's number is its place here, counted from one.
    heads: Vec<usize>,
    /// The continuation's number.
    pub(super) continuation: u32,
}

impl<'a> Continued<'a> {
    /// `None` where no busy loop is without calls, or the function branches as exceptions do, has references,
    /// vectors or very many locals, is nested very deeply, or its continuation would be very long. `begins_empty`
    /// tells for each instruction whether a block that begins there does so with nothing on the operand stack: a
    /// continuation could not bring back what is there.
    pub(super) fn of(
        source: &'a Source<'a>,
        begins_empty: &[bool],
        busy: usize,
        continuation: u32,
    ) -> Option<Self> {
        let mut types = source.locals.iter();
        if source.locals.len() > MOST_LOCALS || !types.all(|ty| can_be_kept(*ty)) {
            return None;
        }
        let ends = Ends::of(&source.code)?;
        let inside = |start: usize| &source.code[start..ends.end[start]];
        let mut heads = Vec::new();
        let mut open = Vec::new();
        for (at, operator) in source.code.iter().enumerate() {
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    let empty = begins_empty[at] && open.last().is_none_or(|empty| *empty);
                    open.push(empty);
                    if open.len() > MOST_NESTED {
                        return None;
                    }
                    let is_loop = matches!(operator, Operator::Loop { .. });
                    if is_loop && empty && !inside(at).iter().any(is_call) {
                        heads.push(at);
                    }
                }
                Operator::End => {
                    open.pop();
                }
                _ => {}
            }
        }
        if heads.is_empty() {
            return None;
        }
        let flow = Flow::of(&source.code, &ends, source.locals.len())?;
        heads.retain(|head| {
            let used = inside(*head).iter().filter_map(local);
            let live: HashSet<_> = used.filter(|used| flow.is_live(head + 1, *used)).collect();
            live.len() >= busy
        });
        let continued = Self {
            source,
            flow,
            ends,
            heads,
            continuation,
        };
        let heads = continued.heads.iter();
        let kept: usize = heads.map(|head| continued.live(*head).count()).sum();
        (!continued.heads.is_empty() && kept <= MOST_KEPT).then_some(continued)
    }

    /// The number of the loop that begins at `start`, if the function can go on there.
    pub(super) fn number(&self, start: usize) -> Option<u32> {
        let place = self.heads.binary_search(&start).ok()?;
        Some(place as u32 + 1)
    }

    /// The numbers of the loops that begin from instruction `from` on and before `to`.
    pub(super) fn within(&self, from: usize, to: usize) -> Range<u32> {
        let number = |at| self.heads.partition_point(|head| *head < at) as u32 + 1;
        number(from)..number(to)
    }

    /// The locals that are looked at in or after the loop that begins at `head`, and their types.
    pub(super) fn live(&self, head: usize) -> impl Iterator<Item = (u32, ValType)> {
        let live = move |(local, _): &(u32, ValType)| self.flow.is_live(head + 1, *local);
        (0..).zip(self.source.locals.iter().copied()).filter(live)
    }

    /// Those that are so for any of the loops at which it can go on.
    pub(super) fn live_at_any(&self) -> impl Iterator<Item = (u32, ValType)> {
        let live = |local| (self.heads.iter()).any(|head| self.flow.is_live(head + 1, local));
        let locals = (0..).zip(self.source.locals.iter().copied());
        locals.filter(move |(local, _)| live(*local))
    }
}

/// Whether it is a call when it is written. What else the compiler makes one of is rare in a loop.
pub(super) fn is_call(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
    )
}
