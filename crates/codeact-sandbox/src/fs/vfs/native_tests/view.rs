//! Content of the tree below a path, and of a folder of the host, in the same form.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use crate::fs::vfs::native_tests::ops::while_open;
use crate::fs::vfs::{Kind, Tree};

#[derive(Debug, PartialEq)]
pub(super) enum Item {
    Dir,
    /// Length, number of names, bytes. The short fields are first, so that a failure is readable.
    File(usize, u64, Vec<u8>),
    Symlink(String, u64),
}

pub(super) type View = BTreeMap<String, Item>;

pub(super) fn tree_view(tree: &mut Tree, top: &str) -> View {
    let mut view = View::new();
    let top = tree.lookup(tree.root(), top, true).unwrap();
    let mut todo = vec![(String::new(), top)];
    while let Some((prefix, dir)) = todo.pop() {
        for (name, ino, _) in tree.list(dir).unwrap() {
            if matches!(&*name, "." | "..") {
                continue;
            }
            let path = format!("{prefix}{name}");
            let stat = tree.stat(ino).unwrap();
            let names = u64::from(stat.links);
            let item = match &tree.node(ino).unwrap().kind {
                Kind::Dir(_) => {
                    todo.push((format!("{path}/"), ino));
                    Item::Dir
                }
                Kind::Symlink(target) => Item::Symlink(target.to_string(), names),
                _ => {
                    let mut bytes = vec![0; usize::try_from(stat.size).unwrap()];
                    let read = while_open(tree, ino, |tree| tree.read_at(ino, &mut bytes, 0));
                    assert_eq!(read, Ok(bytes.len()));
                    Item::File(bytes.len(), names, bytes)
                }
            };
            view.insert(path, item);
        }
    }
    view
}

pub(super) fn host_view(top: &Path) -> View {
    let mut view = View::new();
    walk(top, |path, at, meta| {
        let item = if meta.is_dir() {
            Item::Dir
        } else if meta.is_symlink() {
            let target = fs::read_link(at).unwrap();
            Item::Symlink(target.to_str().unwrap().into(), meta.nlink())
        } else {
            let bytes = fs::read(at).unwrap();
            Item::File(bytes.len(), meta.nlink(), bytes)
        };
        view.insert(path, item);
    });
    view
}

/// Returns the content of a host folder with the inode and modification time of each file, to detect any change.
pub(super) fn stamps(top: &Path) -> (View, BTreeMap<String, (u64, SystemTime)>) {
    let mut times = BTreeMap::new();
    walk(top, |path, _, meta| {
        times.insert(path, (meta.ino(), meta.modified().unwrap()));
    });
    (host_view(top), times)
}

fn walk(top: &Path, mut visit: impl FnMut(String, &Path, &fs::Metadata)) {
    let mut todo = vec![top.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let at = entry.unwrap().path();
            let meta = fs::symlink_metadata(&at).unwrap();
            let path = at.strip_prefix(top).unwrap().to_str().unwrap();
            visit(path.into(), &at, &meta);
            if meta.is_dir() {
                todo.push(at);
            }
        }
    }
}
