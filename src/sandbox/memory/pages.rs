//! The pages of a memory that differ from the base image, as data that copies share.
//!
//! Most turns change a few hundred scattered pages: each is kept by itself, and a page that a later
//! checkpoint finds unchanged is the same allocation. A long run of pages, as a large array is, is
//! kept as a [`Segment`]: where the system can, it is then mapped over the memory that it was taken
//! from, so that it counts as unchanged until it is written to, and every fork maps the same.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, Write};
use std::sync::Arc;

use super::{PAGE, Segment};

/// So many changed pages in a row become a segment: 1 MiB.
const SEGMENT_FROM: usize = 256;

type Page = [u8; PAGE];

#[derive(Debug, Clone, Default)]
pub(crate) struct Pages {
    /// The memory's size in bytes.
    pub(crate) memory_len: usize,
    /// Single pages by number; they lie above the parts.
    single: Arc<BTreeMap<u32, Arc<Page>>>,
    /// Parts of segments by their first page; they do not overlap.
    parts: Arc<BTreeMap<u32, Part>>,
}

#[derive(Debug, Clone)]
struct Part {
    segment: Arc<Segment>,
    /// Where in the segment, in pages.
    from: u32,
    count: u32,
}

impl Pages {
    /// The pages `changed` of `memory`, ascending, over what `self` has of it already. Tells also
    /// whether any of them were mapped anew.
    pub(crate) fn and(&self, memory: &mut [u8], changed: &[u32]) -> (Self, bool) {
        let mut pages = Self {
            memory_len: memory.len(),
            ..self.clone()
        };
        let mut mapped = false;
        for run in changed.chunk_by(|a, b| a + 1 == *b) {
            let long = run.len() >= SEGMENT_FROM && !pages.has_all(memory, run);
            // Where the system has no more room for it, pages by themselves are as good.
            if long && pages.add_segment(memory, run).is_ok() {
                mapped = true;
                continue;
            }
            for page in run {
                pages.add_page(memory, *page);
            }
        }
        (pages, mapped)
    }

    /// Whether every page of `run` is there as it is in `memory`.
    fn has_all(&self, memory: &[u8], run: &[u32]) -> bool {
        run.iter().all(|page| self.has(memory, *page))
    }

    fn has(&self, memory: &[u8], page: u32) -> bool {
        let bytes = page_of(memory, page);
        match self.single.get(&page) {
            Some(kept) => kept[..] == *bytes,
            None => self.part(page).is_some_and(|(part, at)| {
                let kept = part.segment.bytes();
                kept.is_some_and(|kept| kept[at * PAGE..(at + 1) * PAGE] == *bytes)
            }),
        }
    }

    /// The part that `page` lies in, and where in its segment.
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

    /// Fails before anything is changed, or not at all.
    fn add_segment(&mut self, memory: &mut [u8], run: &[u32]) -> io::Result<()> {
        let (first, count) = (run[0], run.len() as u32);
        let end = first + count;
        let range = &mut memory[first as usize * PAGE..end as usize * PAGE];
        let segment = Segment::take(range)?;
        segment.lay(range, 0)?;
        let part = Part {
            segment: Arc::new(segment),
            from: 0,
            count,
        };
        self.put_part(first, part);
        Ok(())
    }

