//! Writing loops that become functions: the function, and its call.
//!
//! Its parameters are what it takes, its results what it gives, but for what globals carry (`kept`): whatever loads a
//! module registers each of its types, which takes longer than a function does, so there are few.

use std::collections::HashMap;

use wasm_encoder::{BlockType, Function, Instruction, ValType};
use wasmparser::{Operator, ValType as Local};

use super::bodies::Written;
use super::flow::local;
use super::kept::can_be_kept;
use super::outline::Outlined;
use super::rewrite::{Encoded, Meter};
use super::source::Source;

/// The most parameters, vectors not counted. More would not come in registers.
const MOST_PARAMETERS: usize = 6;

/// Locals, as they come to a function or from it.
#[derive(Default)]
struct Way {
    /// By parameters or results.
    direct: Vec<u32>,
    /// By globals, each at its place.
    kept: Vec<(u32, Local)>,
}

impl Way {
    /// As many as `most` of those that are `plain` go directly, and what no global can carry.
    fn of(which: &[u32], locals: &[Local], most: usize, plain: impl Fn(Local) -> bool) -> Self {
        let mut way = Self::default();
        let mut room = most;
        for (local, ty) in which.iter().map(|local| (*local, locals[*local as usize])) {
            let fits = room > 0 && plain(ty);
            if can_be_kept(ty) && !fits {
                way.kept.push((local, ty));
            } else {
                way.direct.push(local);
                room -= usize::from(fits);
            }
        }
        // Those that no global can carry last, so that there are fewer types.
        way.direct
            .sort_by_key(|local| !can_be_kept(locals[*local as usize]));
        way
    }
}

/// Locals by the numbers that they have in the function of the loop.
fn numbered(kept: &[(u32, Local)], numbers: &HashMap<u32, u32>) -> Vec<(u32, Local)> {
    kept.iter()
        .map(|(local, ty)| (numbers[local], *ty))
        .collect()
}

/// A loop that becomes a function, and how.
struct Own<'a> {
    is: &'a Outlined,
    takes: Way,
    gives: Way,
}

