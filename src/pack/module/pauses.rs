//! Functions that end to pause, and begin anew.
//!
//! A function that has nothing to keep across its call to the host need not make it: it ends by a tail call
//! of another, which calls the host and then it again. That other one is shared by the functions of a type, up
//! to [`MOST`], as whatever starts reads of each function of the module where it is: a global tells it which to call.

use std::collections::HashMap;

use wasm_encoder::{BlockType, Function, Instruction};

use super::bodies::Written;
use super::rewrite::Meter;

/// The most functions that share one to pause in.
const MOST: usize = 256;

/// The functions to pause in.
#[derive(Default)]
pub(super) struct Pauses {
    all: Vec<Shared>,
    /// For each type the place of the one that has room.
    with_room: HashMap<u32, usize>,
}

/// A function in which others of its type pause.
struct Shared {
    /// Its place among the added functions.
    place: usize,
    parameters: u32,
    /// What it can call then, by number, each with what is put back on the counter for it.
    anew: Vec<(u32, i64)>,
}

impl Meter<'_> {
    /// The place of a function in which one of type `ty` can pause. It is added if there is none with room.
    pub(super) fn shared_pause(&mut self, ty: u32, parameters: u32) -> usize {
        let pauses = &mut self.bodies.pauses;
        if let Some(place) = pauses.with_room.get(&ty)
            && pauses.all[*place].anew.len() < MOST
        {
            return *place;
        }
        let place = pauses.all.len();
        pauses.with_room.insert(ty, place);
        pauses.all.push(Shared {
            place: self.bodies.added.len(),
            parameters,
            anew: Vec::new(),
        });
        // It is written when all are known that it calls.
        let unwritten = Written::new(Function::new([]));
        self.bodies.added.push((ty, unwritten));
        place
    }

    /// Ends the function that is being written for a pause in that at `place`. After it `function` is called, with what
    /// are the first locals here as its parameters, and `cost` is back on the counter.
    pub(super) fn pause_in(&mut self, place: usize, function: u32, cost: i64, out: &mut Written) {
        let which = self.which();
        let first = self.first_added();
        let shared = &mut self.bodies.pauses.all[place];
        out.put(&Instruction::I64Const(shared.anew.len() as i64));
        out.put(&Instruction::GlobalSet(which));
        shared.anew.push((function, cost));
        call_anew(shared.parameters, first + shared.place as u32, out);
    }

    /// Writes the functions to pause in.
    pub(super) fn write_pauses(&mut self) {
        let pauses = std::mem::take(&mut self.bodies.pauses);
        for shared in pauses.all {
            self.bodies.added[shared.place].1 = self.pause_of(&shared);
        }
    }

    fn pause_of(&mut self, shared: &Shared) -> Written {
        let mut out = Written::new(Function::new([]));
        out.put(&Instruction::Call(self.pause()));
        for _ in &shared.anew {
            out.put(&Instruction::Block(BlockType::Empty));
        }
        let labels: Vec<_> = (0..shared.anew.len() as u32).collect();
        out.put(&Instruction::GlobalGet(self.which()));
        out.put(&Instruction::I32WrapI64);
        out.put(&Instruction::BrTable(labels.into(), 0));
        for (function, cost) in &shared.anew {
            out.put(&Instruction::End);
            self.take(&mut out.function, -cost);
            call_anew(shared.parameters, *function, &mut out);
        }
        out.put(&Instruction::End);
        out
    }
}

/// Ends the function by a call of `number`, with the first locals as its parameters.
fn call_anew(parameters: u32, number: u32, out: &mut Written) {
    for parameter in 0..parameters {
        out.put(&Instruction::LocalGet(parameter));
    }
    out.put(&Instruction::ReturnCall(number));
}
