//! The guest's files in a snapshot.
//!
//! A snapshot has the files that the guest can have created: those in the folders that it may write to, and files
//! without a name that are still open. It does not have the pack's files, installed packages and mounts, because a new
//! tree has them already.
//!
//! This file is a security boundary: the data that is restored is untrusted. Only names, lengths, times and bytes are
//! taken from it. All counts are computed again, and a tree that no guest could have created is refused.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::fs::vfs::content::{CHUNK, Chunk, Content};
use crate::fs::vfs::node::{Dir, Ino, Kind};
use crate::fs::vfs::paths::{HOME, MAX_DEPTH, MAX_LINK_BYTES, MAX_NAME_BYTES, TMP};
use crate::fs::vfs::tree::{Quota, Tree};

/// The nodes of the tree. The bytes of the files are stored separately, in the order of `nodes`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TreeData {
    roots: Vec<Root>,
    nodes: Vec<NodeData>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    path: String,
    entries: BTreeMap<String, Ino>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeData {
    ino: Ino,
    kind: KindData,
    accessed: u64,
    modified: u64,
    changed: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum KindData {
    Dir(BTreeMap<String, Ino>),
    /// Length, and the chunks that are not holes.
    File {
        len: u64,
        chunks: Vec<ChunkData>,
    },
    Symlink(String),
}

/// A chunk of a file: its number, its length in bytes, and its index in the base snapshot. `None` if its bytes are
/// stored in this snapshot.
type ChunkData = (u64, u32, Option<usize>);

/// The chunks of all files of a tree.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// All chunks. Their order gives the indexes that later snapshots refer to.
    pub(crate) all: Vec<Chunk>,
    /// The chunks that the base snapshot does not have.
    pub(crate) new: Vec<Chunk>,
}

/// The node that a descriptor is open on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum FdTarget {
    /// A node of the snapshot.
    Own(Ino),
    /// Path of a node that every tree has.
    Path(String),
}

/// Maps the node numbers of a snapshot to those of the restored tree.
pub(crate) type RestoredInos = BTreeMap<Ino, Ino>;

impl Tree {
    /// Returns the guest's files and their chunks. `open` are the nodes that descriptors are open on, `base` the chunks
    /// of the base snapshot. `without_mounts` permits changes in mounts, and drops them.
    ///
    /// # Errors
    ///
    /// Returns the reason if the files cannot be stored.
    pub(crate) fn to_data(
        &self,
        open: &[Ino],
        without_mounts: bool,
        base: &[Chunk],
    ) -> Result<(TreeData, Chunks), String> {
        let base: HashMap<_, _> = (base.iter().enumerate())
            .map(|(at, chunk)| (Arc::as_ptr(chunk), at))
            .collect();
        for mount in self.mounts() {
            if mount.dirty && !without_mounts {
                return Err(format!(
                    "the changes in {} are neither committed nor discarded",
                    mount.guest
                ));
            }
        }
        let mut seen = BTreeSet::new();
        let mut data = TreeData {
            roots: Vec::new(),
            nodes: Vec::new(),
        };
        let mut chunks = Chunks::default();
        let mut todo = Vec::new();
        for path in [HOME, TMP] {
            let Some(dir) = self.own_folder(path) else {
                continue;
            };
            let entries = self.own_entries(dir);
            todo.extend(entries.values().copied());
            let path = path.to_owned();
            data.roots.push(Root { path, entries });
        }
        // Includes files without a name.
        todo.extend(open.iter().filter(|ino| self.is_own(**ino)));
        while let Some(ino) = todo.pop() {
            let Ok(node) = self.node(ino) else {
                continue;
            };
            if !seen.insert(ino) {
                continue;
            }
            let kind = match &node.kind {
                Kind::Dir(dir) => {
                    let entries = self.own_entries(dir);
                    todo.extend(entries.values().copied());
                    KindData::Dir(entries)
                }
                Kind::File(content) => {
                    let own = content.chunks().iter().map(|(number, chunk)| {
                        let at = base.get(&Arc::as_ptr(chunk)).copied();
                        chunks.all.push(chunk.clone());
                        if at.is_none() {
                            chunks.new.push(chunk.clone());
                        }
                        (*number, chunk.len() as u32, at)
                    });
                    KindData::File {
                        len: content.len(),
                        chunks: own.collect(),
                    }
                }
                Kind::Symlink(target) => KindData::Symlink(target.to_string()),
                Kind::Pack(_) | Kind::Null | Kind::Special(_) => continue,
            };
            data.nodes.push(NodeData {
                ino,
                kind,
                accessed: node.accessed,
                modified: node.modified,
                changed: node.changed,
            });
        }
        Ok((data, chunks))
    }

