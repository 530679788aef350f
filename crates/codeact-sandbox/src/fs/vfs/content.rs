//! Content of one file: chunks in memory, over a host file if the file is of a mount.
//!
//! A copy shares all chunks until one side writes. A hole takes no memory. Of a host file, only chunks that the guest
//! has written are in memory. Holes and written chunks count against the quota with their full length.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::fs::vfs::host_file::HostFile;
use crate::fs::vfs::pack_file::copy_at;
use crate::types::errno::{Errno, Result};

/// Length of a chunk, in bytes.
pub(super) const CHUNK: u64 = 64 << 10;

/// A chunk, shared by all contents that have it.
pub(crate) type Chunk = Arc<Vec<u8>>;

/// Content of a file. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    len: u64,
    /// Chunks in memory, by number. A chunk may be short; zeros follow.
    chunks: Arc<BTreeMap<u64, Chunk>>,
    base: Option<Base>,
}

/// The host file that a content is based on.
#[derive(Debug, Clone)]
struct Base {
    file: Arc<HostFile>,
    /// Length of the part that is visible, from the beginning, in bytes. Chunks in memory hide parts of it.
    len: u64,
    /// Bytes of this part that no chunk hides.
    visible: u64,
    /// True if the content differs from the host file.
    changed: bool,
}

impl Base {
    /// Returns how many bytes of the visible part are in the chunk `number`.
    fn bytes_in_chunk(&self, number: u64) -> u64 {
        self.len.saturating_sub(number * CHUNK).min(CHUNK)
    }
}

