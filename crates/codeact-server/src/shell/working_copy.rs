//! The files that a command works on: a fork of the session, and the paths that it has changed.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use codeact::sandbox::{FileError, FileInfo, FileKind, GuestFile, Session};
use codeact_sessions::manager::{ManagerError, SessionHandle};

use crate::shell::limits::MAX_FILE_BYTES;

/// Limit of the entries that one operation lists, over all folders.
const MAX_ENTRIES: usize = 200_000;

/// A fork of a session that a command works on. Nothing is changed in the session until [`WorkingCopy::apply`].
pub(super) struct WorkingCopy {
    handle: SessionHandle,
    state: Mutex<State>,
}

struct State {
    session: Session,
    /// Paths whose present state differs from that at the fork.
    changed: BTreeSet<String>,
}

/// The state of a changed path.
enum Change {
    Removed,
    Folder,
    File(GuestFile),
}

impl WorkingCopy {
    /// Forks the session.
    pub(super) async fn new(handle: SessionHandle) -> Result<Self, ManagerError> {
        let session = fork(&handle).await?;
        Ok(Self {
            handle,
            state: Mutex::new(State {
                session,
                changed: BTreeSet::new(),
            }),
        })
    }

    pub(super) fn handle(&self) -> &SessionHandle {
        &self.handle
    }

    /// Makes the changes since the last call in the session, as one change of it. Where another request has changed the
    /// same file meanwhile, the file of this command stays.
    pub(super) async fn apply(&self) -> Result<(), ManagerError> {
        let changes = self.lock().take_changes()?;
        if changes.is_empty() {
            return Ok(());
        }
        self.handle
            .change(move |session| Ok(make_changes(session, &changes)?))
            .await
    }

    /// Forks the session again. Changes that were not applied are made in the new fork: output of a program that the
    /// command writes to a file while the program runs in the session.
    pub(super) async fn refresh(&self) -> Result<(), ManagerError> {
        let session = fork(&self.handle).await?;
        let mut state = self.lock();
        let changes = state.take_changes()?;
        state.session = session;
        make_changes(&mut state.session, &changes)?;
        state.changed = changes.into_iter().map(|(path, _)| path).collect();
        Ok(())
    }

    pub(super) fn info(&self, path: &str) -> Result<FileInfo, FileError> {
        self.lock().session.file_info(path)
    }

