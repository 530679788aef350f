//! Writing functions again with their meter points.

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{
    BlockType, BranchHint, BranchHints, CodeSection, Function, Instruction, ValType,
};
use wasmparser::{FunctionBody, Operator};

use super::nesting::{called_type, each};
use super::outline::outlined;
use super::pieces::in_pieces;
use super::rewrite::{Encoded, Meter};

/// Below so many instructions a function that calls by address looks at the counter at its entry, not where it
/// calls: what it would have to save for the host's call would be half of what it does.
const SMALL: usize = 64;
/// The most that one pass of a loop takes.
const MOST_COST: i64 = 100;

/// A module's functions as they are written.
#[derive(Default)]
pub(super) struct Bodies {
    pub(super) code: CodeSection,
    pub(super) hints: BranchHints,
    /// The types of loops that have become functions, each once: parameters and results.
    pub(super) types: Vec<(Vec<ValType>, Vec<ValType>)>,
    /// The functions that are written behind all others: their types, as the module numbers them then.
    pub(super) added: Vec<u32>,
}

/// A function that is written, and where it branches to the host.
pub(super) struct Written {
    pub(super) function: Function,
    pub(super) cold: Vec<u32>,
}

impl Written {
    pub(super) fn new(function: Function) -> Self {
        Self {
            function,
            cold: Vec::new(),
        }
    }

    pub(super) fn put(&mut self, instruction: &Instruction) {
        self.function.instruction(instruction);
    }

    /// The branch that is put next is an unlikely one.
    fn unlikely(&mut self) {
        self.cold.push(self.function.byte_len() as u32);
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
    pub(super) fn ty(&mut self, takes: Vec<ValType>, gives: Vec<ValType>) -> u32 {
        let ty = (takes, gives);
        let known = self.types.iter().position(|known| *known == ty);
        known.unwrap_or_else(|| {
            self.types.push(ty);
            self.types.len() - 1
        }) as u32
    }
}

impl Meter<'_> {
    /// Writes all functions: the module's own, those that work in pieces, and those that are added.
    pub(super) fn make_bodies(&mut self) -> Encoded<()> {
        let bodies = std::mem::take(&mut self.parts.bodies);
        let mut added = Vec::new();
        for (i, body) in bodies.iter().enumerate() {
            let number = self.parts.imported + i as u32;
            let written = self.body(number, body, &mut added)?;
            self.bodies.add(self.moved(number), &written);
        }
        for fill in [false, true] {
            let mut out = Written::new(Function::new([]));
            in_pieces(fill, &mut out, |out, cost| self.point(out, cost));
            let number = self.copy() + u32::from(fill);
            self.bodies.add(number, &out);
        }
        let pause = self.pausing();
        self.bodies.add(self.pause(), &pause);
        for (number, written) in (self.first_added()..).zip(&added) {
            self.bodies.add(number, written);
        }
        Ok(())
    }

    /// A function with its meter points. What functions it needs besides are put into `added`.
    fn body(
        &mut self,
        number: u32,
        body: &FunctionBody,
        added: &mut Vec<Written>,
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
        let is_entry = self.recursive.entries[number as usize];
        let small = code.len() < SMALL;
        let mut calls = code.iter().zip(&innermost);
        let looks = self.points
            && (is_entry || small && calls.any(|(o, inner)| self.is_point(number, o, *inner)));
        if looks {
            added.push(self.look_at_entry(number, &mut out)?);
            if is_entry {
                self.take(&mut out.function, 1);
            }
        }
        let mut own = Vec::new();
        let mut locals = Vec::new();
        if self.points && code.len() >= self.large {
            locals = self.parts.locals(number, body)?;
            own = outlined(&code, &locals);
        }
        let mut own = own.into_iter().peekable();
        let mut left = (code.iter().zip(innermost)).enumerate();
        while let Some((i, (operator, innermost))) = left.next() {
            if let Some(own) = own.next_if(|own| own.start == i) {
                left.by_ref().take(own.end - own.start).for_each(drop);
                let inside = &code[own.start + 1..=own.end];
                let cost = costs.next().unwrap_or(MOST_COST);
                let written = self.loop_body(&own, inside, &locals, cost)?;
                self.loop_call(&own, &locals, &mut out)?;
                added.push(written);
                continue;
            }
            if self.is_point(number, operator, innermost) {
                match looks {
                    true => self.take(&mut out.function, 1),
                    false => self.point(&mut out, 1),
                }
            }
            let instruction = self.as_is(operator)?;
            out.put(&instruction);
            if matches!(operator, Operator::Loop { .. }) {
                let cost = costs.next().unwrap_or(MOST_COST);
                self.point(&mut out, cost);
            }
        }
        Ok(out)
    }

