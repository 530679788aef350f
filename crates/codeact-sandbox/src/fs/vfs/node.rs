//! Nodes of the tree: files, folders and links. Also the table of all nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fs::vfs::content::Content;
use crate::fs::vfs::filetype;
use crate::fs::vfs::pack_file::PackFile;

/// Number of a node. It is not reused within one tree.
pub(crate) type Ino = u64;

/// Number of the root folder.
pub(super) const ROOT: Ino = 1;

/// An entry of a listing: name, node, WASI file type.
pub(crate) type DirEntry = (Arc<str>, Ino, u8);

/// Names in a folder.
pub(crate) type Entries = BTreeMap<Arc<str>, Ino>;

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Number of names.
    pub(crate) links: u32,
    /// Number of open descriptors. An unlinked file exists until the last one is closed.
    pub(crate) open: u32,
    /// True if the guest may change it (for a folder: its entries).
    pub(crate) writable: bool,
    /// File system: 0 for the sandbox's own, otherwise the number of the mount, from 1.
    pub(crate) dev: u16,
    /// True if it shows a file of the host. Its name does not count against the quota.
    pub(crate) hosted: bool,
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) changed: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Dir(Dir),
    File(Content),
    Pack(Arc<PackFile>),
    Symlink(Arc<str>),
    /// `/dev/null`.
    Null,
    /// A device, pipe or socket in a mount, with its WASI file type. It is listed and cannot be opened.
    Special(u8),
}

/// A folder. A copy shares the entries until one side changes them.
#[derive(Debug, Clone)]
pub(crate) struct Dir {
    pub(crate) entries: Arc<Entries>,
    pub(crate) parent: Ino,
    /// Path, relative to the mount, of a host folder that is not listed yet.
    pub(crate) unlisted: Option<Arc<str>>,
}

impl Dir {
    pub(crate) fn empty(parent: Ino) -> Self {
        Self {
            entries: Arc::default(),
            parent,
            unlisted: None,
        }
    }
}

impl Node {
    /// Returns the bytes that count against the quota. Content of the host does not count.
    pub(crate) fn charge(&self) -> u64 {
        match &self.kind {
            Kind::File(content) => content.charge(),
            Kind::Symlink(target) if !self.hosted => target.len() as u64,
            _ => 0,
        }
    }
}

/// Result of `stat`. Times are in nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stat {
    pub(crate) dev: u64,
    pub(crate) ino: Ino,
    pub(crate) filetype: u8,
    pub(crate) links: u32,
    pub(crate) size: u64,
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) changed: u64,
}

impl Kind {
    pub(crate) fn filetype(&self) -> u8 {
        match self {
            Kind::Dir(_) => filetype::DIRECTORY,
            Kind::File(_) | Kind::Pack(_) => filetype::REGULAR_FILE,
            Kind::Symlink(_) => filetype::SYMBOLIC_LINK,
            Kind::Null => filetype::CHARACTER_DEVICE,
            Kind::Special(filetype) => *filetype,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        match self {
            Kind::Dir(dir) => dir.entries.len() as u64,
            Kind::File(content) => content.len(),
            Kind::Pack(file) => file.len(),
            Kind::Symlink(target) => target.len() as u64,
            Kind::Null | Kind::Special(_) => 0,
        }
    }
}

/// Number of nodes in a block of the table.
const BLOCK: usize = 64;

/// All nodes by number, as a persistent table. A copy costs one reference. A change after that copies the list of
/// blocks and one block.
#[derive(Debug, Clone, Default)]
pub(super) struct Nodes {
    blocks: Arc<BTreeMap<u64, Arc<Block>>>,
}

#[derive(Debug, Clone)]
struct Block([Option<Arc<Node>>; BLOCK]);

impl Nodes {
    /// Returns the block of a node and its index in the block.
    fn position(ino: Ino) -> (u64, usize) {
        (ino / BLOCK as u64, (ino % BLOCK as u64) as usize)
    }

    pub(super) fn get(&self, ino: Ino) -> Option<&Node> {
        let (block, at) = Self::position(ino);
        self.blocks.get(&block)?.0[at].as_deref()
    }

    pub(super) fn get_mut(&mut self, ino: Ino) -> Option<&mut Node> {
        // Check first, so that nothing is copied for a node that does not exist.
        self.get(ino)?;
        let (block, at) = Self::position(ino);
        let block = Arc::make_mut(Arc::make_mut(&mut self.blocks).get_mut(&block)?);
        block.0[at].as_mut().map(Arc::make_mut)
    }

    pub(super) fn insert(&mut self, ino: Ino, node: Node) {
        let (block, at) = Self::position(ino);
        let block = Arc::make_mut(&mut self.blocks)
            .entry(block)
            .or_insert_with(|| Arc::new(Block([const { None }; BLOCK])));
        Arc::make_mut(block).0[at] = Some(Arc::new(node));
    }

    pub(super) fn remove(&mut self, ino: Ino) {
        let (number, at) = Self::position(ino);
        let blocks = Arc::make_mut(&mut self.blocks);
        if let Some(block) = blocks.get_mut(&number) {
            let block = Arc::make_mut(block);
            block.0[at] = None;
            if block.0.iter().all(Option::is_none) {
                blocks.remove(&number);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Ino, &Node)> {
        self.blocks.iter().flat_map(|(number, block)| {
            let nodes = block.0.iter().enumerate();
            nodes.filter_map(move |(at, node)| {
                Some((number * BLOCK as u64 + at as u64, &**node.as_ref()?))
            })
        })
    }
}
