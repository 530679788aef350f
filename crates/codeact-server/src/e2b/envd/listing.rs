//! Listings of a watched folder, and the events that lie between two of them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use codeact::sandbox::{FileError, FileKind, Session};
use serde_json::{Value, json};

use crate::e2b::envd::entry::Entry;
use crate::e2b::envd::metadata::FileMetadata;

/// Limit of the entries of a watched folder.
const MAX_ENTRIES: usize = 10_000;

/// The entries of a folder at some time, by their path below it.
#[derive(Debug, Clone, Default)]
pub(super) struct Listing(BTreeMap<String, Seen>);

#[derive(Debug, Clone)]
struct Seen {
    kind: FileKind,
    bytes: u64,
    modified: SystemTime,
    entry: Entry,
}

impl Seen {
    /// Returns true if both are the same content, as far as a listing shows it.
    fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.bytes == other.bytes && self.modified == other.modified
    }
}

/// What has happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happened {
    Create,
    Write,
    Remove,
    Rename,
}

impl Happened {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "EVENT_TYPE_CREATE",
            Self::Write => "EVENT_TYPE_WRITE",
            Self::Remove => "EVENT_TYPE_REMOVE",
            Self::Rename => "EVENT_TYPE_RENAME",
        }
    }
}

impl Listing {
    /// Lists the folder at `path`; `None` if it has too many entries.
    pub(super) fn take(
        session: &Session,
        path: &str,
        recursive: bool,
    ) -> Result<Option<Self>, FileError> {
        let mut found = BTreeMap::new();
        let mut folders = vec![(path.to_owned(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            for info in session.list_dir(&folder)? {
                let name = format!("{prefix}{}", info.name);
                if recursive && info.kind == FileKind::Dir {
                    folders.push((info.path.clone(), format!("{name}/")));
                }
                let seen = Seen {
                    kind: info.kind,
                    bytes: info.bytes,
                    modified: info.modified,
                    entry: Entry::new(session, info),
                };
                found.insert(name, seen);
                if found.len() > MAX_ENTRIES {
                    return Ok(None);
                }
            }
        }
        Ok(Some(Self(found)))
    }

    pub(super) fn too_large() -> String {
        format!("the watched folder has more than {MAX_ENTRIES} entries; watch a smaller one")
    }

    /// Returns the messages `FilesystemEvent` of what has happened since `before`. With `entries`, they describe the
    /// entry.
    pub(super) fn events_since(&self, before: &Self, entries: Option<&FileMetadata>) -> Vec<Value> {
        let mut events = Vec::new();
        let mut created: Vec<(&String, &Seen)> = self
            .0
            .iter()
            .filter(|(name, _)| !before.0.contains_key(*name))
            .collect();
        for (name, old) in &before.0 {
            match self.0.get(name) {
                None => {
                    let moved = created.iter().position(|(_, new)| new.is_same(old));
                    match moved {
                        Some(at) => {
                            let (to, new) = created.remove(at);
                            events.push((name, Happened::Rename, None));
                            events.push((to, Happened::Create, Some(new)));
                        }
                        None => events.push((name, Happened::Remove, None)),
                    }
                }
                // The time of a folder changes with its entries, which have events of their own.
                Some(new) if old.kind != FileKind::Dir && !new.is_same(old) => {
                    events.push((name, Happened::Write, Some(new)));
                }
                Some(_) => {}
            }
        }
        for (name, new) in created {
            events.push((name, Happened::Create, Some(new)));
            if new.kind == FileKind::File {
                events.push((name, Happened::Write, Some(new)));
            }
        }
        let message = |(name, happened, seen): (&String, Happened, Option<&Seen>)| {
            let mut message = json!({"name": name, "type": happened.as_str()});
            if let (Some(metadata), Some(seen)) = (entries, seen) {
                message["entry"] = seen.entry.message(metadata);
            }
            message
        };
        events.into_iter().map(message).collect()
    }
}
