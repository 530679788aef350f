//! Texts of the session's earlier turns, which the runner stores as a tuple of file names and texts.

use crate::remote_traceback::objects::CodeObject;
use crate::remote_traceback::reader::Reader;

/// Variable of the runner's function that refers to the tuple.
const VARIABLE: &str = "source_texts";
/// Variable of the runner's function with the file name of the running turn.
const TURN_NAME: &str = "name";
/// Maximum number of items of the tuple. The runner stores at most 1000 texts.
const MAX_ITEMS: usize = 4000;
/// Maximum number of variables of the runner's function. It has few.
const MAX_VARIABLES: usize = 64;

/// File names and texts, as addresses of strings.
#[derive(Debug, Default)]
pub(super) struct SourceTexts {
    items: Vec<(String, u32)>,
}

impl SourceTexts {
    /// Finds the texts in the frame at the address `frame` of the runner, which runs `code`. The text of the running
    /// turn is omitted if `of_turn` is false: code that `exec` compiles can use its file name.
    pub(super) fn find(
        reader: &Reader,
        frame: u32,
        code: CodeObject,
        of_turn: bool,
    ) -> Option<Self> {
        let turn = (variable(reader, frame, code, TURN_NAME))
            .filter(|_| !of_turn)
            .and_then(|at| reader.str(at));
        let items: Vec<u32> = reader
            .tuple(variable(reader, frame, code, VARIABLE)?)?
            .take(MAX_ITEMS)
            .collect();
        let items = (items.as_chunks::<2>().0.iter())
            .filter_map(|[name, text]| Some((reader.str(*name)?, *text)))
            .filter(|(name, _)| Some(name) != turn.as_ref())
            .collect();
        Some(Self { items })
    }

    /// Returns the text of `file`. A name that has been used several times has the newest text.
    pub(super) fn get(&self, reader: &Reader, file: &str) -> Option<String> {
        let (_, text) = self.items.iter().rev().find(|(name, _)| name == file)?;
        reader.text(*text)
    }
}

/// Returns the address of the object that the local variable `name` refers to.
fn variable(reader: &Reader, frame: u32, code: CodeObject, name: &str) -> Option<u32> {
    let names = reader.pointer(code.0, reader.offsets.code.localsplusnames)?;
    let index = (reader.tuple(names)?.take(MAX_VARIABLES))
        .position(|at| reader.str(at).as_deref() == Some(name))?;
    let offset = 4 * u32::try_from(index).ok()?;
    reader.local(frame, reader.offsets.frame.localsplus.checked_add(offset)?)
}
