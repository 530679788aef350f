//! Functions that end when the counter is used up in one of their loops, and go on there as another function.
//!
//! A call to the host within a loop that has no call else, even one that hardly ever comes, makes the compiler
//! keep what the loop works with on the stack, since a call may overwrite all registers but five. What ends
//! the function costs nothing. So at the head of such a loop, with the counter used up, the function puts its locals
//! into globals and ends by a tail call of its continuation. That calls the host, takes the locals back, and is
//! the same code once more, which begins by way of the blocks around that loop. It ends and goes on in the same way.

use wasm_encoder::{BlockType, Function, Instruction, ValType};
use wasmparser::Operator;

use super::bodies::Written;
use super::continued::Continued;
use super::rewrite::{Encoded, Meter};

/// A continuation's parameter that tells where it goes on: the number of the loop, or 0 when it is there.
const AT: u32 = 0;
/// Its parameter that tells what a pass of that loop costs.
const COST: u32 = 1;
/// So much further on are the locals of the function that it continues.
const SHIFT: u32 = 2;

/// A continuation that is being written.
struct Writing<'w, 'a> {
    of: &'w Continued<'a>,
    out: Written,
    /// How many blocks are open in it.
    depth: u32,
    /// For each open block of the function that it continues, how many were open in it when that began.
    open: Vec<u32>,
    /// How many of them are loops.
    loops: u32,
}

impl Writing<'_, '_> {
    fn put(&mut self, instruction: &Instruction) {
        self.out.put(instruction);
    }

    /// Whether it ever comes to what is just before `at`: on the way to where it goes on it passes that over, and
    /// later it is only there again if a loop to go on at is before it, or it is in a loop.
    fn comes_to(&self, at: usize) -> bool {
        self.loops > 0 || !self.of.within(0, at).is_empty()
    }

    /// The label of the function that is continued, as it is here.
    fn label(&self, label: u32) -> u32 {
        let place = self.open.len().checked_sub(label as usize + 1);
        place.map_or(self.depth, |place| self.depth - 1 - self.open[place])
    }
}