    pub(super) fn list(&self, path: &str) -> Result<Vec<FileInfo>, FileError> {
        self.lock().session.list_dir(path)
    }

    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        let file = self.lock().session.read_file(path)?;
        if file.len() > MAX_FILE_BYTES {
            let why = format!(
                "the file has {} bytes; tools of this shell read at most {MAX_FILE_BYTES}; use Python for it",
                file.len()
            );
            return Err(FileError::Io(path.to_owned(), io::Error::other(why)));
        }
        file.to_vec().map_err(|e| FileError::Io(path.to_owned(), e))
    }

    pub(super) fn write(&self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        let mut state = self.lock();
        state.check_parent(path)?;
        state.session.write_file(path, bytes)?;
        state.note(path);
        Ok(())
    }

    pub(super) fn append(&self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        let mut content = match self.read(path) {
            Err(FileError::NotFound(_)) => Vec::new(),
            read => read?,
        };
        content.extend_from_slice(bytes);
        self.write(path, &content)
    }

    pub(super) fn make_dir(&self, path: &str, parents: bool) -> Result<(), FileError> {
        let mut state = self.lock();
        if parents {
            if state
                .session
                .file_info(path)
                .is_ok_and(|info| info.kind == FileKind::Dir)
            {
                return Ok(());
            }
        } else {
            state.check_parent(path)?;
        }
        state.session.make_dir(path)?;
        state.note(path);
        Ok(())
    }

    pub(super) fn remove(&self, path: &str, with_content: bool) -> Result<(), FileError> {
        let mut state = self.lock();
        let info = state.session.file_info(path)?;
        if info.kind == FileKind::Dir && !with_content && !state.session.list_dir(path)?.is_empty()
        {
            return Err(FileError::Exists(path.to_owned()));
        }
        state.session.remove_path(path)?;
        state.changed.insert(info.path);
        Ok(())
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        let mut state = self.lock();
        let info = state.session.file_info(from)?;
        let below = state.all_below(&info)?;
        if below
            .iter()
            .any(|info| !matches!(info.kind, FileKind::File | FileKind::Dir))
        {
            return Err(unsupported(
                from,
                "this shell cannot move symbolic links; use Python",
            ));
        }
        state.session.rename_path(from, to)?;
        let moved = state.session.file_info(to)?;
        for old in &below {
            let rest = old.path.strip_prefix(&info.path).unwrap_or_default();
            let new = format!("{}{rest}", moved.path);
            state.changed.insert(new);
        }
        state.changed.insert(info.path);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between two calls of the session.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, path: &str) {
        let real = self.session.file_info(path).map(|info| info.path);
        self.changed
            .insert(real.unwrap_or_else(|_| path.to_owned()));
    }

    /// A shell does not create parent folders on its own.
    fn check_parent(&self, path: &str) -> Result<(), FileError> {
        let parent = path.trim_end_matches('/').rsplit_once('/');
        match parent {
            Some((parent, _)) if !parent.is_empty() => self.session.list_dir_exists(parent),
            _ => Ok(()),
        }
    }

    /// Returns `info` and everything below it.
    fn all_below(&self, info: &FileInfo) -> Result<Vec<FileInfo>, FileError> {
        let mut found = vec![info.clone()];
        let mut next = 0;
        while let Some(folder) = found.get(next) {
            next += 1;
            if folder.kind == FileKind::Dir {
                let entries = self.session.list_dir(&folder.path)?;
                found.extend(entries);
            }
            if found.len() > MAX_ENTRIES {
                return Err(unsupported(
                    &info.path,
                    "the folder has more than 200,000 entries",
                ));
            }
        }
        Ok(found)
    }

    fn take_changes(&mut self) -> Result<Vec<(String, Change)>, FileError> {
        let mut changes = Vec::new();
        for path in std::mem::take(&mut self.changed) {
            let change = match self.session.file_info(&path) {
                Err(FileError::NotFound(_) | FileError::NotDir(_)) => Change::Removed,
                Err(error) => return Err(error),
                Ok(info) if info.kind == FileKind::Dir => Change::Folder,
                Ok(_) => Change::File(self.session.read_file(&path)?),
            };
            changes.push((path, change));
        }
        Ok(changes)
    }
}

/// Methods that a shell needs in addition.
trait SessionExt {
    /// Returns an error if there is no folder at `path`, which can be a link to one.
    fn list_dir_exists(&self, path: &str) -> Result<(), FileError>;
}

impl SessionExt for Session {
    fn list_dir_exists(&self, path: &str) -> Result<(), FileError> {
        match self.file_info(path)?.kind {
            FileKind::Dir => Ok(()),
            FileKind::Symlink => self.list_dir(path).map(drop),
            _ => Err(FileError::NotDir(path.to_owned())),
        }
    }
}

async fn fork(handle: &SessionHandle) -> Result<Session, ManagerError> {
    handle.read(|session| Ok(session.fork()?)).await
}

/// Makes `changes`, parents before what is in them.
fn make_changes(session: &mut Session, changes: &[(String, Change)]) -> Result<(), FileError> {
    for (path, change) in changes {
        let present = match session.file_info(path) {
            Ok(info) => Some(info.kind),
            Err(FileError::NotFound(_) | FileError::NotDir(_)) => None,
            Err(error) => return Err(error),
        };
        match (change, present) {
            (Change::Removed, None) | (Change::Folder, Some(FileKind::Dir)) => {}
            (Change::Removed, Some(_)) => session.remove_path(path)?,
            (Change::Folder, Some(_)) => {
                session.remove_path(path)?;
                session.make_dir(path)?;
            }
            (Change::Folder, None) => session.make_dir(path)?,
            (Change::File(file), present) => {
                if present == Some(FileKind::Dir) {
                    session.remove_path(path)?;
                }
                let bytes = file.to_vec().map_err(|e| FileError::Io(path.clone(), e))?;
                session.write_file(path, &bytes)?;
            }
        }
    }
    Ok(())
}

fn unsupported(path: &str, why: &str) -> FileError {
    FileError::Io(path.to_owned(), io::Error::other(why.to_owned()))
}
