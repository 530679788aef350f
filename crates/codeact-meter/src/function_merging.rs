//! Merging of identical functions.
//!
//! Compilers emit many identical functions, for example for the instances of a template. Loading a
//! compiled module takes time for each function, so each start is faster without the duplicates.
//! The module cannot observe the difference: functions have no identity, and table entries, which
//! are the addresses that C code sees, stay distinct.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use wasmparser::{BinaryReaderError, FunctionBody, Operator};

use crate::call_graph::RecursionCut;
use crate::module_info::ModuleInfo;

/// Maximum number of refinement rounds. CPython takes five.
const MAX_ROUNDS: usize = 100;

/// The classes of identical functions.
pub(crate) struct MergedFunctions {
    /// For each function the first function of its class.
    representatives: Vec<u32>,
    /// For each function the number of its class. Classes are numbered by their first functions.
    classes: Vec<u32>,
    class_count: u32,
}

impl MergedFunctions {
    pub(crate) fn compute(
        info: &ModuleInfo,
        recursion: &RecursionCut,
    ) -> Result<Self, BinaryReaderError> {
        let representatives = representatives(info, recursion)?;
        let mut classes = Vec::new();
        let mut class_count = 0;
        for representative in &representatives {
            classes.push(match classes.get(*representative as usize) {
                Some(class) => *class,
                None => {
                    class_count += 1;
                    class_count - 1
                }
            });
        }
        Ok(Self {
            representatives,
            classes,
            class_count,
        })
    }

    /// Returns whether `function` is the one of its class that is emitted.
    pub(crate) fn is_representative(&self, function: u32) -> bool {
        self.representatives.get(function as usize) == Some(&function)
    }

    /// Returns the number of the class of `function`.
    ///
    /// It is `u32::MAX` for a function that does not exist, so that a module that refers to one
    /// stays invalid.
    pub(crate) fn class(&self, function: u32) -> u32 {
        let class = self.classes.get(function as usize);
        class.copied().unwrap_or(u32::MAX)
    }

    /// Returns the number of classes.
    pub(crate) fn class_count(&self) -> u32 {
        self.class_count
    }
}

/// Computes for each function the first function that is identical to it, by partition refinement.
///
/// At first, functions form a class if their types, their code without callees, and their meter
/// points are equal. Each round splits the classes whose members call different classes.
fn representatives(
    info: &ModuleInfo,
    recursion: &RecursionCut,
) -> Result<Vec<u32>, BinaryReaderError> {
    let mut representatives: Vec<u32> = (0..info.imported_functions).collect();
    let mut callees = vec![Vec::new(); representatives.len()];
    let mut first = HashMap::new();
    for (function, (body, _)) in (info.imported_functions..).zip(&info.bodies) {
        let (code, called) = hash_without_callees(body)?;
        let ty = info.function_type(function);
        let key = (ty, recursion.metering_key(function), code);
        representatives.push(*first.entry(key).or_insert(function));
        callees.push(called);
    }
    let mut classes = 0;
    for _ in 0..MAX_ROUNDS {
        let mut first = HashMap::new();
        let refined = (0..).zip(&callees).map(|(function, called)| {
            // A callee that does not exist makes the module invalid. The engine reports it.
            let called = called.iter();
            let called = called.filter_map(|callee| representatives.get(*callee as usize));
            let called: Vec<_> = called.copied().collect();
            let key = (representatives[function as usize], called);
            *first.entry(key).or_insert(function)
        });
        representatives = refined.collect();
        if first.len() == classes {
            return Ok(representatives);
        }
        classes = first.len();
    }
    Ok((0..info.function_count()).collect())
}

/// Returns a hash of the code of `body` without the function indices in it, and those indices.
fn hash_without_callees(body: &FunctionBody) -> Result<([u8; 32], Vec<u32>), BinaryReaderError> {
    let bytes = body.as_bytes();
    let begin = body.range().start;
    let mut hash = Sha256::new();
    let mut callees = Vec::new();
    let mut hashed = 0;
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        let (operator, offset) = reader.read_with_offset()?;
        if let Operator::Call { function_index }
        | Operator::ReturnCall { function_index }
        | Operator::RefFunc { function_index } = operator
        {
            // The opcode is one byte. The function index follows it.
            hash.update(&bytes[hashed..=offset - begin]);
            hashed = reader.original_position() - begin;
            callees.push(function_index);
        }
    }
    hash.update(&bytes[hashed..]);
    Ok((hash.finalize().into(), callees))
}
