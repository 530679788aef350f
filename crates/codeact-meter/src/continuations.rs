//! Emission of continuations: functions that resume another function in one of its loops.
//!
//! A call of the host in a loop that has no other call, even a call that is almost never made,
//! makes the engine keep the values of the loop on the stack, because a call preserves five
//! registers only. An instruction that ends the function has no such cost. So if the fuel is used
//! up at the head of such a loop, the function spills its live locals to globals and ends by a tail
//! call of its continuation. The continuation yields, reloads the locals, and contains the code of
//! the function once more. It enters the blocks around the loop and skips the code before them.
//! When it runs out of fuel, it calls itself in the same way.

use wasm_encoder::{BlockType, Instruction, ValType};
use wasmparser::Operator;

use crate::call_points::CallPoints;
use crate::continuation_candidates::ContinuationPlan;
use crate::emitter::Emitter;
use crate::function_builder::FunctionBuilder;
use crate::index_space::Reencoded;
use crate::spill::{reload, spill};

/// Parameter: the resume point. It is set to 0 when the continuation has reached it.
const RESUME_POINT: u32 = 0;
/// Parameter: the cost of a pass of the loop at the resume point.
const COST: u32 = 1;
/// Number of parameters. The locals of the original function follow them.
const PARAMETERS: u32 = 2;

/// Appends the meter point at the head of a loop.
///
/// `local_offset` is added to the indices of locals of the original function.
pub(crate) fn emit_loop_head(
    plan: &ContinuationPlan,
    start: usize,
    local_offset: u32,
    emitter: &mut Emitter,
    out: &mut FunctionBuilder,
) {
    let cost = plan.ir.pass_cost(start);
    let Some(resume_point) = plan.resume_point(start) else {
        return emitter.meter_point(cost, out);
    };
    emitter.charge(cost, out);
    emitter.begin_if_exhausted(out);
    for (local, ty) in plan.live_locals(start) {
        spill(local, (local + local_offset, ty), emitter, out);
    }
    out.push(&Instruction::I32Const(resume_point as i32));
    out.push(&Instruction::I64Const(cost));
    out.push(&Instruction::ReturnCall(plan.continuation));
    out.push(&Instruction::End);
}

/// Adds the continuation of a function to the module.
pub(crate) fn emit_continuation(
    plan: &ContinuationPlan,
    call_points: &CallPoints,
    results: &[wasmparser::ValType],
    emitter: &mut Emitter,
) -> Reencoded<()> {
    let results = emitter.val_types(results.iter().copied())?;
    let locals = emitter.val_types(plan.ir.locals.iter().copied())?;
    let mut builder = ContinuationBuilder {
        plan,
        call_points,
        emitter,
        out: FunctionBuilder::with_locals(locals),
        depth: 0,
        open_blocks: Vec::new(),
        loop_depth: 0,
    };
    builder.emit_prologue();
    builder.emit_sequence(0, plan.ir.operators.len() - 1)?;
    builder.push(&Instruction::End);
    let body = builder.out;
    let ty = emitter.function_type(vec![ValType::I32, ValType::I64], results);
    emitter.add_function(ty, body);
    Ok(())
}

/// A continuation that is being emitted.
struct ContinuationBuilder<'b, 'a, 'm> {
    plan: &'b ContinuationPlan<'a>,
    call_points: &'b CallPoints,
    emitter: &'b mut Emitter<'m>,
    out: FunctionBuilder,
    /// Number of open blocks in the continuation.
    depth: u32,
    /// For each open block of the original function the value of `depth` when it began.
    open_blocks: Vec<u32>,
    /// Number of loops among the open blocks.
    loop_depth: u32,
}