impl Meter<'_> {
    /// The meter point at the head of a loop, in a function with a continuation. Its locals are `shift` further on.
    pub(super) fn head(&mut self, of: &Continued, start: usize, shift: u32, out: &mut Written) {
        let cost = of.source.cost(start);
        let Some(number) = of.number(start) else {
            return self.point(out, cost);
        };
        self.take(&mut out.function, cost);
        self.if_used_up(out);
        for (local, ty) in of.live(start) {
            self.put_away(local, local + shift, ty, out);
        }
        out.put(&Instruction::I32Const(number as i32));
        out.put(&Instruction::I64Const(cost));
        out.put(&Instruction::ReturnCall(of.continuation));
        out.put(&Instruction::End);
    }

    /// Adds the continuation.
    pub(super) fn continuation(&mut self, of: &Continued) -> Encoded<()> {
        let gives = self.parts.results(of.source.number).to_vec();
        let gives = self.val_types(gives)?;
        let locals = self.val_types(of.source.locals.iter().copied())?;
        let mut writing = Writing {
            of,
            out: Written::new(Function::new_with_locals_types(locals)),
            depth: 0,
            open: Vec::new(),
            loops: 0,
        };
        writing.put(&Instruction::Call(self.pause()));
        // It is taken once more where the loop begins.
        let counter = self.counter();
        (writing.out.function.instructions())
            .global_get(counter)
            .local_get(COST)
            .i64_add()
            .global_set(counter);
        // All that are live at any of the loops: what is not live at this one is not looked at.
        for (local, ty) in of.live_at_any() {
            self.take_back(local, local + SHIFT, ty, &mut writing.out);
        }
        self.blocks(&mut writing, 0, of.source.code.len() - 1)?;
        writing.put(&Instruction::End);
        let takes = vec![ValType::I32, ValType::I64];
        let ty = self.bodies.ty(takes, gives);
        let ty = self.added_type(ty);
        self.bodies.added.push((ty, writing.out));
        Ok(())
    }

    /// The instructions from `from` on and before `to`: all of a block's, or of one half of an `if`'s.
    fn blocks(&mut self, writing: &mut Writing, from: usize, to: usize) -> Encoded<()> {
        // The blocks among them with loops to go on at.
        let mut blocks = Vec::new();
        let mut at = from;
        while at < to {
            if matches!(
                writing.of.source.code[at],
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. }
            ) {
                let end = writing.of.ends.end[at];
                if !writing.of.within(at, end).is_empty() {
                    blocks.push((at, end));
                }
                at = end;
            }
            at += 1;
        }
        // What comes before each is passed over on the way to a loop in it or further on.
        let passed_over = |writing: &Writing, start| start > from && writing.comes_to(start);
        for (start, end) in blocks.iter().rev() {
            if passed_over(writing, *start) {
                // What comes before an `if` gives its condition.
                let gives = match writing.of.source.code[*start] {
                    Operator::If { .. } => BlockType::Result(ValType::I32),
                    _ => BlockType::Empty,
                };
                (writing.out.function.instructions())
                    .local_get(AT)
                    .i32_const(writing.of.within(*start, *end).start as i32)
                    .i32_lt_u()
                    .if_(gives);
                writing.depth += 1;
            }
        }
        let mut behind = from;
        for (start, end) in blocks {
            let is_if = matches!(writing.of.source.code[start], Operator::If { .. });
            let over = passed_over(writing, start);
            if over {
                self.plain(writing, behind, start)?;
            }
            if over && is_if {
                writing.put(&Instruction::Else);
            }
            if is_if {
                // The half with the loop to go on at.
                let half = writing.of.ends.otherwise[start];
                (writing.out.function.instructions())
                    .local_get(AT)
                    .i32_const(writing.of.within(start, half).end as i32)
                    .i32_lt_u();
            }
            if over {
                writing.put(&Instruction::End);
                writing.depth -= 1;
            }
            self.block(writing, start, end)?;
            behind = end + 1;
        }
        self.plain(writing, behind, to)
    }

    /// A block, loop or `if` with a loop to go on at, or that is one.
    fn block(&mut self, writing: &mut Writing, start: usize, end: usize) -> Encoded<()> {
        let instruction = self.as_is(&writing.of.source.code[start])?;
        writing.put(&instruction);
        writing.open.push(writing.depth);
        writing.depth += 1;
        match writing.of.source.code[start] {
            Operator::Loop { .. } => {
                // Its own pass is under way already on the way to a loop in it.
                let number = writing.of.number(start);
                let passes = !writing.of.within(start + 1, end).is_empty();
                if passes {
                    (writing.out.function.instructions())
                        .local_get(AT)
                        .i32_const(number.unwrap_or(0) as i32)
                        .i32_le_u()
                        .if_(BlockType::Empty);
                }
                if number.is_some() {
                    (writing.out.function.instructions())
                        .i32_const(0)
                        .local_set(AT);
                }
                self.head(writing.of, start, SHIFT, &mut writing.out);
                if passes {
                    writing.put(&Instruction::End);
                }
                writing.loops += 1;
                self.blocks(writing, start + 1, end)?;
                writing.loops -= 1;
            }
            Operator::If { .. } => {
                let half = writing.of.ends.otherwise[start];
                let any = writing.comes_to(start);
                self.half(writing, any, start + 1, half)?;
                if half < end {
                    writing.put(&Instruction::Else);
                    self.half(writing, any, half + 1, end)?;
                }
            }
            _ => self.blocks(writing, start + 1, end)?,
        }
        writing.depth -= 1;
        writing.open.pop();
        writing.put(&Instruction::End);
        Ok(())
    }

    /// One half of an `if`'s instructions. Unless it comes to `any` half, it does so only on the way to a loop to go
    /// on at, and a half that has none is never run.
    fn half(&mut self, writing: &mut Writing, any: bool, from: usize, to: usize) -> Encoded<()> {
        if any || !writing.of.within(from, to).is_empty() {
            return self.blocks(writing, from, to);
        }
        writing.put(&Instruction::Unreachable);
        Ok(())
    }

    /// Instructions without a loop to go on at.
    fn plain(&mut self, writing: &mut Writing, from: usize, to: usize) -> Encoded<()> {
        let source = writing.of.source;
        for at in from..to {
            let operator = &source.code[at];
            self.point_at_call(source, at, &mut writing.out);
            let instruction = match operator {
                Operator::LocalGet { local_index } => Instruction::LocalGet(local_index + SHIFT),
                Operator::LocalSet { local_index } => Instruction::LocalSet(local_index + SHIFT),
                Operator::LocalTee { local_index } => Instruction::LocalTee(local_index + SHIFT),
                Operator::Br { relative_depth } => Instruction::Br(writing.label(*relative_depth)),
                Operator::BrIf { relative_depth } => {
                    Instruction::BrIf(writing.label(*relative_depth))
                }
                Operator::BrTable { targets } => {
                    let labels: Result<Vec<_>, _> = (targets.targets())
                        .map(|target| target.map(|target| writing.label(target)))
                        .collect();
                    Instruction::BrTable(labels?.into(), writing.label(targets.default()))
                }
                other => self.as_is(other)?,
            };
            writing.put(&instruction);
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    writing.open.push(writing.depth);
                    writing.depth += 1;
                }
                Operator::End => {
                    writing.open.pop();
                    writing.depth = writing.depth.saturating_sub(1);
                }
                _ => {}
            }
            if matches!(operator, Operator::Loop { .. }) {
                self.point(&mut writing.out, source.cost(at));
            }
        }
        Ok(())
    }
}
