//! A function as it is read, before it is written again.

use wasmparser::{
    BinaryReaderError, FuncToValidate, FuncValidator, FunctionBody, Operator, ValType,
    ValidatorResources,
};

use super::nesting::each;

/// The most that one pass of a loop takes.
const MOST_COST: i64 = 100;

/// A function's instructions, and what is known of them.
pub(super) struct Source<'a> {
    /// The function's number.
    pub(super) number: u32,
    pub(super) code: Vec<Operator<'a>>,
    /// The types of its parameters and locals.
    pub(super) locals: Vec<ValType>,
    /// For each instruction the loop it is in, counted in their order.
    pub(super) innermost: Vec<Option<usize>>,
    /// Where each loop begins, and what a pass of it takes from the counter.
    pub(super) loops: Vec<(usize, i64)>,
}

impl<'a> Source<'a> {
    /// Reads `body`, and gives what can validate it: its locals are valid.
    pub(super) fn read(
        number: u32,
        body: &FunctionBody<'a>,
        function: FuncToValidate<ValidatorResources>,
    ) -> Result<(Self, Validator), BinaryReaderError> {
        let mut validator = function.into_validator(Default::default());
        validator.read_locals(&mut body.get_binary_reader())?;
        let locals = 0..validator.len_locals();
        let mut source = Self {
            number,
            code: Vec::new(),
            locals: locals.filter_map(|n| validator.get_local_type(n)).collect(),
            innermost: Vec::new(),
            loops: Vec::new(),
        };
        each::<BinaryReaderError>(body, |operator, innermost| {
            // A loop's instructions, without those of loops within it.
            let inside = innermost.and_then(|inner| source.loops.get_mut(inner));
            if let Some((_, cost)) = inside {
                *cost = MOST_COST.min(*cost + 1);
            }
            if matches!(operator, Operator::Loop { .. }) {
                source.loops.push((source.code.len(), 0));
            }
            source.code.push(operator);
            source.innermost.push(innermost);
            Ok(())
        })?;
        Ok((source, validator))
    }

    /// What a pass of the loop that begins at `start` takes from the counter.
    pub(super) fn cost(&self, start: usize) -> i64 {
        let place = self.loops.binary_search_by_key(&start, |(start, _)| *start);
        place.map_or(MOST_COST, |place| self.loops[place].1.max(1))
    }
}

pub(super) type Validator = FuncValidator<ValidatorResources>;

/// For each instruction whether a block that begins there does so with nothing on the operand stack, neither its own
/// parameters nor what lies under them, and the block that it is in comes to it.
pub(super) fn begins_empty(
    code: &[Operator],
    mut validator: Validator,
) -> Result<Vec<bool>, BinaryReaderError> {
    let mut empty = Vec::new();
    // Where an instruction is counts for messages only; the first byte is never one of an instruction.
    for (offset, operator) in (1..).zip(code) {
        // An `if` takes its condition.
        let taken = u32::from(matches!(operator, Operator::If { .. }));
        let comes_to = validator
            .get_control_frame(0)
            .is_some_and(|frame| !frame.unreachable);
        empty.push(comes_to && validator.operand_stack_height() == taken);
        validator.op(offset, operator)?;
    }
    Ok(empty)
}
