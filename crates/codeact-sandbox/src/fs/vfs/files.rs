//! Operations on file content: reading, writing and resizing, within the quota.

use crate::fs::vfs::content::Content;
use crate::fs::vfs::node::{Ino, Kind};
use crate::fs::vfs::tree::{Quota, Tree};
use crate::types::errno::{Errno, Result};

impl Tree {
    pub(crate) fn read_at(&self, ino: Ino, buf: &mut [u8], offset: u64) -> Result<usize> {
        match &self.node(ino)?.kind {
            Kind::File(content) => content.read_at(buf, offset),
            Kind::Pack(file) => file.read_at(buf, offset).ok_or(Errno::Io),
            Kind::Null => Ok(0),
            Kind::Dir(_) => Err(Errno::Isdir),
            Kind::Symlink(_) => Err(Errno::Inval),
            Kind::Special(_) => Err(Errno::Access),
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
        let charge = match &self.node(ino)?.kind {
            Kind::Null => return Ok(bytes.len()),
            _ if bytes.is_empty() => return Ok(0),
            Kind::File(content) => content.write_charge(offset, bytes.len() as u64)?,
            _ => return Err(Errno::Badf),
        };
        self.check_bytes(charge, quota)?;
        self.change(ino, now, |content| content.write_at(bytes, offset))?;
        Ok(bytes.len())
    }

    /// Sets a file's length.
    pub(crate) fn resize(&mut self, ino: Ino, len: u64, quota: &Quota, now: u64) -> Result<()> {
        let before = match &self.node(ino)?.kind {
            Kind::File(content) => content.len(),
            Kind::Dir(_) => return Err(Errno::Isdir),
            _ => return Err(Errno::Inval),
        };
        self.check_bytes(len.saturating_sub(before), quota)?;
        self.change(ino, now, |content| {
            content.set_len(len);
            Ok(())
        })
    }

    /// Changes the content of a file and updates the byte count, also if the change fails midway.
    fn change(
        &mut self,
        ino: Ino,
        now: u64,
        change: impl FnOnce(&mut Content) -> Result<()>,
    ) -> Result<()> {
        let node = self.node_mut(ino)?;
        node.modified = now;
        node.changed = now;
        let dev = node.dev;
        let Kind::File(content) = &mut node.kind else {
            return Err(Errno::Inval);
        };
        let before = content.charge();
        let done = change(content);
        let after = content.charge();
        self.bytes = (self.bytes + after).saturating_sub(before);
        self.mark_dirty(dev);
        done
    }

    /// Returns the files below the folder `path` that the guest has created or changed, with their paths relative to
    /// it. Skips symbolic links: a target of the guest has its own name.
    pub(crate) fn files_below(&mut self, path: &str) -> Vec<(String, Content)> {
        let mut files = Vec::new();
        let Ok(top) = self.lookup(self.root(), path, true) else {
            return files;
        };
        let mut todo = vec![(String::new(), top)];
        while let Some((prefix, dir)) = todo.pop() {
            let Ok(dir) = self.dir(dir) else {
                continue;
            };
            for (name, ino) in dir.entries.iter() {
                let path = format!("{prefix}{name}");
                match self.node(*ino).map(|node| &node.kind) {
                    Ok(Kind::Dir(_)) => todo.push((path + "/", *ino)),
                    Ok(Kind::File(content)) if content.as_host_file().is_none() => {
                        files.push((path, content.clone()));
                    }
                    _ => {}
                }
            }
        }
        files.sort_by(|a, b| a.0.cmp(&b.0));
        files
    }
}
