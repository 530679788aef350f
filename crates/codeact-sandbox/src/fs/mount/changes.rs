//! Changes of a session: the difference between its tree and the host's files as they were listed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::error::SandboxError;
use crate::fs::mount::change::{Change, ChangeKind, NewNode};
use crate::fs::mount::write::write;
use crate::fs::mount::{Mount, MountMode};
use crate::fs::vfs::{
    Content, HOME, HostFile, HostFolder, HostKind, HostMeta, Kind, MountPoint, Tree, join_path,
};

/// Maximum length of a file that is compared, in bytes. A longer one counts as changed if it was written to.
const MAX_COMPARED_BYTES: u64 = 64 << 20;

/// Changes of a session in its mounts, and the files in its home folder, at one moment.
#[derive(Clone)]
pub struct Changes {
    list: Vec<Change>,
}

impl Changes {
    /// Returns the changes in `tree`. `mounts` are in the order of the tree's mount points.
    pub(crate) fn from_tree(tree: &mut Tree, mounts: &[Mount]) -> Self {
        let mut list = Vec::new();
        for (at, (point, mount)) in tree.mounts().iter().zip(mounts).enumerate() {
            if point.dirty {
                compare_mount(tree, at, point, mount, &mut list);
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
                    new: Some(NewNode::File(content)),
                });
            }
        }
        Self { list }
    }

    /// Returns all changes, those of each mount in the order of their paths.
    pub fn list(&self) -> &[Change] {
        &self.list
    }

    /// Returns the changes that a commit would write.
    pub fn to_commit(&self) -> impl Iterator<Item = &Change> {
        self.list.iter().filter(|change| change.to_commit)
    }

    /// Writes the changes of mounts with [`MountMode::Commit`] to the host. Use [`Session::commit`] for a session that
    /// continues: it also rebases the session on the written files.
    ///
    /// # Errors
    ///
    /// As [`Session::commit`].
    ///
    /// [`Session::commit`]: crate::session::handle::Session::commit
    pub fn commit(&self) -> Result<(), SandboxError> {
        write(self.to_commit())
    }

    /// Returns true if there are no changes.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