    /// Returns the folder `path` if the guest may write to it.
    fn own_folder(&self, path: &str) -> Option<&Dir> {
        let ino = self.lookup_plain(path)?;
        let node = self.node(ino).ok()?;
        match &node.kind {
            Kind::Dir(dir) if node.dev == 0 && node.writable => Some(dir),
            _ => None,
        }
    }

    /// Resolves a path without following symbolic links.
    pub(super) fn lookup_plain(&self, path: &str) -> Option<Ino> {
        let mut here = self.root();
        for name in path.split('/').filter(|n| !n.is_empty()) {
            here = *self.dir(here).ok()?.entries.get(name)?;
        }
        Some(here)
    }

    /// Returns the entries that the guest may have created.
    fn own_entries(&self, dir: &Dir) -> BTreeMap<String, Ino> {
        (dir.entries.iter())
            .filter(|(_, ino)| self.is_own(**ino))
            .map(|(name, ino)| (name.to_string(), *ino))
            .collect()
    }

    /// Returns true if the guest may have created the node.
    fn is_own(&self, ino: Ino) -> bool {
        self.node(ino)
            .is_ok_and(|node| node.dev == 0 && node.writable)
    }

    /// Returns the stored form of a descriptor on `ino`.
    ///
    /// # Errors
    ///
    /// Returns the reason if it cannot be stored.
    pub(crate) fn fd_target(&self, ino: Ino) -> Result<FdTarget, String> {
        let roots = [HOME, TMP]
            .iter()
            .filter_map(|path| self.lookup_plain(path));
        if self.is_own(ino) && !roots.into_iter().any(|root| root == ino) {
            return Ok(FdTarget::Own(ino));
        }
        // Search the pack's files, which are few.
        let mut todo = vec![(String::new(), self.root())];
        while let Some((path, here)) = todo.pop() {
            if here == ino {
                return Ok(FdTarget::Path(path));
            }
            if let Ok(dir) = self.dir(here) {
                let children = (dir.entries.iter())
                    .filter(|(_, ino)| self.node(**ino).is_ok_and(|node| node.dev == 0));
                todo.extend(children.map(|(name, ino)| (format!("{path}/{name}"), *ino)));
            }
        }
        Err("a file of a mount is open".into())
    }

    /// Restores the guest's files in a new tree. `base` are the chunks of the base snapshot; the other chunks are read
    /// from `bytes`. Validates everything. Returns the numbers of the restored nodes, and all chunks in their order.
    ///
    /// # Errors
    ///
    /// Returns [`io::ErrorKind::InvalidData`] if the data is invalid or exceeds `quota`, and errors of `bytes`.
    pub(crate) fn restore(
        &mut self,
        data: TreeData,
        bytes: &mut dyn Read,
        quota: &Quota,
        base: &[Chunk],
    ) -> io::Result<(RestoredInos, Vec<Chunk>)> {
        let mut all = Vec::new();
        let mut inos = RestoredInos::new();
        let mut folders = Vec::new();
        for node in data.nodes {
            let (kind, entries) = match node.kind {
                KindData::Dir(entries) => (Kind::Dir(Dir::empty(self.root())), Some(entries)),
                KindData::Symlink(target) => {
                    if target.is_empty() || target.len() > MAX_LINK_BYTES || target.contains('\0') {
                        return Err(invalid("a symbolic link has an invalid target"));
                    }
                    (Kind::Symlink(target.into()), None)
                }
                KindData::File { len, chunks } => {
                    let room = quota.bytes.saturating_sub(self.bytes);
                    if len > room {
                        return Err(invalid(
                            "there are more bytes in files than the limit allows",
                        ));
                    }
                    let first = all.len();
                    for (_, len, at) in &chunks {
                        all.push(read_chunk(*len, *at, bytes, base)?);
                    }
                    let own = (chunks.iter().zip(&all[first..]))
                        .map(|((number, ..), chunk)| (*number, chunk.clone()));
                    (Kind::File(Content::from_chunks(len, own.collect())?), None)
                }
            };
            let ino = self.insert_node(kind, 0, true, node.modified);
            let new = self
                .node_mut(ino)
                .map_err(|_| invalid("a file is missing"))?;
            (new.accessed, new.changed, new.links) = (node.accessed, node.changed, 0);
            self.bytes += new.charge();
            if self.bytes > quota.bytes || inos.len() as u64 > max_nodes(quota) {
                return Err(invalid("there are more files than the limit allows"));
            }
            if inos.insert(node.ino, ino).is_some() {
                return Err(invalid("two files have the same number"));
            }
            folders.extend(entries.map(|entries| (ino, entries)));
        }
        for root in data.roots {
            let is_known = [HOME, TMP].contains(&root.path.as_str());
            if !is_known || self.own_folder(&root.path).is_none() {
                continue;
            }
            if let Some(ino) = self.lookup_plain(&root.path) {
                folders.push((ino, root.entries));
            }
        }
        for (folder, entries) in folders {
            for (name, old) in entries {
                let ino = *(inos.get(&old))
                    .ok_or_else(|| invalid("a name refers to a file that does not exist"))?;
                self.restore_entry(folder, &name, ino, quota)?;
            }
        }
        self.check_nesting(&inos)?;
        Ok((inos, all))
    }

