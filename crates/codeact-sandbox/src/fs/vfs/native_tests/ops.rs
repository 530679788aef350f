//! Operations, and running them on the tree and on a folder of the host.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

use proptest::prelude::*;

use crate::fs::vfs::{Ino, Kind, Quota, Tree};
use crate::types::errno::Errno;

const QUOTA: Quota = Quota {
    bytes: 1 << 40,
    files: 1 << 20,
};

/// An operation. Paths are relative to a folder that both sides have.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Create(String),
    CreateNew(String),
    Mkdir(String),
    Rmdir(String),
    Unlink(String),
    Rename(String, String),
    Link(String, String),
    /// Target and path.
    Symlink(String, String),
    ReadLink(String),
    /// Path, offset, count, byte.
    Write(String, u64, usize, u8),
    Truncate(String, u64),
    Read(String, u64, usize),
    List(String),
    Stat(String),
}

/// Result of a successful operation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Observation {
    Done,
    Bytes(Vec<u8>),
    Target(String),
    Names(Vec<(String, char)>),
    /// File type, and except for folders the length and number of names. File systems differ in those of folders.
    Stat(char, Option<(u64, u64)>),
}

pub(super) type OpResult = Result<Observation, Errno>;

/// Use of hard links in operations. In a mount, files of the host cannot have a second name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Names {
    HardLinks,
    NoHardLinks,
}

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        12 => prop::sample::select(vec!["a", "b", "c", "d"]),
        1 => prop::sample::select(vec![".", "..", ""]),
    ];
    let slash = prop_oneof![9 => Just(""), 1 => Just("/")];
    // Short paths are more frequent, so that operations interact and parent folders exist.
    let depth = prop_oneof![4 => Just(1usize), 3 => Just(2), 1 => Just(3)];
    let names = depth.prop_flat_map(move |n| prop::collection::vec(name.clone(), n));
    (names, slash).prop_map(|(names, slash)| {
        // An absolute path is not the same on both sides.
        let path = names.join("/") + slash;
        let path = path.trim_start_matches('/');
        if path.is_empty() {
            ".".into()
        } else {
            path.into()
        }
    })
}

/// Target of a symbolic link, with at most one `..`, so that no chain of links leaves the nested folders.
fn target() -> impl Strategy<Value = String> {
    let up = prop_oneof![5 => Just(""), 1 => Just("../")];
    let below = prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "."]), 1..3);
    (up, below).prop_map(|(up, below)| format!("{up}{}", below.join("/")))
}

/// Offset around the boundaries of chunks.
fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![0..300u64, 65_000..66_000u64, 0..200_000u64]
}

fn count() -> impl Strategy<Value = usize> {
    prop_oneof![0..300usize, 65_000..66_000usize]
}

fn op(names: Names) -> impl Strategy<Value = Op> {
    let second_name = move |(from, to)| match names {
        Names::HardLinks => Op::Link(from, to),
        Names::NoHardLinks => Op::Rename(from, to),
    };
    prop_oneof![
        3 => path().prop_map(Op::Create),
        2 => path().prop_map(Op::CreateNew),
        4 => path().prop_map(Op::Mkdir),
        2 => path().prop_map(Op::Rmdir),
        2 => path().prop_map(Op::Unlink),
        4 => (path(), path()).prop_map(|(from, to)| Op::Rename(from, to)),
        2 => (path(), path()).prop_map(second_name),
        2 => (target(), path()).prop_map(|(target, path)| Op::Symlink(target, path)),
        1 => path().prop_map(Op::ReadLink),
        4 => (path(), offset(), count(), any::<u8>()).prop_map(|(p, at, n, b)| Op::Write(p, at, n, b)),
        2 => (path(), offset()).prop_map(|(p, len)| Op::Truncate(p, len)),
        2 => (path(), offset(), count()).prop_map(|(p, at, n)| Op::Read(p, at, n)),
        1 => path().prop_map(Op::List),
        1 => path().prop_map(Op::Stat),
    ]
}

pub(super) fn ops(names: Names) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(names), 1..50)
}

pub(super) fn on_host(folder: &Path, op: &Op) -> OpResult {
    on_host_io(folder, op).map_err(|e| errno(&e))
}

