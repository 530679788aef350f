//! The guest's descriptor table.

use std::sync::Arc;

use crate::fs::vfs::{DirEntry, Ino, Tree};
use crate::types::errno::{Errno, Result};

/// Maximum number of entries in all listings together.
const MAX_LISTED_ENTRIES: usize = 100_000;

/// An open descriptor.
#[derive(Debug, Clone)]
pub(crate) enum Fd {
    Stdin,
    Stdout,
    Stderr,
    Dir {
        ino: Ino,
        /// The guest path of a preopened folder.
        preopen: Option<Arc<str>>,
        /// The listing that is being read. It is taken at the start, so that later changes do not affect it.
        listing: Option<Arc<Vec<DirEntry>>>,
    },
    File {
        ino: Ino,
        offset: u64,
        append: bool,
        read: bool,
        write: bool,
        /// Number of the open file description, if several descriptors share it: they have one position.
        shared: Option<u64>,
    },
}

/// Descriptor table. In a new one 0 to 2 are the streams, 3 is `/`, and 4 is the pack's data folder if it has one.
#[derive(Debug, Clone)]
pub(crate) struct Fds {
    slots: Vec<Option<Fd>>,
    /// Maximum number of open descriptors.
    pub(crate) max: u64,
}

impl Fds {
    /// Returns the table of a new session.
    pub(crate) fn new(root: Ino, data: Option<(Ino, Arc<str>)>, max: u64) -> Self {
        let dir = |ino, path| {
            Some(Fd::Dir {
                ino,
                preopen: Some(path),
                listing: None,
            })
        };
        let mut slots = vec![
            Some(Fd::Stdin),
            Some(Fd::Stdout),
            Some(Fd::Stderr),
            dir(root, Arc::from("/")),
        ];
        if let Some((ino, path)) = data {
            slots.push(dir(ino, path));
        }
        Self { slots, max }
    }

    /// # Errors
    ///
    /// Returns [`Errno::Badf`] if `fd` is not open. This holds for all methods.
    pub(crate) fn get(&self, fd: u32) -> Result<&Fd> {
        self.slots
            .get(fd as usize)
            .and_then(Option::as_ref)
            .ok_or(Errno::Badf)
    }

    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut Fd> {
        self.slots
            .get_mut(fd as usize)
            .and_then(Option::as_mut)
            .ok_or(Errno::Badf)
    }

    /// Returns the node of the folder that `fd` is open on.
    ///
    /// # Errors
    ///
    /// Returns [`Errno::Notdir`] if it is not a folder.
    pub(crate) fn dir(&self, fd: u32) -> Result<Ino> {
        match self.get(fd)? {
            Fd::Dir { ino, .. } => Ok(*ino),
            _ => Err(Errno::Notdir),
        }
    }

    pub(super) fn slots(&self) -> &[Option<Fd>] {
        &self.slots
    }

    /// Closes the descriptors 0 to 2.
    pub(super) fn close_streams(&mut self) {
        for slot in self.slots.iter_mut().take(3) {
            *slot = None;
        }
    }

    /// Opens `new` at the number `fd`.
    ///
    /// # Errors
    ///
    /// Returns [`Errno::Badf`] if the number is in use or too high.
    pub(super) fn open_at(&mut self, fd: u32, new: Fd, tree: &mut Tree) -> Result<()> {
        let at = fd as usize;
        if u64::from(fd) >= self.max || self.slots.get(at).is_some_and(Option::is_some) {
            return Err(Errno::Badf);
        }
        if let Fd::File { ino, .. } | Fd::Dir { ino, .. } = &new {
            tree.opened(*ino)?;
        }
        if at >= self.slots.len() {
            self.slots.resize(at + 1, None);
        }
        self.slots[at] = Some(new);
        Ok(())
    }

    /// Opens `new` at the lowest free number, and returns that.
    ///
    /// # Errors
    ///
    /// Returns [`Errno::Mfile`] if too many descriptors are open.
    pub(crate) fn open(&mut self, new: Fd, tree: &mut Tree) -> Result<u32> {
        let free = self.slots.iter().position(Option::is_none);
        let at = free.unwrap_or(self.slots.len());
        if at as u64 >= self.max {
            return Err(Errno::Mfile);
        }
        if let Fd::File { ino, .. } | Fd::Dir { ino, .. } = &new {
            tree.opened(*ino)?;
        }
        if at == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[at] = Some(new);
        Ok(at as u32)
    }

    /// Opens a second descriptor on the same file or folder. Descriptors of a file share their position.
    pub(crate) fn dup(&mut self, fd: u32, tree: &mut Tree) -> Result<u32> {
        self.check_limit()?;
        let copy = self.share(fd)?;
        self.open(copy, tree)
    }

