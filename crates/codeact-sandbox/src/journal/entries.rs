//! The entries of a journal as compressed bytes, in memory and in files.
//!
//! Security boundary: a journal in a file is untrusted. It is unpacked entry by entry while its turn runs, so its
//! unpacked size is never in memory, and it is limited.
//!
//! The format is a zstd stream of items. An item begins with an integer in LEB128, whose two lowest bits are its kind:
//!
//! | kind | other bits | content |
//! |---|---|---|
//! | 0 | length in bytes | [`Entry`] as JSON |
//! | 1, 2 | number of equal readings, minus one | difference to the last reading of the wall or the monotonic clock, as LEB128 in zigzag form |
//!
//! A loop that reads a clock therefore takes a few bytes for each step of the clock, not for each reading.

use std::fmt;
use std::io::{self, BufReader, Cursor, Read, Write};
use std::sync::Arc;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::journal::entry::{Call, Entry};

/// Limit of the entries of one turn, in bytes before compression.
pub(crate) const MAX_BYTES: u64 = 512 << 20;
/// Limit of the entries of one turn, in bytes after compression. They are in memory while the turn runs.
pub(crate) const MAX_PACKED_BYTES: usize = 256 << 20;
/// Compression level of zstd. It is low because the turn waits for it.
const LEVEL: i32 = 1;
/// First bytes of a zstd stream.
const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Bytes that are collected before they are compressed.
const BUFFER_BYTES: usize = 64 << 10;

/// Kind of an item with an [`Entry`].
const ENTRY: u64 = 0;
/// Bits of the kind.
const KIND_BITS: u32 = 2;

/// One nondeterministic input of a turn.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// A reading of a clock, in nanoseconds.
    Reading(Clock, u64),
    Entry(Entry),
}

/// A clock whose readings are stored as differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    Realtime,
    Monotonic,
}

impl Clock {
    fn of(call: &Call) -> Option<Self> {
        match call {
            Call::Realtime => Some(Self::Realtime),
            Call::Monotonic => Some(Self::Monotonic),
            _ => None,
        }
    }

    fn kind(self) -> u64 {
        match self {
            Self::Realtime => 1,
            Self::Monotonic => 2,
        }
    }
}

impl Item {
    /// Returns the item; `None` if `answer` cannot be serialised.
    pub(crate) fn new(call: Call, answer: &impl Serialize) -> Option<Self> {
        match Clock::of(&call) {
            Some(clock) => {
                let reading = serde_json::to_value(answer).ok()?.as_u64()?;
                Some(Self::Reading(clock, reading))
            }
            None => Entry::new(call, answer).map(Self::Entry),
        }
    }

    pub(crate) fn call(&self) -> &Call {
        match self {
            Self::Reading(Clock::Realtime, _) => &Call::Realtime,
            Self::Reading(Clock::Monotonic, _) => &Call::Monotonic,
            Self::Entry(entry) => &entry.call,
        }
    }

    /// Returns the answer.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not a `T`.
    pub(crate) fn answer<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        match self {
            Self::Reading(_, reading) => T::deserialize(serde_json::Value::from(*reading)),
            Self::Entry(entry) => serde_json::from_str(entry.answer.get()),
        }
    }
}

/// The entries of a journal. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Entries(Arc<[u8]>);

impl Entries {
    /// Returns a reader of the items.
    pub(crate) fn reader(&self) -> Reader {
        Reader::new(self.0.clone())
    }

