//! What is put aside while the host is called from a meter point in a large loop.
//!
//! A call keeps no registers here, so a value that lives across one lives on the stack, and in a loop such as the
//! interpreter's main one the compiler then writes it there in each pass, for a call that is made once in
//! millions. Where all that lives is put into globals before the call, and taken from there behind it, nothing
//! lives across it: what that costs is paid when the host is called.

use std::collections::HashMap;

use wasmparser::{FunctionBody, ValType};

use super::RewriteError;
use super::liveness;
use super::nesting::each;
use super::parts::Parts;

/// Loops with so many instructions of their own are worth it.
const LARGE: i64 = 300;

/// The types that globals are made for; a local of another one stays where it is.
pub(super) const TYPES: [ValType; 4] = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];

/// A local, and the global that it is put into: the number of its type, and which of that type's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) local: u32,
    pub(super) kind: usize,
    pub(super) slot: u32,
}

/// What is put aside at each large loop.
#[derive(Default)]
pub(super) struct Savings {
    /// How many globals of each of [`TYPES`] there must be.
    pub(super) counts: [u32; TYPES.len()],
    /// By function and loop.
    by_loop: HashMap<(u32, usize), Vec<Saved>>,
}

impl Savings {
    pub(super) fn of(parts: &Parts) -> Result<Self, RewriteError> {
        let mut savings = Self::default();
        for (i, body) in parts.bodies.iter().enumerate() {
            let number = parts.imported + i as u32;
            let large = large_loops(body)?;
            if large.is_empty() {
                continue;
            }
            let locals = locals(parts.params(number), body)?;
            let Some(live) = liveness::at_loops(body, locals.len())? else {
                continue;
            };
            for of in large {
                let mut next = [0; TYPES.len()];
                let saved = live.get(of).into_iter().flatten().filter_map(|local| {
                    let ty = locals.get(*local as usize)?;
                    let kind = TYPES.iter().position(|known| known == ty)?;
                    next[kind] += 1;
                    Some(Saved {
                        local: *local,
                        kind,
                        slot: next[kind] - 1,
                    })
                });
                let saved: Vec<_> = saved.collect();
                for (count, needed) in savings.counts.iter_mut().zip(next) {
                    *count = needed.max(*count);
                }
                savings.by_loop.insert((number, of), saved);
            }
        }
        Ok(savings)
    }

    /// What is put aside at the loop `of` of `function`.
    pub(super) fn at(&self, function: u32, of: usize) -> &[Saved] {
        self.by_loop
            .get(&(function, of))
            .map_or(&[], Vec::as_slice)
    }

    /// Which of the globals, counted from the first, `saved` is put into.
    pub(super) fn global(&self, saved: Saved) -> u32 {
        self.counts[..saved.kind].iter().sum::<u32>() + saved.slot
    }
}

/// The numbers of the large loops.
fn large_loops(body: &FunctionBody) -> Result<Vec<usize>, RewriteError> {
    let mut sizes: Vec<i64> = Vec::new();
    each::<wasmparser::BinaryReaderError>(body, |operator, innermost| {
        if let Some(size) = innermost.and_then(|inner| sizes.get_mut(inner)) {
            *size += 1;
        }
        if matches!(operator, wasmparser::Operator::Loop { .. }) {
            sizes.push(0);
        }
        Ok(())
    })?;
    let large = sizes.iter().enumerate().filter(|(_, size)| **size >= LARGE);
    Ok(large.map(|(number, _)| number).collect())
}

/// The types of a function's locals, its parameters first.
fn locals(params: &[ValType], body: &FunctionBody) -> Result<Vec<ValType>, RewriteError> {
    let mut locals = params.to_vec();
    for group in body.get_locals_reader()? {
        let (count, ty) = group?;
        locals.extend(std::iter::repeat_n(ty, count as usize));
    }
    Ok(locals)
}
