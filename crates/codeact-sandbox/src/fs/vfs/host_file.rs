//! A file of a mount.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::fs::Permissions;

use crate::fs::vfs::host::{HostFolder, HostMeta, errno};
use crate::fs::vfs::pack_file::read_at;
use crate::journal;
use crate::journal::Call;
use crate::types::bytes::Bytes;
use crate::types::errno::{Errno, Result};

/// A file of a mount, read from the host.
#[derive(Debug)]
pub(crate) struct HostFile {
    folder: Arc<HostFolder>,
    /// Path relative to the mount, with `/`.
    pub(crate) path: Arc<str>,
    /// Attributes at the time when the guest listed or opened the file.
    pub(crate) meta: HostMeta,
    /// True if the guest has opened the file before.
    pub(crate) was_opened: bool,
    /// Handle on the host's file, while the guest has the file open.
    handle: Mutex<Option<Arc<File>>>,
}

impl HostFile {
    pub(crate) fn new(folder: Arc<HostFolder>, path: Arc<str>, meta: HostMeta) -> Self {
        Self {
            folder,
            path,
            meta,
            was_opened: false,
            handle: Mutex::new(None),
        }
    }

    /// Opens the file for the guest, with its current attributes. Recorded or replayed.
    pub(crate) fn reopen(&self) -> Result<Self> {
        let mut file = None;
        let open = || {
            let (opened, meta) = (self.folder.open_file(&self.path)).map_err(|e| errno(&e))?;
            file = Some(Arc::new(opened));
            Ok(meta)
        };
        let call = || Call::Open {
            path: self.path.clone(),
        };
        let meta = journal::record_or_replay(call, open).unwrap_or(Err(Errno::Io))?;
        Ok(Self {
            folder: self.folder.clone(),
            path: self.path.clone(),
            meta,
            was_opened: true,
            handle: Mutex::new(file),
        })
    }

    /// Returns the file with a handle of its own, which no descriptor of the guest closes.
    ///
    /// # Errors
    ///
    /// Returns [`Errno::Stale`] if the file was changed.
    pub(crate) fn with_own_handle(&self) -> Result<Self> {
        let file = self.reopen()?;
        match file.meta == self.meta {
            true => Ok(file),
            false => Err(Errno::Stale),
        }
    }

    /// Returns the permissions of the host's file.
    pub(crate) fn permissions(&self) -> io::Result<Permissions> {
        let (file, _) = self.folder.open_file(&self.path)?;
        Ok(Permissions::from_std(file.metadata()?.permissions()))
    }

    /// Closes the handle. The next read opens the file again.
    pub(crate) fn close(&self) {
        *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn handle(&self) -> io::Result<Arc<File>> {
        let mut handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*handle {
            return Ok(file.clone());
        }
        let file = Arc::new(self.folder.open_file(&self.path)?.0);
        *handle = Some(file.clone());
        Ok(file)
    }

    /// Reads at `offset` into `buf`, recorded or replayed. Returns 0 at the end.
    ///
    /// # Errors
    ///
    /// With `strict`, returns [`Errno::Stale`] if the file was changed. This is necessary if the guest has written to
    /// the file, because its changes are based on the old content.
    pub(crate) fn read_at(&self, buf: &mut [u8], offset: u64, strict: bool) -> Result<usize> {
        if !journal::is_on() {
            return self.read_now(buf, offset, strict);
        }
        let call = || Call::Read {
            path: self.path.clone(),
            at: offset,
            len: buf.len(),
        };
        let live = || {
            let mut bytes = vec![0; buf.len()];
            let n = self.read_now(&mut bytes, offset, strict)?;
            bytes.truncate(n);
            Ok(Bytes(bytes))
        };
        let Bytes(bytes) = journal::record_or_replay(call, live).unwrap_or(Err(Errno::Io))?;
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn read_now(&self, buf: &mut [u8], offset: u64, strict: bool) -> Result<usize> {
        let handle = self.handle().map_err(|e| errno(&e))?;
        if strict {
            self.check_unchanged(&handle)?;
        }
        read_at(&handle, buf, offset).map_err(|e| errno(&e))
    }

    /// Fills `buf` from `offset` on, as [`HostFile::read_at`] with `strict`.
    pub(crate) fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let mut done = 0;
        while done < buf.len() {
            match self.read_at(&mut buf[done..], offset + done as u64, true)? {
                0 => return Err(Errno::Stale),
                n => done += n,
            }
        }
        Ok(())
    }

    /// Checks that the opened file has the known length and modification time.
    fn check_unchanged(&self, handle: &File) -> Result<()> {
        let meta = handle.metadata().map_err(|e| errno(&e))?;
        let modified = (meta.modified().ok())
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(0));
        match (meta.len(), modified) == (self.meta.len, self.meta.modified) {
            true => Ok(()),
            false => Err(Errno::Stale),
        }
    }
}