    /// Returns the entries with another one after them. `None` if `answer` cannot be serialised.
    pub(crate) fn with(&self, call: Call, answer: &impl Serialize) -> Option<Self> {
        let mut last = Writer::default();
        last.push(&Item::Entry(Entry::new(call, answer)?));
        // Streams of zstd can be concatenated, and an entry has no difference to an earlier item.
        let bytes = [&*self.0, &*last.finish()?.0].concat();
        Some(Self(bytes.into()))
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entries({} bytes)", self.0.len())
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&Base64Display::new(&self.0, &STANDARD))
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let text = String::deserialize(from)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        if bytes.len() > MAX_PACKED_BYTES {
            return Err(D::Error::custom(format!(
                "the journal of a turn has more than {} MiB",
                MAX_PACKED_BYTES >> 20
            )));
        }
        if !bytes.is_empty() && !bytes.starts_with(&MAGIC) {
            return Err(D::Error::custom("the journal is not compressed data"));
        }
        Ok(Self(bytes.into()))
    }
}

/// Compresses items as they are added.
#[derive(Default)]
pub(crate) struct Writer {
    /// Made when the buffer is first full.
    packed: Option<zstd::Encoder<'static, Vec<u8>>>,
    buffer: Vec<u8>,
    /// Bytes so far, before compression.
    bytes: u64,
    /// The last reading, and how often it was read without another item in between.
    run: Option<(Clock, u64, u64)>,
    /// The last reading of each clock before `run`.
    last: [u64; 2],
    /// True if a limit was exceeded. Then nothing is stored.
    is_full: bool,
}

impl Writer {
    /// Adds an item, unless a limit is exceeded.
    pub(crate) fn push(&mut self, item: &Item) {
        match (item, &mut self.run) {
            (Item::Reading(clock, reading), Some((last_clock, last, count)))
                if clock == last_clock && reading == last =>
            {
                *count += 1;
                return;
            }
            _ => self.end_run(),
        }
        match item {
            Item::Reading(clock, reading) => self.run = Some((*clock, *reading, 1)),
            Item::Entry(entry) => match serde_json::to_vec(entry) {
                Ok(json) => {
                    self.integer((json.len() as u64) << KIND_BITS | ENTRY);
                    self.write(&json);
                }
                // Cannot happen, because entries are plain data. If it does, the journal is not complete.
                Err(_) => self.give_up(),
            },
        }
    }

    /// Returns true if a limit was exceeded.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Returns the entries; `None` if a limit was exceeded.
    pub(crate) fn finish(mut self) -> Option<Entries> {
        self.end_run();
        if self.bytes == 0 && !self.is_full {
            return Some(Entries::default());
        }
        self.compress();
        let packed = self.packed.take()?.finish().ok()?;
        (packed.len() <= MAX_PACKED_BYTES).then(|| Entries(packed.into()))
    }

    fn end_run(&mut self) {
        let Some((clock, reading, count)) = self.run.take() else {
            return;
        };
        self.integer((count - 1) << KIND_BITS | clock.kind());
        let last = &mut self.last[clock as usize];
        let difference = reading.wrapping_sub(*last) as i64;
        *last = reading;
        self.integer(((difference << 1) ^ (difference >> 63)) as u64);
    }

    /// Writes `value` in LEB128.
    fn integer(&mut self, mut value: u64) {
        let mut bytes = [0; 10];
        let mut len = 0;
        loop {
            let more = value >= 0x80;
            bytes[len] = (value as u8 & 0x7F) | u8::from(more) << 7;
            (value, len) = (value >> 7, len + 1);
            if !more {
                break;
            }
        }
        self.write(&bytes[..len]);
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.is_full {
            return;
        }
        self.bytes += bytes.len() as u64;
        if self.bytes > MAX_BYTES {
            return self.give_up();
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.compress();
        }
    }

    /// Compresses the buffer.
    fn compress(&mut self) {
        if self.is_full {
            return;
        }
        let packed = match self.packed.take() {
            Some(packed) => Ok(packed),
            None => zstd::Encoder::new(Vec::new(), LEVEL),
        };
        let packed = packed.and_then(|mut packed| {
            packed.write_all(&self.buffer)?;
            Ok(packed)
        });
        self.buffer.clear();
        match packed {
            Ok(packed) if packed.get_ref().len() <= MAX_PACKED_BYTES => self.packed = Some(packed),
            _ => self.give_up(),
        }
    }

