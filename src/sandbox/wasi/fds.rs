//! The guest's descriptor table.

use std::sync::Arc;

use super::abi::{Errno, Result};
use crate::sandbox::vfs::{Entry, Ino, Tree};

/// Entries that all listings together may hold.
const MAX_LISTED: usize = 100_000;

#[derive(Debug, Clone)]
pub(crate) enum Fd {
    Stdin,
    Stdout,
    Stderr,
    Dir {
        ino: Ino,
        /// The guest path, for the folders that are there from the start.
        preopen: Option<Arc<str>>,
        /// The listing being read, taken at its start so that changes meanwhile cannot upset it.
        listing: Option<Arc<Vec<Entry>>>,
    },
    File {
        ino: Ino,
        offset: u64,
        append: bool,
        read: bool,
        write: bool,
    },
}

/// Descriptors 0 to 2 are the streams, 3 is `/`, 4 the pack's data folder where there is one.
#[derive(Debug, Clone)]
pub(crate) struct Fds {
    slots: Vec<Option<Fd>>,
    pub(crate) max: u64,
}

impl Fds {
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

    /// The folder behind `fd`.
    pub(crate) fn dir(&self, fd: u32) -> Result<Ino> {
        match self.get(fd)? {
            Fd::Dir { ino, .. } => Ok(*ino),
            _ => Err(Errno::Notdir),
        }
    }

    pub(super) fn slots(&self) -> &[Option<Fd>] {
        &self.slots
    }

    pub(super) fn close_streams(&mut self) {
        for slot in self.slots.iter_mut().take(3) {
            *slot = None;
        }
    }

    /// Puts `new` at the number `fd`, which is free.
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

    /// Puts `new` at the lowest free number.
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

    /// A second descriptor for the same file, with a position of its own from there on.
    pub(crate) fn dup(&mut self, fd: u32, tree: &mut Tree) -> Result<u32> {
        let copy = match self.get(fd)? {
            Fd::Dir { ino, .. } => Fd::Dir {
                ino: *ino,
                preopen: None,
                listing: None,
            },
            other => other.clone(),
        };
        self.open(copy, tree)
    }

    pub(crate) fn close(&mut self, fd: u32, tree: &mut Tree) -> Result<()> {
        let slot = self.slots.get_mut(fd as usize).ok_or(Errno::Badf)?;
        match slot.take().ok_or(Errno::Badf)? {
            // The roots stay: without them the guest could open nothing any more.
            keep @ Fd::Dir {
                preopen: Some(_), ..
            } => {
                *slot = Some(keep);
                Err(Errno::Notsup)
            }
            Fd::File { ino, .. } | Fd::Dir { ino, .. } => {
                tree.closed(ino);
                Ok(())
            }
            Fd::Stdin | Fd::Stdout | Fd::Stderr => Ok(()),
        }
    }

    /// Whether one more can be opened.
    pub(crate) fn check_room(&self) -> Result<()> {
        let open = self.slots.iter().flatten().count() as u64;
        if open < self.max {
            Ok(())
        } else {
            Err(Errno::Mfile)
        }
    }

    /// Makes ready for a turn: the streams are there, also when the last turn has closed them.
    pub(crate) fn begin_turn(&mut self, max: u64) {
        self.max = max;
        for (fd, stream) in [Fd::Stdin, Fd::Stdout, Fd::Stderr].into_iter().enumerate() {
            if let Some(slot @ None) = self.slots.get_mut(fd) {
                *slot = Some(stream);
            }
        }
    }

    /// Lets go of all listings where together with a new one of `len` entries they would hold more
    /// than a bound: whoever is still reading one gets it anew.
    pub(crate) fn make_room(&mut self, len: usize) {
        let listings = self.slots.iter().flatten().filter_map(|fd| match fd {
            Fd::Dir { listing, .. } => listing.as_ref(),
            _ => None,
        });
        if listings.map(|listing| listing.len()).sum::<usize>() + len > MAX_LISTED {
            for fd in self.slots.iter_mut().flatten() {
                if let Fd::Dir { listing, .. } = fd {
                    *listing = None;
                }
            }
        }
    }

    /// Whether nothing but the streams and the roots is open.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.slots
            .iter()
            .flatten()
            .all(|fd| !matches!(fd, Fd::File { .. } | Fd::Dir { preopen: None, .. }))
    }
}