    /// Puts `part` over whatever is there.
    fn put_part(&mut self, first: u32, part: Part) {
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

    /// `above` over these.
    pub(crate) fn under(&self, above: &Self) -> Self {
        let mut pages = Self {
            memory_len: above.memory_len,
            ..self.clone()
        };
        for (first, part) in above.parts.iter() {
            pages.put_part(*first, part.clone());
        }
        let single = Arc::make_mut(&mut pages.single);
        single.extend((above.single.iter()).map(|(page, bytes)| (*page, bytes.clone())));
        pages
    }

    /// Lays them over `memory`, which holds the base image and is as long as the other was.
    pub(crate) fn apply(&self, memory: &mut [u8]) -> io::Result<()> {
        for (first, part) in self.parts.iter() {
            let at = *first as usize * PAGE;
            let range = &mut memory[at..at + part.count as usize * PAGE];
            part.segment.lay(range, part.from as usize * PAGE)?;
        }
        for (page, bytes) in self.single.iter() {
            let at = *page as usize * PAGE;
            memory[at..at + PAGE].copy_from_slice(&bytes[..]);
        }
        Ok(())
    }

    /// Runs of pages, ascending: the first page and how many. With `below`, of those that are other
    /// than there; `None` when there are some that are not here.
    pub(crate) fn runs_over(&self, below: Option<&Self>) -> Option<Vec<(u32, u32)>> {
        let mut all = self.numbers();
        if let Some(below) = below {
            let here: HashSet<u32> = all.iter().copied().collect();
            if below.memory_len > self.memory_len
                || !below.numbers().iter().all(|p| here.contains(p))
            {
                return None;
            }
            all.retain(|page| !self.shares(below, *page));
        }
        Some(runs_of(&all))
    }

    /// Runs of all pages.
    pub(crate) fn runs(&self) -> Vec<(u32, u32)> {
        runs_of(&self.numbers())
    }

    /// The numbers of all pages, ascending.
    fn numbers(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.single.keys().copied().collect();
        for (first, part) in self.parts.iter() {
            all.extend(*first..first + part.count);
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether `page` is the very same in both: then it has the same bytes, without looking.
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

    /// Writes the bytes of `runs`, one after the other.
    pub(crate) fn write_to(&self, runs: &[(u32, u32)], to: &mut dyn Write) -> io::Result<()> {
        let mut buf = [0; PAGE];
        for (first, count) in runs {
            for page in *first..first + count {
                match (self.single.get(&page), self.part(page)) {
                    (Some(bytes), _) => to.write_all(&bytes[..])?,
                    (None, Some((part, at))) => {
                        part.segment.read(&mut buf, at * PAGE)?;
                        to.write_all(&buf)?;
                    }
                    (None, None) => return Err(io::ErrorKind::NotFound.into()),
                }
            }
        }
        Ok(())
    }

    /// The pages of `runs`, whose bytes follow in `from`. Runs that are not ascending, or do not lie
    /// in a memory of `memory_len` bytes, are refused.
    pub(crate) fn read_from(
        memory_len: usize,
        runs: &[(u32, u32)],
        from: &mut dyn Read,
    ) -> io::Result<Self> {
        let odd = || io::Error::new(io::ErrorKind::InvalidData, "its pages are in no order");
        let pages = (memory_len / PAGE) as u32;
        let mut single = BTreeMap::new();
        let mut parts = BTreeMap::new();
        let mut behind = 0;
        for (first, count) in runs {
            let end = first.checked_add(*count).ok_or_else(odd)?;
            if *count == 0 || *first < behind || end > pages {
                return Err(odd());
            }
            behind = end;
            if *count as usize >= SEGMENT_FROM {
                let mut bytes = Vec::new();
                let len = u64::from(*count) * PAGE as u64;
                Read::take(&mut *from, len).read_to_end(&mut bytes)?;
                if bytes.len() as u64 != len {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let segment = Arc::new(Segment::take(&bytes)?);
                let (from, count) = (0, *count);
                parts.insert(
                    *first,
                    Part {
                        segment,
                        from,
                        count,
                    },
                );
                continue;
            }
            for page in *first..end {
                let mut bytes = [0; PAGE];
                from.read_exact(&mut bytes)?;
                single.insert(page, Arc::new(bytes));
            }
        }
        Ok(Self {
            memory_len,
            single: Arc::new(single),
            parts: Arc::new(parts),
        })
    }

    /// Whether any of them are mapped, not copied.
    pub(crate) fn has_segments(&self) -> bool {
        !self.parts.is_empty()
    }
}

fn runs_of(pages: &[u32]) -> Vec<(u32, u32)> {
    let runs = pages.chunk_by(|a, b| a + 1 == *b);
    runs.map(|run| (run[0], run.len() as u32)).collect()
}

fn page_of(memory: &[u8], page: u32) -> &[u8] {
    let at = page as usize * PAGE;
    &memory[at..at + PAGE]
}
