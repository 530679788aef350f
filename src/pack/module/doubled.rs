//! Small loops that call nothing are written twice, one pass behind the other, so that two passes share a meter point.
//!
//! ```text
//! loop              block
//!   …                 loop            ;; the meter point
//!   br_if 0             block
//! end                     …
//!                         br_if 0     ;; on to the second pass
//!                         br 2        ;; left
//!                       end
//!                       …
//!                       br_if 0       ;; on to the first
//!                     end
//!                   end
//! ```
//!
//! A pass of such a loop is a few instructions, and its meter point would be a good part of it. Both passes are taken
//! from the counter at once, the second one also where the loop is left before it.

use wasmparser::{BlockType, Operator};

use super::continued::is_call;
use super::flow::Ends;
use super::source::Source;

/// The most instructions of a pass. In longer ones a meter point is hardly seen, and they would be much more code.
pub(super) const MOST_DOUBLED: usize = 200;

impl<'a> Source<'a> {
    /// Writes loops whose passes have up to `most` instructions twice, where they can be.
    pub(super) fn double_loops(&mut self, most: usize) {
        let Some(ends) = Ends::of(&self.code) else {
            return;
        };
        let code = std::mem::take(&mut self.code);
        let innermost = std::mem::take(&mut self.innermost);
        let mut loops = 0..self.loops.len();
        let mut places = 0..code.len();
        while let Some(at) = places.next() {
            if let Operator::Loop { blockty } = code[at]
                && let Some(number) = loops.next()
            {
                let end = ends.end[at];
                if let Some(inside) = code.get(at + 1..end)
                    && can_be_doubled(blockty, inside, most)
                {
                    self.double(number, blockty, inside, innermost[at]);
                    places.start = end + 1;
                    continue;
                }
                self.loops[number].0 = self.code.len();
            }
            self.put(code[at].clone(), innermost[at]);
        }
    }

    /// Loop `number`, with the instructions `inside`. It is in the loop `outside`.
    fn double(
        &mut self,
        number: usize,
        blockty: BlockType,
        inside: &[Operator<'a>],
        outside: Option<usize>,
    ) {
        let within = Some(number);
        self.put(Operator::Block { blockty }, outside);
        let (start, cost) = &mut self.loops[number];
        *start = self.code.len();
        *cost *= 2;
        self.put(Operator::Loop { blockty }, outside);
        let blockty = BlockType::Empty;
        self.put(Operator::Block { blockty }, within);
        self.pass(inside, 2, within);
        self.put(Operator::Br { relative_depth: 2 }, within);
        self.put(Operator::End, within);
        self.pass(inside, 1, within);
        self.put(Operator::End, within);
        self.put(Operator::End, outside);
    }

    /// A pass, in which labels outside of the loop are `more` blocks further out. That of the loop is the innermost
    /// still: of the block that ends where the second pass begins, or of the loop.
    fn pass(&mut self, inside: &[Operator<'a>], more: u32, within: Option<usize>) {
        // How many blocks are open within the pass.
        let mut depth = 0;
        for operator in inside {
            let mut operator = operator.clone();
            match &mut operator {
                Operator::Br { relative_depth } | Operator::BrIf { relative_depth }
                    if *relative_depth > depth =>
                {
                    *relative_depth = relative_depth.saturating_add(more);
                }
                Operator::Block { .. } | Operator::If { .. } => depth += 1,
                Operator::End => depth -= 1,
                _ => {}
            }
            self.put(operator, within);
        }
    }

    fn put(&mut self, operator: Operator<'a>, innermost: Option<usize>) {
        self.code.push(operator);
        self.innermost.push(innermost);
    }
}

/// Whether a loop with the instructions `inside` has no other in it, calls nothing, and branches only in ways that can be written
/// anew.
fn can_be_doubled(blockty: BlockType, inside: &[Operator], most: usize) -> bool {
    let hinders = |operator: &Operator| {
        is_call(operator) || matches!(operator, Operator::Loop { .. } | Operator::BrTable { .. })
    };
    inside.len() <= most
        && !matches!(blockty, BlockType::FuncType(_))
        && !inside.iter().any(hinders)
}
