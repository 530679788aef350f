//! Replacements for `memory.copy` and `memory.fill` that work in chunks, with a meter point before
//! each chunk.

use wasm_encoder::BlockType;

use crate::emitter::Emitter;
use crate::function_builder::FunctionBuilder;

/// Size of a chunk in bytes.
const CHUNK: i32 = 1 << 20;
/// Units of fuel for a chunk: one for four bytes, which is about their share of time.
const CHUNK_COST: i64 = CHUNK as i64 / 4;

// The parameters, all of type `i32`.
const DESTINATION: u32 = 0;
/// Address of the source, or the value to fill with.
const SOURCE: u32 = 1;
/// Number of bytes.
const LENGTH: u32 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Copy,
    Fill,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forwards,
    Backwards,
}

/// Emits the replacement of an operation.
///
/// A copy runs forwards or backwards, so that overlapping ranges are copied correctly. The last
/// chunk, which can be shorter, has no meter point.
pub(crate) fn chunked(operation: Operation, emitter: &Emitter) -> FunctionBuilder {
    let mut out = FunctionBuilder::new();
    match operation {
        Operation::Fill => chunk_loop(operation, Direction::Forwards, emitter, &mut out),
        Operation::Copy => {
            (out.instructions())
                .local_get(DESTINATION)
                .local_get(SOURCE)
                .i32_le_u()
                .if_(BlockType::Empty);
            chunk_loop(operation, Direction::Forwards, emitter, &mut out);
            out.instructions().else_();
            chunk_loop(operation, Direction::Backwards, emitter, &mut out);
            out.instructions().end();
        }
    }
    (out.instructions())
        .local_get(DESTINATION)
        .local_get(SOURCE)
        .local_get(LENGTH);
    operation.emit(&mut out);
    out.instructions().end();
    out
}

/// Appends a loop that processes all chunks but the last.
fn chunk_loop(
    operation: Operation,
    direction: Direction,
    emitter: &Emitter,
    out: &mut FunctionBuilder,
) {
    (out.instructions())
        .loop_(BlockType::Empty)
        .local_get(LENGTH)
        .i32_const(CHUNK)
        .i32_gt_u()
        .if_(BlockType::Empty);
    emitter.meter_point(CHUNK_COST, out);
    if direction == Direction::Forwards {
        (out.instructions())
            .local_get(DESTINATION)
            .local_get(SOURCE)
            .i32_const(CHUNK);
        operation.emit(out);
        (out.instructions())
            .local_get(DESTINATION)
            .i32_const(CHUNK)
            .i32_add()
            .local_set(DESTINATION);
        if operation == Operation::Copy {
            (out.instructions())
                .local_get(SOURCE)
                .i32_const(CHUNK)
                .i32_add()
                .local_set(SOURCE);
        }
    }
    (out.instructions())
        .local_get(LENGTH)
        .i32_const(CHUNK)
        .i32_sub()
        .local_set(LENGTH);
    if direction == Direction::Backwards {
        (out.instructions())
            .local_get(DESTINATION)
            .local_get(LENGTH)
            .i32_add()
            .local_get(SOURCE)
            .local_get(LENGTH)
            .i32_add()
            .i32_const(CHUNK);
        operation.emit(out);
    }
    out.instructions().br(1).end().end();
}

impl Operation {
    /// Appends the instruction itself.
    fn emit(self, out: &mut FunctionBuilder) {
        let mut out = out.instructions();
        match self {
            Self::Copy => out.memory_copy(0, 0),
            Self::Fill => out.memory_fill(0),
        };
    }
}
