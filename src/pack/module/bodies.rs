//! Writing functions again with their meter points, and loops as functions.

use std::collections::HashMap;

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{
    BlockType, BranchHint, BranchHints, CodeSection, Function, Instruction, ValType,
};
use wasmparser::{FunctionBody, Operator};

use super::nesting::{called_type, each};
use super::outline::{Outlined, outlined};
use super::pieces::in_pieces;
use super::rewrite::{Encoded, Meter};

/// The most that one pass of a loop takes.
const MOST_COST: i64 = 100;

/// A module's functions as they are written.
#[derive(Default)]
pub(super) struct Bodies {
    pub(super) code: CodeSection,
    pub(super) hints: BranchHints,
    /// The types of loops that have become functions, each once: parameters and results.
    pub(super) types: Vec<(Vec<ValType>, Vec<ValType>)>,
    /// For each loop that has become a function its type, by its place in `types`.
    pub(super) outlined: Vec<u32>,
}

/// A function that is written, and where it branches to the host.
struct Written {
    function: Function,
    cold: Vec<u32>,
}

impl Written {
    fn new(function: Function) -> Self {
        Self {
            function,
            cold: Vec::new(),
        }
    }

    fn put(&mut self, instruction: &Instruction) {
        self.function.instruction(instruction);
    }
}

impl Bodies {
    fn add(&mut self, number: u32, written: &Written) {
        self.code.function(&written.function);
        if !written.cold.is_empty() {
            let unlikely = written.cold.iter().map(|at| BranchHint {
                branch_func_offset: *at,
                branch_hint_value: 0,
            });
            (self.hints).function_hints(number, unlikely.collect::<Vec<_>>());
        }
    }

    /// The place of a type in `types`.
    fn ty(&mut self, takes: Vec<ValType>, gives: Vec<ValType>) -> u32 {
        let ty = (takes, gives);
        let known = self.types.iter().position(|known| *known == ty);
        known.unwrap_or_else(|| {
            self.types.push(ty);
            self.types.len() - 1
        }) as u32
    }
}

