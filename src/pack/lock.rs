//! One installer at a time, across processes and threads.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::PackError;

/// How long to wait for another process: its download may be slow, but it gives up by itself
/// when it stalls, and a lock ends with its process.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
const POLL: Duration = Duration::from_millis(50);

/// A lock that is held until it is dropped, or until the process ends in whatever way. The
/// file stays: deleting it would let two holders lock two files of one name.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock on the file `path`, which is created when it is missing.
    ///
    /// # Errors
    ///
    /// [`PackError::Locked`] after an hour; an I/O error if the file cannot be opened, or the
    /// file system knows no locks.
    pub(super) fn acquire(path: &Path) -> Result<Self, PackError> {
        Self::acquire_within(path, LONGEST_WAIT)
    }

    pub(super) fn acquire_within(path: &Path, longest: Duration) -> Result<Self, PackError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(PackError::write(path, 0))?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(source)) => {
                    return Err(PackError::io("lock", path)(source));
                }
                Err(TryLockError::WouldBlock) if start.elapsed() >= longest => {
                    return Err(PackError::Locked {
                        path: path.to_owned(),
                        waited_s: start.elapsed().as_secs(),
                    });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(POLL),
            }
        }
    }
}
