//! Emission of the code section: runs the passes on each function and collects their additions.

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{BlockType, BranchHints, CodeSection, Instruction, ValType};
use wasmparser::{FuncToValidate, FunctionBody, Operator, ValidatorResources};

use crate::bulk_memory::{Operation, chunked};
use crate::call_graph::RecursionCut;
use crate::call_points::CallPoints;
use crate::continuation_candidates::{BUSY_LOOP, ContinuationPlan};
use crate::continuations::{emit_continuation, emit_loop_head};
use crate::emitter::{Additions, Emitter};
use crate::function_builder::FunctionBuilder;
use crate::function_ir::{BodyValidator, FunctionIr, empty_stack_positions};
use crate::index_space::{IndexSpace, Reencoded};
use crate::loops::LoopFunctions;
use crate::module_info::ModuleInfo;
use crate::outline::{OutlinedLoop, outlinable_loops};
use crate::stack_depth::StackDepth;
use crate::yield_stubs::YieldStubs;

/// Functions with this many operators or more have their loops outlined. Smaller functions get
/// continuations instead.
const LARGE_FUNCTION: usize = 5_000;

/// Options of the rewriting. Only tests and benchmarks use other values than the default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// If false, meter points are left out.
    pub(crate) points: bool,
    /// Minimum number of operators of a function whose loops are outlined.
    pub(crate) large_function: usize,
    /// Minimum number of live locals that a loop with a continuation accesses.
    pub(crate) busy_loop: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            points: true,
            large_function: LARGE_FUNCTION,
            busy_loop: BUSY_LOOP,
        }
    }
}

/// The code section, and the additions that other sections need to have for it.
pub(crate) struct EmittedCode {
    pub(crate) code: CodeSection,
    pub(crate) hints: BranchHints,
    pub(crate) additions: Additions,
}

/// Emits all functions: those of the input module, the fixed ones, and those that passes add.
pub(crate) fn emit_code(
    mut info: ModuleInfo,
    recursion: &RecursionCut,
    indices: IndexSpace,
    options: Options,
) -> Reencoded<EmittedCode> {
    let bodies = std::mem::take(&mut info.bodies);
    let mut code = CodeSection::new();
    let mut hints = BranchHints::new();
    let mut emitter = CodeEmitter {
        info: &info,
        recursion,
        options,
        emitter: Emitter::new(indices, options.points),
        stubs: YieldStubs::default(),
        loops: LoopFunctions::default(),
    };
    for (function, (body, to_validate)) in (info.imported_functions..).zip(bodies) {
        if indices.merged().is_representative(function) {
            let built = emitter.emit_function(function, &body, to_validate)?;
            built.write(indices.function(function), &mut code, &mut hints);
        }
    }
    let CodeEmitter {
        mut emitter, stubs, ..
    } = emitter;
    let copy = chunked(Operation::Copy, &emitter);
    copy.write(indices.memory_copy(), &mut code, &mut hints);
    let fill = chunked(Operation::Fill, &emitter);
    fill.write(indices.memory_fill(), &mut code, &mut hints);
    yield_function(indices).write(indices.yield_function(), &mut code, &mut hints);
    stubs.finish(&mut emitter);
    let additions = emitter.finish();
    for (index, function) in (indices.first_added_function()..).zip(&additions.functions) {
        function.body.write(index, &mut code, &mut hints);
    }
    Ok(EmittedCode {
        code,
        hints,
        additions,
    })
}

/// Emits the function that meter points call when the fuel is used up.
///
/// Meter points do not call the imports themselves. The address and the context of an import are
/// values that the engine would keep available throughout each function, in registers.
fn yield_function(indices: IndexSpace) -> FunctionBuilder {
    let mut out = FunctionBuilder::with_locals([ValType::I64]);
    let counter = 0;
    (out.instructions())
        .global_get(indices.counter())
        .call(indices.tick())
        .local_tee(counter)
        .i64_const(0)
        .i64_lt_s();
    out.mark_unlikely();
    (out.instructions())
        .if_(BlockType::Empty)
        .call(indices.yield_now())
        .local_set(counter)
        .end()
        .local_get(counter)
        .global_set(indices.counter())
        .end();
    out
}

/// State of the emission of the input module's functions.
struct CodeEmitter<'a> {
    info: &'a ModuleInfo<'a>,
    recursion: &'a RecursionCut,
    options: Options,
    emitter: Emitter<'a>,
    stubs: YieldStubs,
    loops: LoopFunctions,
}