impl Meter<'_> {
    /// A loop of `source` as a function, and its call. When the counter is used up the function ends, as
    /// those with continuations do (`continuations`); since it begins at the loop's head, it is its own continuation.
    /// Loops that are the same, as half of the pack's are, are one function.
    pub(super) fn outlined_loop(
        &mut self,
        is: &Outlined,
        source: &Source,
        out: &mut Written,
    ) -> Encoded<()> {
        let locals = &source.locals;
        // Which way it left is a result already.
        let results = usize::from(is.exits.is_empty());
        let own = Own {
            is,
            takes: Way::of(&is.takes, locals, MOST_PARAMETERS, |ty| ty == Local::I32),
            gives: Way::of(&is.gives, locals, results, |_| true),
        };
        let ty = self.loop_type(&own, locals)?;
        let without_pause = self.loop_body(&own, source, |_, _| {})?;
        let alike = (ty, without_pause.function.into_raw_body());
        let number = match self.bodies.loops.get(&alike) {
            Some(number) => *number,
            None => {
                let pause = self.shared_pause(ty, own.takes.direct.len() as u32);
                let number = self.next_added();
                let cost = source.cost(is.start);
                let written = self.loop_body(&own, source, |meter, out| {
                    meter.pause_in(pause, number, cost, out);
                })?;
                self.bodies.added.push((ty, written));
                self.bodies.loops.insert(alike, number);
                number
            }
        };
        self.loop_call(&own, number, out);
        Ok(())
    }

    /// Its type. Where it leaves by a label outside, its first result is which one, counted from one.
    fn loop_type(&mut self, own: &Own, locals: &[Local]) -> Encoded<u32> {
        let mut gives = Vec::new();
        if !own.is.exits.is_empty() {
            gives.push(ValType::I32);
        }
        gives.extend(self.types_of(&own.gives.direct, locals)?);
        let takes = self.types_of(&own.takes.direct, locals)?;
        let ty = self.bodies.ty(takes, gives);
        Ok(self.added_type(ty))
    }

    /// The call of a loop that is function `number`.
    fn loop_call(&mut self, own: &Own, number: u32, out: &mut Written) {
        let exits = &own.is.exits;
        if exits.len() > 1 {
            out.put(&Instruction::Block(BlockType::Empty));
        }
        self.put_all_away(&own.takes.kept, out);
        for local in &own.takes.direct {
            out.put(&Instruction::LocalGet(*local));
        }
        out.put(&Instruction::Call(number));
        for local in own.gives.direct.iter().rev() {
            out.put(&Instruction::LocalSet(*local));
        }
        self.take_all_back(&own.gives.kept, out);
        match exits[..] {
            [] => {}
            [exit] => out.put(&Instruction::BrIf(exit)),
            [.., last] => {
                // One block more is open here.
                let outside = exits.iter().map(|exit| exit + 1);
                let labels: Vec<_> = std::iter::once(0).chain(outside).collect();
                out.put(&Instruction::BrTable(labels.into(), last + 1));
                out.put(&Instruction::End);
            }
        }
    }

    /// A loop as a function, with what `pause` writes where the counter is used up.
    fn loop_body(
        &mut self,
        own: &Own,
        source: &Source,
        pause: impl FnOnce(&mut Self, &mut Written),
    ) -> Encoded<Written> {
        // Its instructions, its end included.
        let inside = &source.code[own.is.start + 1..=own.is.end];
        let mut numbers: HashMap<u32, u32> = (own.takes.direct.iter().copied()).zip(0..).collect();
        let mut more = Vec::new();
        let kept = own.takes.kept.iter().map(|(local, _)| *local);
        for local in kept.chain(inside.iter().filter_map(local)) {
            let next = numbers.len() as u32;
            numbers.entry(local).or_insert_with(|| {
                more.push(local);
                next
            });
        }
        let more = self.types_of(&more, &source.locals)?;
        let mut out = Written::new(Function::new_with_locals_types(more));
        let taken = numbered(&own.takes.kept, &numbers);
        self.take_all_back(&taken, &mut out);
        let exit = |depth: u32, label: u32| {
            let outside = label.checked_sub(depth + 1)?;
            let place = own.is.exits.iter().position(|exit| *exit == outside)?;
            Some(place as u32 + 1)
        };
        out.put(&Instruction::Loop(BlockType::Empty));
        self.take(&mut out.function, source.cost(own.is.start));
        self.if_used_up(&mut out);
        self.put_all_away(&taken, &mut out);
        pause(self, &mut out);
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
                    self.leave(own, exit, &numbers, &mut out);
                    out.put(&Instruction::Return);
                }
                Operator::BrIf { relative_depth }
                    if let Some(exit) = exit(depth, *relative_depth) =>
                {
                    out.put(&Instruction::If(BlockType::Empty));
                    self.leave(own, exit, &numbers, &mut out);
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
        self.leave(own, 0, &numbers, &mut out);
        out.put(&Instruction::End);
        Ok(out)
    }

    /// What it gives when it is left by its end, 0, or by a label outside. `numbers` has its locals.
    fn leave(&mut self, own: &Own, exit: u32, numbers: &HashMap<u32, u32>, out: &mut Written) {
        self.put_all_away(&numbered(&own.gives.kept, numbers), out);
        if !own.is.exits.is_empty() {
            out.put(&Instruction::I32Const(exit as i32));
        }
        for local in &own.gives.direct {
            out.put(&Instruction::LocalGet(numbers[local]));
        }
    }

    fn types_of(&mut self, which: &[u32], locals: &[Local]) -> Encoded<Vec<ValType>> {
        self.val_types(which.iter().map(|local| locals[*local as usize]))
    }
}
