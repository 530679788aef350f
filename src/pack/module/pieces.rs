//! Operations on memory, in pieces that a guest can be stopped between.

use wasm_encoder::{BlockType, Function};

use super::bodies::Written;

/// Operations on memory are done in pieces of so many bytes.
pub(super) const PIECE: i32 = 1 << 20;
/// What a piece takes from the counter: a unit for four bytes, which is about what they take in time.
const PIECE_COST: i64 = PIECE as i64 / 4;

/// The parameters, of type `i32`: where to, from where or filled with what, and how many bytes.
const TO: u32 = 0;
const FROM: u32 = 1;
const LEN: u32 = 2;

/// A function that does as `memory.copy`, or `memory.fill`, in pieces. A copy goes forwards or backwards, as
/// its parts overlap. `point` writes a meter point of a cost.
pub(super) fn in_pieces(fill: bool, out: &mut Written, point: impl Fn(&mut Written, i64)) {
    if fill {
        pieces(out, fill, true, &point);
    } else {
        (out.function.instructions())
            .local_get(TO)
            .local_get(FROM)
            .i32_le_u()
            .if_(BlockType::Empty);
        pieces(out, fill, true, &point);
        out.function.instructions().else_();
        pieces(out, fill, false, &point);
        out.function.instructions().end();
    }
    (out.function.instructions())
        .local_get(TO)
        .local_get(FROM)
        .local_get(LEN);
    one(&mut out.function, fill);
    out.function.instructions().end();
}

/// Does all but the last piece, from the front or from the back.
fn pieces(out: &mut Written, fill: bool, forwards: bool, point: &impl Fn(&mut Written, i64)) {
    (out.function.instructions())
        .loop_(BlockType::Empty)
        .local_get(LEN)
        .i32_const(PIECE)
        .i32_gt_u()
        .if_(BlockType::Empty);
    point(out, PIECE_COST);
    let out = &mut out.function;
    if forwards {
        out.instructions()
            .local_get(TO)
            .local_get(FROM)
            .i32_const(PIECE);
        one(out, fill);
        out.instructions()
            .local_get(TO)
            .i32_const(PIECE)
            .i32_add()
            .local_set(TO);
        if !fill {
            out.instructions()
                .local_get(FROM)
                .i32_const(PIECE)
                .i32_add()
                .local_set(FROM);
        }
    }
    out.instructions()
        .local_get(LEN)
        .i32_const(PIECE)
        .i32_sub()
        .local_set(LEN);
    if !forwards {
        out.instructions()
            .local_get(TO)
            .local_get(LEN)
            .i32_add()
            .local_get(FROM)
            .local_get(LEN)
            .i32_add()
            .i32_const(PIECE);
        one(out, fill);
    }
    out.instructions().br(1).end().end();
}

/// The operation itself.
fn one(out: &mut Function, fill: bool) {
    let mut code = out.instructions();
    match fill {
        true => code.memory_fill(0),
        false => code.memory_copy(0, 0),
    };
}
