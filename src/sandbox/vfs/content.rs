//! What is in one file: bytes in shared chunks, where there are none of its own over those of a
//! host file.
//!
//! A copy shares all chunks until one side writes. A hole takes no memory, and of a host file only
//! the chunks that were written are held; both count as what they stand for.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::host_file::HostFile;
use super::pack_file::copy_at;
use crate::sandbox::wasi::{Errno, Result};

const CHUNK: u64 = 64 << 10;

/// Bytes of a file, shared by all that have them.
pub(crate) type Chunk = Arc<Vec<u8>>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    len: u64,
    /// The chunks it holds itself, by number; each as long as was written, zeros from there on.
    chunks: Arc<BTreeMap<u64, Chunk>>,
    base: Option<Base>,
}

/// The host file below.
#[derive(Debug, Clone)]
struct Base {
    file: Arc<HostFile>,
    /// How much of it shows, from its beginning; chunks of our own lie above.
    len: u64,
    /// How much of that no chunk hides.
    shown: u64,
    changed: bool,
}

impl Base {
    /// How much of it would show in the chunk `number`.
    fn part(&self, number: u64) -> u64 {
        self.len.saturating_sub(number * CHUNK).min(CHUNK)
    }
}

impl Content {
    /// The host file as it is.
    pub(crate) fn of(file: Arc<HostFile>) -> Self {
        let len = file.meta.len;
        Self {
            len,
            chunks: Arc::default(),
            base: Some(Base {
                file,
                len,
                shown: len,
                changed: false,
            }),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The host file below.
    pub(crate) fn base(&self) -> Option<&Arc<HostFile>> {
        self.base.as_ref().map(|base| &base.file)
    }

    /// The host file, if this is all of it and nothing else.
    pub(crate) fn untouched(&self) -> Option<&Arc<HostFile>> {
        self.base.as_ref().filter(|b| !b.changed).map(|b| &b.file)
    }

    /// Bytes that count against the quota: all but what the host's file shows.
    pub(crate) fn charge(&self) -> u64 {
        self.len - self.base.as_ref().map_or(0, |base| base.shown)
    }

    /// Reads at `offset` into `buf`; 0 at the end.
    pub(crate) fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let left = self.len.saturating_sub(offset);
        let want = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let mut done = 0;
        while done < want {
            let at = offset + done as u64;
            let (number, within) = (at / CHUNK, at % CHUNK);
            // Up to the next chunk of our own, or the end of this one.
            let next = self.chunks.range(number..).next();
            let rest = &mut buf[done..want];
            let n = match next {
                Some((&own, chunk)) if own == number => {
                    let n = rest.len().min((CHUNK - within) as usize);
                    let copied = copy_at(chunk, &mut rest[..n], within);
                    rest[copied..n].fill(0);
                    n
                }
                _ => {
                    let until = next.map_or(u64::MAX, |(own, _)| own * CHUNK);
                    let n = usize::try_from(until - at).map_or(rest.len(), |n| n.min(rest.len()));
                    let n = self.read_below(&mut rest[..n], at)?;
                    if n == 0 {
                        // The host's file has become shorter.
                        break;
                    }
                    n
                }
            };
            done += n;
        }
        Ok(done)
    }

    /// Reads where no chunk of our own is: the host's file, then zeros.
    fn read_below(&self, buf: &mut [u8], at: u64) -> Result<usize> {
        match &self.base {
            Some(base) if at < base.len => {
                let n = usize::try_from(base.len - at).map_or(buf.len(), |n| n.min(buf.len()));
                base.file.read_at(&mut buf[..n], at, base.changed)
            }
            _ => {
                buf.fill(0);
                Ok(buf.len())
            }
        }
    }

    /// How much the charge grows when `len` bytes are written at `offset`.
    pub(crate) fn cost(&self, offset: u64, len: u64) -> Result<u64> {
        let end = offset.checked_add(len).ok_or(Errno::Fbig)?;
        let growth = end.saturating_sub(self.len);
        let Some(base) = &self.base else {
            return Ok(growth);
        };
        // The count of chunks in one write is small: its length is.
        let copied: u64 = (offset / CHUNK..end.div_ceil(CHUNK))
            .take_while(|number| number * CHUNK < base.len)
            .filter(|number| !self.chunks.contains_key(number))
            .map(|number| base.part(number))
            .sum();
        Ok(growth + copied)
    }

    /// Writes all of `bytes` at `offset`; what lies before it and after the end becomes a hole.
    pub(crate) fn write_at(&mut self, bytes: &[u8], offset: u64) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let (number, within) = (at / CHUNK, (at % CHUNK) as usize);
            let n = (bytes.len() - done).min(CHUNK as usize - within);
            let chunk = self.own(number, within == 0 && n == CHUNK as usize)?;
            if chunk.len() < within {
                chunk.resize(within, 0);
            }
            let (over, after) = bytes[done..done + n].split_at(n.min(chunk.len() - within));
            chunk[within..within + over.len()].copy_from_slice(over);
            chunk.extend_from_slice(after);
            done += n;
            self.len = self.len.max(at + n as u64);
        }
        Ok(())
    }

    /// The chunk `number`, made our own. With `whole` it is about to be overwritten altogether.
    fn own(&mut self, number: u64, whole: bool) -> Result<&mut Vec<u8>> {
        if let Some(base) = &mut self.base {
            base.changed = true;
            let part = base.part(number);
            if part > 0 && !self.chunks.contains_key(&number) {
                let mut chunk = vec![0; part as usize];
                if !whole {
                    base.file.read_exact_at(&mut chunk, number * CHUNK)?;
                }
                base.shown -= part;
                Arc::make_mut(&mut self.chunks).insert(number, Arc::new(chunk));
            }
        }
        let chunk = Arc::make_mut(&mut self.chunks).entry(number).or_default();
        Ok(Arc::make_mut(chunk))
    }

    /// Sets the length; what is new is a hole.
    pub(crate) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let chunks = Arc::make_mut(&mut self.chunks);
            drop(chunks.split_off(&len.div_ceil(CHUNK)));
            if let Some(last) = chunks.get_mut(&(len / CHUNK))
                && last.len() as u64 > len % CHUNK
            {
                let last = Arc::make_mut(last);
                last.truncate((len % CHUNK) as usize);
                // What the quota no longer counts must not stay allocated.
                last.shrink_to_fit();
            }
        }
        if len != self.len
            && let Some(base) = &mut self.base
        {
            base.changed = true;
            base.len = base.len.min(len);
            let hidden: u64 = self.chunks.keys().map(|number| base.part(*number)).sum();
            base.shown = base.len - hidden;
        }
        self.len = len;
    }

    /// Whether `other` has the very same chunks: then it has the same bytes, without looking.
    pub(crate) fn shares_all(&self, other: &Self) -> bool {
        let chunks = || self.chunks.iter().zip(other.chunks.iter());
        self.len == other.len
            && self.base.is_none()
            && other.base.is_none()
            && self.chunks.len() == other.chunks.len()
            && chunks().all(|(a, b)| a.0 == b.0 && Arc::ptr_eq(a.1, b.1))
    }

    /// The chunks of its own, by number.
    pub(super) fn chunks(&self) -> &BTreeMap<u64, Chunk> {
        &self.chunks
    }

    /// A file of `len` bytes with these chunks. What is not as a file of ours can be is refused.
    pub(super) fn of_chunks(len: u64, chunks: BTreeMap<u64, Chunk>) -> io::Result<Self> {
        let fits = |(number, chunk): (&u64, &Chunk)| {
            let end = number
                .checked_mul(CHUNK)
                .and_then(|at| at.checked_add(chunk.len() as u64));
            end.is_some_and(|end| end <= len) && chunk.len() as u64 <= CHUNK
        };
        match chunks.iter().all(fits) {
            true => Ok(Self {
                len,
                chunks: Arc::new(chunks),
                base: None,
            }),
            false => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it holds a file that is longer than it says",
            )),
        }
    }

    /// The same with a handle of its own on the host's file below, if that is still as it was: it
    /// can be read whatever becomes of the name, and leaves nothing open behind it.
    pub(crate) fn apart(&self) -> io::Result<Self> {
        let base = match &self.base {
            Some(base) if base.shown > 0 => {
                let file = Arc::new(base.file.apart().map_err(unreadable)?);
                Some(Base {
                    file,
                    ..base.clone()
                })
            }
            // Nothing of it is left to read.
            _ => None,
        };
        Ok(Self {
            base,
            ..self.clone()
        })
    }

    /// Writes all of it to `to`, a piece at a time.
    pub(crate) fn copy_to(&self, to: &mut dyn io::Write) -> io::Result<()> {
        self.apart()?.write_to(to)
    }

    /// As [`Content::copy_to`], through the handle that it has.
    pub(crate) fn write_to(&self, to: &mut dyn io::Write) -> io::Result<()> {
        let mut buf = vec![0; CHUNK as usize];
        let mut at = 0;
        while at < self.len {
            let n = self.read_at(&mut buf, at).map_err(unreadable)?;
            if n == 0 {
                return Err(unreadable(Errno::Stale));
            }
            to.write_all(&buf[..n])?;
            at += n as u64;
        }
        Ok(())
    }
}

fn unreadable(errno: Errno) -> io::Error {
    io::Error::other(match errno {
        Errno::Stale => "the host's file below was changed meanwhile",
        _ => "the host's file below cannot be read",
    })
}
