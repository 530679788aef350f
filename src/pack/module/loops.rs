//! Writing loops that become functions: the function, and its call.

use std::collections::HashMap;

use wasm_encoder::{BlockType, Function, Instruction, ValType};
use wasmparser::{Operator, ValType as Local};

use super::bodies::{Written, call_anew};
use super::flow::local;
use super::outline::Outlined;
use super::rewrite::{Encoded, Meter};
use super::source::Source;

impl Meter<'_> {
    /// A loop of `source` as a function, and its call. When the counter is used up the function ends, as
    /// those with continuations do (`continuations`); since it begins at the loop's head, it is its own continuation.
    pub(super) fn outlined_loop(
        &mut self,
        own: &Outlined,
        source: &Source,
        out: &mut Written,
    ) -> Encoded<()> {
        let number = self.next_added();
        let written = self.loop_body(own, source, number + 1)?;
        let ty = self.loop_call(own, &source.locals, number, out)?;
        let mut pause = Written::new(Function::new([]));
        let cost = Instruction::I64Const(source.cost(own.start));
        self.pause_before(&cost, &mut pause);
        call_anew(own.takes.len() as u32, number, &mut pause);
        pause.put(&Instruction::End);
        self.bodies.added.extend([(ty, written), (ty, pause)]);
        Ok(())
    }

    /// The call of a loop that is function `number`. Gives its type. Where it leaves by a label outside, its
    /// first result is which one, counted from one.
    fn loop_call(
        &mut self,
        own: &Outlined,
        locals: &[Local],
        number: u32,
        out: &mut Written,
    ) -> Encoded<u32> {
        let mut gives = Vec::new();
        if !own.exits.is_empty() {
            gives.push(ValType::I32);
        }
        gives.extend(self.types_of(&own.gives, locals)?);
        let takes = self.types_of(&own.takes, locals)?;
        let ty = self.bodies.ty(takes, gives);
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
        Ok(self.added_type(ty))
    }

    /// A loop as a function. With the counter used up it ends by a tail call of `pause`.
    fn loop_body(&mut self, own: &Outlined, source: &Source, pause: u32) -> Encoded<Written> {
        // Its instructions, its end included.
        let inside = &source.code[own.start + 1..=own.end];
        let mut numbers: HashMap<u32, u32> = (own.takes.iter().copied()).zip(0..).collect();
        let mut more = Vec::new();
        for local in inside.iter().filter_map(local) {
            let next = numbers.len() as u32;
            numbers.entry(local).or_insert_with(|| {
                more.push(local);
                next
            });
        }
        let more = self.types_of(&more, &source.locals)?;
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
        self.take(&mut out.function, source.cost(own.start));
        self.if_used_up(&mut out);
        call_anew(own.takes.len() as u32, pause, &mut out);
        out.put(&Instruction::End);
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

    fn types_of(&mut self, which: &[u32], locals: &[Local]) -> Encoded<Vec<ValType>> {
        self.val_types(which.iter().map(|local| locals[*local as usize]))
    }
}
