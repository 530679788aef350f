//! The body of a function that is being emitted.

use wasm_encoder::{
    BranchHint, BranchHints, CodeSection, Function, Instruction, InstructionSink, ValType,
};

/// A function body with the positions of its unlikely branches.
pub(crate) struct FunctionBuilder {
    function: Function,
    /// Byte offsets of the branches that are hinted as unlikely.
    unlikely_branches: Vec<u32>,
}

impl FunctionBuilder {
    /// Starts a function without locals other than its parameters.
    pub(crate) fn new() -> Self {
        Self::from_function(Function::new([]))
    }

    /// Starts a function with locals of these types after its parameters.
    pub(crate) fn with_locals(types: impl IntoIterator<Item = ValType>) -> Self {
        Self::from_function(Function::new_with_locals_types(types))
    }

    /// Wraps a function that has its locals and no instructions.
    pub(crate) fn from_function(function: Function) -> Self {
        Self {
            function,
            unlikely_branches: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, instruction: &Instruction) {
        self.function.instruction(instruction);
    }

    /// Returns an encoder that appends instructions.
    pub(crate) fn instructions(&mut self) -> InstructionSink<'_> {
        self.function.instructions()
    }

    /// Marks the branch that is appended next as unlikely.
    pub(crate) fn mark_unlikely(&mut self) {
        self.unlikely_branches.push(self.function.byte_len() as u32);
    }

    /// Appends a tail call that passes the first locals as parameters.
    pub(crate) fn tail_call(&mut self, function: u32, parameters: u32) {
        for parameter in 0..parameters {
            self.push(&Instruction::LocalGet(parameter));
        }
        self.push(&Instruction::ReturnCall(function));
    }

    /// Returns the encoded locals and instructions.
    pub(crate) fn into_raw_body(self) -> Vec<u8> {
        self.function.into_raw_body()
    }

    /// Appends the function to the code section, and its hints to theirs.
    pub(crate) fn write(&self, index: u32, code: &mut CodeSection, hints: &mut BranchHints) {
        code.function(&self.function);
        if !self.unlikely_branches.is_empty() {
            let function_hints = self.unlikely_branches.iter().map(|offset| BranchHint {
                branch_func_offset: *offset,
                branch_hint_value: 0,
            });
            hints.function_hints(index, function_hints.collect::<Vec<_>>());
        }
    }
}
