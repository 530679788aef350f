//! Location table of a code object: maps an instruction to its line.
//!
//! Source: `InternalDocs/code_objects.md` of CPython 3.11 and later. The entries are in the order of the instructions.
//! Each is a byte `1 code:4 length-1:3`, followed by data that depends on `code`.

/// Location of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Location {
    Line(u32),
    /// The compiler generated the instruction; it belongs to no line.
    NoLine,
}

/// Returns the location of the instruction at the code unit `unit`. `None` if the table is too short or invalid.
pub(super) fn location(table: &[u8], first_line: u32, unit: u32) -> Option<Location> {
    let mut entries = Entries::new(table, first_line);
    loop {
        let (location, end) = entries.next()?;
        if unit < end {
            return Some(location);
        }
    }
}

/// Returns true if no instruction up to `unit` belongs to a line. Then the frame is still being prepared. `table` may
/// be truncated.
pub(super) fn is_prologue(table: &[u8], first_line: u32, unit: u32) -> Option<bool> {
    let mut entries = Entries::new(table, first_line);
    loop {
        let (location, end) = entries.next()?;
        if location != Location::NoLine {
            return Some(false);
        }
        if unit < end {
            return Some(true);
        }
    }
}

/// Reads the entries one after another.
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

    /// Returns the location of the next entry, and the code unit after it.
    fn next(&mut self) -> Option<(Location, u32)> {
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
        let line = u32::try_from(*line).ok().filter(|l| has_line && *l > 0);
        *end += u32::from(head & 7) + 1;
        Some((line.map_or(Location::NoLine, Location::Line), *end))
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
        // Columns are whole bytes, so their highest bit may be set.
        self.0 = self.0.get(count..)?;
        Some(())
    }

    /// Reads a variable-length integer: six bits per byte, lowest first; 0x40 is set if more bytes follow.
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

    /// Reads a variable-length integer with its sign in the lowest bit.
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
        // 2 units in line 10; 1 unit two lines later; 3 units without a line; 1 unit three lines before.
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
        let found: Vec<_> = (0..8).map(|unit| location(&table, 10, unit)).collect();
        let line = |n| Some(Location::Line(n));
        let none = Some(Location::NoLine);
        assert_eq!(
            found,
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
        fn a_forged_table_does_not_panic(table in prop::collection::vec(any::<u8>(), 0..400), first: u32, unit: u32) {
            let _ = location(&table, first, unit);
            let _ = is_prologue(&table, first, unit);
        }
    }
}
