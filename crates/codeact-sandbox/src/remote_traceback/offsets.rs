//! `_Py_DebugOffsets` of CPython 3.15: the offsets of the fields that a debugger reads.
//!
//! The table is the first member of `_PyRuntime` (PEP 768). It starts with a cookie and `PY_VERSION_HEX`. The other
//! entries are 64-bit numbers, grouped by structure, the size first. Their order is fixed only within a minor release,
//! so all versions other than 3.15 are refused.

/// `_Py_Debug_Cookie`.
const COOKIE: &[u8; 8] = b"xdebugpy";
/// Alignment of the table, which consists of 64-bit numbers.
const ALIGN: usize = 8;
/// CPython 3.15, as the upper half of `PY_VERSION_HEX`.
const MINOR_RELEASE: u64 = 0x030F;
/// `PY_RELEASE_LEVEL_FINAL`, the second-last digit of `PY_VERSION_HEX`. The table still changes between pre-releases.
const FINAL: u64 = 0xF;

/// Indexes of the table's entries. The cookie has index 0.
mod entry {
    pub(super) const VERSION: usize = 1;
    pub(super) const FREE_THREADED: usize = 2;
    pub(super) const RUNTIME_INTERPRETERS_HEAD: usize = 5;
    pub(super) const INTERPRETER_ID: usize = 7;
    pub(super) const INTERPRETER_NEXT: usize = 8;
    pub(super) const INTERPRETER_THREADS_HEAD: usize = 9;
    pub(super) const THREAD_NEXT: usize = 24;
    pub(super) const THREAD_CURRENT_FRAME: usize = 26;
    pub(super) const FRAME_SIZE: usize = 39;
    pub(super) const FRAME_PREVIOUS: usize = 40;
    pub(super) const FRAME_EXECUTABLE: usize = 41;
    pub(super) const FRAME_INSTR_PTR: usize = 42;
    pub(super) const FRAME_LOCALSPLUS: usize = 43;
    pub(super) const FRAME_OWNER: usize = 44;
    pub(super) const CODE_SIZE: usize = 47;
    pub(super) const CODE_FILENAME: usize = 48;
    pub(super) const CODE_NAME: usize = 49;
    pub(super) const CODE_LINETABLE: usize = 51;
    pub(super) const CODE_FIRSTLINENO: usize = 52;
    pub(super) const CODE_LOCALSPLUSNAMES: usize = 54;
    pub(super) const CODE_ADAPTIVE: usize = 56;
    pub(super) const OBJECT_TYPE: usize = 59;
    pub(super) const TYPE_NAME: usize = 61;
    pub(super) const TUPLE_ITEM: usize = 69;
    pub(super) const TUPLE_SIZE: usize = 70;
    pub(super) const BYTES_SIZE: usize = 87;
    pub(super) const BYTES_DATA: usize = 88;
    pub(super) const STR_STATE: usize = 90;
    pub(super) const STR_LENGTH: usize = 91;
    pub(super) const STR_ASCII_DATA: usize = 92;
    pub(super) const STR_OTHER_DATA: usize = 93;
    /// Number of entries.
    pub(super) const COUNT: usize = 111;
}