    /// Whether `operator` of function `number` calls by address what may call the function again, outside of loops.
    fn is_point(&self, number: u32, operator: &Operator, innermost: Option<usize>) -> bool {
        let again = |ty| self.recursive.by_type(number, ty);
        innermost.is_none() && called_type(operator).is_some_and(again)
    }

    /// An instruction that is not changed, but for operations on memory, which are done in pieces.
    pub(super) fn as_is<'b>(&mut self, operator: &Operator<'b>) -> Encoded<Instruction<'b>> {
        match operator {
            Operator::MemoryCopy { .. } => Ok(Instruction::Call(self.copy())),
            Operator::MemoryFill { .. } => Ok(Instruction::Call(self.copy() + 1)),
            other => self.instruction(other.clone()),
        }
    }

    /// A meter point.
    pub(super) fn point(&self, out: &mut Written, cost: i64) {
        if !self.points {
            return;
        }
        self.take(&mut out.function, cost);
        self.is_used_up(&mut out.function);
        out.unlikely();
        (out.function.instructions())
            .if_(BlockType::Empty)
            .call(self.pause())
            .end();
    }

    /// What meter points call when the counter is used up. It is a function of the module since the host's address
    /// and what is its own would else be values that each function has at hand all the time, and takes registers for.
    fn pausing(&self) -> Written {
        let mut out = Written::new(Function::new([(1, ValType::I64)]));
        let left = 0;
        (out.function.instructions())
            .global_get(self.counter())
            .call(self.tick())
            .local_tee(left)
            .i64_const(0)
            .i64_lt_s();
        out.unlikely();
        (out.function.instructions())
            .if_(BlockType::Empty)
            .call(self.give_way())
            .local_set(left)
            .end()
            .local_get(left)
            .global_set(self.counter())
            .end();
        out
    }

    /// Takes `cost` from the counter.
    fn take(&self, out: &mut Function, cost: i64) {
        let counter = self.counter();
        out.instructions()
            .global_get(counter)
            .i64_const(cost)
            .i64_sub()
            .global_set(counter);
    }

    /// Puts on the stack whether the counter is used up.
    fn is_used_up(&self, out: &mut Function) {
        out.instructions()
            .global_get(self.counter())
            .i64_const(0)
            .i64_lt_s();
    }

    /// The entry of function `number`, where it looks whether the counter is used up. If so a function that
    /// is added calls the host and then this one again: as this one ends with that call, it has nothing to keep
    /// across it.
    fn look_at_entry(&mut self, number: u32, out: &mut Written) -> Encoded<Written> {
        let mut pause = Written::new(Function::new([]));
        pause.put(&Instruction::Call(self.pause()));
        self.is_used_up(&mut out.function);
        out.unlikely();
        out.put(&Instruction::If(BlockType::Empty));
        for parameter in 0..self.parts.parameters(number).len() as u32 {
            out.put(&Instruction::LocalGet(parameter));
            pause.put(&Instruction::LocalGet(parameter));
        }
        let ty = self.type_index(self.parts.own_type(number))?;
        out.put(&Instruction::ReturnCall(self.next_added()));
        out.put(&Instruction::End);
        pause.put(&Instruction::ReturnCall(self.moved(number)));
        pause.put(&Instruction::End);
        self.bodies.added.push(ty);
        Ok(pause)
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
