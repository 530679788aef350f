//! Index spaces of the metered module.
//!
//! Imports and definitions are added after those of the input module:
//!
//! | index space | added |
//! |---|---|
//! | types | yield function, `tick`, `yield_now`, bulk memory functions, then those of added functions |
//! | imported functions | `tick`, `yield_now` |
//! | functions | `memory.copy`, `memory.fill`, yield function, then the added functions |
//! | globals | counter, resume target, then the spill globals |

use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode};

use crate::function_merging::MergedFunctions;
use crate::module_info::ModuleInfo;

/// Number of added imports.
const HOST_FUNCTIONS: u32 = 2;
/// Number of added types that do not depend on the input module.
const FIXED_TYPES: u32 = 4;

/// Result of encoding something again.
pub(crate) type Reencoded<T> = Result<T, reencode::Error<Infallible>>;

/// Maps indices of the input module to those of the metered module, and numbers the additions.
#[derive(Clone, Copy)]
pub(crate) struct IndexSpace<'a> {
    imported_functions: u32,
    type_count: u32,
    global_count: u32,
    merged: &'a MergedFunctions,
}

impl<'a> IndexSpace<'a> {
    pub(crate) fn new(info: &ModuleInfo, merged: &'a MergedFunctions) -> Self {
        Self {
            imported_functions: info.imported_functions,
            type_count: info.type_count,
            global_count: info.global_count,
            merged,
        }
    }

    /// Returns the functions of the input module that are emitted.
    pub(crate) fn merged(&self) -> &'a MergedFunctions {
        self.merged
    }

    /// Returns the new index of a function of the input module.
    pub(crate) fn function(&self, function: u32) -> u32 {
        let class = self.merged.class(function);
        match class < self.imported_functions {
            true => class,
            false => class.saturating_add(HOST_FUNCTIONS),
        }
    }

    pub(crate) fn yield_type(&self) -> u32 {
        self.type_count
    }

    pub(crate) fn tick_type(&self) -> u32 {
        self.type_count + 1
    }

    pub(crate) fn yield_now_type(&self) -> u32 {
        self.type_count + 2
    }

    pub(crate) fn bulk_memory_type(&self) -> u32 {
        self.type_count + 3
    }

    /// Returns the first type that is added for added functions.
    pub(crate) fn first_added_type(&self) -> u32 {
        self.type_count + FIXED_TYPES
    }

    pub(crate) fn tick(&self) -> u32 {
        self.imported_functions
    }

    pub(crate) fn yield_now(&self) -> u32 {
        self.tick() + 1
    }

    /// Returns the function that replaces `memory.copy`.
    pub(crate) fn memory_copy(&self) -> u32 {
        self.merged.class_count() + HOST_FUNCTIONS
    }

    /// Returns the function that replaces `memory.fill`.
    pub(crate) fn memory_fill(&self) -> u32 {
        self.memory_copy() + 1
    }

    /// Returns the function that meter points call when the fuel is used up.
    pub(crate) fn yield_function(&self) -> u32 {
        self.memory_fill() + 1
    }

    /// Returns the first of the added functions.
    pub(crate) fn first_added_function(&self) -> u32 {
        self.yield_function() + 1
    }

    /// Returns the global that holds the remaining fuel.
    pub(crate) fn counter(&self) -> u32 {
        self.global_count
    }

    /// Returns the global that selects the function which a yield stub calls.
    pub(crate) fn resume_target(&self) -> u32 {
        self.counter() + 1
    }

    /// Returns the spill global of `slot`.
    pub(crate) fn spill_global(&self, slot: u32) -> u32 {
        self.resume_target() + 1 + slot
    }
}

impl Reencode for IndexSpace<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Reencoded<u32> {
        Ok(self.function(function))
    }
}