/// Appends the changes in one mount to `list`.
fn compare_mount(
    tree: &Tree,
    at: usize,
    point: &MountPoint,
    mount: &Mount,
    list: &mut Vec<Change>,
) {
    let mut old = BTreeMap::new();
    for (folder, listing) in &point.listings {
        for (name, meta) in listing.iter() {
            old.insert(join_path(folder, name), meta);
        }
    }
    let mut change = |kind, path: &Arc<str>, old: Option<&HostMeta>, new: Option<NewNode>| {
        let (guest, host) = match point.folder.single_file().is_some() {
            true => (mount.guest.clone(), mount.host.clone()),
            false => (format!("{}/{path}", mount.guest), mount.host.join(&**path)),
        };
        list.push(Change {
            kind,
            guest,
            host: Some(host),
            before: old.filter(|m| m.kind == HostKind::File).map(|m| m.len),
            after: match &new {
                Some(NewNode::File(content)) => Some(content.len()),
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
    let mut found = BTreeMap::new();
    walk(tree, point, &mut found);
    for (path, new) in &found {
        let before = old.get(path).copied();
        match (before, new) {
            (None, Found::Unlisted | Found::Other) => {}
            (None, new) => change(ChangeKind::Added, path, None, new.clone().into()),
            (Some(meta), new) => {
                if let Some((meta, new)) = difference(meta, path, new)
                    && !has_same_bytes(&point.folder, path, &meta, &new)
                {
                    change(ChangeKind::Changed, path, Some(&meta), Some(new));
                }
            }
        }
    }
    for (path, meta) in &old {
        if !found.contains_key(path) {
            change(ChangeKind::Removed, path, Some(meta), None);
        }
    }
    // A stable sort: changes of the home folder have no mount and keep their order.
    list.sort_by(|a, b| (a.mount, &a.path).cmp(&(b.mount, &b.path)));
}

/// A node of the tree, as the walk finds it.
#[derive(Clone)]
enum Found {
    New(NewNode),
    /// A folder of the host that was not listed.
    Unlisted,
    /// A node that only the host can have made.
    Other,
}

impl From<Found> for Option<NewNode> {
    fn from(found: Found) -> Self {
        match found {
            Found::New(new) => Some(new),
            Found::Unlisted | Found::Other => None,
        }
    }
}

/// Collects all nodes of a mount by path.
fn walk(tree: &Tree, point: &MountPoint, found: &mut BTreeMap<Arc<str>, Found>) {
    let mut todo: Vec<(Arc<str>, u64)> = Vec::new();
    let mut visit = |path: Arc<str>, ino, todo: &mut Vec<(Arc<str>, u64)>| {
        let Ok(node) = tree.node(ino) else {
            return;
        };
        let new = match &node.kind {
            Kind::Dir(dir) if dir.unlisted.is_some() => Found::Unlisted,
            Kind::Dir(_) => {
                todo.push((path.clone(), ino));
                Found::New(NewNode::Dir)
            }
            Kind::File(content) => Found::New(NewNode::File(content.clone())),
            Kind::Symlink(target) => Found::New(NewNode::Symlink(target.clone())),
            _ => Found::Other,
        };
        found.insert(path, new);
    };
    if let Some(name) = point.folder.single_file() {
        visit(name.clone(), point.root, &mut todo);
        return;
    }
    todo.push(("".into(), point.root));
    while let Some((folder, ino)) = todo.pop() {
        let Ok(Kind::Dir(dir)) = tree.node(ino).map(|node| &node.kind) else {
            continue;
        };
        for (name, child) in dir.entries.iter() {
            visit(join_path(&folder, name), *child, &mut todo);
        }
    }
}

/// Returns the new node at `path` if it differs from the listed one, and the host's file as the guest last saw it.
fn difference(listed: &HostMeta, path: &Arc<str>, found: &Found) -> Option<(HostMeta, NewNode)> {
    let new = match found {
        Found::New(new) => new,
        Found::Unlisted | Found::Other => return None,
    };
    let same = match (new, &listed.kind) {
        (NewNode::Dir, HostKind::Dir) => true,
        (NewNode::Symlink(target), HostKind::Symlink(old)) => target == old,
        (NewNode::File(content), HostKind::File) => {
            let base = content.base().filter(|base| base.path == *path);
            let old = base.map_or(listed, |base| &base.meta);
            let unchanged = content
                .as_host_file()
                .is_some_and(|base| base.path == *path);
            return (!unchanged).then(|| (old.clone(), new.clone()));
        }
        _ => false,
    };
    (!same).then(|| (listed.clone(), new.clone()))
}

/// Returns true if a file was written with the bytes that it had before.
fn has_same_bytes(
    folder: &Arc<HostFolder>,
    path: &Arc<str>,
    meta: &HostMeta,
    new: &NewNode,
) -> bool {
    let NewNode::File(content) = new else {
        return false;
    };
    if meta.kind != HostKind::File || content.len() != meta.len || meta.len > MAX_COMPARED_BYTES {
        return false;
    }
    let old = HostFile::new(folder.clone(), path.clone(), meta.clone());
    let (Ok(old), Ok(content)) = (
        Content::from_host_file(Arc::new(old)).with_own_handle(),
        content.with_own_handle(),
    ) else {
        return false;
    };
    let (mut old_bytes, mut new_bytes) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut at = 0;
    while at < meta.len {
        match (
            old.read_at(&mut old_bytes, at),
            content.read_at(&mut new_bytes, at),
        ) {
            (Ok(n @ 1..), Ok(m)) if n == m && old_bytes[..n] == new_bytes[..n] => at += n as u64,
            _ => return false,
        }
    }
    true
}
