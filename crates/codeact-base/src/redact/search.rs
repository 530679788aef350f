//! Search of all forms at once, in all readings of a text.
//!
//! The search is Shift-And: a set of bits has, for each byte of each form, whether the text so far ends with the form up
//! to this byte. Each reading of the text shifts the set, in steps that are the same for all texts and values.

use super::forms::forms;
use super::spelling::{MAX_SPELLING, Reading, readings};

/// The sets after the positions that a reading can reach.
const RING: usize = MAX_SPELLING + 1;
/// The length of the longest form is rounded up to a multiple of this, because its reader can measure it.
const ROUNDED: usize = 64;

/// The forms of all values, as bits.
pub(super) struct Forms {
    /// Number of words of a set.
    words: usize,
    /// For each byte, the set of the bits whose byte it is.
    masks: Vec<u64>,
    /// The bits of the first bytes.
    first: Vec<u64>,
    /// The bits of the last bytes.
    last: Vec<u64>,
    /// Ordered by their first bit.
    forms: Vec<Form>,
    replacements: Vec<String>,
    shortest: usize,
    longest: usize,
}

struct Form {
    bytes: Vec<u8>,
    /// Bit of its last byte.
    last_bit: usize,
    /// Index of its replacement.
    replacement: usize,
}

/// A form in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Match {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Index of its form.
    form: usize,
}

impl Match {
    /// Key of the order in which matches are replaced.
    pub(super) fn order(&self) -> (usize, std::cmp::Reverse<usize>, usize) {
        (self.start, std::cmp::Reverse(self.end), self.form)
    }
}

