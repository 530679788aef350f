//! The descriptor table as data, and back.

use std::io;

use serde::{Deserialize, Serialize};

use super::fds::{Fd, Fds};
use crate::sandbox::vfs::{Numbers, Target, Tree};

/// One descriptor. The folders that are there from the start are not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FdData {
    fd: u32,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum What {
    Stdin,
    Stdout,
    Stderr,
    Dir(Target),
    File {
        target: Target,
        offset: u64,
        append: bool,
        read: bool,
        write: bool,
    },
}

impl Fds {
    /// The nodes that descriptors lead to.
    pub(crate) fn nodes(&self) -> Vec<u64> {
        let opened = self.slots().iter().flatten().filter_map(|fd| match fd {
            Fd::File { ino, .. } | Fd::Dir { ino, .. } => Some(*ino),
            _ => None,
        });
        opened.collect()
    }

    /// What is open. `Err` says what cannot be kept.
    pub(crate) fn to_data(&self, tree: &Tree) -> Result<Vec<FdData>, String> {
        let mut all = Vec::new();
        for (fd, slot) in self.slots().iter().enumerate() {
            let what = match slot {
                None => continue,
                Some(Fd::Dir {
                    preopen: Some(_), ..
                }) => continue,
                Some(Fd::Stdin) => What::Stdin,
                Some(Fd::Stdout) => What::Stdout,
                Some(Fd::Stderr) => What::Stderr,
                Some(Fd::Dir { ino, .. }) => What::Dir(tree.target(*ino)?),
                Some(Fd::File {
                    ino,
                    offset,
                    append,
                    read,
                    write,
                }) => What::File {
                    target: tree.target(*ino)?,
                    offset: *offset,
                    append: *append,
                    read: *read,
                    write: *write,
                },
            };
            let fd = fd as u32;
            all.push(FdData { fd, what });
        }
        Ok(all)
    }

    /// Opens what `data` says in a fresh table.
    pub(crate) fn take_data(
        &mut self,
        data: Vec<FdData>,
        tree: &mut Tree,
        numbers: &Numbers,
    ) -> io::Result<()> {
        let odd = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "it holds a descriptor that is none",
            )
        };
        // The streams are there unless the guest has closed them.
        self.close_streams();
        for FdData { fd, what } in data {
            let new = match what {
                What::Stdin => Fd::Stdin,
                What::Stdout => Fd::Stdout,
                What::Stderr => Fd::Stderr,
                What::Dir(target) => {
                    let ino = tree.find(&target, numbers)?;
                    if !tree.is_dir(ino) {
                        return Err(odd());
                    }
                    Fd::Dir {
                        ino,
                        preopen: None,
                        listing: None,
                    }
                }
                What::File {
                    target,
                    offset,
                    append,
                    read,
                    write,
                } => {
                    let ino = tree.find(&target, numbers)?;
                    if tree.is_dir(ino) || offset > i64::MAX as u64 {
                        return Err(odd());
                    }
                    // What may be written is the tree's to say, not the data's.
                    let write = write && tree.check_writable(ino).is_ok();
                    Fd::File {
                        ino,
                        offset,
                        append,
                        read,
                        write,
                    }
                }
            };
            self.open_at(fd, new, tree).map_err(|_| odd())?;
        }
        Ok(())
    }
}
