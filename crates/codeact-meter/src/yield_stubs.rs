//! Functions that yield to the host on behalf of others and then restart them.
//!
//! A function that has no state to save does not call the host itself. It ends by a tail call of a
//! stub, which yields and then calls the function again. Functions of one type share a stub, up to
//! [`MAX_TARGETS`], because each function of a module makes loading it slower. A global selects the
//! function that the stub calls.

use std::collections::HashMap;

use wasm_encoder::{BlockType, Instruction};

use crate::emitter::Emitter;
use crate::function_builder::FunctionBuilder;

/// Maximum number of functions that share a stub.
const MAX_TARGETS: usize = 256;

/// All yield stubs of a module.
#[derive(Default)]
pub(crate) struct YieldStubs {
    stubs: Vec<YieldStub>,
    /// For each type the number of the stub that was added last.
    last_of_type: HashMap<u32, StubNumber>,
}

/// Position of a stub in the list of all stubs.
pub(crate) type StubNumber = usize;

struct YieldStub {
    /// Index of the function.
    function: u32,
    /// Number of its parameters.
    parameters: u32,
    targets: Vec<Target>,
}

/// A function that a stub can restart.
struct Target {
    function: u32,
    /// Units that are returned to the counter, because the function charges them again.
    refund: i64,
}

impl YieldStubs {
    /// Returns a stub for functions of type `ty` with room for one more. It is added if needed.
    pub(crate) fn stub_for(
        &mut self,
        ty: u32,
        parameters: u32,
        emitter: &mut Emitter,
    ) -> StubNumber {
        if let Some(number) = self.last_of_type.get(&ty)
            && self.stubs[*number].targets.len() < MAX_TARGETS
        {
            return *number;
        }
        let number = self.stubs.len();
        self.last_of_type.insert(ty, number);
        self.stubs.push(YieldStub {
            // The body is emitted when all targets are known.
            function: emitter.declare_function(ty),
            parameters,
            targets: Vec::new(),
        });
        number
    }

    /// Appends code that ends the current function by a tail call of a stub.
    ///
    /// The stub yields, returns `refund` units to the counter, and calls `function` with the first
    /// locals of the current function as parameters.
    pub(crate) fn emit_yield(
        &mut self,
        stub: StubNumber,
        function: u32,
        refund: i64,
        emitter: &Emitter,
        out: &mut FunctionBuilder,
    ) {
        let stub = &mut self.stubs[stub];
        out.push(&Instruction::I64Const(stub.targets.len() as i64));
        out.push(&Instruction::GlobalSet(emitter.indices.resume_target()));
        stub.targets.push(Target { function, refund });
        out.tail_call(stub.function, stub.parameters);
    }

    /// Emits the bodies of all stubs.
    pub(crate) fn finish(self, emitter: &mut Emitter) {
        for stub in self.stubs {
            let body = stub.body(emitter);
            emitter.define_function(stub.function, body);
        }
    }
}

impl YieldStub {
    fn body(&self, emitter: &Emitter) -> FunctionBuilder {
        let mut out = FunctionBuilder::new();
        out.push(&Instruction::Call(emitter.indices.yield_function()));
        for _ in &self.targets {
            out.push(&Instruction::Block(BlockType::Empty));
        }
        let labels: Vec<_> = (0..self.targets.len() as u32).collect();
        out.push(&Instruction::GlobalGet(emitter.indices.resume_target()));
        out.push(&Instruction::I32WrapI64);
        out.push(&Instruction::BrTable(labels.into(), 0));
        for target in &self.targets {
            out.push(&Instruction::End);
            emitter.charge(-target.refund, &mut out);
            out.tail_call(target.function, self.parameters);
        }
        out.push(&Instruction::End);
        out
    }
}