    /// Frees the memory of a journal that is not complete.
    pub(crate) fn give_up(&mut self) {
        *self = Self {
            is_full: true,
            ..Self::default()
        };
    }
}

/// Unpacks items one by one.
pub(crate) struct Reader {
    /// `None` if the entries are empty, or not compressed data.
    from: Option<BufReader<io::Take<Unpacked>>>,
    /// A reading that is returned this many times more.
    run: Option<(Clock, u64, u64)>,
    /// The last reading of each clock.
    last: [u64; 2],
    peeked: Option<Item>,
}

type Unpacked = zstd::Decoder<'static, Cursor<Arc<[u8]>>>;

impl Reader {
    fn new(packed: Arc<[u8]>) -> Self {
        // Only an allocation can fail here.
        let from = (!packed.is_empty())
            .then(|| zstd::Decoder::with_buffer(Cursor::new(packed)).ok())
            .flatten();
        Self {
            from: from.map(|from| BufReader::new(from.take(MAX_BYTES + 1))),
            run: None,
            last: [0; 2],
            peeked: None,
        }
    }

    /// Returns the last reading of the monotonic clock so far, in nanoseconds; 0 if there is none.
    pub(crate) fn last_monotonic(&self) -> u64 {
        self.last[Clock::Monotonic as usize]
    }

    /// Returns the next item, which [`Reader::next`] returns again. `None` at the end.
    ///
    /// # Errors
    ///
    /// Returns an error if the bytes are damaged.
    pub(crate) fn peek(&mut self) -> io::Result<Option<&Item>> {
        if self.peeked.is_none() {
            self.peeked = self.read()?;
        }
        Ok(self.peeked.as_ref())
    }

    /// Returns the next item; `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`Reader::peek`].
    pub(crate) fn next(&mut self) -> io::Result<Option<Item>> {
        match self.peeked.take() {
            Some(item) => Ok(Some(item)),
            None => self.read(),
        }
    }

    fn read(&mut self) -> io::Result<Option<Item>> {
        if let Some((clock, reading, left)) = &mut self.run {
            let item = Item::Reading(*clock, *reading);
            *left -= 1;
            if *left == 0 {
                self.run = None;
            }
            return Ok(Some(item));
        }
        let Some(head) = self.integer()? else {
            return Ok(None);
        };
        let rest = head >> KIND_BITS;
        let clock = match head & ((1 << KIND_BITS) - 1) {
            ENTRY => return self.entry(rest).map(Some),
            1 => Clock::Realtime,
            2 => Clock::Monotonic,
            _ => return Err(damaged("an entry has an unknown kind")),
        };
        let difference = self.integer()?.ok_or_else(truncated)?;
        let difference = (difference >> 1) as i64 ^ -((difference & 1) as i64);
        let last = &mut self.last[clock as usize];
        *last = last.wrapping_add_signed(difference);
        let reading = *last;
        self.run = (rest > 0).then_some((clock, reading, rest));
        Ok(Some(Item::Reading(clock, reading)))
    }

    fn entry(&mut self, len: u64) -> io::Result<Item> {
        let mut json = Vec::new();
        let from = self.from.as_mut().ok_or_else(truncated)?;
        // The reader is limited, so a length that is too large allocates no more than the limit.
        from.take(len).read_to_end(&mut json)?;
        if json.len() as u64 != len {
            return Err(truncated());
        }
        let entry: Entry = serde_json::from_slice(&json)?;
        Ok(Item::Entry(entry))
    }

    /// Reads an integer in LEB128; `None` at the end.
    fn integer(&mut self) -> io::Result<Option<u64>> {
        let Some(from) = &mut self.from else {
            return Ok(None);
        };
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let mut byte = [0];
            match from.read(&mut byte)? {
                0 if shift == 0 && from.get_ref().limit() == 0 => {
                    return Err(damaged("the journal of a turn is too large"));
                }
                0 if shift == 0 => return Ok(None),
                0 => return Err(truncated()),
                _ => value |= u64::from(byte[0] & 0x7F) << shift,
            }
            if byte[0] < 0x80 {
                return Ok(Some(value));
            }
        }
        Err(damaged("an integer is too long"))
    }
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

