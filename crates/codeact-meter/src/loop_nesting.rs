//! Iteration over the operators of a function with the innermost loop of each.

use wasmparser::{BinaryReaderError, FunctionBody, Operator};

/// Calls `visit` with each operator of `body` and the number of the innermost loop that contains
/// it. Loops are numbered in the order in which they begin.
///
/// A `loop` operator belongs to the loop around it, its `end` to the loop itself.
pub(crate) fn for_each_operator<'a, E: From<BinaryReaderError>>(
    body: &FunctionBody<'a>,
    mut visit: impl FnMut(Operator<'a>, Option<usize>) -> Result<(), E>,
) -> Result<(), E> {
    let mut nesting = LoopNesting::default();
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        let operator = reader.read()?;
        let innermost = nesting.open_loops.last().copied();
        nesting.advance(&operator);
        visit(operator, innermost)?;
    }
    // Checks that no block is left open.
    Ok(reader.finish()?)
}

/// Returns the type index of an indirect call, that is of a call through a table or a reference.
pub(crate) fn indirect_call_type(operator: &Operator) -> Option<u32> {
    match operator {
        Operator::CallIndirect { type_index, .. }
        | Operator::ReturnCallIndirect { type_index, .. }
        | Operator::CallRef { type_index }
        | Operator::ReturnCallRef { type_index } => Some(*type_index),
        _ => None,
    }
}

#[derive(Default)]
struct LoopNesting {
    /// The open blocks. Loops have their number.
    open_blocks: Vec<Option<usize>>,
    open_loops: Vec<usize>,
    loop_count: usize,
}

impl LoopNesting {
    /// Updates the open blocks for the position after `operator`.
    fn advance(&mut self, operator: &Operator) {
        match operator {
            Operator::Loop { .. } => {
                self.open_loops.push(self.loop_count);
                self.open_blocks.push(Some(self.loop_count));
                self.loop_count += 1;
            }
            Operator::Block { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. }
            | Operator::Try { .. } => self.open_blocks.push(None),
            Operator::End | Operator::Delegate { .. } => {
                if let Some(Some(_)) = self.open_blocks.pop() {
                    self.open_loops.pop();
                }
            }
            _ => {}
        }
    }
}