fn on_host_io(folder: &Path, op: &Op) -> io::Result<Observation> {
    let at = |path: &str| folder.join(path);
    let writing = |path: &str| fs::OpenOptions::new().write(true).open(at(path));
    match op {
        // Not `File::create`, which would truncate the file.
        Op::Create(path) => {
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(false);
            options.open(at(path)).map(|_| Observation::Done)
        }
        Op::CreateNew(path) => fs::File::create_new(at(path)).map(|_| Observation::Done),
        Op::Mkdir(path) => fs::create_dir(at(path)).map(|()| Observation::Done),
        Op::Rmdir(path) => fs::remove_dir(at(path)).map(|()| Observation::Done),
        Op::Unlink(path) => fs::remove_file(at(path)).map(|()| Observation::Done),
        Op::Rename(from, to) => fs::rename(at(from), at(to)).map(|()| Observation::Done),
        Op::Link(from, to) => fs::hard_link(at(from), at(to)).map(|()| Observation::Done),
        Op::Symlink(target, path) => symlink(target, at(path)).map(|()| Observation::Done),
        Op::ReadLink(path) => {
            let target = fs::read_link(at(path))?;
            Ok(Observation::Target(target.to_str().unwrap().into()))
        }
        Op::Write(path, offset, n, byte) => {
            writing(path)?.write_all_at(&vec![*byte; *n], *offset)?;
            Ok(Observation::Done)
        }
        Op::Truncate(path, len) => writing(path)?.set_len(*len).map(|()| Observation::Done),
        Op::Read(path, offset, n) => {
            let mut bytes = vec![0; *n];
            let read = fs::File::open(at(path))?.read_at(&mut bytes, *offset)?;
            bytes.truncate(read);
            Ok(Observation::Bytes(bytes))
        }
        Op::List(path) => {
            let mut names = Vec::new();
            for entry in fs::read_dir(at(path))? {
                let entry = entry?;
                let kind = letter(entry.file_type()?);
                names.push((entry.file_name().into_string().unwrap(), kind));
            }
            names.sort();
            Ok(Observation::Names(names))
        }
        Op::Stat(path) => {
            use std::os::unix::fs::MetadataExt;
            let meta = fs::symlink_metadata(at(path))?;
            let of = (!meta.is_dir()).then(|| (meta.len(), meta.nlink()));
            Ok(Observation::Stat(letter(meta.file_type()), of))
        }
    }
}

fn letter(kind: fs::FileType) -> char {
    match () {
        () if kind.is_dir() => 'd',
        () if kind.is_symlink() => 'l',
        () => 'f',
    }
}

fn errno(error: &io::Error) -> Errno {
    match error.raw_os_error() {
        Some(libc::EEXIST) => Errno::Exist,
        Some(libc::ENOENT) => Errno::Noent,
        Some(libc::ENOTDIR) => Errno::Notdir,
        Some(libc::EISDIR) => Errno::Isdir,
        Some(libc::ENOTEMPTY) => Errno::Notempty,
        Some(libc::EINVAL) => Errno::Inval,
        Some(libc::EBUSY) => Errno::Busy,
        Some(libc::ELOOP) => Errno::Loop,
        Some(libc::EPERM) => Errno::Perm,
        Some(libc::EACCES) => Errno::Access,
        _ => panic!("unexpected error of the host: {error}"),
    }
}

