//! A lock file that admits one installer at a time, across processes and threads.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::PackError;

/// Maximum wait for another process. Its download can be slow, but it fails when it stalls, and the lock is released
/// when its process exits.
const MAX_WAIT: Duration = Duration::from_secs(3600);
const POLL: Duration = Duration::from_millis(50);
/// Wait after which the user is told about it.
const SILENT_WAIT: Duration = Duration::from_millis(500);

/// A held lock. It is released when it is dropped or when the process exits.
///
/// The file is not deleted: otherwise two processes could lock two files of the same name.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock on the file `path`. Creates the file if it is missing. `waiting` is called if another process
    /// has held it for half a second.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::Locked`] after an hour, and an I/O error if the file cannot be opened or the file system
    /// does not support locks.
    pub(crate) fn acquire(path: &Path, waiting: impl FnOnce()) -> Result<Self, PackError> {
        Self::acquire_within(path, MAX_WAIT, waiting)
    }

    /// Like [`Lock::acquire`], with `max_wait` in place of an hour.
    pub(crate) fn acquire_within(
        path: &Path,
        max_wait: Duration,
        waiting: impl FnOnce(),
    ) -> Result<Self, PackError> {
        let file = open(path).map_err(PackError::write(path, 0))?;
        let start = Instant::now();
        let mut waiting = Some(waiting);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(source)) => {
                    return Err(PackError::io("lock", path)(source));
                }
                Err(TryLockError::WouldBlock) if start.elapsed() >= max_wait => {
                    return Err(PackError::Locked {
                        path: path.to_owned(),
                        waited_s: start.elapsed().as_secs(),
                    });
                }
                Err(TryLockError::WouldBlock) => {
                    if start.elapsed() >= SILENT_WAIT
                        && let Some(waiting) = waiting.take()
                    {
                        waiting();
                    }
                    std::thread::sleep(POLL);
                }
            }
        }
    }

    /// Returns true if the lock on the file `path` is not held, or if there is no such file.
    pub(crate) fn is_free(path: &Path) -> bool {
        let opened = OpenOptions::new().write(true).open(path);
        opened.map_or(true, |file| file.try_lock().is_ok())
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}
