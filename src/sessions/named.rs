//! A session that is open.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::SessionError;
use super::folder::{
    MOST_BYTES, MOST_DEPTH, Standing, go_back, snapshot_path, stand, tidy, waiting_path,
};
use super::record::{self, TurnRecord};
use crate::sandbox::{Execution, GuestFile, Sandbox, Saved, Session, Waiting, write_whole};

/// A session that is open: nobody else can have it until this is dropped.
pub struct NamedSession {
    /// The session, as it was after its last turn.
    pub session: Session,
    folder: PathBuf,
    last: u32,
    /// The turn whose snapshot the session stands on.
    state: u32,
    /// That snapshot.
    saved: Option<Saved>,
    files: BTreeMap<String, GuestFile>,
    _lock: File,
}

impl NamedSession {
    pub(super) fn new(standing: Standing, folder: PathBuf, lock: File) -> Self {
        Self {
            files: by_path(&standing.session),
            session: standing.session,
            last: standing.last,
            state: standing.state,
            saved: standing.saved,
            folder,
            _lock: lock,
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The last turn's number; 0 when there is none.
    pub fn last(&self) -> u32 {
        self.last
    }

    /// Commits the turn that has just run in [`NamedSession::session`]: when this returns, it is on
    /// disk, and stays there whatever happens. What was changed in mounts is no part of it.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::save`](crate::sandbox::Snapshot::save), and [`SessionError::Io`]. The session
    /// on disk is then as it was before the turn; [`NamedSession::session`] goes on with it.
    pub fn commit(&mut self, code: &str, execution: &Execution) -> Result<(), SessionError> {
        let turn = self.last + 1;
        let state = match execution.rolled_back {
            true => self.state,
            false => turn,
        };
        let files = by_path(&self.session);
        let (mut over, mut saved) = (0, None);
        if state == turn {
            let below = self.saved.as_ref().filter(|saved| saved.depth < MOST_DEPTH);
            let path = snapshot_path(&self.folder, turn);
            let made = self.session.checkpoint()?.save_over(&path, below)?;
            if made.depth > 0 {
                over = self.state;
            }
            saved = Some(made);
        }
        let record = TurnRecord::of(turn, (state, over), code, execution, &self.files, &files);
        let bytes = serde_json::to_vec(&record).map_err(|e| SessionError::Damaged {
            path: self.folder.clone(),
            why: e.to_string(),
        })?;
        write_whole(&record::path(&self.folder, turn), &bytes)?;
        (self.last, self.state, self.files) = (turn, state, files);
        self.saved = saved.or(self.saved.take());
        // The turn before does not wait any more. What is left of it, nobody looks at.
        let _ = std::fs::remove_file(waiting_path(&self.folder, turn - 1));
        // What it frees does not matter; what it cannot remove stays.
        let _ = tidy(&self.folder, usize::MAX, MOST_BYTES);
        Ok(())
    }

    /// Keeps the turn that was committed last, and waits for an answer, until it is taken up, undone or
    /// followed by another one.
    ///
    /// # Errors
    ///
    /// As [`Waiting::save`].
    pub fn put_away(&self, waiting: &Waiting) -> Result<(), SessionError> {
        Ok(waiting.save(waiting_path(&self.folder, self.last))?)
    }

    /// The turn that waits for an answer, if the last one does. To take it up, let
    /// [`NamedSession::session`] be [`Waiting::session`], run [`Waiting::turn`] in it, and commit that.
    ///
    /// # Errors
    ///
    /// As [`Waiting::load`].
    pub fn waiting(&self) -> Result<Option<Waiting>, SessionError> {
        let path = waiting_path(&self.folder, self.last);
        match path.exists() {
            true => Ok(Some(Waiting::load(path)?)),
            false => Ok(None),
        }
    }

    /// Goes back `count` turns, on disk and here. Tells which turn is the last then; 0 for none.
    /// `sandbox` is the one that the session was opened in.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::undo`](super::SessionStore::undo), and as loading a snapshot.
    pub fn undo(&mut self, count: u32, sandbox: &Sandbox) -> Result<u32, SessionError> {
        go_back(&self.folder, &self.name(), count)?;
        let standing = stand(&self.folder, sandbox)?;
        self.files = by_path(&standing.session);
        self.session = standing.session;
        (self.last, self.state, self.saved) = (standing.last, standing.state, standing.saved);
        Ok(self.last)
    }
}

fn by_path(session: &Session) -> BTreeMap<String, GuestFile> {
    let files = session.files().into_iter();
    files.map(|file| (file.path.clone(), file)).collect()
}
