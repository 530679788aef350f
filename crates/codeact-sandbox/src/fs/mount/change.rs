//! One change of a session in a mount or in its home folder.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use similar::TextDiff;

use crate::fs::vfs::{Content, HostFile, HostFolder, HostKind, HostMeta};
use codeact_base::text::one_line;

/// Maximum length of a file in a diff, in bytes.
const MAX_DIFF_BYTES: u64 = 256 << 10;

/// A file, folder or symbolic link that was added, changed or removed.
#[derive(Clone)]
pub struct Change {
    /// The kind of change.
    pub kind: ChangeKind,
    /// Guest path.
    pub guest: String,
    /// Host path. `None` in the home folder.
    pub host: Option<PathBuf>,
    /// Length before, in bytes. `None` if there was no file.
    pub before: Option<u64>,
    /// Length after, in bytes. `None` if there is no file.
    pub after: Option<u64>,
    /// True if it is in a mount with [`MountMode::Commit`](crate::MountMode::Commit).
    pub to_commit: bool,
    /// Path relative to the mount or the home folder.
    pub(super) path: Arc<str>,
    /// Index of the mount.
    pub(super) mount: Option<usize>,
    pub(super) folder: Option<Arc<HostFolder>>,
    /// The host's file before, as the guest saw it.
    pub(super) old: Option<HostMeta>,
    /// The guest's file after.
    pub(super) new: Option<NewNode>,
}

/// Kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// The name did not exist.
    Added,
    /// The content or the file type is different.
    Changed,
    /// The name does not exist any more.
    Removed,
}

/// State of a changed path.
#[derive(Clone)]
pub(super) enum NewNode {
    Dir,
    File(Content),
    Symlink(Arc<str>),
}

impl Change {
    /// Returns the file type: `file`, `folder` or `link`.
    pub fn file_type(&self) -> &'static str {
        let old = || self.old.as_ref().map(|meta| &meta.kind);
        match (&self.new, old()) {
            (Some(NewNode::Dir), _) | (None, Some(HostKind::Dir)) => "folder",
            (Some(NewNode::Symlink(_)), _) | (None, Some(HostKind::Symlink(_))) => "link",
            _ => "file",
        }
    }

    /// Returns the target if it is a symbolic link now.
    pub fn target(&self) -> Option<&str> {
        match &self.new {
            Some(NewNode::Symlink(target)) => Some(target),
            _ => None,
        }
    }

    /// Returns a unified diff. `None` if a side is longer than 256 KiB, is not UTF-8 text, or is not a file.
    ///
    /// # Errors
    ///
    /// Returns an error if the host's file cannot be read.
    pub fn diff(&self) -> io::Result<Option<String>> {
        let before = match (&self.old, &self.folder) {
            (Some(meta), Some(folder)) if meta.kind == HostKind::File => {
                let file = HostFile::new(folder.clone(), self.path.clone(), meta.clone());
                text(&Content::from_host_file(Arc::new(file)))?
            }
            (Some(_), _) => return Ok(None),
            _ => Some(String::new()),
        };
        let after = match &self.new {
            Some(NewNode::File(content)) => text(content)?,
            Some(_) => return Ok(None),
            None => Some(String::new()),
        };
        let (Some(before), Some(after)) = (before, after) else {
            return Ok(None);
        };
        let name = |exists: bool, side| match exists {
            true => format!("{side}{}", one_line(&self.guest)),
            false => "/dev/null".to_owned(),
        };
        let diff = TextDiff::from_lines(&before, &after);
        let text = diff
            .unified_diff()
            .header(
                &name(self.old.is_some(), "a"),
                &name(self.new.is_some(), "b"),
            )
            .to_string();
        Ok(Some(text))
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.kind, self.guest)
    }
}

/// Returns the content if it is text of at most [`MAX_DIFF_BYTES`].
fn text(content: &Content) -> io::Result<Option<String>> {
    if content.len() > MAX_DIFF_BYTES {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    content.copy_to(&mut bytes)?;
    Ok(String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0')))
}
