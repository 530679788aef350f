//! A file below a mount's handle.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::fs::Permissions;

use super::host::{HostFolder, HostMeta, errno};
use super::pack_file::read_at;
use crate::sandbox::tape::{self, Bytes, Call};
use crate::sandbox::wasi::{Errno, Result};

/// A file of a mount, read in place.
#[derive(Debug)]
pub(crate) struct HostFile {
    folder: Arc<HostFolder>,
    /// From the mount's folder, with `/`.
    pub(crate) path: Arc<str>,
    /// As it was when the guest last looked.
    pub(crate) meta: HostMeta,
    /// Whether the guest has opened it before.
    pub(crate) looked_at: bool,
    /// Open while the guest has it open.
    handle: Mutex<Option<Arc<File>>>,
}

impl HostFile {
    pub(crate) fn new(folder: Arc<HostFolder>, path: Arc<str>, meta: HostMeta) -> Self {
        Self {
            folder,
            path,
            meta,
            looked_at: false,
            handle: Mutex::new(None),
        }
    }

    /// The file as it is now, opened: the guest opens it.
    pub(crate) fn reopened(&self) -> Result<Self> {
        let mut file = None;
        let open = || {
            let (opened, meta) = (self.folder.open_file(&self.path)).map_err(|e| errno(&e))?;
            file = Some(Arc::new(opened));
            Ok(meta)
        };
        let call = || Call::Open {
            path: self.path.clone(),
        };
        let meta = tape::told(call, open).unwrap_or(Err(Errno::Io))?;
        Ok(Self {
            folder: self.folder.clone(),
            path: self.path.clone(),
            meta,
            looked_at: true,
            handle: Mutex::new(file),
        })
    }

    /// The same file with a handle of its own, which nobody else lets go of, if it is still as it
    /// was.
    pub(crate) fn apart(&self) -> Result<Self> {
        let file = self.reopened()?;
        match file.meta == self.meta {
            true => Ok(file),
            false => Err(Errno::Stale),
        }
    }

    /// What its owner and others may do with it.
    pub(crate) fn permissions(&self) -> io::Result<Permissions> {
        let (file, _) = self.folder.open_file(&self.path)?;
        Ok(Permissions::from_std(file.metadata()?.permissions()))
    }

    /// Lets go of the handle: the next to read opens it anew.
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

    /// Reads at `offset`; 0 at the end. With `strict`, only as long as nobody has changed the
    /// file: what the guest has written over it would else lie over something else.
    pub(crate) fn read_at(&self, buf: &mut [u8], offset: u64, strict: bool) -> Result<usize> {
        if !tape::is_on() {
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
        let Bytes(bytes) = tape::told(call, live).unwrap_or(Err(Errno::Io))?;
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn read_now(&self, buf: &mut [u8], offset: u64, strict: bool) -> Result<usize> {
        let handle = self.handle().map_err(|e| errno(&e))?;
        if strict {
            self.check(&handle)?;
        }
        read_at(&handle, buf, offset).map_err(|e| errno(&e))
    }

    /// Fills `buf` from `offset`, as [`HostFile::read_at`] with `strict`.
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

    fn check(&self, handle: &File) -> Result<()> {
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
