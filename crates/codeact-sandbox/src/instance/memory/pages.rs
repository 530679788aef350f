//! Pages of a memory that differ from the base image, as persistent data.
//!
//! Most turns change a few hundred scattered pages. Each of these is stored by itself, and checkpoints share the
//! unchanged ones. A long run of pages, for example of a large array, is stored as a [`Segment`]. On Linux it is then
//! mapped over the memory that it was copied from, so that it counts as unchanged until it is written to, and all forks
//! map the same one.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::instance::memory::{PAGE, Segment};

/// Minimum number of consecutive changed pages for a segment: 1 MiB.
const MIN_SEGMENT_PAGES: usize = 256;

/// Maximum number of pages of a segment, 16 MiB. A checkpoint frees the pages that a segment replaces before it copies
/// the next, so it needs memory for one segment in addition.
const MAX_SEGMENT_PAGES: usize = 4096;

type Page = [u8; PAGE];

/// Pages that differ from the base image. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pages {
    /// Size of the memory, in bytes.
    pub(crate) memory_len: usize,
    /// Single pages by number. They take precedence over `parts`.
    single: Arc<BTreeMap<u32, Arc<Page>>>,
    /// Parts of segments by their first page. They do not overlap.
    parts: Arc<BTreeMap<u32, Part>>,
}

/// A part of a segment.
#[derive(Debug, Clone)]
struct Part {
    segment: Arc<Segment>,
    /// First page in the segment.
    from: u32,
    count: u32,
}

impl Pages {
    /// Returns these pages with the pages `changed` of `memory`, in ascending order. Also returns true if segments were
    /// mapped over `memory`.
    pub(crate) fn with_changes(&self, memory: &mut [u8], changed: &[u32]) -> (Self, bool) {
        let mut pages = Self {
            memory_len: memory.len(),
            ..self.clone()
        };
        let mut mapped = false;
        let runs = changed.chunk_by(|a, b| a + 1 == *b);
        for run in runs.flat_map(|run| run.chunks(MAX_SEGMENT_PAGES)) {
            let is_new_segment = run.len() >= MIN_SEGMENT_PAGES && !pages.has_all(memory, run);
            // If the segment cannot be created, single pages are used.
            if is_new_segment && pages.add_segment(memory, run).is_ok() {
                mapped = true;
                continue;
            }
            for page in run {
                pages.add_page(memory, *page);
            }
        }
        (pages, mapped)
    }

    /// Returns true if all pages of `run` have the same bytes here as in `memory`.
    fn has_all(&self, memory: &[u8], run: &[u32]) -> bool {
        run.iter().all(|page| self.has(memory, *page))
    }

    fn has(&self, memory: &[u8], page: u32) -> bool {
        let bytes = page_of(memory, page);
        match self.single.get(&page) {
            Some(stored) => stored[..] == *bytes,
            None => self.part(page).is_some_and(|(part, at)| {
                let stored = part.segment.bytes();
                stored.is_some_and(|stored| stored[at * PAGE..(at + 1) * PAGE] == *bytes)
            }),
        }
    }

    /// Returns the part that contains `page`, and the index of the page in the segment.
    fn part(&self, page: u32) -> Option<(&Part, usize)> {
        let (first, part) = self.parts.range(..=page).next_back()?;
        let offset = page - first;
        (offset < part.count).then_some((part, (part.from + offset) as usize))
    }

    fn add_page(&mut self, memory: &[u8], page: u32) {
        if self.has(memory, page) {
            return;
        }
        let mut bytes = [0; PAGE];
        bytes.copy_from_slice(page_of(memory, page));
        Arc::make_mut(&mut self.single).insert(page, Arc::new(bytes));
    }

    /// Adds a run of pages as a segment, and maps that over `memory`. On an error nothing is changed.
    fn add_segment(&mut self, memory: &mut [u8], run: &[u32]) -> io::Result<()> {
        let (first, count) = (run[0], run.len() as u32);
        let end = first + count;
        let range = &mut memory[first as usize * PAGE..end as usize * PAGE];
        let segment = Segment::new(range)?;
        segment.map_over(range, 0)?;
        let part = Part {
            segment: Arc::new(segment),
            from: 0,
            count,
        };
        self.insert_part(first, part);
        Ok(())
    }

    /// Inserts `part` and removes the pages that it covers.
    fn insert_part(&mut self, first: u32, part: Part) {
        let end = first + part.count;
        let single = Arc::make_mut(&mut self.single);
        let covered: Vec<u32> = single.range(first..end).map(|(page, _)| *page).collect();
        for page in covered {
            single.remove(&page);
        }
        let parts = Arc::make_mut(&mut self.parts);
        let overlapped: Vec<u32> = (parts.range(..end))
            .filter(|(at, part)| *at + part.count > first)
            .map(|(at, _)| *at)
            .collect();
        for at in overlapped {
            let Some(old) = parts.remove(&at) else {
                continue;
            };
            if at < first {
                let count = first - at;
                parts.insert(
                    at,
                    Part {
                        count,
                        ..old.clone()
                    },
                );
            }
            let old_end = at + old.count;
            if old_end > end {
                let cut = end - at;
                let rest = Part {
                    from: old.from + cut,
                    count: old.count - cut,
                    segment: old.segment,
                };
                parts.insert(end, rest);
            }
        }
        parts.insert(first, part);
    }

    /// Returns these pages with those of `changes`, which take precedence.
    pub(crate) fn overlaid_with(&self, changes: &Self) -> Self {
        let mut pages = Self {
            memory_len: changes.memory_len,
            ..self.clone()
        };
        for (first, part) in changes.parts.iter() {
            pages.insert_part(*first, part.clone());
        }
        let single = Arc::make_mut(&mut pages.single);
        single.extend((changes.single.iter()).map(|(page, bytes)| (*page, bytes.clone())));
        pages
    }