fn truncated() -> io::Error {
    damaged("the journal is truncated")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(items: &[Item]) -> Entries {
        let mut writer = Writer::default();
        for item in items {
            writer.push(item);
        }
        writer.finish().expect("below the limits")
    }

    fn all(entries: &Entries) -> Vec<Item> {
        let mut reader = entries.reader();
        std::iter::from_fn(|| reader.next().expect("valid")).collect()
    }

    fn shown(items: &[Item]) -> Vec<String> {
        items.iter().map(|item| format!("{item:?}")).collect()
    }

    fn item() -> impl Strategy<Value = Item> {
        let clock = prop_oneof![Just(Clock::Realtime), Just(Clock::Monotonic)];
        let reading = prop_oneof![0..3_u64, any::<u64>(), Just(u64::MAX)];
        let entry = (any::<String>(), 0..9_usize).prop_map(|(tool, n)| {
            let answer = vec![tool.clone(); n];
            Item::Entry(Entry::new(Call::Describe { tool }, &answer).expect("plain data"))
        });
        prop_oneof![
            4 => (clock, reading).prop_map(|(clock, reading)| Item::Reading(clock, reading)),
            1 => entry,
        ]
    }

    proptest! {
        #[test]
        fn entries_are_read_as_they_were_written(items in prop::collection::vec(item(), 0..200)) {
            let entries = packed(&items);
            prop_assert_eq!(shown(&all(&entries)), shown(&items));
            let json = serde_json::to_string(&entries).expect("JSON");
            let entries: Entries = serde_json::from_str(&json).expect("valid");
            prop_assert_eq!(shown(&all(&entries)), shown(&items));
            let more = entries.with(Call::Tools, &"answer").expect("plain data");
            prop_assert_eq!(all(&more).len(), items.len() + 1);
        }

        #[test]
        fn damaged_entries_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let packed = zstd::encode_all(&*bytes, 1).expect("packed");
            let mut reader = Entries(packed.into()).reader();
            let mut steps = 0;
            while let Ok(Some(_)) = reader.next() {
                steps += 1;
                if steps > 10_000 {
                    break;
                }
            }
        }
    }

    #[test]
    fn a_loop_that_reads_a_clock_takes_few_bytes() {
        let mut writer = Writer::default();
        for step in 0..100_000_u64 {
            for _ in 0..40 {
                writer.push(&Item::Reading(Clock::Monotonic, 20_000 * step));
            }
        }
        let entries = writer.finish().expect("below the limits");
        assert!(entries.0.len() < 10_000, "{entries:?}");
        let mut reader = entries.reader();
        while reader.next().expect("valid entries").is_some() {}
        assert_eq!(reader.last_monotonic(), 99_999 * 20_000);
    }

    #[test]
    fn entries_beyond_the_limit_are_dropped_and_take_no_memory() {
        let mut writer = Writer::default();
        let answer = "x".repeat(1 << 20);
        let large = Item::new(Call::Tools, &answer).expect("plain data");
        for _ in 0..=MAX_BYTES >> 20 {
            writer.push(&large);
        }
        assert!(writer.is_full() && writer.packed.is_none());
        writer.push(&Item::Reading(Clock::Realtime, 1));
        assert!(writer.finish().is_none());
    }

    #[test]
    fn a_length_beyond_the_end_is_an_error() {
        let packed =
            zstd::encode_all(&[0xFC, 0xFF, 0xFF, 0xFF, 0x7F, b'{'][..], 1).expect("packed");
        let read = Entries(packed.into()).reader().next();
        assert_eq!(
            read.expect_err("damaged").to_string(),
            "the journal is truncated"
        );
    }
}