impl Meter<'_> {
    /// Writes all functions: the module's own, those that work in pieces, and those that were loops.
    pub(super) fn make_bodies(&mut self) -> Encoded<()> {
        let bodies = std::mem::take(&mut self.parts.bodies);
        let mut loops = Vec::new();
        for (i, body) in bodies.iter().enumerate() {
            let number = self.parts.imported + i as u32;
            let written = self.body(number, body, &mut loops)?;
            self.bodies.add(number + 1, &written);
        }
        for fill in [false, true] {
            let mut cold = Vec::new();
            let function = in_pieces(fill, |out, cost| self.point(out, cost, &mut cold));
            let number = self.copy() + u32::from(fill);
            self.bodies.add(number, &Written { function, cold });
        }
        let mut pause = Written::new(Function::new([]));
        pause.put(&Instruction::Call(self.tick()));
        pause.put(&Instruction::End);
        self.bodies.add(self.pause(), &pause);
        for (number, written) in (self.first_outlined()..).zip(&loops) {
            self.bodies.add(number, written);
        }
        Ok(())
    }

    /// A function with its meter points. Loops of it that become functions are added to `loops`.
    fn body(
        &mut self,
        number: u32,
        body: &FunctionBody,
        loops: &mut Vec<Written>,
    ) -> Encoded<Written> {
        let mut out = Written::new(self.new_function_with_parsed_locals(body)?);
        let mut code = Vec::new();
        let mut innermost = Vec::new();
        each::<wasm_encoder::reencode::Error<_>>(body, |operator, inner| {
            code.push(operator);
            innermost.push(inner);
            Ok(())
        })?;
        let mut costs = loop_costs(&code, &innermost).into_iter();
        if self.recursive.entries[number as usize] {
            self.point(&mut out.function, 1, &mut out.cold);
        }
        let mut own = Vec::new();
        let mut locals = Vec::new();
        if self.points && code.len() >= self.large {
            locals = self.parts.locals(number, body)?;
            own = outlined(&code, &locals);
        }
        let mut own = own.into_iter().peekable();
        let mut code = (code.iter().zip(innermost)).enumerate();
        while let Some((i, (operator, innermost))) = code.next() {
            if let Some(own) = own.next_if(|own| own.start == i) {
                let inside = (code.by_ref().take(own.end - own.start)).map(|(_, (o, _))| o);
                let cost = costs.next().unwrap_or(MOST_COST);
                let written = self.written(&own, inside, &locals, cost)?;
                self.call(&own, &locals, &mut out)?;
                loops.push(written);
                continue;
            }
            let again = |ty| innermost.is_none() && self.recursive.by_type(number, ty);
            if called_type(operator).is_some_and(again) {
                self.point(&mut out.function, 1, &mut out.cold);
            }
            let instruction = self.as_is(operator)?;
            out.put(&instruction);
            if matches!(operator, Operator::Loop { .. }) {
                let cost = costs.next().unwrap_or(MOST_COST);
                self.point(&mut out.function, cost, &mut out.cold);
            }
        }
        Ok(out)
    }

    /// An instruction that is not changed, but for operations on memory, which are done in pieces.
    fn as_is<'b>(&mut self, operator: &Operator<'b>) -> Encoded<Instruction<'b>> {
        match operator {
            Operator::MemoryCopy { .. } => Ok(Instruction::Call(self.copy())),
            Operator::MemoryFill { .. } => Ok(Instruction::Call(self.copy() + 1)),
            other => self.instruction(other.clone()),
        }
    }

    /// A meter point.
    fn point(&self, out: &mut Function, cost: i64, cold: &mut Vec<u32>) {
        if !self.points {
            return;
        }
        let counter = self.counter();
        out.instructions()
            .global_get(counter)
            .i64_const(cost)
            .i64_sub()
            .global_set(counter)
            .global_get(counter)
            .i64_const(0)
            .i64_lt_s();
        cold.push(out.byte_len() as u32);
        out.instructions()
            .if_(BlockType::Empty)
            .call(self.pause())
            .end();
    }

    /// The call of a loop that is a function. Where it leaves by a label outside, its first result is which
    /// one, counted from one.
    fn call(
        &mut self,
        own: &Outlined,
        locals: &[wasmparser::ValType],
        out: &mut Written,
    ) -> Encoded<()> {
        let mut gives = Vec::new();
        if !own.exits.is_empty() {
            gives.push(ValType::I32);
        }
        gives.extend(self.types_of(&own.gives, locals)?);
        let takes = self.types_of(&own.takes, locals)?;
        let ty = self.bodies.ty(takes, gives);
        let number = self.first_outlined() + self.bodies.outlined.len() as u32;
        self.bodies.outlined.push(ty);
        if own.exits.len() > 1 {
            out.put(&Instruction::Block(BlockType::Empty));
        }
        for local in &own.takes {
            out.put(&Instruction::LocalGet(*local));
        }
        out.put(&Instruction::Call(number));
        for local in own.gives.iter().rev() {
            out.put(&Instruction::LocalSet(*local));
        }
        match own.exits[..] {
            [] => {}
            [exit] => out.put(&Instruction::BrIf(exit)),
            [.., last] => {
                // One block more is open here.
                let outside = own.exits.iter().map(|exit| exit + 1);
                let labels: Vec<_> = std::iter::once(0).chain(outside).collect();
                out.put(&Instruction::BrTable(labels.into(), last + 1));
                out.put(&Instruction::End);
            }
        }
        Ok(())
    }

    /// A loop as a function. `inside` are its instructions, its end included.
    fn written<'b>(
        &mut self,
        own: &Outlined,
        inside: impl Iterator<Item = &'b Operator<'b>>,
        locals: &[wasmparser::ValType],
        cost: i64,
    ) -> Encoded<Written> {
        let inside: Vec<_> = inside.collect();
        let mut numbers: HashMap<u32, u32> = (own.takes.iter().copied()).zip(0..).collect();
        let mut more = Vec::new();
        let touched = inside.iter().filter_map(|operator| match operator {
            Operator::LocalGet { local_index }
            | Operator::LocalSet { local_index }
            | Operator::LocalTee { local_index } => Some(*local_index),
            _ => None,
        });
        for local in touched {
            let next = numbers.len() as u32;
            numbers.entry(local).or_insert_with(|| {
                more.push(local);
                next
            });
        }
        let more = self.types_of(&more, locals)?;
        let mut out = Written::new(Function::new_with_locals_types(more));
        let leave = |out: &mut Written, exit: u32| {
            if !own.exits.is_empty() {
                out.put(&Instruction::I32Const(exit as i32));
            }
            for local in &own.gives {
                out.put(&Instruction::LocalGet(numbers[local]));
            }
        };
        let exit = |depth: u32, label: u32| {
            let outside = label.checked_sub(depth + 1)?;
            let place = own.exits.iter().position(|exit| *exit == outside)?;
            Some(place as u32 + 1)
        };
        out.put(&Instruction::Loop(BlockType::Empty));
        self.point(&mut out.function, cost, &mut out.cold);
        // How many blocks are open within the loop.
        let mut depth = 0;
        for operator in inside {
            match operator {
                Operator::LocalGet { local_index } => {
                    out.put(&Instruction::LocalGet(numbers[local_index]));
                }
                Operator::LocalSet { local_index } => {
                    out.put(&Instruction::LocalSet(numbers[local_index]));
                }
                Operator::LocalTee { local_index } => {
                    out.put(&Instruction::LocalTee(numbers[local_index]));
                }
                Operator::Br { relative_depth }
                    if let Some(exit) = exit(depth, *relative_depth) =>
                {
                    leave(&mut out, exit);
                    out.put(&Instruction::Return);
                }
                Operator::BrIf { relative_depth }
                    if let Some(exit) = exit(depth, *relative_depth) =>
                {
                    out.put(&Instruction::If(BlockType::Empty));
                    leave(&mut out, exit);
                    out.put(&Instruction::Return);
                    out.put(&Instruction::End);
                }
                other => {
                    match other {
                        Operator::Block { .. } | Operator::If { .. } => depth += 1,
                        // The loop's own end comes last.
                        Operator::End => depth = u32::saturating_sub(depth, 1),
                        _ => {}
                    }
                    let instruction = self.as_is(other)?;
                    out.put(&instruction);
                }
            }
        }
        leave(&mut out, 0);
        out.put(&Instruction::End);
        Ok(out)
    }

    fn types_of(&mut self, which: &[u32], locals: &[wasmparser::ValType]) -> Encoded<Vec<ValType>> {
        (which.iter())
            .map(|local| self.val_type(locals[*local as usize]))
            .collect()
    }
}

/// What one pass of each loop of a function costs, in their order: its instructions, without those of
/// loops within it.
fn loop_costs(code: &[Operator], innermost: &[Option<usize>]) -> Vec<i64> {
    let mut costs: Vec<i64> = Vec::new();
    for (operator, innermost) in code.iter().zip(innermost) {
        if let Some(cost) = innermost.and_then(|inner| costs.get_mut(inner)) {
            *cost += 1;
        }
        if matches!(operator, Operator::Loop { .. }) {
            costs.push(0);
        }
    }
    costs
        .iter()
        .map(|cost| (*cost).clamp(1, MOST_COST))
        .collect()
}