impl ContinuationBuilder<'_, '_, '_> {
    fn push(&mut self, instruction: &Instruction) {
        self.out.push(instruction);
    }

    /// Returns whether the code just before `position` is reachable.
    ///
    /// It is skipped on the way to the resume point. Afterwards it is reached only if a resume
    /// point is before it, or from a later position in a loop around it.
    fn is_reachable(&self, position: usize) -> bool {
        self.loop_depth > 0 || !self.plan.resume_points(0, position).is_empty()
    }

    /// Translates a label of the original function.
    fn label(&self, label: u32) -> u32 {
        let position = self.open_blocks.len().checked_sub(label as usize + 1);
        position.map_or(self.depth, |position| {
            self.depth - 1 - self.open_blocks[position]
        })
    }

    /// Yields and restores the state.
    fn emit_prologue(&mut self) {
        let indices = self.emitter.indices;
        self.push(&Instruction::Call(indices.yield_function()));
        // The head of the loop charges the cost again.
        (self.out.instructions())
            .global_get(indices.counter())
            .local_get(COST)
            .i64_add()
            .global_set(indices.counter());
        // Locals that are not live at the actual resume point get values that are never read.
        for (local, ty) in self.plan.live_locals_at_any() {
            let target = (local + PARAMETERS, ty);
            reload(local, target, self.emitter, &mut self.out);
        }
    }

    /// Emits the operators from `from` up to but not including `to`: the body of a block, or a
    /// branch of an `if`.
    fn emit_sequence(&mut self, from: usize, to: usize) -> Reencoded<()> {
        let blocks = self.blocks_with_resume_points(from, to);
        // The code before each block is skipped on the way to a resume point in the block or after
        // it. The conditions nest: that of the last block is the outermost.
        for (start, end) in blocks.iter().rev() {
            if self.is_skippable(from, *start) {
                let result = match self.plan.ir.operators[*start] {
                    // The code before an `if` computes its condition.
                    Operator::If { .. } => BlockType::Result(ValType::I32),
                    _ => BlockType::Empty,
                };
                (self.out.instructions())
                    .local_get(RESUME_POINT)
                    .i32_const(self.plan.resume_points(*start, *end).start as i32)
                    .i32_lt_u()
                    .if_(result);
                self.depth += 1;
            }
        }
        let mut next = from;
        for (start, end) in blocks {
            let is_if = matches!(self.plan.ir.operators[start], Operator::If { .. });
            let skippable = self.is_skippable(from, start);
            if skippable {
                self.emit_plain(next, start)?;
            }
            if skippable && is_if {
                self.push(&Instruction::Else);
            }
            if is_if {
                // Takes the branch with the resume point.
                let branch_end = self.plan.ends.else_or_end[start];
                (self.out.instructions())
                    .local_get(RESUME_POINT)
                    .i32_const(self.plan.resume_points(start, branch_end).end as i32)
                    .i32_lt_u();
            }
            if skippable {
                self.push(&Instruction::End);
                self.depth -= 1;
            }
            self.emit_block(start, end)?;
            next = end + 1;
        }
        self.emit_plain(next, to)
    }

    /// Returns the start and end of the outermost blocks with resume points in a sequence.
    fn blocks_with_resume_points(&self, from: usize, to: usize) -> Vec<(usize, usize)> {
        let mut blocks = Vec::new();
        let mut position = from;
        while position < to {
            if opens_block(&self.plan.ir.operators[position]) {
                let end = self.plan.ends.end[position];
                if !self.plan.resume_points(position, end).is_empty() {
                    blocks.push((position, end));
                }
                position = end;
            }
            position += 1;
        }
        blocks
    }

    /// Returns whether there is reachable code before a block at `start`, in a sequence that begins
    /// at `from`.
    fn is_skippable(&self, from: usize, start: usize) -> bool {
        start > from && self.is_reachable(start)
    }

    /// Emits a block, loop or `if` that contains a resume point or is one.
    fn emit_block(&mut self, start: usize, end: usize) -> Reencoded<()> {
        let instruction = self.emitter.translate(&self.plan.ir.operators[start])?;
        self.push(&instruction);
        self.open_blocks.push(self.depth);
        self.depth += 1;
        match self.plan.ir.operators[start] {
            Operator::Loop { .. } => {
                self.emit_resumable_head(start, end);
                self.loop_depth += 1;
                self.emit_sequence(start + 1, end)?;
                self.loop_depth -= 1;
            }
            Operator::If { .. } => {
                let branch_end = self.plan.ends.else_or_end[start];
                let reachable = self.is_reachable(start);
                self.emit_branch(reachable, start + 1, branch_end)?;
                if branch_end < end {
                    self.push(&Instruction::Else);
                    self.emit_branch(reachable, branch_end + 1, end)?;
                }
            }
            _ => self.emit_sequence(start + 1, end)?,
        }
        self.depth -= 1;
        self.open_blocks.pop();
        self.push(&Instruction::End);
        Ok(())
    }

    /// Emits the meter point of a loop that contains a resume point or is one.
    fn emit_resumable_head(&mut self, start: usize, end: usize) {
        let resume_point = self.plan.resume_point(start);
        // On the way to a resume point within the loop, the pass has been charged already.
        let resumes_within = !self.plan.resume_points(start + 1, end).is_empty();
        if resumes_within {
            (self.out.instructions())
                .local_get(RESUME_POINT)
                .i32_const(resume_point.unwrap_or(0) as i32)
                .i32_le_u()
                .if_(BlockType::Empty);
        }
        if resume_point.is_some() {
            (self.out.instructions())
                .i32_const(0)
                .local_set(RESUME_POINT);
        }
        emit_loop_head(self.plan, start, PARAMETERS, self.emitter, &mut self.out);
        if resumes_within {
            self.push(&Instruction::End);
        }
    }

    /// Emits a branch of an `if`.
    ///
    /// If the `if` is not `reachable` other than on the way to a resume point, a branch without
    /// resume points is never executed.
    fn emit_branch(&mut self, reachable: bool, from: usize, to: usize) -> Reencoded<()> {
        if reachable || !self.plan.resume_points(from, to).is_empty() {
            return self.emit_sequence(from, to);
        }
        self.push(&Instruction::Unreachable);
        Ok(())
    }

    /// Emits operators without resume points.
    fn emit_plain(&mut self, from: usize, to: usize) -> Reencoded<()> {
        let ir = self.plan.ir;
        for position in from..to {
            let operator = &ir.operators[position];
            (self.call_points).emit_before(position, self.emitter, &mut self.out);
            let instruction = match operator {
                Operator::LocalGet { local_index } => {
                    Instruction::LocalGet(local_index + PARAMETERS)
                }
                Operator::LocalSet { local_index } => {
                    Instruction::LocalSet(local_index + PARAMETERS)
                }
                Operator::LocalTee { local_index } => {
                    Instruction::LocalTee(local_index + PARAMETERS)
                }
                Operator::Br { relative_depth } => Instruction::Br(self.label(*relative_depth)),
                Operator::BrIf { relative_depth } => Instruction::BrIf(self.label(*relative_depth)),
                Operator::BrTable { targets } => {
                    let labels: Result<Vec<_>, _> = (targets.targets())
                        .map(|target| target.map(|target| self.label(target)))
                        .collect();
                    Instruction::BrTable(labels?.into(), self.label(targets.default()))
                }
                other => self.emitter.translate(other)?,
            };
            self.push(&instruction);
            if opens_block(operator) {
                self.open_blocks.push(self.depth);
                self.depth += 1;
            } else if matches!(operator, Operator::End) {
                self.open_blocks.pop();
                self.depth = self.depth.saturating_sub(1);
            }
            if matches!(operator, Operator::Loop { .. }) {
                let cost = ir.pass_cost(position);
                self.emitter.meter_point(cost, &mut self.out);
            }
        }
        Ok(())
    }
}

fn opens_block(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. }
    )
}
