//! CodeObject objects that were compiled from the turn's source. They are found by reference, because `exec` of a
//! string can use any file name.

use std::collections::HashSet;

use crate::remote_traceback::objects::CodeObject;
use crate::remote_traceback::reader::Reader;

/// Maximum number of code objects. Further ones are shown without source lines.
const MAX_CODE_OBJECTS: usize = 20_000;

/// Returns `roots` and all code objects nested in them.
pub(super) fn nested(reader: &Reader, roots: &[CodeObject]) -> HashSet<u32> {
    let mut found = HashSet::new();
    let mut todo = roots.to_vec();
    while let Some(code) = todo.pop() {
        if found.len() == MAX_CODE_OBJECTS || !found.insert(code.0) {
            continue;
        }
        todo.extend(children(reader, code).into_iter().flatten());
        todo.truncate(MAX_CODE_OBJECTS);
    }
    found
}

/// Returns the code objects among the constants of `code`.
fn children(reader: &Reader, code: CodeObject) -> Option<Vec<CodeObject>> {
    let consts = reader.pointer(code.0, reader.offsets.code.consts)?;
    let codes = (reader.tuple(consts)?)
        .filter(|item| reader.has_type(*item, "code") == Some(true))
        .map(CodeObject)
        .take(MAX_CODE_OBJECTS)
        .collect();
    Some(codes)
}

/// Returns the code objects among the local variables of the frame at the address `frame`, which runs `code`.
pub(super) fn locals(reader: &Reader, frame: u32, code: CodeObject) -> Option<Vec<CodeObject>> {
    /// Maximum number of variables. The runner's function has few.
    const MAX_VARIABLES: usize = 64;
    let names = reader.pointer(code.0, reader.offsets.code.localsplusnames)?;
    let count = reader.tuple(names)?.count().min(MAX_VARIABLES) as u32;
    let first = reader.offsets.frame.localsplus;
    let codes = (0..count).filter_map(|i| reader.code(frame, first + 4 * i));
    Some(codes.collect())
}
