//! The guest's own files as data, and back.
//!
//! Kept is what the guest can have made: what lies in the folders that it may write to, and files
//! that have no name any more but are open. The pack, added packages and mounts are not: they are
//! there again when the tree is made.
//!
//! What comes back may come from a stranger. Nothing is taken from it but names, lengths and bytes:
//! counts are made anew, and a shape that no guest could have made is refused.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::content::{Chunk, Content};
use super::node::{Dir, Ino, Kind};
use super::tree::{Quota, Tree};
use super::walk::{MAX_DEPTH, MAX_NAME};
use super::{HOME, TMP};

/// The tree's shape; the bytes of its files come separately, in the order of `nodes`.
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
    /// Its length, and the chunks that are there.
    File {
        len: u64,
        chunks: Vec<ChunkData>,
    },
    Symlink(String),
}

/// A chunk of a file: its number, its length, and which of the snapshot below it is; `None` when its
/// bytes follow.
type ChunkData = (u64, u32, Option<usize>);

/// The longest chunk, in bytes.
const MOST_CHUNK: u32 = 64 << 10;

/// The chunks of a tree's files.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// All of them, in the order in which a snapshot above this one counts them.
    pub(crate) all: Vec<Chunk>,
    /// Those that the snapshot below does not have.
    pub(crate) new: Vec<Chunk>,
}

/// Where a descriptor leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Target {
    /// A node of the data.
    Own(Ino),
    /// What is there without the guest.
    Path(String),
}

/// From the numbers in the data to those in the tree.
pub(crate) type Numbers = BTreeMap<Ino, Ino>;

