//! What is in files: reading, writing and resizing, within the quota.

use std::sync::Arc;

use super::node::{Ino, Kind, copy_at};
use super::tree::{Quota, Tree};
use crate::sandbox::wasi::{Errno, Result};

impl Tree {
    pub(crate) fn read_at(&self, ino: Ino, buf: &mut [u8], offset: u64) -> Result<usize> {
        match &self.node(ino)?.kind {
            Kind::File(data) => Ok(copy_at(data, buf, offset)),
            Kind::Pack(file) => file.read_at(buf, offset).ok_or(Errno::Io),
            Kind::Null => Ok(0),
            Kind::Dir { .. } => Err(Errno::Isdir),
            Kind::Symlink(_) => Err(Errno::Inval),
        }
    }

    pub(crate) fn write_at(
        &mut self,
        ino: Ino,
        bytes: &[u8],
        offset: u64,
        quota: &Quota,
        now: u64,
    ) -> Result<usize> {
        if matches!(self.node(ino)?.kind, Kind::Null) || bytes.is_empty() {
            return Ok(bytes.len());
        }
        let end = offset.checked_add(bytes.len() as u64).ok_or(Errno::Fbig)?;
        self.resize(ino, end, quota, now, false)?;
        let node = self.node_mut(ino)?;
        let Kind::File(data) = &mut node.kind else {
            return Err(Errno::Badf);
        };
        // In range: `resize` has made the file at least `end` long.
        Arc::make_mut(data)[offset as usize..end as usize].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Sets a file's length to `len`, or to at least `len` where it must not shrink.
    pub(crate) fn resize(
        &mut self,
        ino: Ino,
        len: u64,
        quota: &Quota,
        now: u64,
        shrink: bool,
    ) -> Result<()> {
        let before = match &self.node(ino)?.kind {
            Kind::File(data) => data.len() as u64,
            Kind::Dir { .. } => return Err(Errno::Isdir),
            _ => return Err(Errno::Inval),
        };
        let grown = self.room(len.saturating_sub(before), quota)?;
        let node = self.node_mut(ino)?;
        node.modified = now;
        node.changed = now;
        if let Kind::File(data) = &mut node.kind
            && (len > before || (shrink && len < before))
        {
            let data = Arc::make_mut(data);
            data.resize(len as usize, 0);
            if data.capacity() / 4 > data.len() {
                // What the quota no longer counts must not stay allocated.
                data.shrink_to_fit();
            }
            self.bytes = grown.saturating_sub(before.saturating_sub(len));
        }
        Ok(())
    }

    /// The files below the folder `path`, by their path from it. Links are left out: what they lead
    /// to is there under its own name, or is none of the guest's.
    pub(crate) fn files_below(&self, path: &str) -> Vec<(String, Arc<Vec<u8>>)> {
        let mut files = Vec::new();
        let Ok(top) = self.lookup(self.root(), path, true) else {
            return files;
        };
        let mut todo = vec![(String::new(), top)];
        while let Some((prefix, dir)) = todo.pop() {
            let Ok((entries, _)) = self.entries(dir) else {
                continue;
            };
            for (name, ino) in entries {
                let path = format!("{prefix}{name}");
                match self.node(*ino).map(|node| &node.kind) {
                    Ok(Kind::Dir { .. }) => todo.push((path + "/", *ino)),
                    Ok(Kind::File(data)) => files.push((path, data.clone())),
                    _ => {}
                }
            }
        }
        files.sort();
        files
    }

    /// The bytes there will be with `more`, if they may be.
    pub(super) fn room(&self, more: u64, quota: &Quota) -> Result<u64> {
        let total = self.bytes.saturating_add(more);
        if total > quota.bytes {
            return Err(Errno::Nospc);
        }
        Ok(total)
    }
}