/// Offsets of the fields that are read, in bytes from the start of their structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offsets {
    /// Address of `_PyRuntime`.
    pub(super) runtime: u32,
    pub(super) interpreters_head: u32,
    pub(super) interpreter: InterpreterOffsets,
    pub(super) thread: ThreadOffsets,
    pub(super) frame: FrameOffsets,
    pub(super) code: CodeOffsets,
    pub(super) object_type: u32,
    pub(super) type_name: u32,
    pub(super) tuple: SizedOffsets,
    pub(super) bytes: SizedOffsets,
    pub(super) str: StrOffsets,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InterpreterOffsets {
    pub(super) id: u32,
    pub(super) next: u32,
    pub(super) threads_head: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ThreadOffsets {
    pub(super) next: u32,
    pub(super) current_frame: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FrameOffsets {
    pub(super) previous: u32,
    pub(super) executable: u32,
    pub(super) instr_ptr: u32,
    pub(super) localsplus: u32,
    pub(super) owner: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CodeOffsets {
    /// Number of two-byte code units of the instructions.
    pub(super) units: u32,
    pub(super) consts: u32,
    pub(super) filename: u32,
    pub(super) name: u32,
    pub(super) linetable: u32,
    pub(super) firstlineno: u32,
    pub(super) localsplusnames: u32,
    pub(super) instructions: u32,
}

/// An object with a length and inline content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SizedOffsets {
    pub(super) size: u32,
    pub(super) content: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StrOffsets {
    pub(super) state: u32,
    pub(super) length: u32,
    pub(super) ascii: u32,
    pub(super) other: u32,
}

impl Offsets {
    /// Finds and reads the table in `image`, the memory of an interpreter that has run the runner only. `None` if it
    /// has no table of a known version.
    pub(crate) fn find(image: &[u8]) -> Option<Self> {
        let words = image.as_chunks::<ALIGN>().0;
        // The data of code that compares the cookie can contain it as well, so a complete table is required.
        (words.iter().enumerate())
            .filter(|(_, word)| *word == COOKIE)
            .find_map(|(at, _)| Self::read(image, at * ALIGN))
    }

    /// Reads the table at the address `at`.
    fn read(image: &[u8], at: usize) -> Option<Self> {
        let table = image.get(at..)?.get(..entry::COUNT * 8)?;
        let word = |entry: usize| {
            let bytes = table.as_chunks::<8>().0.get(entry)?;
            Some(u64::from_le_bytes(*bytes))
        };
        let version = word(entry::VERSION)?;
        let known = version >> 16 == MINOR_RELEASE && version >> 4 & 0xF == FINAL;
        if !known || word(entry::FREE_THREADED)? != 0 {
            return None;
        }
        // No structure is larger than a few hundred kilobytes; no offset can then overflow.
        let offset = |entry| u32::try_from(word(entry)?).ok().filter(|o| *o < 1 << 20);
        // An object starts with its reference count, its type and, if it has one, its size.
        let size = offset(entry::BYTES_SIZE)?;
        let found = Self {
            runtime: u32::try_from(at).ok()?,
            interpreters_head: offset(entry::RUNTIME_INTERPRETERS_HEAD)?,
            interpreter: InterpreterOffsets {
                id: offset(entry::INTERPRETER_ID)?,
                next: offset(entry::INTERPRETER_NEXT)?,
                threads_head: offset(entry::INTERPRETER_THREADS_HEAD)?,
            },
            thread: ThreadOffsets {
                next: offset(entry::THREAD_NEXT)?,
                current_frame: offset(entry::THREAD_CURRENT_FRAME)?,
            },
            frame: FrameOffsets {
                previous: offset(entry::FRAME_PREVIOUS)?,
                executable: offset(entry::FRAME_EXECUTABLE)?,
                instr_ptr: offset(entry::FRAME_INSTR_PTR)?,
                localsplus: offset(entry::FRAME_LOCALSPLUS)?,
                owner: offset(entry::FRAME_OWNER)?,
            },
            code: CodeOffsets {
                units: size,
                // Not in the table. It is the first field after the header since 3.11, and the object there is
                // checked to be a tuple.
                consts: size + 4,
                filename: offset(entry::CODE_FILENAME)?,
                name: offset(entry::CODE_NAME)?,
                linetable: offset(entry::CODE_LINETABLE)?,
                firstlineno: offset(entry::CODE_FIRSTLINENO)?,
                localsplusnames: offset(entry::CODE_LOCALSPLUSNAMES)?,
                instructions: offset(entry::CODE_ADAPTIVE)?,
            },
            object_type: offset(entry::OBJECT_TYPE)?,
            type_name: offset(entry::TYPE_NAME)?,
            tuple: SizedOffsets {
                size: offset(entry::TUPLE_SIZE)?,
                content: offset(entry::TUPLE_ITEM)?,
            },
            bytes: SizedOffsets {
                size,
                content: offset(entry::BYTES_DATA)?,
            },
            str: StrOffsets {
                state: offset(entry::STR_STATE)?,
                length: offset(entry::STR_LENGTH)?,
                ascii: offset(entry::STR_ASCII_DATA)?,
                other: offset(entry::STR_OTHER_DATA)?,
            },
        };
        let fits = found.fits(offset(entry::FRAME_SIZE)?, offset(entry::CODE_SIZE)?);
        fits.then_some(found)
    }

    /// Checks relations that hold in all 32-bit builds of 3.15. A table with another order does not satisfy them.
    fn fits(&self, frame_size: u32, code_size: u32) -> bool {
        let (frame, code) = (&self.frame, &self.code);
        frame.executable == 0
            && frame.previous == 4
            && frame.instr_ptr < frame.owner
            && frame.owner < frame.localsplus
            && frame.localsplus + 4 == frame_size
            && code.name == code.filename + 4
            && code.filename > code.localsplusnames
            && code.linetable > code.name
            && code.firstlineno < code.localsplusnames
            && code.instructions > code.linetable
            && code.instructions + 4 == code_size
            && self.object_type == 4
            && self.tuple.size == self.bytes.size
            && self.bytes.size == 8
            && self.str.length == 8
            && self.str.length < self.str.state
            && self.str.state < self.str.ascii
            && self.str.ascii + 8 == self.str.other
    }
}