    fn restore_entry(
        &mut self,
        folder: Ino,
        name: &str,
        ino: Ino,
        quota: &Quota,
    ) -> io::Result<()> {
        let is_valid =
            !name.is_empty() && name.len() <= MAX_NAME_BYTES && name != "." && name != "..";
        if !is_valid || name.contains(['/', '\0']) {
            return Err(invalid("a file name is invalid"));
        }
        let dir = self
            .dir_mut(folder)
            .map_err(|_| invalid("a folder is missing"))?;
        if dir.entries.contains_key(name) {
            // The new tree has a mount there.
            return Ok(());
        }
        Arc::make_mut(&mut dir.entries).insert(name.into(), ino);
        self.files += 1;
        if self.files > quota.files {
            return Err(invalid("there are more files than the limit allows"));
        }
        let node = self
            .node_mut(ino)
            .map_err(|_| invalid("a file is missing"))?;
        node.links += 1;
        let links = node.links;
        if let Kind::Dir(dir) = &mut node.kind {
            if links > 1 {
                return Err(invalid("a folder has two names"));
            }
            dir.parent = folder;
        }
        Ok(())
    }

    /// Checks that every folder leads to the root within [`MAX_DEPTH`] steps, so that there are no cycles.
    fn check_nesting(&self, inos: &RestoredInos) -> io::Result<()> {
        for ino in inos.values() {
            let Ok(node) = self.node(*ino) else {
                continue;
            };
            if node.links == 0 {
                continue;
            }
            let Kind::Dir(dir) = &node.kind else {
                continue;
            };
            let (mut here, mut depth) = (dir.parent, 0);
            while here != self.root() {
                depth += 1;
                let parent = self.dir(here).map(|dir| dir.parent);
                here = parent.map_err(|_| invalid("a folder is missing"))?;
                if depth > MAX_DEPTH {
                    return Err(invalid("folders are nested too deeply or in a cycle"));
                }
            }
        }
        Ok(())
    }

    /// Removes restored nodes without names and descriptors.
    pub(crate) fn remove_unused(&mut self, inos: &RestoredInos) {
        for ino in inos.values() {
            self.remove_if_unused(*ino);
        }
    }

    /// Returns the node of a stored descriptor.
    pub(crate) fn find(&mut self, target: &FdTarget, inos: &RestoredInos) -> io::Result<Ino> {
        match target {
            FdTarget::Own(old) => inos.get(old).copied(),
            FdTarget::Path(path) => self.lookup_plain(path),
        }
        .ok_or_else(|| invalid("a file descriptor refers to a file that does not exist"))
    }
}

/// Maximum number of nodes of a snapshot. Files without a name do not count against the quota, but their number is
/// bounded by that of descriptors.
fn max_nodes(quota: &Quota) -> u64 {
    quota.files.saturating_mul(2).saturating_add(4096)
}

/// Returns a chunk of the base snapshot, or reads it from `bytes`.
fn read_chunk(
    len: u32,
    at: Option<usize>,
    bytes: &mut dyn Read,
    base: &[Chunk],
) -> io::Result<Chunk> {
    if let Some(at) = at {
        let known = base.get(at).filter(|chunk| chunk.len() == len as usize);
        return known
            .cloned()
            .ok_or_else(|| invalid("a chunk is not in the base snapshot"));
    }
    if u64::from(len) > CHUNK {
        return Err(invalid("a chunk is too long"));
    }
    let mut chunk = vec![0; len as usize];
    bytes.read_exact(&mut chunk)?;
    Ok(Arc::new(chunk))
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("its files are invalid: {why}"),
    )
}