impl CodeEmitter<'_> {
    fn emit_function(
        &mut self,
        function: u32,
        body: &FunctionBody,
        to_validate: FuncToValidate<ValidatorResources>,
    ) -> Reencoded<FunctionBuilder> {
        let (ir, validator) = FunctionIr::parse(function, body, to_validate)?;
        let call_points = CallPoints::find(&ir, self.recursion, self.options.points);
        let locals = self.emitter.indices.new_function_with_parsed_locals(body)?;
        let mut out = FunctionBuilder::from_function(locals);
        self.emit_entry(function, &call_points, &mut out);
        let strategy = self.loop_strategy(&ir, validator)?;
        if let LoopStrategy::Continuation(plan) = &strategy {
            let results = self.info.results(function);
            emit_continuation(plan, &call_points, results, &mut self.emitter)?;
        }
        let mut outlined = strategy.outlined().iter().peekable();
        let mut positions = 0..ir.operators.len();
        while let Some(position) = positions.next() {
            if let Some(outlined) = outlined.next_if(|outlined| outlined.start == position) {
                let emitter = &mut self.emitter;
                (self.loops).emit_call(outlined, &ir, emitter, &mut self.stubs, &mut out)?;
                positions.start = outlined.end + 1;
                continue;
            }
            call_points.emit_before(position, &self.emitter, &mut out);
            let instruction = self.emitter.translate(&ir.operators[position])?;
            match self.reserving(function, &ir.operators[position]) {
                Some(stack) => {
                    stack.reserve(&mut out);
                    out.push(&instruction);
                    stack.release(&mut out);
                }
                None => out.push(&instruction),
            }
            if matches!(ir.operators[position], Operator::Loop { .. }) {
                match &strategy {
                    LoopStrategy::Continuation(plan) => {
                        emit_loop_head(plan, position, 0, &mut self.emitter, &mut out);
                    }
                    _ => self.emitter.meter_point(ir.pass_cost(position), &mut out),
                }
            }
        }
        Ok(out)
    }

    /// Returns the stack, if `operator` of `function` is a call that reserves some of it.
    fn reserving(&self, function: u32, operator: &Operator) -> Option<StackDepth> {
        (self.info.stack_depth).filter(|stack| stack.reserves(function, operator))
    }

    /// Emits the meter point at the entry of a function, if it has one.
    ///
    /// If the fuel is used up, the function yields in a stub and is called again.
    fn emit_entry(&mut self, function: u32, points: &CallPoints, out: &mut FunctionBuilder) {
        let emitter = &mut self.emitter;
        if points.checks_entry {
            let ty = self.info.function_type(function);
            let parameters = self.info.parameters(function).len() as u32;
            emitter.begin_if_exhausted(out);
            let stub = self.stubs.stub_for(ty, parameters, emitter);
            let restarted = emitter.indices.function(function);
            self.stubs.emit_yield(stub, restarted, 0, emitter, out);
            out.push(&Instruction::End);
        }
        if points.charges_entry {
            emitter.charge(1, out);
        }
    }

    /// Selects how the meter points of a function's loops yield.
    fn loop_strategy<'f>(
        &self,
        ir: &'f FunctionIr<'f>,
        validator: BodyValidator,
    ) -> Reencoded<LoopStrategy<'f>> {
        if !self.options.points || !ir.has_loops() {
            return Ok(LoopStrategy::Call);
        }
        if ir.operators.len() >= self.options.large_function {
            let outlined = outlinable_loops(&ir.operators, &ir.locals);
            return Ok(LoopStrategy::Outline(outlined));
        }
        let empty_stack = empty_stack_positions(&ir.operators, validator)?;
        let continuation = self.emitter.next_function();
        let busy_loop = self.options.busy_loop;
        let plan = ContinuationPlan::find(ir, &empty_stack, busy_loop, continuation);
        Ok(plan.map_or(LoopStrategy::Call, LoopStrategy::Continuation))
    }
}

/// How the loops of a function yield.
enum LoopStrategy<'f> {
    /// By a call within the loop.
    Call,
    /// These loops are outlined. The others yield by a call.
    Outline(Vec<OutlinedLoop>),
    /// Loops with a resume point yield in the continuation of the function.
    Continuation(ContinuationPlan<'f>),
}

impl LoopStrategy<'_> {
    fn outlined(&self) -> &[OutlinedLoop] {
        match self {
            Self::Outline(outlined) => outlined,
            _ => &[],
        }
    }
}
