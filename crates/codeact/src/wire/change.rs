//! Changes of files.

use codeact_sandbox::{Change, ChangeKind, Changes};
use serde::{Deserialize, Serialize};

/// One path that the code added, changed or removed, in a mount or in its home folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChangeJson {
    /// The kind of the change.
    pub change: ChangeKindJson,
    /// The kind of the path: `file`, `folder` or `link`.
    pub what: String,
    /// The path as the guest sees it.
    pub path: String,
    /// The path on the host; `null` in the sandbox's own home folder.
    pub host: Option<String>,
    /// Size of the file before; `null` if there was none.
    pub before_bytes: Option<u64>,
    /// Size of the file after; `null` if there is none.
    pub after_bytes: Option<u64>,
    /// True if the path is in a mount with the access mode `commit`.
    pub to_commit: bool,
    /// A unified diff, if it was requested and both sides are small text files.
    pub diff: Option<String>,
}

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKindJson {
    /// `added`: there was no such path.
    Added,
    /// `changed`: the content or the kind is different.
    Changed,
    /// `removed`: the path does not exist any more.
    Removed,
}

impl ChangeJson {
    /// Returns the format of `change`, with a diff if `diff` is true. A file that cannot be read has no diff.
    pub fn new(change: &Change, diff: bool) -> Self {
        Self {
            change: change.kind.into(),
            what: change.file_type().to_owned(),
            path: change.guest.clone(),
            host: (change.host.as_ref()).map(|host| host.display().to_string()),
            before_bytes: change.before,
            after_bytes: change.after,
            to_commit: change.to_commit,
            diff: match diff {
                true => change.diff().ok().flatten(),
                false => None,
            },
        }
    }

    /// Returns the format of each change, in their order.
    pub fn list(changes: &Changes, diff: bool) -> Vec<Self> {
        let changes = changes.list().iter();
        changes.map(|change| Self::new(change, diff)).collect()
    }
}

impl From<ChangeKind> for ChangeKindJson {
    fn from(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::Added => Self::Added,
            ChangeKind::Changed => Self::Changed,
            ChangeKind::Removed => Self::Removed,
        }
    }
}