impl Tree {
    /// The guest's own files, and `open`, nodes that descriptors lead to, over the chunks `below`. The
    /// bytes of those that are new follow, in their order. `Err` says what cannot be kept.
    /// `without_mounts` leaves out what was changed in them.
    pub(crate) fn to_data(
        &self,
        open: &[Ino],
        without_mounts: bool,
        below: &[Chunk],
    ) -> Result<(TreeData, Chunks), String> {
        let below: HashMap<_, _> = (below.iter().enumerate())
            .map(|(at, chunk)| (Arc::as_ptr(chunk), at))
            .collect();
        for mount in self.mounts() {
            if mount.touched && !without_mounts {
                return Err(format!(
                    "the changes in {} are neither written back nor given up",
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
        // Those without a name.
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
                        let at = below.get(&Arc::as_ptr(chunk)).copied();
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

    fn own_folder(&self, path: &str) -> Option<&Dir> {
        let ino = self.walk_plain(path)?;
        let node = self.node(ino).ok()?;
        match &node.kind {
            Kind::Dir(dir) if node.dev == 0 && node.writable => Some(dir),
            _ => None,
        }
    }

    /// Follows plain names, no links.
    fn walk_plain(&self, path: &str) -> Option<Ino> {
        let mut here = self.root();
        for name in path.split('/').filter(|n| !n.is_empty()) {
            here = *self.dir(here).ok()?.entries.get(name)?;
        }
        Some(here)
    }

    fn own_entries(&self, dir: &Dir) -> BTreeMap<String, Ino> {
        (dir.entries.iter())
            .filter(|(_, ino)| self.is_own(**ino))
            .map(|(name, ino)| (name.to_string(), *ino))
            .collect()
    }

    fn is_own(&self, ino: Ino) -> bool {
        self.node(ino)
            .is_ok_and(|node| node.dev == 0 && node.writable)
    }

    /// How a descriptor on `ino` is kept. `Err` says why it cannot be.
    pub(crate) fn target(&self, ino: Ino) -> Result<Target, String> {
        let roots = [HOME, TMP].iter().filter_map(|path| self.walk_plain(path));
        if self.is_own(ino) && !roots.into_iter().any(|root| root == ino) {
            return Ok(Target::Own(ino));
        }
        // Few: what can be open of the pack.
        let mut todo = vec![(String::new(), self.root())];
        while let Some((path, here)) = todo.pop() {
            if here == ino {
                return Ok(Target::Path(path));
            }
            if let Ok(dir) = self.dir(here) {
                let below = (dir.entries.iter())
                    .filter(|(_, ino)| self.node(**ino).is_ok_and(|node| node.dev == 0));
                todo.extend(below.map(|(name, ino)| (format!("{path}/{name}"), *ino)));
            }
        }
        Err("a file of a mount is open".into())
    }

    /// Puts the data back into a tree that has nothing of the guest's yet. `bytes` gives what is in
    /// its files and not among the chunks `below`. Everything is checked, and counted anew. Also tells
    /// all chunks, in their order.
    pub(crate) fn take_data(
        &mut self,
        data: TreeData,
        bytes: &mut dyn Read,
        quota: &Quota,
        below: &[Chunk],
    ) -> io::Result<(Numbers, Vec<Chunk>)> {
        let mut all = Vec::new();
        let mut numbers = Numbers::new();
        let mut folders = Vec::new();
        for node in data.nodes {
            let (kind, entries) = match node.kind {
                KindData::Dir(entries) => (Kind::Dir(Dir::empty(self.root())), Some(entries)),
                KindData::Symlink(target) => {
                    if target.is_empty() || target.len() > 4096 || target.contains('\0') {
                        return Err(odd("a link that leads nowhere"));
                    }
                    (Kind::Symlink(target.into()), None)
                }
                KindData::File { len, chunks } => {
                    let room = quota.bytes.saturating_sub(self.bytes);
                    if len > room {
                        return Err(odd("more bytes in files than the limit allows"));
                    }
                    let first = all.len();
                    for (_, len, at) in &chunks {
                        all.push(take_chunk(*len, *at, bytes, below)?);
                    }
                    let own = (chunks.iter().zip(&all[first..]))
                        .map(|((number, ..), chunk)| (*number, chunk.clone()));
                    (Kind::File(Content::of_chunks(len, own.collect())?), None)
                }
            };
            let ino = self.insert_node(kind, 0, true, node.modified);
            let new = self.node_mut(ino).map_err(|_| odd("a node"))?;
            (new.accessed, new.changed, new.links) = (node.accessed, node.changed, 0);
            self.bytes += new.charge();
            if self.bytes > quota.bytes || numbers.len() as u64 > quota.files * 2 + 4096 {
                return Err(odd("more files than the limit allows"));
            }
            if numbers.insert(node.ino, ino).is_some() {
                return Err(odd("two files with one number"));
            }
            folders.extend(entries.map(|entries| (ino, entries)));
        }
        for root in data.roots {
            let known = [HOME, TMP].contains(&root.path.as_str());
            if !known || self.own_folder(&root.path).is_none() {
                continue;
            }
            if let Some(ino) = self.walk_plain(&root.path) {
                folders.push((ino, root.entries));
            }
        }
        for (folder, entries) in folders {
            for (name, old) in entries {
                let ino = *numbers
                    .get(&old)
                    .ok_or_else(|| odd("a name without a file"))?;
                self.adopt(folder, &name, ino, quota)?;
            }
        }
        self.check_shape(&numbers)?;
        Ok((numbers, all))
    }

    fn adopt(&mut self, folder: Ino, name: &str, ino: Ino, quota: &Quota) -> io::Result<()> {
        let plain = !name.is_empty() && name.len() <= MAX_NAME && name != "." && name != "..";
        if !plain || name.contains(['/', '\0']) {
            return Err(odd("a name that is none"));
        }
        let dir = self.dir_mut(folder).map_err(|_| odd("a folder"))?;
        if dir.entries.contains_key(name) {
            // A mount lies there now.
            return Ok(());
        }
        Arc::make_mut(&mut dir.entries).insert(name.into(), ino);
        self.files += 1;
        if self.files > quota.files {
            return Err(odd("more files than the limit allows"));
        }
        let node = self.node_mut(ino).map_err(|_| odd("a node"))?;
        node.links += 1;
        let links = node.links;
        if let Kind::Dir(dir) = &mut node.kind {
            if links > 1 {
                return Err(odd("a folder with two names"));
            }
            dir.parent = folder;
        }
        Ok(())
    }

    /// Every folder leads up to the root, and not too deep: one that lies in itself does not.
    fn check_shape(&self, numbers: &Numbers) -> io::Result<()> {
        for ino in numbers.values() {
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
                here = parent.map_err(|_| odd("a folder"))?;
                if depth > MAX_DEPTH {
                    return Err(odd("folders that lie too deep, or in each other"));
                }
            }
        }
        Ok(())
    }

    /// Lets go of what came back without a name and without a descriptor.
    pub(crate) fn drop_unused(&mut self, numbers: &Numbers) {
        for ino in numbers.values() {
            self.forget_if_unused(*ino);
        }
    }

    /// The node that `target` names.
    pub(crate) fn find(&mut self, target: &Target, numbers: &Numbers) -> io::Result<Ino> {
        match target {
            Target::Own(old) => numbers.get(old).copied(),
            Target::Path(path) => self.walk_plain(path),
        }
        .ok_or_else(|| odd("a descriptor that leads nowhere"))
    }
}

fn take_chunk(
    len: u32,
    at: Option<usize>,
    bytes: &mut dyn Read,
    below: &[Chunk],
) -> io::Result<Chunk> {
    if let Some(at) = at {
        let known = below.get(at).filter(|chunk| chunk.len() == len as usize);
        return known.cloned().ok_or_else(|| odd("a part of another file"));
    }
    if len > MOST_CHUNK {
        return Err(odd("a part of a file that is too long"));
    }
    let mut chunk = vec![0; len as usize];
    bytes.read_exact(&mut chunk)?;
    Ok(Arc::new(chunk))
}

fn odd(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it holds {what}"))
}