    /// Maps or copies the pages over `memory`, which has the base image and at least [`Pages::memory_len`] bytes.
    pub(crate) fn apply(&self, memory: &mut [u8]) -> io::Result<()> {
        for (first, part) in self.parts.iter() {
            let at = *first as usize * PAGE;
            let range = &mut memory[at..at + part.count as usize * PAGE];
            part.segment.map_over(range, part.from as usize * PAGE)?;
        }
        for (page, bytes) in self.single.iter() {
            let at = *page as usize * PAGE;
            memory[at..at + PAGE].copy_from_slice(&bytes[..]);
        }
        Ok(())
    }

    /// Returns runs of pages, in ascending order: the first page and the number of pages. With `base`, only of pages
    /// that are not shared with it. `None` if `base` has pages that are not here.
    pub(crate) fn runs_since(&self, base: Option<&Self>) -> Option<Vec<(u32, u32)>> {
        let mut all = self.numbers();
        if let Some(base) = base {
            let here: HashSet<u32> = all.iter().copied().collect();
            if base.memory_len > self.memory_len || !base.numbers().iter().all(|p| here.contains(p))
            {
                return None;
            }
            all.retain(|page| !self.shares(base, *page));
        }
        Some(runs_of(&all))
    }

    /// Returns runs of all pages.
    pub(crate) fn runs(&self) -> Vec<(u32, u32)> {
        runs_of(&self.numbers())
    }

    /// Returns the numbers of all pages, in ascending order.
    fn numbers(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.single.keys().copied().collect();
        for (first, part) in self.parts.iter() {
            all.extend(*first..first + part.count);
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Returns true if both share the allocation of `page`. Then it has the same bytes in both.
    fn shares(&self, other: &Self, page: u32) -> bool {
        match (self.single.get(&page), other.single.get(&page)) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => match (self.part(page), other.part(page)) {
                (Some((a, at)), Some((b, bt))) => Arc::ptr_eq(&a.segment, &b.segment) && at == bt,
                _ => false,
            },
            _ => false,
        }
    }

    /// Writes the pages of `runs`, one after another, each combined with that of the base image by exclusive or. Most of
    /// a changed page's bytes are those of the image, so most of what is written is zero.
    pub(crate) fn write_to(
        &self,
        runs: &[(u32, u32)],
        image: &[u8],
        to: &mut dyn Write,
    ) -> io::Result<()> {
        let mut buf = [0; PAGE];
        for (first, count) in runs {
            for page in *first..first + count {
                match (self.single.get(&page), self.part(page)) {
                    (Some(bytes), _) => buf.copy_from_slice(&bytes[..]),
                    (None, Some((part, at))) => part.segment.read(&mut buf, at * PAGE)?,
                    (None, None) => return Err(io::ErrorKind::NotFound.into()),
                }
                xor_image(&mut buf, image, page);
                to.write_all(&buf)?;
            }
        }
        Ok(())
    }

    /// Reads the pages of `runs`, as [`Pages::write_to`] has written them, from `from`, which is untrusted.
    ///
    /// # Errors
    ///
    /// Returns [`io::ErrorKind::InvalidData`] if the runs are not in ascending order or not inside a memory of
    /// `memory_len` bytes.
    pub(crate) fn read_from(
        memory_len: usize,
        runs: &[(u32, u32)],
        image: &[u8],
        from: &mut dyn Read,
    ) -> io::Result<Self> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "its page numbers are invalid");
        let pages = (memory_len / PAGE) as u32;
        let mut single = BTreeMap::new();
        let mut parts = BTreeMap::new();
        let mut next = 0;
        let mut bytes = Vec::new();
        for (first, count) in runs {
            let end = first.checked_add(*count).ok_or_else(invalid)?;
            if *count == 0 || *first < next || end > pages {
                return Err(invalid());
            }
            next = end;
            let mut first = *first;
            while (end - first) as usize >= MIN_SEGMENT_PAGES {
                let count = (end - first).min(MAX_SEGMENT_PAGES as u32);
                bytes.clear();
                let len = u64::from(count) * PAGE as u64;
                Read::take(&mut *from, len).read_to_end(&mut bytes)?;
                if bytes.len() as u64 != len {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                xor_image(&mut bytes, image, first);
                let part = Part {
                    segment: Arc::new(Segment::new(&bytes)?),
                    from: 0,
                    count,
                };
                parts.insert(first, part);
                first += count;
            }
            for page in first..end {
                let mut bytes = [0; PAGE];
                from.read_exact(&mut bytes)?;
                xor_image(&mut bytes, image, page);
                single.insert(page, Arc::new(bytes));
            }
        }
        Ok(Self {
            memory_len,
            single: Arc::new(single),
            parts: Arc::new(parts),
        })
    }

    /// Returns true if there are segments, which may be mapped.
    pub(crate) fn has_segments(&self) -> bool {
        !self.parts.is_empty()
    }
}

fn runs_of(pages: &[u32]) -> Vec<(u32, u32)> {
    let runs = pages.chunk_by(|a, b| a + 1 == *b);
    runs.map(|run| (run[0], run.len() as u32)).collect()
}

/// Combines `bytes`, which begin at `page`, with those of `image` by exclusive or. Beyond the image it is zero.
fn xor_image(bytes: &mut [u8], image: &[u8], page: u32) {
    let base = image.get(page as usize * PAGE..).unwrap_or(&[]);
    for (byte, base) in bytes.iter_mut().zip(base) {
        *byte ^= base;
    }
}

fn page_of(memory: &[u8], page: u32) -> &[u8] {
    let at = page as usize * PAGE;
    &memory[at..at + PAGE]
}