impl Forms {
    /// Returns the forms of pairs of a value, which is not empty, and its replacement.
    pub(super) fn new(pairs: impl Iterator<Item = (String, String)>) -> Self {
        let (mut all, mut replacements, mut bits) = (Vec::new(), Vec::new(), 0);
        for (value, replacement) in pairs {
            for bytes in forms(&value) {
                bits += bytes.len();
                all.push(Form {
                    bytes,
                    last_bit: bits - 1,
                    replacement: replacements.len(),
                });
            }
            replacements.push(replacement);
        }
        let words = bits.div_ceil(64);
        let (mut first, mut last) = (vec![0; words], vec![0; words]);
        let mut masks = vec![0; 256 * words];
        for form in &all {
            let start = form.last_bit + 1 - form.bytes.len();
            set(&mut first, start);
            set(&mut last, form.last_bit);
            for (index, byte) in form.bytes.iter().enumerate() {
                let from = usize::from(*byte) * words;
                if let Some(mask) = masks.get_mut(from..from + words) {
                    set(mask, start + index);
                }
            }
        }
        let lengths = || all.iter().map(|form| form.bytes.len());
        Self {
            words,
            masks,
            first,
            last,
            shortest: lengths().min().unwrap_or(0),
            longest: lengths().max().unwrap_or(0),
            forms: all,
            replacements,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// Returns the length of the shortest form.
    pub(super) fn shortest(&self) -> usize {
        self.shortest
    }

    /// Returns a length that no form exceeds.
    pub(super) fn rounded_length(&self) -> usize {
        self.longest.next_multiple_of(ROUNDED)
    }

    pub(super) fn replacement(&self, found: &Match) -> &str {
        let form = self.forms.get(found.form);
        let replacement = form.and_then(|form| self.replacements.get(form.replacement));
        replacement.map_or("", String::as_str)
    }

    fn mask(&self, byte: u8) -> &[u64] {
        let from = usize::from(byte) * self.words;
        self.masks.get(from..from + self.words).unwrap_or(&[])
    }

    /// Returns the longest match of the form whose last byte is at `bit` that ends at `end` of `text`.
    fn matched(&self, bit: usize, text: &[u8], end: usize) -> Option<Match> {
        let index = self.forms.partition_point(|form| form.last_bit < bit);
        let form = self.forms.get(index)?;
        // For each number of matched bytes, the positions where the rest of the form begins.
        let mut positions = vec![Vec::new(); form.bytes.len() + 1];
        positions.last_mut()?.push(end);
        for count in (1..=form.bytes.len()).rev() {
            for position in std::mem::take(positions.get_mut(count)?) {
                for start in position.saturating_sub(MAX_SPELLING)..position {
                    let size = position - start;
                    readings(text.get(start..).unwrap_or(&[]), |reading| {
                        let matched = form.bytes.get(..count).unwrap_or(&[]);
                        if reading.size != size || !matched.ends_with(reading.bytes()) {
                            return;
                        }
                        let before = count - reading.bytes().len();
                        if let Some(known) = positions.get_mut(before)
                            && !known.contains(&start)
                        {
                            known.push(start);
                        }
                    });
                }
            }
        }
        let start = *positions.first()?.iter().min()?;
        Some(Match {
            start,
            end,
            form: index,
        })
    }
}

fn set(set: &mut [u64], bit: usize) {
    if let Some(word) = set.get_mut(bit / 64) {
        *word |= 1 << (bit % 64);
    }
}

/// State of a search.
pub(super) struct Search {
    /// The sets after the next positions: that after position `p` is at `p % RING`.
    sets: Vec<Vec<u64>>,
    next: Vec<u64>,
    /// The last position after which there is a partial match.
    partial: usize,
}

impl Search {
    pub(super) fn new(forms: &Forms) -> Self {
        Self {
            sets: vec![vec![0; forms.words]; RING],
            next: vec![0; forms.words],
            partial: 0,
        }
    }

    /// True if there is no partial match at `position`, up to which the text was searched.
    pub(super) fn is_quiet(&self, position: usize) -> bool {
        self.partial < position
    }

    /// Searches at position `at` of a text, after all positions before. `text` has the bytes from position `base`: all
    /// those of matches that are not complete, and of the readings at `at`. Appends the matches to `found`.
    pub(super) fn step(
        &mut self,
        forms: &Forms,
        text: &[u8],
        base: usize,
        at: usize,
        found: &mut Vec<Match>,
    ) {
        let slot = at % RING;
        readings(text.get(at - base..).unwrap_or(&[]), |reading| {
            let end = at + reading.size;
            if self.shift(forms, slot, &reading, end) {
                for bit in bits(&self.next, &forms.last) {
                    if let Some(one) = forms.matched(bit, text, end - base) {
                        found.push(Match {
                            start: one.start + base,
                            end,
                            ..one
                        });
                    }
                }
            }
        });
        if let Some(set) = self.sets.get_mut(slot) {
            set.fill(0);
        }
    }

    /// Shifts the set at `slot` by `reading`, which ends at `end`. Returns true if a form is complete.
    fn shift(&mut self, forms: &Forms, slot: usize, reading: &Reading, end: usize) -> bool {
        let Some(set) = self.sets.get(slot) else {
            return false;
        };
        self.next.copy_from_slice(set);
        let (mut any, mut complete) = (0, 0);
        for (index, byte) in reading.bytes().iter().enumerate() {
            // A form begins at the beginning of a character.
            let begins = if index == 0 { u64::MAX } else { 0 };
            let (mut carry, mask) = (0, forms.mask(*byte));
            (any, complete) = (0, 0);
            let words = self.next.iter_mut().zip(mask);
            let edges = forms.first.iter().zip(&forms.last);
            for ((word, mask), (first, last)) in words.zip(edges) {
                let shifted = (((*word << 1) | carry) & !first) | (first & begins);
                carry = *word >> 63;
                *word = shifted & mask;
                any |= *word;
                complete |= *word & last;
            }
        }
        if any != 0 {
            self.partial = self.partial.max(end);
        }
        if let Some(reached) = self.sets.get_mut(end % RING) {
            let words = reached.iter_mut().zip(&self.next);
            words.for_each(|(word, next)| *word |= next);
        }
        complete != 0
    }
}

/// Returns the bits that both sets have.
fn bits<'a>(one: &'a [u64], other: &'a [u64]) -> impl Iterator<Item = usize> + 'a {
    let words = one.iter().zip(other).map(|(one, other)| one & other);
    words.enumerate().flat_map(|(index, word)| {
        let bits = (0..64).filter(move |bit| word >> bit & 1 == 1);
        bits.map(move |bit| index * 64 + bit)
    })
}
