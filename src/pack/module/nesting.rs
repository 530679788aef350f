//! Which loop an instruction is in.

use wasmparser::Operator;

/// Follows a function's instructions.
#[derive(Default)]
pub(super) struct Nesting {
    /// The blocks that are open; of a loop its number.
    open: Vec<Option<usize>>,
    loops: Vec<usize>,
    seen: usize,
}

impl Nesting {
    /// The number, counted in their order, of the innermost loop that the next instruction is in.
    pub(super) fn innermost(&self) -> Option<usize> {
        self.loops.last().copied()
    }

    /// Goes on behind `operator`.
    pub(super) fn pass(&mut self, operator: &Operator) {
        match operator {
            Operator::Loop { .. } => {
                self.loops.push(self.seen);
                self.open.push(Some(self.seen));
                self.seen += 1;
            }
            Operator::Block { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. }
            | Operator::Try { .. } => self.open.push(None),
            Operator::End | Operator::Delegate { .. } => {
                if let Some(Some(_)) = self.open.pop() {
                    self.loops.pop();
                }
            }
            _ => {}
        }
    }
}
