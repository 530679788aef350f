//! Strings, bytes, tuples and code objects in memory.

use crate::remote_traceback::reader::Reader;

/// Maximum length of a name, in bytes.
const MAX_NAME_BYTES: usize = 500;
/// Maximum length of the text of a turn, in bytes. The end of a longer one is ignored.
const MAX_TEXT_BYTES: usize = 16 << 20;
/// Maximum length of a location table, in bytes. It is enough for a function with millions of instructions.
const MAX_TABLE_BYTES: u32 = 8 << 20;
/// Tag bits of a `_PyStackRef`.
const TAGS: u32 = 3;

/// Address of a code object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CodeObject(pub(super) u32);

impl<'a> Reader<'a> {
    /// Returns true if the object at `at` has exactly the built-in type `name`, not a subclass.
    pub(super) fn has_type(&self, at: u32, name: &str) -> Option<bool> {
        let class = self.pointer(at, self.offsets.object_type)?;
        let address = self.pointer(class, self.offsets.type_name)?;
        let bytes = self.bytes(address, 0, name.len() + 1)?;
        Some(bytes.strip_prefix(name.as_bytes()) == Some(&[0]))
    }

    /// Returns `at` if the object there has the type `name`.
    fn of_type(&self, at: u32, name: &str) -> Option<u32> {
        self.has_type(at, name)?.then_some(at)
    }

    /// Returns the code object that the field at `offset` of `at` refers to.
    pub(super) fn code(&self, at: u32, offset: u32) -> Option<CodeObject> {
        let at = self.u32(at, offset)? & !TAGS;
        Some(CodeObject(self.of_type(at, "code")?))
    }

    /// Returns the name of the file that `code` was compiled from.
    pub(super) fn filename(&self, code: CodeObject) -> Option<String> {
        self.str(self.pointer(code.0, self.offsets.code.filename)?)
    }

    /// Returns the name of the function.
    pub(super) fn name(&self, code: CodeObject) -> Option<String> {
        self.str(self.pointer(code.0, self.offsets.code.name)?)
    }

    /// Returns true if the file name of `code` starts with `prefix`, which is ASCII.
    pub(super) fn filename_starts_with(&self, code: CodeObject, prefix: &str) -> Option<bool> {
        let at = self.of_type(self.pointer(code.0, self.offsets.code.filename)?, "str")?;
        let (kind, data) = self.str_data(at)?;
        if kind != 1 || (self.str_length(at)? as usize) < prefix.len() {
            return Some(false);
        }
        Some(self.bytes(at, data, prefix.len())? == prefix.as_bytes())
    }

    /// Returns the location table of `code`, or its first `max` bytes.
    pub(super) fn linetable(&self, code: CodeObject, max: Option<usize>) -> Option<&'a [u8]> {
        let at = self.of_type(self.pointer(code.0, self.offsets.code.linetable)?, "bytes")?;
        let len = self.u32(at, self.offsets.bytes.size)?;
        let len = (len <= MAX_TABLE_BYTES).then_some(len as usize)?;
        let read = max.map_or(len, |max| max.min(len));
        self.bytes(at, self.offsets.bytes.content, read)
    }

    /// Returns the addresses of the items of the tuple at `at`.
    pub(super) fn tuple(&self, at: u32) -> Option<impl Iterator<Item = u32> + use<'a>> {
        let at = self.of_type(at, "tuple")?;
        let len = self.u32(at, self.offsets.tuple.size)? as usize;
        let items = self.bytes(at, self.offsets.tuple.content, len.checked_mul(4)?)?;
        Some(
            items
                .as_chunks::<4>()
                .0
                .iter()
                .map(|i| u32::from_le_bytes(*i)),
        )
    }

    /// Returns the bytes per character of a string, and the offset of the first one. `None` for strings whose
    /// characters do not follow their header, which only subclasses have.
    fn str_data(&self, at: u32) -> Option<(usize, u32)> {
        let layout = &self.offsets.str;
        let state = self.u8(at, layout.state)?;
        let (kind, compact, ascii) = (state >> 2 & 7, state >> 5 & 1, state >> 6 & 1);
        match (kind, compact, ascii) {
            (1, 1, 1) => Some((1, layout.ascii)),
            (1 | 2 | 4, 1, 0) => Some((kind.into(), layout.other)),
            _ => None,
        }
    }

    fn str_length(&self, at: u32) -> Option<u32> {
        self.u32(at, self.offsets.str.length)
    }

    /// Returns the string at `at`, truncated to [`MAX_NAME_BYTES`]. A lone surrogate is replaced by U+FFFD.
    pub(super) fn str(&self, at: u32) -> Option<String> {
        self.str_up_to(at, MAX_NAME_BYTES)
    }

    /// Returns the string at `at`, truncated to [`MAX_TEXT_BYTES`]. Charges its length as work.
    pub(super) fn text(&self, at: u32) -> Option<String> {
        let text = self.str_up_to(at, MAX_TEXT_BYTES)?;
        self.charge(text.len() / 4)?;
        Some(text)
    }

    fn str_up_to(&self, at: u32, max_bytes: usize) -> Option<String> {
        let at = self.of_type(at, "str")?;
        let (kind, data) = self.str_data(at)?;
        let len = (self.str_length(at)? as usize).min(max_bytes);
        let bytes = self.bytes(at, data, len * kind)?;
        let mut text = String::new();
        for unit in bytes.chunks_exact(kind) {
            let value = (unit.iter().rev()).fold(0, |value, byte| value << 8 | u32::from(*byte));
            let c = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
            if text.len() + c.len_utf8() > max_bytes {
                break;
            }
            text.push(c);
        }
        Some(text)
    }

    /// Returns the address of the object that the local variable at `offset` of `frame` refers to.
    pub(super) fn local(&self, frame: u32, offset: u32) -> Option<u32> {
        Some(self.u32(frame, offset)? & !TAGS).filter(|at| *at != 0)
    }
}
