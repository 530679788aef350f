//! One node of the tree: a file, a folder or a link; and the table of all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::content::Content;
use super::pack_file::PackFile;

/// A node's number, never reused within one tree.
pub(crate) type Ino = u64;

/// One entry of a folder's listing: name, number, WASI file type.
pub(crate) type Entry = (Arc<str>, Ino, u8);

/// A folder's names.
pub(crate) type Entries = BTreeMap<Arc<str>, Ino>;

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Names that lead here.
    pub(crate) links: u32,
    /// Descriptors open on it: an unlinked file lives on until the last one closes.
    pub(crate) open: u32,
    /// Whether the guest may change it (for a folder: its entries).
    pub(crate) writable: bool,
    /// Which file system it belongs to: 0 the sandbox's own, else the number of the mount, from 1.
    pub(crate) dev: u16,
    /// Whether it is the host's, not made by the guest: its name counts against no quota.
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
    /// A device, pipe or socket in a mount: its name is there, and nothing can be done with it.
    Special(u8),
}

/// A folder. A copy shares the names until one side changes them.
#[derive(Debug, Clone)]
pub(crate) struct Dir {
    pub(crate) entries: Arc<Entries>,
    pub(crate) parent: Ino,
    /// In a mount, a host folder (by its path in it) whose names have not been asked for yet.
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
    /// Bytes that count against the quota: nothing of what the host holds.
    pub(crate) fn charge(&self) -> u64 {
        match &self.kind {
            Kind::File(content) => content.charge(),
            Kind::Symlink(target) if !self.hosted => target.len() as u64,
            _ => 0,
        }
    }
}

/// What `stat` tells. Times are nanoseconds since 1970.
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

/// WASI's `filetype` numbers.
pub(crate) mod filetype {
    pub(crate) const UNKNOWN: u8 = 0;
    pub(crate) const CHARACTER_DEVICE: u8 = 2;
    pub(crate) const DIRECTORY: u8 = 3;
    pub(crate) const REGULAR_FILE: u8 = 4;
    pub(crate) const SYMBOLIC_LINK: u8 = 7;
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

/// Nodes in one block of the table.
const BLOCK: usize = 64;

/// All nodes by number. A copy costs one reference; a change after it copies the list of blocks
/// and the block that it is in, and nothing else.
#[derive(Debug, Clone, Default)]
pub(super) struct Nodes {
    blocks: Arc<BTreeMap<u64, Arc<Block>>>,
}

#[derive(Debug, Clone)]
struct Block([Option<Arc<Node>>; BLOCK]);

impl Nodes {
    fn place(ino: Ino) -> (u64, usize) {
        (ino / BLOCK as u64, (ino % BLOCK as u64) as usize)
    }

    pub(super) fn get(&self, ino: Ino) -> Option<&Node> {
        let (block, at) = Self::place(ino);
        self.blocks.get(&block)?.0[at].as_deref()
    }

    pub(super) fn get_mut(&mut self, ino: Ino) -> Option<&mut Node> {
        // Looked at first, so that a number which is not there copies nothing.
        self.get(ino)?;
        let (block, at) = Self::place(ino);
        let block = Arc::make_mut(Arc::make_mut(&mut self.blocks).get_mut(&block)?);
        block.0[at].as_mut().map(Arc::make_mut)
    }

    pub(super) fn insert(&mut self, ino: Ino, node: Node) {
        let (block, at) = Self::place(ino);
        let block = Arc::make_mut(&mut self.blocks)
            .entry(block)
            .or_insert_with(|| Arc::new(Block([const { None }; BLOCK])));
        Arc::make_mut(block).0[at] = Some(Arc::new(node));
    }

    pub(super) fn remove(&mut self, ino: Ino) {
        let (number, at) = Self::place(ino);
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
