//! Intermediate representation of one function: its decoded operators with loop information.

use wasmparser::{
    BinaryReaderError, FuncToValidate, FuncValidator, FunctionBody, Operator, ValType,
    ValidatorResources,
};

use crate::loop_nesting::for_each_operator;

/// Maximum cost of one pass of a loop, in units of fuel.
const MAX_PASS_COST: i64 = 100;

/// Validator of one function, positioned at its first operator.
pub(crate) type BodyValidator = FuncValidator<ValidatorResources>;

/// A decoded function.
pub(crate) struct FunctionIr<'a> {
    /// Index of the function in the input module.
    pub(crate) index: u32,
    pub(crate) operators: Vec<Operator<'a>>,
    /// Types of the parameters and locals.
    pub(crate) locals: Vec<ValType>,
    /// For each operator the number of the innermost loop that contains it.
    pub(crate) innermost_loop: Vec<Option<usize>>,
    /// The loops in the order in which they begin.
    loops: Vec<Loop>,
}

struct Loop {
    /// Position of the `loop` operator.
    start: usize,
    /// Units of fuel that one pass costs.
    cost: i64,
}

impl<'a> FunctionIr<'a> {
    /// Decodes `body`. Returns the function and its validator, which has accepted the locals.
    pub(crate) fn parse(
        index: u32,
        body: &FunctionBody<'a>,
        function: FuncToValidate<ValidatorResources>,
    ) -> Result<(Self, BodyValidator), BinaryReaderError> {
        let mut validator = function.into_validator(Default::default());
        validator.read_locals(&mut body.get_binary_reader())?;
        let locals = 0..validator.len_locals();
        let mut ir = Self {
            index,
            operators: Vec::new(),
            locals: locals
                .filter_map(|local| validator.get_local_type(local))
                .collect(),
            innermost_loop: Vec::new(),
            loops: Vec::new(),
        };
        for_each_operator::<BinaryReaderError>(body, |operator, innermost| {
            // Operators of nested loops are charged by those loops.
            if let Some(innermost) = innermost.and_then(|number| ir.loops.get_mut(number)) {
                innermost.cost = MAX_PASS_COST.min(innermost.cost + 1);
            }
            if matches!(operator, Operator::Loop { .. }) {
                let start = ir.operators.len();
                ir.loops.push(Loop { start, cost: 0 });
            }
            ir.operators.push(operator);
            ir.innermost_loop.push(innermost);
            Ok(())
        })?;
        Ok((ir, validator))
    }

    /// Returns whether the function has a loop.
    pub(crate) fn has_loops(&self) -> bool {
        !self.loops.is_empty()
    }

    /// Returns the units of fuel that one pass of the loop at `start` costs.
    pub(crate) fn pass_cost(&self, start: usize) -> i64 {
        let number = self.loops.binary_search_by_key(&start, |one| one.start);
        number.map_or(MAX_PASS_COST, |number| self.loops[number].cost.max(1))
    }
}

/// Validates `operators`. Returns for each whether it is reachable with an empty operand stack.
///
/// Operands of the enclosing blocks count, the condition of an `if` does not.
pub(crate) fn empty_stack_positions(
    operators: &[Operator],
    mut validator: BodyValidator,
) -> Result<Vec<bool>, BinaryReaderError> {
    let mut empty = Vec::new();
    // Offsets appear in messages only. The first byte of a body is never an operator.
    for (offset, operator) in (1..).zip(operators) {
        let condition = u32::from(matches!(operator, Operator::If { .. }));
        let reachable = validator
            .get_control_frame(0)
            .is_some_and(|frame| !frame.unreachable);
        empty.push(reachable && validator.operand_stack_height() == condition);
        validator.op(offset, operator)?;
    }
    Ok(empty)
}
