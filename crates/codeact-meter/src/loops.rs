//! Emission of outlined loops: the function, and the call that replaces the loop.
//!
//! The inputs of the loop become parameters and its outputs results, except those that spill
//! globals carry. Loading a module registers each of its types, which takes longer than a
//! function, so there should be few signatures.

use std::collections::HashMap;

use wasm_encoder::{BlockType, Instruction, ValType};
use wasmparser::{Operator, ValType as LocalType};

use crate::emitter::Emitter;
use crate::function_builder::FunctionBuilder;
use crate::function_ir::FunctionIr;
use crate::index_space::Reencoded;
use crate::liveness::accessed_local;
use crate::outline::OutlinedLoop;
use crate::spill::{TypedLocal, is_spillable, reload_all, spill_all};
use crate::yield_stubs::YieldStubs;

/// Maximum number of parameters, vectors not counted. More would not be passed in registers.
const MAX_PARAMETERS: usize = 6;

/// The functions of all outlined loops of a module.
#[derive(Default)]
pub(crate) struct LoopFunctions {
    /// Index of each function by its type and its code without the yield. Identical loops, which
    /// are half of all in CPython, share a function.
    by_code: HashMap<(u32, Vec<u8>), u32>,
}

impl LoopFunctions {
    /// Appends a call of the loop's function to `out`. The function is added if it is new.
    pub(crate) fn emit_call(
        &mut self,
        outlined: &OutlinedLoop,
        ir: &FunctionIr,
        emitter: &mut Emitter,
        stubs: &mut YieldStubs,
        out: &mut FunctionBuilder,
    ) -> Reencoded<()> {
        let convention = CallingConvention::new(outlined, &ir.locals);
        let ty = convention.function_type(&ir.locals, emitter)?;
        let without_yield = convention.body(ir, emitter, |_, _| {})?;
        let key = (ty, without_yield.into_raw_body());
        let function = match self.by_code.get(&key) {
            Some(function) => *function,
            None => {
                let parameters = convention.inputs.direct.len() as u32;
                let stub = stubs.stub_for(ty, parameters, emitter);
                let function = emitter.next_function();
                let cost = ir.pass_cost(outlined.start);
                // The function begins at the head of the loop, so it is its own continuation.
                let body = convention.body(ir, emitter, |emitter, out| {
                    stubs.emit_yield(stub, function, cost, emitter, out);
                })?;
                emitter.add_function(ty, body);
                self.by_code.insert(key, function);
                function
            }
        };
        convention.emit_call(function, emitter, out);
        Ok(())
    }
}

/// How a set of locals is passed to a function or returned from it.
#[derive(Default)]
struct Passing {
    /// Locals that are parameters or results.
    direct: Vec<u32>,
    /// Locals that are passed in spill globals, in the order of their slots.
    spilled: Vec<TypedLocal>,
}

impl Passing {
    /// Passes `locals` directly if they are not spillable, and the first `max_direct` of those
    /// whose type satisfies `prefers_direct`.
    fn new(
        locals: &[u32],
        types: &[LocalType],
        max_direct: usize,
        prefers_direct: impl Fn(LocalType) -> bool,
    ) -> Self {
        let mut passing = Self::default();
        let mut room = max_direct;
        for local in locals {
            let ty = types[*local as usize];
            let fits = room > 0 && prefers_direct(ty);
            if is_spillable(ty) && !fits {
                passing.spilled.push((*local, ty));
            } else {
                passing.direct.push(*local);
                room -= usize::from(fits);
            }
        }
        // A fixed order makes for fewer signatures.
        let direct = &mut passing.direct;
        direct.sort_by_key(|local| !is_spillable(types[*local as usize]));
        passing
    }
}

/// The calling convention of an outlined loop.
///
/// If the loop has exits, the first result selects how it was left: 0 for its end, and from 1 for
/// the exits in order.
struct CallingConvention<'a> {
    outlined: &'a OutlinedLoop,
    inputs: Passing,
    outputs: Passing,
}

impl<'a> CallingConvention<'a> {
    fn new(outlined: &'a OutlinedLoop, types: &[LocalType]) -> Self {
        let is_i32 = |ty| ty == LocalType::I32;
        // At most one result: the selected exit counts.
        let max_results = usize::from(outlined.exits.is_empty());
        Self {
            inputs: Passing::new(&outlined.inputs, types, MAX_PARAMETERS, is_i32),
            outputs: Passing::new(&outlined.outputs, types, max_results, |_| true),
            outlined,
        }
    }

    fn has_exits(&self) -> bool {
        !self.outlined.exits.is_empty()
    }

    fn function_type(&self, types: &[LocalType], emitter: &mut Emitter) -> Reencoded<u32> {
        let mut results = Vec::new();
        if self.has_exits() {
            results.push(ValType::I32);
        }
        results.extend(types_of(&self.outputs.direct, types, emitter)?);
        let parameters = types_of(&self.inputs.direct, types, emitter)?;
        Ok(emitter.function_type(parameters, results))
    }

    /// Appends the call that replaces the loop, and branches to the exit that the loop took.
    fn emit_call(&self, function: u32, emitter: &mut Emitter, out: &mut FunctionBuilder) {
        let exits = &self.outlined.exits;
        if exits.len() > 1 {
            out.push(&Instruction::Block(BlockType::Empty));
        }
        spill_all(&self.inputs.spilled, emitter, out);
        for local in &self.inputs.direct {
            out.push(&Instruction::LocalGet(*local));
        }
        out.push(&Instruction::Call(function));
        for local in self.outputs.direct.iter().rev() {
            out.push(&Instruction::LocalSet(*local));
        }
        reload_all(&self.outputs.spilled, emitter, out);
        match exits[..] {
            [] => {}
            [exit] => out.push(&Instruction::BrIf(exit)),
            [.., last] => {
                // The added block makes each label one deeper.
                let exits = exits.iter().map(|exit| exit + 1);
                let labels: Vec<_> = std::iter::once(0).chain(exits).collect();
                out.push(&Instruction::BrTable(labels.into(), last + 1));
                out.push(&Instruction::End);
            }
        }
    }

