//! What a session changed: its tree compared with what the host had shown it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use similar::TextDiff;

use super::write::write;
use super::{Mount, MountMode};
use crate::sandbox::error::SandboxError;
use crate::sandbox::vfs::{
    Content, HOME, HostFile, HostFolder, HostKind, HostMeta, Kind, MountPoint, Tree,
};
use crate::text::one_line;

/// Files longer than this, in bytes, are named in a diff, not shown.
const MAX_DIFF: u64 = 256 << 10;
/// Files longer than this, in bytes, count as changed when they were written, whatever was written.
const MAX_COMPARED: u64 = 64 << 20;

/// What a session changed in its mounts and left in its home folder, at one moment.
#[derive(Clone)]
pub struct Changes {
    list: Vec<Change>,
}

/// One name that was added, changed or removed.
#[derive(Clone)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The path as the guest sees it.
    pub guest: String,
    /// The host's path; `None` in the sandbox's own home folder.
    pub host: Option<PathBuf>,
    /// Bytes before; `None` for what was not there, and for what is no file.
    pub before: Option<u64>,
    /// Bytes after; `None` for what is there no more, and for what is no file.
    pub after: Option<u64>,
    /// Whether it belongs to a mount whose changes are meant to be written back.
    pub to_commit: bool,
    pub(super) path: Arc<str>,
    pub(super) mount: Option<usize>,
    pub(super) folder: Option<Arc<HostFolder>>,
    pub(super) old: Option<HostMeta>,
    pub(super) new: Option<New>,
}

/// What happened to a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// It has other bytes, or is of another kind.
    Changed,
    /// It is there no more.
    Removed,
}

/// What is there now.
#[derive(Clone)]
pub(super) enum New {
    Dir,
    File(Content),
    Symlink(Arc<str>),
}

impl Changes {
    /// Compares `tree` with what its mounts had shown. `mounts` are in the order of the tree's.
    pub(in crate::sandbox) fn of(tree: &mut Tree, mounts: &[Mount]) -> Self {
        let mut list = Vec::new();
        for (at, (point, mount)) in tree.mounts().iter().zip(mounts).enumerate() {
            if point.touched {
                of_mount(tree, at, point, mount, &mut list);
            }
        }
        let home = tree.files_below(HOME);
        let mounted = |path: &str| {
            let inside = |mount: &Mount| {
                path.strip_prefix(&*mount.guest)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            mounts.iter().any(inside)
        };
        for (path, content) in home {
            let guest = format!("{HOME}/{path}");
            if !mounted(&guest) {
                list.push(Change {
                    kind: ChangeKind::Added,
                    guest,
                    host: None,
                    before: None,
                    after: Some(content.len()),
                    to_commit: false,
                    path: path.into(),
                    mount: None,
                    folder: None,
                    old: None,
                    new: Some(New::File(content)),
                });
            }
        }
        Self { list }
    }

    /// All of them, those of each mount in the order of their paths.
    pub fn list(&self) -> &[Change] {
        &self.list
    }

    /// Those that a commit would write.
    pub fn to_commit(&self) -> impl Iterator<Item = &Change> {
        self.list.iter().filter(|change| change.to_commit)
    }

    /// Writes those that are meant for it back to the host; see [`Session::commit`], which also
    /// lets a session that goes on stand on what was written.
    ///
    /// # Errors
    ///
    /// As [`Session::commit`].
    ///
    /// [`Session::commit`]: crate::sandbox::Session::commit
    pub fn commit(&self) -> Result<(), SandboxError> {
        write(self.to_commit())
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.kind, self.guest)
    }
}

fn of_mount(tree: &Tree, at: usize, point: &MountPoint, mount: &Mount, list: &mut Vec<Change>) {
    let mut old = BTreeMap::new();
    for (folder, listing) in &point.listings {
        for (name, meta) in listing.iter() {
            old.insert(below(folder, name), meta);
        }
    }
    let mut change = |kind, path: &Arc<str>, old: Option<&HostMeta>, new: Option<New>| {
        let single = point.folder.only().is_some();
        let (guest, host) = match single {
            true => (mount.guest.clone(), mount.host.clone()),
            false => (format!("{}/{path}", mount.guest), mount.host.join(&**path)),
        };
        list.push(Change {
            kind,
            guest,
            host: Some(host),
            before: old.filter(|m| m.kind == HostKind::File).map(|m| m.len),
            after: match &new {
                Some(New::File(content)) => Some(content.len()),
                _ => None,
            },
            to_commit: mount.mode == MountMode::Commit,
            path: path.clone(),
            mount: Some(at),
            folder: Some(point.folder.clone()),
            old: old.cloned(),
            new,
        });
    };
    let mut seen = BTreeMap::new();
    walk(tree, point, &mut seen);
    for (path, new) in &seen {
        let before = old.get(path).copied();
        match (before, new) {
            (None, Seen::Unlisted | Seen::Other) => {}
            (None, new) => change(ChangeKind::Added, path, None, new.clone().into()),
            (Some(meta), new) => {
                if let Some((meta, new)) = differs(meta, path, new)
                    && !says_the_same(&point.folder, path, &meta, &new)
                {
                    change(ChangeKind::Changed, path, Some(&meta), Some(new));
                }
            }
        }
    }
    for (path, meta) in &old {
        if !seen.contains_key(path) {
            change(ChangeKind::Removed, path, Some(meta), None);
        }
    }
    // Stable: what has no place in the order of paths stays behind what it belongs to.
    list.sort_by(|a, b| (a.mount, &a.path).cmp(&(b.mount, &b.path)));
}

