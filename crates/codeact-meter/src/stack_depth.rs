//! Makes recursion through CPython's destructors visible to CPython.
//!
//! WebAssembly has two stacks: the engine's, which a module cannot see, and one in memory for values whose address is
//! taken. CPython measures the second one to find out how deep a recursion is. Its destructors call each other through
//! one function, [`DEALLOCATE`], which postpones the destruction of an object if the stack is nearly used up. But none of
//! them has a value in memory, so the measured depth stays the same, and the engine's stack overflows when a value that
//! is nested a hundred thousand times is dropped. So each call of a destructor reserves some bytes of the stack in memory.

use wasmparser::Operator;

use crate::function_builder::FunctionBuilder;

/// Name of the function that calls an object's destructor.
pub(crate) const DEALLOCATE: &str = "_Py_Dealloc";
/// Name of the global that points to the end of the stack in memory.
pub(crate) const STACK_POINTER: &str = "__stack_pointer";

/// Reserved bytes of a call: the alignment of the stack. CPython lets a recursion use about 100 KiB, so six thousand
/// destructors can be nested, which use a few MiB of the engine's stack.
const RESERVED_BYTES: i32 = 16;

/// The function and the stack pointer of a module that names both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StackDepth {
    pub(crate) deallocate: u32,
    pub(crate) stack_pointer: u32,
}

impl StackDepth {
    /// Returns true if `operator` of `function` calls a destructor.
    pub(crate) fn reserves(self, function: u32, operator: &Operator) -> bool {
        function == self.deallocate && matches!(operator, Operator::CallIndirect { .. })
    }

    pub(crate) fn reserve(self, out: &mut FunctionBuilder) {
        self.move_stack(-RESERVED_BYTES, out);
    }

    pub(crate) fn release(self, out: &mut FunctionBuilder) {
        self.move_stack(RESERVED_BYTES, out);
    }

    fn move_stack(self, by: i32, out: &mut FunctionBuilder) {
        (out.instructions())
            .global_get(self.stack_pointer)
            .i32_const(by)
            .i32_add()
            .global_set(self.stack_pointer);
    }
}