    /// Emits the function. `emit_yield` appends the code for when the fuel is used up.
    fn body(
        &self,
        ir: &FunctionIr,
        emitter: &mut Emitter,
        emit_yield: impl FnOnce(&mut Emitter, &mut FunctionBuilder),
    ) -> Reencoded<FunctionBuilder> {
        // The `end` of the loop is included.
        let operators = &ir.operators[self.outlined.start + 1..=self.outlined.end];
        let (renamed, added) = self.rename_locals(operators);
        let added = types_of(&added, &ir.locals, emitter)?;
        let mut out = FunctionBuilder::with_locals(added);
        let spilled_inputs = renamed.rename_all(&self.inputs.spilled);
        reload_all(&spilled_inputs, emitter, &mut out);
        out.push(&Instruction::Loop(BlockType::Empty));
        emitter.charge(ir.pass_cost(self.outlined.start), &mut out);
        emitter.begin_if_exhausted(&mut out);
        spill_all(&spilled_inputs, emitter, &mut out);
        emit_yield(emitter, &mut out);
        out.push(&Instruction::End);
        // Number of open blocks within the loop.
        let mut depth = 0;
        for operator in operators {
            match operator {
                Operator::LocalGet { local_index } => {
                    out.push(&Instruction::LocalGet(renamed.rename(*local_index)));
                }
                Operator::LocalSet { local_index } => {
                    out.push(&Instruction::LocalSet(renamed.rename(*local_index)));
                }
                Operator::LocalTee { local_index } => {
                    out.push(&Instruction::LocalTee(renamed.rename(*local_index)));
                }
                Operator::Br { relative_depth }
                    if let Some(exit) = self.exit_number(depth, *relative_depth) =>
                {
                    self.emit_results(exit, &renamed, emitter, &mut out);
                    out.push(&Instruction::Return);
                }
                Operator::BrIf { relative_depth }
                    if let Some(exit) = self.exit_number(depth, *relative_depth) =>
                {
                    out.push(&Instruction::If(BlockType::Empty));
                    self.emit_results(exit, &renamed, emitter, &mut out);
                    out.push(&Instruction::Return);
                    out.push(&Instruction::End);
                }
                other => {
                    match other {
                        Operator::Block { .. } | Operator::If { .. } => depth += 1,
                        // The last `end` is that of the loop itself.
                        Operator::End => depth = u32::saturating_sub(depth, 1),
                        _ => {}
                    }
                    let instruction = emitter.translate(other)?;
                    out.push(&instruction);
                }
            }
        }
        self.emit_results(0, &renamed, emitter, &mut out);
        out.push(&Instruction::End);
        Ok(out)
    }

    /// Numbers the locals of the function. Returns the new indices, and the locals that are not
    /// parameters.
    fn rename_locals(&self, operators: &[Operator]) -> (RenamedLocals, Vec<u32>) {
        let direct = self.inputs.direct.iter().copied();
        let mut renamed: HashMap<u32, u32> = direct.zip(0..).collect();
        let mut added = Vec::new();
        let spilled = self.inputs.spilled.iter().map(|(local, _)| *local);
        for local in spilled.chain(operators.iter().filter_map(accessed_local)) {
            let next = renamed.len() as u32;
            renamed.entry(local).or_insert_with(|| {
                added.push(local);
                next
            });
        }
        (RenamedLocals(renamed), added)
    }

    /// Returns the number of the exit that a branch to `label` takes, with `depth` blocks open
    /// within the loop, if it leaves the loop.
    fn exit_number(&self, depth: u32, label: u32) -> Option<u32> {
        let outer_label = label.checked_sub(depth + 1)?;
        let mut exits = self.outlined.exits.iter();
        let position = exits.position(|exit| *exit == outer_label)?;
        Some(position as u32 + 1)
    }

    /// Appends the results of the function when the loop is left by `exit`.
    fn emit_results(
        &self,
        exit: u32,
        renamed: &RenamedLocals,
        emitter: &mut Emitter,
        out: &mut FunctionBuilder,
    ) {
        spill_all(&renamed.rename_all(&self.outputs.spilled), emitter, out);
        if self.has_exits() {
            out.push(&Instruction::I32Const(exit as i32));
        }
        for local in &self.outputs.direct {
            out.push(&Instruction::LocalGet(renamed.rename(*local)));
        }
    }
}

/// Indices of locals in the outlined function, by their indices in the original function.
struct RenamedLocals(HashMap<u32, u32>);

impl RenamedLocals {
    fn rename(&self, local: u32) -> u32 {
        self.0[&local]
    }

    fn rename_all(&self, locals: &[TypedLocal]) -> Vec<TypedLocal> {
        let locals = locals.iter();
        locals
            .map(|(local, ty)| (self.rename(*local), *ty))
            .collect()
    }
}

fn types_of(locals: &[u32], types: &[LocalType], emitter: &mut Emitter) -> Reencoded<Vec<ValType>> {
    emitter.val_types(locals.iter().map(|local| types[*local as usize]))
}