/// What the walk finds at a path.
#[derive(Clone)]
enum Seen {
    New(New),
    /// A folder of the host's that was not looked into.
    Unlisted,
    /// What can only be the host's own.
    Other,
}

impl From<Seen> for Option<New> {
    fn from(seen: Seen) -> Self {
        match seen {
            Seen::New(new) => Some(new),
            Seen::Unlisted | Seen::Other => None,
        }
    }
}

fn walk(tree: &Tree, point: &MountPoint, seen: &mut BTreeMap<Arc<str>, Seen>) {
    let mut todo: Vec<(Arc<str>, u64)> = Vec::new();
    let mut meet = |path: Arc<str>, ino, todo: &mut Vec<(Arc<str>, u64)>| {
        let Ok(node) = tree.node(ino) else {
            return;
        };
        let new = match &node.kind {
            Kind::Dir(dir) if dir.unlisted.is_some() => Seen::Unlisted,
            Kind::Dir(_) => {
                todo.push((path.clone(), ino));
                Seen::New(New::Dir)
            }
            Kind::File(content) => Seen::New(New::File(content.clone())),
            Kind::Symlink(target) => Seen::New(New::Symlink(target.clone())),
            _ => Seen::Other,
        };
        seen.insert(path, new);
    };
    if let Some(name) = point.folder.only() {
        meet(name.clone(), point.root, &mut todo);
        return;
    }
    todo.push(("".into(), point.root));
    while let Some((folder, ino)) = todo.pop() {
        let Ok(Kind::Dir(dir)) = tree.node(ino).map(|node| &node.kind) else {
            continue;
        };
        for (name, child) in dir.entries.iter() {
            meet(below(&folder, name), *child, &mut todo);
        }
    }
}

/// What is different at `path`, and what the host had there when the guest last looked.
fn differs(listed: &HostMeta, path: &Arc<str>, seen: &Seen) -> Option<(HostMeta, New)> {
    let new = match seen {
        Seen::New(new) => new,
        Seen::Unlisted | Seen::Other => return None,
    };
    let same = match (new, &listed.kind) {
        (New::Dir, HostKind::Dir) => true,
        (New::Symlink(target), HostKind::Symlink(old)) => target == old,
        (New::File(content), HostKind::File) => {
            let base = content.base().filter(|base| base.path == *path);
            let seen = base.map_or(listed, |base| &base.meta);
            let untouched = content.untouched().is_some_and(|base| base.path == *path);
            return (!untouched).then(|| (seen.clone(), new.clone()));
        }
        _ => false,
    };
    (!same).then(|| (listed.clone(), new.clone()))
}

/// Whether a file was written anew with the bytes that it had.
fn says_the_same(folder: &Arc<HostFolder>, path: &Arc<str>, meta: &HostMeta, new: &New) -> bool {
    let New::File(content) = new else {
        return false;
    };
    if meta.kind != HostKind::File || content.len() != meta.len || meta.len > MAX_COMPARED {
        return false;
    }
    let old = HostFile::new(folder.clone(), path.clone(), meta.clone());
    let (Ok(old), Ok(content)) = (Content::of(Arc::new(old)).apart(), content.apart()) else {
        return false;
    };
    let (mut one, mut other) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut at = 0;
    while at < meta.len {
        match (old.read_at(&mut one, at), content.read_at(&mut other, at)) {
            (Ok(n @ 1..), Ok(m)) if n == m && one[..n] == other[..n] => at += n as u64,
            _ => return false,
        }
    }
    true
}

pub(super) fn below(folder: &str, name: &str) -> Arc<str> {
    match folder {
        "" => name.into(),
        _ => format!("{folder}/{name}").into(),
    }
}

impl Change {
    /// What it is: `file`, `folder` or `link`.
    pub fn what(&self) -> &'static str {
        let old = || self.old.as_ref().map(|meta| &meta.kind);
        match (&self.new, old()) {
            (Some(New::Dir), _) | (None, Some(HostKind::Dir)) => "folder",
            (Some(New::Symlink(_)), _) | (None, Some(HostKind::Symlink(_))) => "link",
            _ => "file",
        }
    }

    /// Where the link leads, if there is one now.
    pub fn target(&self) -> Option<&str> {
        match &self.new {
            Some(New::Symlink(target)) => Some(target),
            _ => None,
        }
    }

    /// A unified diff, where both sides are small text (at most 256 KiB, UTF-8); `None` otherwise.
    ///
    /// # Errors
    ///
    /// When the host's file cannot be read.
    pub fn diff(&self) -> io::Result<Option<String>> {
        let before = match (&self.old, &self.folder) {
            (Some(meta), Some(folder)) if meta.kind == HostKind::File => {
                let file = HostFile::new(folder.clone(), self.path.clone(), meta.clone());
                text(&Content::of(Arc::new(file)))?
            }
            (Some(_), _) => return Ok(None),
            _ => Some(String::new()),
        };
        let after = match &self.new {
            Some(New::File(content)) => text(content)?,
            Some(_) => return Ok(None),
            None => Some(String::new()),
        };
        let (Some(before), Some(after)) = (before, after) else {
            return Ok(None);
        };
        let name = |there: bool, side| match there {
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

fn text(content: &Content) -> io::Result<Option<String>> {
    if content.len() > MAX_DIFF {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    content.copy_to(&mut bytes)?;
    Ok(String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0')))
}