    /// As [`Self::dup`], at the number `to`, which is closed first if it is open.
    ///
    /// # Errors
    ///
    /// Returns [`Errno::Badf`] if `to` is too high, and [`Errno::Notsup`] if it is a preopened folder.
    pub(crate) fn dup_to(&mut self, fd: u32, to: u32, tree: &mut Tree) -> Result<u32> {
        self.get(fd)?;
        if fd == to {
            return Ok(fd);
        }
        if u64::from(to) >= self.max {
            return Err(Errno::Badf);
        }
        if self.get(to).is_ok() {
            self.close(to, tree)?;
        }
        let copy = self.share(fd)?;
        self.open_at(to, copy, tree)?;
        Ok(to)
    }

    /// Returns a copy of `fd` that shares its position.
    fn share(&mut self, fd: u32) -> Result<Fd> {
        let next = 1 + self.numbers().max().unwrap_or(0);
        Ok(match self.get_mut(fd)? {
            Fd::Dir { ino, .. } => Fd::Dir {
                ino: *ino,
                preopen: None,
                listing: None,
            },
            Fd::File { shared, .. } if shared.is_none() => {
                *shared = Some(next);
                self.get(fd)?.clone()
            }
            other => other.clone(),
        })
    }

    /// Returns the numbers of shared open file descriptions.
    fn numbers(&self) -> impl Iterator<Item = u64> {
        self.slots.iter().flatten().filter_map(|fd| match fd {
            Fd::File { shared, .. } => *shared,
            _ => None,
        })
    }

    /// Sets the position of `fd` and of the descriptors that share it. Has no effect if it is no file.
    pub(super) fn set_offset(&mut self, fd: u32, to: u64) -> Result<()> {
        let Fd::File { offset, shared, .. } = self.get_mut(fd)? else {
            return Ok(());
        };
        *offset = to;
        let Some(number) = *shared else {
            return Ok(());
        };
        for slot in self.slots.iter_mut().flatten() {
            if let Fd::File { offset, shared, .. } = slot
                && *shared == Some(number)
            {
                *offset = to;
            }
        }
        Ok(())
    }

    /// # Errors
    ///
    /// Returns [`Errno::Notsup`] for a preopened folder.
    pub(crate) fn close(&mut self, fd: u32, tree: &mut Tree) -> Result<()> {
        let slot = self.slots.get_mut(fd as usize).ok_or(Errno::Badf)?;
        match slot.take().ok_or(Errno::Badf)? {
            // Without the preopened folders the guest could not open anything in later turns.
            preopened @ Fd::Dir {
                preopen: Some(_), ..
            } => {
                *slot = Some(preopened);
                Err(Errno::Notsup)
            }
            Fd::File { ino, .. } | Fd::Dir { ino, .. } => {
                tree.closed(ino);
                Ok(())
            }
            Fd::Stdin | Fd::Stdout | Fd::Stderr => Ok(()),
        }
    }

    /// Checks that one more descriptor can be opened.
    ///
    /// # Errors
    ///
    /// Returns [`Errno::Mfile`] if it cannot.
    pub(crate) fn check_limit(&self) -> Result<()> {
        let open = self.slots.iter().flatten().count() as u64;
        if open < self.max {
            Ok(())
        } else {
            Err(Errno::Mfile)
        }
    }

    /// Prepares a turn: sets the limit and reopens the streams that the last turn has closed, or replaced by a file.
    pub(crate) fn begin_turn(&mut self, max: u64, tree: &mut Tree) {
        self.max = max;
        for (fd, stream) in [(0, Fd::Stdin), (1, Fd::Stdout), (2, Fd::Stderr)] {
            if matches!(self.get(fd), Ok(Fd::File { .. } | Fd::Dir { .. })) {
                // It is no preopened folder, so this does not fail.
                let _ = self.close(fd, tree);
            }
            if let Some(slot @ None) = self.slots.get_mut(fd as usize) {
                *slot = Some(stream);
            }
        }
    }

    /// Drops all listings if they would exceed [`MAX_LISTED_ENTRIES`] with a new one of `len` entries. A guest that is
    /// still reading one gets a new listing.
    pub(crate) fn evict_listings(&mut self, len: usize) {
        let listings = self.slots.iter().flatten().filter_map(|fd| match fd {
            Fd::Dir { listing, .. } => listing.as_ref(),
            _ => None,
        });
        if listings.map(|listing| listing.len()).sum::<usize>() + len > MAX_LISTED_ENTRIES {
            for fd in self.slots.iter_mut().flatten() {
                if let Fd::Dir { listing, .. } = fd {
                    *listing = None;
                }
            }
        }
    }

    /// Returns the nodes that descriptors are open on, without the preopened folders.
    pub(crate) fn opened(&self) -> Vec<Ino> {
        let opened = self.slots.iter().flatten().filter_map(|fd| match fd {
            Fd::File { ino, .. }
            | Fd::Dir {
                ino, preopen: None, ..
            } => Some(*ino),
            _ => None,
        });
        opened.collect()
    }

    /// Returns true if only the streams and the preopened folders are open.
    pub(crate) fn is_initial(&self) -> bool {
        self.slots
            .iter()
            .flatten()
            .all(|fd| !matches!(fd, Fd::File { .. } | Fd::Dir { preopen: None, .. }))
    }
}
