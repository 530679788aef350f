//! The descriptor table in a snapshot.

use std::io;

use serde::{Deserialize, Serialize};

use crate::fs::vfs::{FdTarget, RestoredInos, Tree};
use crate::wasi::fds::{Fd, Fds};

/// An open descriptor. Preopened folders are not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FdData {
    fd: u32,
    #[serde(rename = "what")]
    kind: FdKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum FdKind {
    Stdin,
    Stdout,
    Stderr,
    Dir(FdTarget),
    File {
        target: FdTarget,
        offset: u64,
        append: bool,
        read: bool,
        write: bool,
        /// Number of the open file description, if several descriptors share it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shared: Option<u64>,
    },
}

impl Fds {
    /// Returns the nodes that descriptors are open on.
    pub(crate) fn nodes(&self) -> Vec<u64> {
        let opened = self.slots().iter().flatten().filter_map(|fd| match fd {
            Fd::File { ino, .. } | Fd::Dir { ino, .. } => Some(*ino),
            _ => None,
        });
        opened.collect()
    }

    /// Returns the open descriptors.
    ///
    /// # Errors
    ///
    /// Returns the reason if a descriptor cannot be stored.
    pub(crate) fn to_data(&self, tree: &Tree) -> Result<Vec<FdData>, String> {
        let mut all = Vec::new();
        for (fd, slot) in self.slots().iter().enumerate() {
            let kind = match slot {
                None => continue,
                Some(Fd::Dir {
                    preopen: Some(_), ..
                }) => continue,
                Some(Fd::Stdin) => FdKind::Stdin,
                Some(Fd::Stdout) => FdKind::Stdout,
                Some(Fd::Stderr) => FdKind::Stderr,
                Some(Fd::Dir { ino, .. }) => FdKind::Dir(tree.fd_target(*ino)?),
                Some(Fd::File {
                    ino,
                    offset,
                    append,
                    read,
                    write,
                    shared,
                }) => FdKind::File {
                    target: tree.fd_target(*ino)?,
                    offset: *offset,
                    append: *append,
                    read: *read,
                    write: *write,
                    shared: *shared,
                },
            };
            let fd = fd as u32;
            all.push(FdData { fd, kind });
        }
        Ok(all)
    }

    /// Opens the descriptors of `data`, which is untrusted, in a new table.
    ///
    /// # Errors
    ///
    /// Returns [`io::ErrorKind::InvalidData`] if one of them is invalid.
    pub(crate) fn restore(
        &mut self,
        data: Vec<FdData>,
        tree: &mut Tree,
        inos: &RestoredInos,
    ) -> io::Result<()> {
        let invalid = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "it has an invalid file descriptor",
            )
        };
        // The streams are in `data` unless the guest has closed them.
        self.close_streams();
        for FdData { fd, kind } in data {
            let new = match kind {
                FdKind::Stdin => Fd::Stdin,
                FdKind::Stdout => Fd::Stdout,
                FdKind::Stderr => Fd::Stderr,
                FdKind::Dir(target) => {
                    let ino = tree.find(&target, inos)?;
                    if !tree.is_dir(ino) {
                        return Err(invalid());
                    }
                    Fd::Dir {
                        ino,
                        preopen: None,
                        listing: None,
                    }
                }
                FdKind::File {
                    target,
                    offset,
                    append,
                    read,
                    write,
                    shared,
                } => {
                    let ino = tree.find(&target, inos)?;
                    if tree.is_dir(ino) || offset > i64::MAX as u64 {
                        return Err(invalid());
                    }
                    // The tree decides whether a file is writable: the data is untrusted.
                    let write = write && tree.check_writable(ino).is_ok();
                    Fd::File {
                        ino,
                        offset,
                        append,
                        read,
                        write,
                        // A number below this cannot overflow when the next one is chosen.
                        shared: shared.filter(|number| *number < u64::MAX / 2),
                    }
                }
            };
            self.open_at(fd, new, tree).map_err(|_| invalid())?;
        }
        Ok(())
    }
}
