//! The location table of a code object: from an instruction to its line.
//!
//! The format is that of CPython 3.11 and later (`InternalDocs/code_objects.md`): entries in the
//! order of the instructions, each a byte `1 code:4 length-1:3` and what `code` asks for.

/// What the table says of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Line(u32),
    /// Of no line: CPython made it for a purpose of its own.
    None,
}

/// Where the instruction is that begins `unit` units behind the first. `None`: the table does not
/// reach so far, or is none.
pub(super) fn place(table: &[u8], first_line: u32, unit: u32) -> Option<Place> {
    let mut entries = Entries::new(table, first_line);
    loop {
        let (place, end) = entries.next()?;
        if unit < end {
            return Some(place);
        }
    }
}

/// Whether nothing up to that instruction is of a line: it prepares the frame. Only the beginning of
/// `table` is needed.
pub(super) fn is_prologue(table: &[u8], first_line: u32, unit: u32) -> Option<bool> {
    let mut entries = Entries::new(table, first_line);
    loop {
        let (place, end) = entries.next()?;
        if place != Place::None {
            return Some(false);
        }
        if unit < end {
            return Some(true);
        }
    }
}

struct Entries<'a> {
    bytes: Bytes<'a>,
    line: i64,
    end: u32,
}

impl<'a> Entries<'a> {
    fn new(table: &'a [u8], first_line: u32) -> Self {
        Self {
            bytes: Bytes(table),
            line: first_line.into(),
            end: 0,
        }
    }

    /// The next entry's place, and the unit behind it.
    fn next(&mut self) -> Option<(Place, u32)> {
        let Self { bytes, line, end } = self;
        let head = bytes.next()?;
        if head & 0x80 == 0 {
            return None;
        }
        let has_line = match head >> 3 & 0xF {
            15 => false,
            14 => {
                *line += bytes.signed()?;
                for _ in 0..3 {
                    bytes.varint()?;
                }
                true
            }
            13 => {
                *line += bytes.signed()?;
                true
            }
            code @ 10..=12 => {
                *line += i64::from(code - 10);
                bytes.skip(2)?;
                true
            }
            _ => {
                bytes.skip(1)?;
                true
            }
        };
        // A module's first instruction has line 0.
        let here = u32::try_from(*line).ok().filter(|l| has_line && *l > 0);
        *end += u32::from(head & 7) + 1;
        Some((here.map_or(Place::None, Place::Line), *end))
    }
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        // Their highest bit may be set: columns are whole bytes.
        self.0 = self.0.get(count..)?;
        Some(())
    }

    /// Six bits a byte, lowest first; 0x40 says that more follow.
    fn varint(&mut self) -> Option<u32> {
        let mut value = 0;
        for shift in (0..32).step_by(6) {
            let byte = self.next()?;
            if byte & 0x80 != 0 {
                return None;
            }
            let bits = u32::from(byte & 0x3F);
            value |= bits.checked_shl(shift).filter(|v| v >> shift == bits)?;
            if byte & 0x40 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// The sign is in the lowest bit.
    fn signed(&mut self) -> Option<i64> {
        let value = self.varint()?;
        let size = i64::from(value >> 1);
        Some(if value & 1 == 0 { size } else { -size })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_of_each_kind_are_read() {
        // 2 units on line 10; 1 unit two lines on; 3 units of no line; 1 unit three lines back.
        let table = [
            0x80 | 13 << 3 | 1,
            0,
            0x80 | 12 << 3,
            0,
            0,
            0x80 | 15 << 3 | 2,
            0x80 | 13 << 3,
            7,
        ];
        let told: Vec<_> = (0..8).map(|unit| place(&table, 10, unit)).collect();
        let line = |n| Some(Place::Line(n));
        let none = Some(Place::None);
        assert_eq!(
            told,
            [
                line(10),
                line(10),
                line(12),
                none,
                none,
                none,
                line(9),
                None
            ]
        );
    }

    proptest! {
        #[test]
        fn a_forged_table_ends(table in prop::collection::vec(any::<u8>(), 0..400), first: u32, unit: u32) {
            let _ = place(&table, first, unit);
            let _ = is_prologue(&table, first, unit);
        }
    }
}
