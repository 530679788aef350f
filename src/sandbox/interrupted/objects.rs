//! Strings, bytes, tuples and code objects, as they lie in memory.

use super::reader::Reader;

/// The longest name, in bytes.
const LONGEST_NAME: usize = 500;
/// The largest table of lines, in bytes: that of a function of some million instructions.
const LARGEST_TABLE: u32 = 8 << 20;
/// `_PyStackRef` marks references in the two lowest bits.
const TAGS: u32 = 3;

/// A code object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(pub(super) u32);

impl<'a> Reader<'a> {
    /// Whether the object at `at` is of the built-in type `name`, which no subclass is.
    pub(super) fn is(&self, at: u32, name: &str) -> Option<bool> {
        let class = self.pointer(at, self.offsets.object_type)?;
        let address = self.pointer(class, self.offsets.type_name)?;
        let bytes = self.bytes(address, 0, name.len() + 1)?;
        Some(bytes.strip_prefix(name.as_bytes()) == Some(&[0]))
    }

    fn of_type(&self, at: u32, name: &str) -> Option<u32> {
        self.is(at, name)?.then_some(at)
    }

    /// The reference at `offset` of `at`, to a code object.
    pub(super) fn code(&self, at: u32, offset: u32) -> Option<Code> {
        let at = self.u32(at, offset)? & !TAGS;
        Some(Code(self.of_type(at, "code")?))
    }

    pub(super) fn filename(&self, code: Code) -> Option<String> {
        self.str(self.pointer(code.0, self.offsets.code.filename)?)
    }

    pub(super) fn name(&self, code: Code) -> Option<String> {
        self.str(self.pointer(code.0, self.offsets.code.name)?)
    }

    /// Whether the code's file name begins with `prefix`, which is ASCII.
    pub(super) fn filename_begins(&self, code: Code, prefix: &str) -> Option<bool> {
        let at = self.of_type(self.pointer(code.0, self.offsets.code.filename)?, "str")?;
        let (kind, data) = self.str_data(at)?;
        if kind != 1 || (self.str_length(at)? as usize) < prefix.len() {
            return Some(false);
        }
        Some(self.bytes(at, data, prefix.len())? == prefix.as_bytes())
    }

    /// The first `most` bytes of the code's table of lines, or all of it.
    pub(super) fn linetable(&self, code: Code, most: Option<usize>) -> Option<&'a [u8]> {
        let at = self.of_type(self.pointer(code.0, self.offsets.code.linetable)?, "bytes")?;
        let len = self.u32(at, self.offsets.bytes.size)?;
        let len = (len <= LARGEST_TABLE).then_some(len as usize)?;
        let read = most.map_or(len, |most| most.min(len));
        self.bytes(at, self.offsets.bytes.content, read)
    }

    /// The addresses that the tuple at `at` holds.
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

    /// Bytes of each character, and where they begin. Only strings whose characters follow their
    /// header: all but those of subclasses.
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

    /// The string at `at`, cut to [`LONGEST_NAME`]; what is no character (a lone surrogate) is
    /// U+FFFD.
    fn str(&self, at: u32) -> Option<String> {
        let at = self.of_type(at, "str")?;
        let (kind, data) = self.str_data(at)?;
        let len = (self.str_length(at)? as usize).min(LONGEST_NAME);
        let bytes = self.bytes(at, data, len * kind)?;
        let mut text = String::new();
        for unit in bytes.chunks_exact(kind) {
            let value = (unit.iter().rev()).fold(0, |value, byte| value << 8 | u32::from(*byte));
            let c = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
            if text.len() + c.len_utf8() > LONGEST_NAME {
                break;
            }
            text.push(c);
        }
        Some(text)
    }
}
