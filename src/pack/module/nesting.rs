//! A function's instructions, and which loop each is in.

use wasmparser::{BinaryReaderError, FunctionBody, Operator};

/// Hands each instruction of `body` on, with the number, counted in their order, of the innermost loop that
/// it is in.
pub(super) fn each<'a, E: From<BinaryReaderError>>(
    body: &FunctionBody<'a>,
    mut look: impl FnMut(Operator<'a>, Option<usize>) -> Result<(), E>,
) -> Result<(), E> {
    let mut nesting = Nesting::default();
    let mut code = body.get_operators_reader()?;
    while !code.eof() {
        let operator = code.read()?;
        let innermost = nesting.loops.last().copied();
        nesting.pass(&operator);
        look(operator, innermost)?;
    }
    // Else blocks could be open still.
    Ok(code.finish()?)
}

/// The type by which `operator` calls a function that it does not name.
pub(super) fn called_type(operator: &Operator) -> Option<u32> {
    match operator {
        Operator::CallIndirect { type_index, .. }
        | Operator::ReturnCallIndirect { type_index, .. }
        | Operator::CallRef { type_index }
        | Operator::ReturnCallRef { type_index } => Some(*type_index),
        _ => None,
    }
}

#[derive(Default)]
struct Nesting {
    /// The blocks that are open; of a loop its number.
    open: Vec<Option<usize>>,
    loops: Vec<usize>,
    seen: usize,
}

impl Nesting {
    /// Goes on behind `operator`.
    fn pass(&mut self, operator: &Operator) {
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