pub(super) fn on_tree(tree: &mut Tree, from: Ino, op: &Op) -> OpResult {
    match op {
        Op::Create(path) => {
            open(tree, from, path, true, false)?;
        }
        Op::CreateNew(path) => {
            open(tree, from, path, true, true)?;
        }
        Op::Mkdir(path) => {
            let path = tree.resolve(from, path, false)?;
            tree.create_dir(&path, &QUOTA, 1)?;
        }
        Op::Rmdir(path) => {
            let path = tree.resolve(from, path, false)?;
            tree.remove_dir(&path, 1)?;
        }
        Op::Unlink(path) => {
            let path = tree.resolve(from, path, false)?;
            tree.unlink(&path, 1)?;
        }
        Op::Rename(old, new) => {
            let (old, new) = (
                tree.resolve(from, old, false)?,
                tree.resolve(from, new, false)?,
            );
            tree.rename(&old, &new, 1)?;
        }
        Op::Link(old, new) => {
            let ino = tree.lookup(from, old, false)?;
            let path = tree.resolve(from, new, false)?;
            tree.link(ino, &path, &QUOTA, 1)?;
        }
        Op::Symlink(target, path) => {
            let path = tree.resolve(from, path, false)?;
            tree.create_symlink(&path, target, &QUOTA, 1)?;
        }
        Op::ReadLink(path) => {
            let ino = tree.lookup(from, path, false)?;
            return Ok(Observation::Target(tree.read_link(ino)?.to_string()));
        }
        Op::Write(path, offset, n, byte) => {
            let ino = open(tree, from, path, false, false)?;
            let bytes = vec![*byte; *n];
            while_open(tree, ino, |tree| {
                tree.write_at(ino, &bytes, *offset, &QUOTA, 1)
            })?;
        }
        Op::Truncate(path, len) => {
            let ino = open(tree, from, path, false, false)?;
            while_open(tree, ino, |tree| tree.resize(ino, *len, &QUOTA, 1))?;
        }
        Op::Read(path, offset, n) => {
            let ino = tree.lookup(from, path, true)?;
            tree.reopen(ino, false, false)?;
            let mut bytes = vec![0; *n];
            let read = while_open(tree, ino, |tree| tree.read_at(ino, &mut bytes, *offset))?;
            bytes.truncate(read);
            return Ok(Observation::Bytes(bytes));
        }
        Op::List(path) => {
            let ino = tree.lookup(from, path, true)?;
            let names = (tree.list(ino)?.into_iter())
                .filter(|(name, ..)| !matches!(&**name, "." | ".."))
                .map(|(name, ino, _)| (name.to_string(), kind(tree, ino)));
            let mut names: Vec<_> = names.collect();
            names.sort();
            return Ok(Observation::Names(names));
        }
        Op::Stat(path) => {
            let ino = tree.lookup(from, path, false)?;
            let stat = tree.stat(ino)?;
            let kind = kind(tree, ino);
            let of = (kind != 'd').then_some((stat.size, u64::from(stat.links)));
            return Ok(Observation::Stat(kind, of));
        }
    }
    Ok(Observation::Done)
}

/// Opens a file for writing, as `path_open` of WASI does.
fn open(tree: &mut Tree, from: Ino, path: &str, create: bool, new: bool) -> Result<Ino, Errno> {
    let path = tree.resolve(from, path, !new || path.ends_with('/'))?;
    let ino = match path.node {
        Some(_) if new => return Err(Errno::Exist),
        Some(ino) => ino,
        None if create => tree.create_file(&path, &QUOTA, 1)?,
        None => return Err(Errno::Noent),
    };
    match &tree.node(ino)?.kind {
        Kind::Symlink(_) => Err(Errno::Loop),
        Kind::Dir(_) => Err(Errno::Isdir),
        _ if path.must_be_dir => Err(Errno::Notdir),
        _ => tree.reopen(ino, true, false).map(|()| ino),
    }
}

/// Runs `then` while a descriptor is open on `ino`.
pub(super) fn while_open<T>(tree: &mut Tree, ino: Ino, then: impl FnOnce(&mut Tree) -> T) -> T {
    tree.opened(ino).unwrap();
    let done = then(tree);
    tree.closed(ino);
    done
}

fn kind(tree: &Tree, ino: Ino) -> char {
    match tree.is_dir(ino) {
        true => 'd',
        false if tree.is_symlink(ino) => 'l',
        false => 'f',
    }
}

/// Returns true if both results are the same, or both are errors that POSIX permits.
pub(super) fn agree(op: &Op, tree: &OpResult, host: &OpResult) -> bool {
    let (ours, hosts) = match (tree, host) {
        (Err(ours), Err(hosts)) => (*ours, *hosts),
        _ => return tree == host,
    };
    let dots = |path: &str| {
        let last = path.trim_end_matches('/').rsplit('/').next();
        matches!(last, Some("." | ".."))
    };
    let slash = |path: &str| path.ends_with('/');
    ours == hosts
        || match op {
            // POSIX permits several errors for a last name of `.` or `..`. Linux checks it before it resolves the other
            // path.
            Op::Rename(from, to) if dots(from) || dots(to) => true,
            Op::Rmdir(path) | Op::CreateNew(path) if dots(path) => true,
            // A file to a folder that contains it: Linux returns that the folder is not empty.
            Op::Rename(..) => (ours, hosts) == (Errno::Isdir, Errno::Notempty),
            // If a folder cannot be linked and the name cannot be created, either error may be returned.
            Op::Link(..) => ours == Errno::Perm || hosts == Errno::Perm,
            // For a path with a trailing slash Linux returns this error in any case.
            Op::Create(path) | Op::CreateNew(path) if slash(path) => hosts == Errno::Isdir,
            _ => false,
        }
}
