//! Writing functions again with their meter points.

use std::collections::HashMap;

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{
    BlockType, BranchHint, BranchHints, CodeSection, Function, Instruction, ValType,
};
use wasmparser::{FuncToValidate, FunctionBody, Operator, ValidatorResources};

use super::continued::Continued;
use super::nesting::called_type;
use super::outline::outlined;
use super::pauses::Pauses;
use super::pieces::in_pieces;
use super::rewrite::{Encoded, Meter};
use super::source::{Source, begins_empty};

/// Below so many instructions a function that calls by address looks at the counter at its entry, not where it
/// calls: what it would have to save for the host's call would be half of what it does.
const SMALL: usize = 64;

/// A module's functions as they are written.
#[derive(Default)]
pub(super) struct Bodies {
    pub(super) code: CodeSection,
    pub(super) hints: BranchHints,
    /// The types of functions that are added, where the module has none at hand, each once: parameters and results.
    pub(super) types: Vec<(Vec<ValType>, Vec<ValType>)>,
    /// The functions that are written behind all others, and their types, as the module numbers them then.
    pub(super) added: Vec<(u32, Written)>,
    pub(super) pauses: Pauses,
    /// The loops that are functions, by type and code, with their numbers.
    pub(super) loops: HashMap<(u32, Vec<u8>), u32>,
    /// How many globals there are to keep locals in.
    pub(super) keeping: u32,
}

/// A function that is written, and where its unlikely branches are.
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
        for (number, (body, function)) in (self.parts.imported..).zip(bodies) {
            if self.same.is_first(number) {
                let written = self.body(number, &body, function)?;
                self.bodies.add(self.moved(number), &written);
            }
        }
        for fill in [false, true] {
            let mut out = Written::new(Function::new([]));
            in_pieces(fill, &mut out, |out, cost| self.point(out, cost));
            let number = self.copy() + u32::from(fill);
            self.bodies.add(number, &out);
        }
        let pause = self.pausing();
        self.bodies.add(self.pause(), &pause);
        self.write_pauses();
        let added = std::mem::take(&mut self.bodies.added);
        for (number, (_, written)) in (self.first_added()..).zip(&added) {
            self.bodies.add(number, written);
        }
        self.bodies.added = added;
        Ok(())
    }

    /// A function with its meter points.
    fn body(
        &mut self,
        number: u32,
        body: &FunctionBody,
        function: FuncToValidate<ValidatorResources>,
    ) -> Encoded<Written> {
        let (mut source, validator) = Source::read(number, body, function)?;
        let large = source.code.len() >= self.bounds.large;
        if self.points {
            source.double_loops(self.bounds.doubled);
        }
        let mut out = Written::new(self.new_function_with_parsed_locals(body)?);
        if self.looks_at_entry(&source) {
            self.look_at_entry(number, &mut out)?;
        }
        if self.is_entry(number) {
            self.take(&mut out.function, 1);
        }
        let mut own = Vec::new();
        let mut continued = None;
        if self.points && large {
            own = outlined(&source.code, &source.locals);
        } else if self.points && !source.loops.is_empty() {
            let empty = begins_empty(&source.code, validator)?;
            continued = Continued::of(&source, &empty, self.bounds.busy, self.next_added());
        }
        if let Some(continued) = &continued {
            self.continuation(continued)?;
        }
        let mut own = own.into_iter().peekable();
        let mut places = 0..source.code.len();
        while let Some(at) = places.next() {
            if let Some(own) = own.next_if(|own| own.start == at) {
                self.outlined_loop(&own, &source, &mut out)?;
                places.start = own.end + 1;
                continue;
            }
            self.point_at_call(&source, at, &mut out);
            let instruction = self.as_is(&source.code[at])?;
            out.put(&instruction);
            if matches!(source.code[at], Operator::Loop { .. }) {
                match &continued {
                    Some(continued) => self.head(continued, at, 0, &mut out),
                    None => self.point(&mut out, source.cost(at)),
                }
            }
        }
        Ok(out)
    }

    /// Whether function `number`'s entry is a meter point.
    fn is_entry(&self, number: u32) -> bool {
        self.points && self.recursive.entries[number as usize]
    }

    /// Whether a function looks at the counter at its entry, and only takes from it where it calls.
    fn looks_at_entry(&self, source: &Source) -> bool {
        let small = source.code.len() < SMALL;
        let mut places = 0..source.code.len();
        self.is_entry(source.number)
            || self.points && small && places.any(|at| self.is_point(source, at))
    }

    /// The meter point before instruction `at`, if there is one.
    pub(super) fn point_at_call(&self, source: &Source, at: usize, out: &mut Written) {
        if self.is_point(source, at) {
            match self.looks_at_entry(source) {
                true => self.take(&mut out.function, 1),
                false => self.point(out, 1),
            }
        }
    }

    /// Whether instruction `at` calls by address what may call the function again, outside of loops.
    fn is_point(&self, source: &Source, at: usize) -> bool {
        let again = |ty| self.recursive.by_type(source.number, ty);
        source.innermost[at].is_none() && called_type(&source.code[at]).is_some_and(again)
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
        self.if_used_up(out);
        out.put(&Instruction::Call(self.pause()));
        out.put(&Instruction::End);
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
    pub(super) fn take(&self, out: &mut Function, cost: i64) {
        let counter = self.counter();
        out.instructions()
            .global_get(counter)
            .i64_const(cost)
            .i64_sub()
            .global_set(counter);
    }

    /// Opens the block for when the counter is used up, which it hardly ever is.
    pub(super) fn if_used_up(&self, out: &mut Written) {
        (out.function.instructions())
            .global_get(self.counter())
            .i64_const(0)
            .i64_lt_s();
        out.unlikely();
        out.put(&Instruction::If(BlockType::Empty));
    }

    /// The entry of function `number`, where it looks whether the counter is used up. If so it pauses elsewhere and
    /// begins anew.
    fn look_at_entry(&mut self, number: u32, out: &mut Written) -> Encoded<()> {
        let ty = self.type_index(self.parts.own_type(number))?;
        let parameters = self.parts.parameters(number).len() as u32;
        self.if_used_up(out);
        let pause = self.shared_pause(ty, parameters);
        self.pause_in(pause, self.moved(number), 0, out);
        out.put(&Instruction::End);
        Ok(())
    }
}
