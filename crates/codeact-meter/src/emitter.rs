//! The additions to the module that all code-emitting passes share, and the code of meter points.

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{BlockType, Instruction, ValType};
use wasmparser::Operator;

use crate::function_builder::FunctionBuilder;
use crate::index_space::{IndexSpace, Reencoded};

/// Signature of a function: parameters and results.
pub(crate) type Signature = (Vec<ValType>, Vec<ValType>);

/// Types, functions and globals that are added to the module, and encoders that need them.
pub(crate) struct Emitter<'a> {
    pub(crate) indices: IndexSpace<'a>,
    /// If false, meter points are left out.
    points: bool,
    types: Vec<Signature>,
    functions: Vec<AddedFunction>,
    spill_globals: u32,
}

/// A function that is emitted after those of the input module.
pub(crate) struct AddedFunction {
    pub(crate) ty: u32,
    pub(crate) body: FunctionBuilder,
}

/// All additions to a module, in the order of their indices.
pub(crate) struct Additions {
    pub(crate) types: Vec<Signature>,
    pub(crate) functions: Vec<AddedFunction>,
    pub(crate) spill_globals: u32,
}

impl<'a> Emitter<'a> {
    pub(crate) fn new(indices: IndexSpace<'a>, points: bool) -> Self {
        Self {
            indices,
            points,
            types: Vec::new(),
            functions: Vec::new(),
            spill_globals: 0,
        }
    }

    pub(crate) fn finish(self) -> Additions {
        Additions {
            types: self.types,
            functions: self.functions,
            spill_globals: self.spill_globals,
        }
    }

    /// Returns the index of an added type. It is added if it is new.
    pub(crate) fn function_type(&mut self, parameters: Vec<ValType>, results: Vec<ValType>) -> u32 {
        let signature = (parameters, results);
        let known = self.types.iter().position(|known| *known == signature);
        let position = known.unwrap_or_else(|| {
            self.types.push(signature);
            self.types.len() - 1
        });
        self.indices.first_added_type() + position as u32
    }

    /// Returns the index of the function that is added next.
    pub(crate) fn next_function(&self) -> u32 {
        self.indices.first_added_function() + self.functions.len() as u32
    }

    /// Adds a function of type `ty`.
    pub(crate) fn add_function(&mut self, ty: u32, body: FunctionBuilder) {
        self.functions.push(AddedFunction { ty, body });
    }

    /// Adds a function of type `ty` whose body is set later. Returns its index.
    pub(crate) fn declare_function(&mut self, ty: u32) -> u32 {
        let index = self.next_function();
        self.add_function(ty, FunctionBuilder::new());
        index
    }

    /// Sets the body of a function that was declared.
    pub(crate) fn define_function(&mut self, index: u32, body: FunctionBuilder) {
        let position = index - self.indices.first_added_function();
        self.functions[position as usize].body = body;
    }

    /// Returns the spill global of `slot`. It is added if it is new.
    pub(crate) fn spill_global(&mut self, slot: u32) -> u32 {
        self.spill_globals = self.spill_globals.max(slot + 1);
        self.indices.spill_global(slot)
    }

    pub(crate) fn val_types(
        &mut self,
        types: impl IntoIterator<Item = wasmparser::ValType>,
    ) -> Reencoded<Vec<ValType>> {
        let types = types.into_iter();
        types.map(|ty| self.indices.val_type(ty)).collect()
    }

    /// Translates an operator to the index spaces of the metered module.
    ///
    /// `memory.copy` and `memory.fill` become calls of functions that work in chunks.
    pub(crate) fn translate<'b>(&mut self, operator: &Operator<'b>) -> Reencoded<Instruction<'b>> {
        match operator {
            Operator::MemoryCopy { .. } => Ok(Instruction::Call(self.indices.memory_copy())),
            Operator::MemoryFill { .. } => Ok(Instruction::Call(self.indices.memory_fill())),
            other => self.indices.instruction(other.clone()),
        }
    }

    /// Appends a meter point: charges `cost` and yields if the fuel is used up.
    pub(crate) fn meter_point(&self, cost: i64, out: &mut FunctionBuilder) {
        if !self.points {
            return;
        }
        self.charge(cost, out);
        self.begin_if_exhausted(out);
        out.push(&Instruction::Call(self.indices.yield_function()));
        out.push(&Instruction::End);
    }

    /// Appends code that subtracts `cost` from the counter.
    pub(crate) fn charge(&self, cost: i64, out: &mut FunctionBuilder) {
        let counter = self.indices.counter();
        (out.instructions())
            .global_get(counter)
            .i64_const(cost)
            .i64_sub()
            .global_set(counter);
    }

    /// Opens an `if` block, hinted as unlikely, that is entered if the fuel is used up.
    pub(crate) fn begin_if_exhausted(&self, out: &mut FunctionBuilder) {
        (out.instructions())
            .global_get(self.indices.counter())
            .i64_const(0)
            .i64_lt_s();
        out.mark_unlikely();
        out.push(&Instruction::If(BlockType::Empty));
    }
}
