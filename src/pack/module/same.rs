//! Which functions are the same, and written once.
//!
//! A compiler writes out each use of a template, and many come out alike: of the pack's functions nearly a
//! sixth are the same as another, calls of such included. What loads the module reads something of each of its functions, so each
//! start gains by it. Nothing of it can be told from within: functions have no identity there, and their places
//! in tables, which is what C takes for addresses, stay different.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use wasmparser::{BinaryReaderError, FunctionBody, Operator};

use super::calls::Recursive;
use super::parts::Parts;

/// The most rounds of telling functions apart. The pack takes five.
const MOST_ROUNDS: usize = 100;

/// A module's functions without those that are the same as others.
pub(super) struct Same {
    /// For each function the first that is the same.
    first: Vec<u32>,
    /// For each function its number when only those are counted.
    numbers: Vec<u32>,
    count: u32,
}

impl Same {
    pub(super) fn find(parts: &Parts, recursive: &Recursive) -> Result<Self, BinaryReaderError> {
        let first = first_of_same(parts, recursive)?;
        let mut numbers = Vec::new();
        let mut count = 0;
        for first in &first {
            numbers.push(match numbers.get(*first as usize) {
                Some(known) => *known,
                None => {
                    count += 1;
                    count - 1
                }
            });
        }
        Ok(Self {
            first,
            numbers,
            count,
        })
    }

    /// Whether function `number` is the first of those that are the same.
    pub(super) fn is_first(&self, number: u32) -> bool {
        self.first.get(number as usize) == Some(&number)
    }

    /// The number of function `number` when only the first of those that are the same are counted.
    pub(super) fn number(&self, number: u32) -> u32 {
        // A module that names one that is not there has to stay invalid.
        self.numbers
            .get(number as usize)
            .copied()
            .unwrap_or(u32::MAX)
    }

    /// How many there are that are not the same as others.
    pub(super) fn count(&self) -> u32 {
        self.count
    }
}

/// Takes functions for the same that have the same type and code but for what they call, and are metered alike. Then tells
/// those apart that call what is not the same, until there are none.
fn first_of_same(parts: &Parts, recursive: &Recursive) -> Result<Vec<u32>, BinaryReaderError> {
    let all = parts.function_types.len() as u32;
    let mut first: Vec<u32> = (0..parts.imported).collect();
    let mut called = vec![Vec::new(); first.len()];
    let mut known = HashMap::new();
    for (number, (body, _)) in (parts.imported..).zip(&parts.bodies) {
        let (code, calls) = code_and_calls(body)?;
        let alike = (parts.own_type(number), recursive.place(number), code);
        first.push(*known.entry(alike).or_insert(number));
        called.push(calls);
    }
    let mut kinds = 0;
    for _ in 0..MOST_ROUNDS {
        let mut known = HashMap::new();
        let next = (0..).zip(&called).map(|(number, calls)| {
            // What is called and not there makes the module invalid, which the engine finds.
            let calls = (calls.iter()).map(|call| first.get(*call as usize));
            let alike = (
                first[number as usize],
                calls.flatten().copied().collect::<Vec<_>>(),
            );
            *known.entry(alike).or_insert(number)
        });
        first = next.collect();
        if known.len() == kinds {
            return Ok(first);
        }
        kinds = known.len();
    }
    Ok((0..all).collect())
}

/// A hash of a function's code without the numbers of functions, and those.
fn code_and_calls(body: &FunctionBody) -> Result<([u8; 32], Vec<u32>), BinaryReaderError> {
    let bytes = body.as_bytes();
    let begin = body.range().start;
    let mut hash = Sha256::new();
    let mut calls = Vec::new();
    let mut hashed = 0;
    let mut code = body.get_operators_reader()?;
    while !code.eof() {
        let (operator, at) = code.read_with_offset()?;
        if let Operator::Call { function_index }
        | Operator::ReturnCall { function_index }
        | Operator::RefFunc { function_index } = operator
        {
            // Up to the number, which is what comes behind the opcode.
            hash.update(&bytes[hashed..=at - begin]);
            hashed = code.original_position() - begin;
            calls.push(function_index);
        }
    }
    hash.update(&bytes[hashed..]);
    Ok((hash.finalize().into(), calls))
}
