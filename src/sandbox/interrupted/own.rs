//! Which code objects the turn's source was compiled to: only their lines are lines of it. A name
//! tells nothing, for `exec` of a string can have any.

use std::collections::HashSet;

use super::objects::Code;
use super::reader::Reader;

/// More functions than a turn has; those beyond go without their source.
const MOST: usize = 20_000;

/// All code objects within `roots`, themselves included.
pub(super) fn within(reader: &Reader, roots: &[Code]) -> HashSet<u32> {
    let mut found = HashSet::new();
    let mut todo = roots.to_vec();
    while let Some(code) = todo.pop() {
        if found.len() == MOST || !found.insert(code.0) {
            continue;
        }
        todo.extend(children(reader, code).into_iter().flatten());
        todo.truncate(MOST);
    }
    found
}

fn children(reader: &Reader, code: Code) -> Option<Vec<Code>> {
    let consts = reader.pointer(code.0, reader.offsets.code.consts)?;
    let codes = (reader.tuple(consts)?)
        .filter(|item| reader.is(*item, "code") == Some(true))
        .map(Code)
        .take(MOST)
        .collect();
    Some(codes)
}

/// The code objects among the local variables of the frame at `frame`, which runs `code`.
pub(super) fn locals(reader: &Reader, frame: u32, code: Code) -> Option<Vec<Code>> {
    /// The runner's function has few variables.
    const MOST_VARIABLES: usize = 64;
    let names = reader.pointer(code.0, reader.offsets.code.localsplusnames)?;
    let count = reader.tuple(names)?.count().min(MOST_VARIABLES) as u32;
    let first = reader.offsets.frame.localsplus;
    let codes = (0..count).filter_map(|i| reader.code(frame, first + 4 * i));
    Some(codes.collect())
}