impl Content {
    /// Returns the content of an unchanged host file.
    pub(crate) fn from_host_file(file: Arc<HostFile>) -> Self {
        let len = file.meta.len;
        Self {
            len,
            chunks: Arc::default(),
            base: Some(Base {
                file,
                len,
                visible: len,
                changed: false,
            }),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Returns the host file that this is based on.
    pub(crate) fn base(&self) -> Option<&Arc<HostFile>> {
        self.base.as_ref().map(|base| &base.file)
    }

    /// Returns the host file if this is its unchanged content.
    pub(crate) fn as_host_file(&self) -> Option<&Arc<HostFile>> {
        self.base.as_ref().filter(|b| !b.changed).map(|b| &b.file)
    }

    /// Returns the bytes that count against the quota: all except the visible bytes of the host file.
    pub(crate) fn charge(&self) -> u64 {
        self.len - self.base.as_ref().map_or(0, |base| base.visible)
    }

    /// Reads at `offset` into `buf`. Returns 0 at the end.
    pub(crate) fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let left = self.len.saturating_sub(offset);
        let want = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let mut done = 0;
        while done < want {
            let at = offset + done as u64;
            let (number, within) = (at / CHUNK, at % CHUNK);
            // Read to the end of this chunk, or to the next chunk in memory.
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
                    let n = self.read_base(&mut rest[..n], at)?;
                    if n == 0 {
                        // The host file has become shorter.
                        break;
                    }
                    n
                }
            };
            done += n;
        }
        Ok(done)
    }

    /// Reads where no chunk is in memory: from the host file, then zeros.
    fn read_base(&self, buf: &mut [u8], at: u64) -> Result<usize> {
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

    /// Returns by how much [`Content::charge`] grows if `len` bytes are written at `offset`.
    pub(crate) fn write_charge(&self, offset: u64, len: u64) -> Result<u64> {
        let end = offset.checked_add(len).ok_or(Errno::Fbig)?;
        let growth = end.saturating_sub(self.len);
        let Some(base) = &self.base else {
            return Ok(growth);
        };
        // One write is short, so it has few chunks.
        let copied: u64 = (offset / CHUNK..end.div_ceil(CHUNK))
            .take_while(|number| number * CHUNK < base.len)
            .filter(|number| !self.chunks.contains_key(number))
            .map(|number| base.bytes_in_chunk(number))
            .sum();
        Ok(growth + copied)
    }

    /// Writes all of `bytes` at `offset`. A gap after the old end becomes a hole.
    pub(crate) fn write_at(&mut self, bytes: &[u8], offset: u64) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let (number, within) = (at / CHUNK, (at % CHUNK) as usize);
            let n = (bytes.len() - done).min(CHUNK as usize - within);
            let chunk = self.own_chunk(number, within == 0 && n == CHUNK as usize)?;
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

    /// Returns the chunk `number` to write to. It is not read from the host file if it will be `overwritten` entirely.
    fn own_chunk(&mut self, number: u64, overwritten: bool) -> Result<&mut Vec<u8>> {
        if let Some(base) = &mut self.base {
            base.changed = true;
            let part = base.bytes_in_chunk(number);
            if part > 0 && !self.chunks.contains_key(&number) {
                let mut chunk = vec![0; part as usize];
                if !overwritten {
                    base.file.read_exact_at(&mut chunk, number * CHUNK)?;
                }
                base.visible -= part;
                Arc::make_mut(&mut self.chunks).insert(number, Arc::new(chunk));
            }
        }
        let chunk = Arc::make_mut(&mut self.chunks).entry(number).or_default();
        Ok(Arc::make_mut(chunk))
    }

    /// Sets the length. An extension is a hole.
    pub(crate) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let chunks = Arc::make_mut(&mut self.chunks);
            drop(chunks.split_off(&len.div_ceil(CHUNK)));
            if let Some(last) = chunks.get_mut(&(len / CHUNK))
                && last.len() as u64 > len % CHUNK
            {
                let last = Arc::make_mut(last);
                last.truncate((len % CHUNK) as usize);
                // Free the memory, because the quota does not count it any more.
                last.shrink_to_fit();
            }
        }
        if len != self.len
            && let Some(base) = &mut self.base
        {
            base.changed = true;
            base.len = base.len.min(len);
            let hidden: u64 = self
                .chunks
                .keys()
                .map(|number| base.bytes_in_chunk(*number))
                .sum();
            base.visible = base.len - hidden;
        }
        self.len = len;
    }

    /// Returns true if `other` shares all chunks with this content. Then both have the same bytes.
    pub(crate) fn shares_all_chunks(&self, other: &Self) -> bool {
        let chunks = || self.chunks.iter().zip(other.chunks.iter());
        self.len == other.len
            && self.base.is_none()
            && other.base.is_none()
            && self.chunks.len() == other.chunks.len()
            && chunks().all(|(a, b)| a.0 == b.0 && Arc::ptr_eq(a.1, b.1))
    }

    /// Returns the chunks in memory, by number.
    pub(super) fn chunks(&self) -> &BTreeMap<u64, Chunk> {
        &self.chunks
    }

    /// Returns the content of `len` bytes with these chunks.
    ///
    /// # Errors
    ///
    /// Returns [`io::ErrorKind::InvalidData`] if a chunk is too long or is not inside `len`.
    pub(super) fn from_chunks(len: u64, chunks: BTreeMap<u64, Chunk>) -> io::Result<Self> {
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
                "its files are invalid: a file has bytes after its end",
            )),
        }
    }

    /// Returns the content with a handle of its own on the host file. It can be read also if the file is renamed or
    /// removed afterwards, and it leaves no handle open.
    ///
    /// # Errors
    ///
    /// Returns an error if the host file was changed.
    pub(crate) fn with_own_handle(&self) -> io::Result<Self> {
        let base = match &self.base {
            Some(base) if base.visible > 0 => {
                let file = Arc::new(base.file.with_own_handle().map_err(unreadable)?);
                Some(Base {
                    file,
                    ..base.clone()
                })
            }
            // Nothing of the host file is visible.
            _ => None,
        };
        Ok(Self {
            base,
            ..self.clone()
        })
    }

    /// Writes all bytes to `to`, in chunks. Opens the host file for this.
    pub(crate) fn copy_to(&self, to: &mut dyn io::Write) -> io::Result<()> {
        self.with_own_handle()?.write_to(to)
    }

    /// As [`Content::copy_to`], with the handle that is open.
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
        Errno::Stale => "the host's file was changed meanwhile",
        _ => "the host's file cannot be read",
    })
}
