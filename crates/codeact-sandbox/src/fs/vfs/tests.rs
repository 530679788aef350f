//! Tests of the tree: its counts and its structure hold after any operations.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use crate::fs::vfs::{Ino, Kind, PackFile, PackFiles, Quota, Tree, filetype, layout};
use crate::types::errno::Errno;

const QUOTA: Quota = Quota {
    bytes: 4096,
    files: 20,
};

fn tree() -> Tree {
    layout(&PackFiles { files: Vec::new() }, 0)
}

/// An operation of the guest. There are few names, so that operations interact.
#[derive(Debug, Clone)]
enum Op {
    Create(String),
    Mkdir(String),
    Link(String, String),
    Symlink(String, String),
    Unlink(String),
    Rmdir(String),
    Rename(String, String),
    Write(String, u64, usize),
    Resize(String, u64),
    /// Of the caller, as the following ones.
    Replace(String, usize),
    MakeFolder(String),
    RemoveAll(String),
    RenamePaths(String, String),
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec!["a", "b", "c", "..", ".", ""]),
        1..4,
    )
    .prop_map(|names| format!("/tmp/{}", names.join("/")))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        path().prop_map(Op::Create),
        path().prop_map(Op::Mkdir),
        (path(), path()).prop_map(|(a, b)| Op::Link(a, b)),
        (path(), path()).prop_map(|(a, b)| Op::Symlink(a, b)),
        path().prop_map(Op::Unlink),
        path().prop_map(Op::Rmdir),
        (path(), path()).prop_map(|(a, b)| Op::Rename(a, b)),
        (path(), 0..6000u64, 0..600usize).prop_map(|(p, at, n)| Op::Write(p, at, n)),
        (path(), 0..6000u64).prop_map(|(p, n)| Op::Resize(p, n)),
        (path(), 0..3000usize).prop_map(|(p, n)| Op::Replace(p, n)),
        path().prop_map(Op::MakeFolder),
        path().prop_map(Op::RemoveAll),
        (path(), path()).prop_map(|(a, b)| Op::RenamePaths(a, b)),
    ]
}

fn apply(tree: &mut Tree, op: &Op) -> Result<(), Errno> {
    let root = tree.root();
    match op {
        Op::Create(path) => {
            let path = tree.resolve(root, path, true)?;
            tree.create_file(&path, &QUOTA, 1).map(|_| ())
        }
        Op::Mkdir(path) => {
            let path = tree.resolve(root, path, false)?;
            tree.create_dir(&path, &QUOTA, 1).map(|_| ())
        }
        Op::Link(from, to) => {
            let ino = tree.lookup(root, from, false)?;
            let path = tree.resolve(root, to, false)?;
            tree.link(ino, &path, &QUOTA, 1)
        }
        Op::Symlink(target, path) => {
            let path = tree.resolve(root, path, false)?;
            tree.create_symlink(&path, target, &QUOTA, 1).map(|_| ())
        }
        Op::Unlink(path) => {
            let path = tree.resolve(root, path, false)?;
            tree.unlink(&path, 1)
        }
        Op::Rmdir(path) => {
            let path = tree.resolve(root, path, false)?;
            tree.remove_dir(&path, 1)
        }
        Op::Rename(from, to) => {
            let from = tree.resolve(root, from, false)?;
            let to = tree.resolve(root, to, false)?;
            tree.rename(&from, &to, 1)
        }
        Op::Write(path, at, n) => {
            let ino = tree.lookup(root, path, true)?;
            tree.write_at(ino, &vec![7; *n], *at, &QUOTA, 1).map(|_| ())
        }
        Op::Resize(path, n) => {
            let ino = tree.lookup(root, path, true)?;
            tree.resize(ino, *n, &QUOTA, 1)
        }
        Op::Replace(path, n) => whole(tree, |tree| {
            tree.replace_file(path, &vec![5; *n], &QUOTA, 1)
        }),
        Op::MakeFolder(path) => whole(tree, |tree| tree.make_folder(path, &QUOTA, 1)),
        Op::RemoveAll(path) => whole(tree, |tree| tree.remove_all(path, 1)),
        Op::RenamePaths(from, to) => whole(tree, |tree| tree.rename_paths(from, to, 1)),
    }
}

/// Changes `tree` as the caller of a session does: completely or not at all.
fn whole(
    tree: &mut Tree,
    change: impl FnOnce(&mut Tree) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut copy = tree.clone();
    change(&mut copy)?;
    *tree = copy;
    Ok(())
}

/// Counts the names below `/tmp` and the bytes of their files.
fn count(tree: &mut Tree) -> (u64, u64) {
    let mut seen = BTreeSet::new();
    let (mut names, mut bytes) = (0, 0);
    let mut todo = vec![tree.lookup(tree.root(), "/tmp", true).unwrap()];
    while let Some(dir) = todo.pop() {
        for (name, ino, kind) in tree.list(dir).unwrap() {
            if &*name == "." || &*name == ".." {
                continue;
            }
            names += 1;
            if kind == filetype::DIRECTORY {
                todo.push(ino);
            } else if seen.insert(ino) {
                bytes += tree.stat(ino).unwrap().size;
            }
        }
    }
    (names, bytes)
}

proptest! {
    #[test]
    fn counts_and_quotas_hold_after_any_operations(ops in prop::collection::vec(op(), 1..60)) {
        let mut tree = tree();
        for op in &ops {
            let mut copy = tree.clone();
            let before = count(&mut tree);
            if apply(&mut tree, op).is_err() {
                prop_assert_eq!(count(&mut tree), before, "{:?} failed and changed the tree", op);
            }
            prop_assert_eq!(count(&mut copy), before, "{:?} changed a copy", op);
            let (names, bytes) = count(&mut tree);
            prop_assert_eq!((tree.files(), tree.bytes()), (names, bytes), "after {:?}", op);
            prop_assert!(names <= QUOTA.files && bytes <= QUOTA.bytes);
        }
    }

    #[test]
    fn a_path_resolves_as_the_listings_of_its_folders_say(path in any_path()) {
        let mut tree = tree();
        apply(&mut tree, &Op::Mkdir("/tmp/a".into())).unwrap();
        apply(&mut tree, &Op::Create("/tmp/a/b".into())).unwrap();
        let expected = resolve_by_listing(&mut tree, &path);
        let found = tree.lookup(tree.root(), &path, true).ok();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_path_with_links_resolves_to_a_node_of_the_tree_or_an_error(
        path in any_path(),
        target in any_path(),
    ) {
        let mut tree = tree();
        let link = apply(&mut tree, &Op::Symlink(target, "/tmp/a".into()));
        let nodes = reachable(&mut tree);
        for path in [path.clone(), format!("/tmp/a/{path}"), "/tmp/a".into()] {
            if let Ok(ino) = tree.lookup(tree.root(), &path, true) {
                prop_assert!(nodes.contains(&ino), "{:?} leads out of the tree", path);
                prop_assert!(!tree.is_symlink(ino), "{:?} was not followed", path);
            }
        }
        // The link itself exists if it could be created.
        prop_assert_eq!(tree.lookup(tree.root(), "/tmp/a", false).is_ok(), link.is_ok());
    }
}

/// Paths of existing and missing names, and of random characters.
fn any_path() -> impl Strategy<Value = String> {
    let names = vec![
        "", ".", "..", "/", "tmp", "home", "user", "dev", "null", "a", "b", "x",
    ];
    let name = prop_oneof![
        6 => prop::sample::select(names).prop_map(str::to_owned),
        1 => ".{0,20}",
    ];
    prop::collection::vec(name, 0..8).prop_map(|names| names.join("/"))
}

/// Resolves `path` in a tree without links, from the listings of its folders. Returns `None` for an error.
fn resolve_by_listing(tree: &mut Tree, path: &str) -> Option<Ino> {
    let mut ino = (!path.is_empty()).then(|| tree.root())?;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let entries = tree.list(ino).ok()?;
        ino = entries.iter().find(|entry| &*entry.0 == name)?.1;
    }
    (tree.is_dir(ino) || !path.ends_with('/')).then_some(ino)
}

/// Returns all nodes that the listings of folders show, from the root.
fn reachable(tree: &mut Tree) -> BTreeSet<Ino> {
    let mut seen = BTreeSet::from([tree.root()]);
    let mut todo = vec![tree.root()];
    while let Some(dir) = todo.pop() {
        for (_, ino, kind) in tree.list(dir).unwrap() {
            if seen.insert(ino) && kind == filetype::DIRECTORY {
                todo.push(ino);
            }
        }
    }
    seen
}

#[test]
fn cycles_of_symbolic_links_are_an_error() {
    let mut tree = tree();
    apply(&mut tree, &Op::Symlink("/tmp/b".into(), "/tmp/a".into())).unwrap();
    apply(&mut tree, &Op::Symlink("/tmp/a".into(), "/tmp/b".into())).unwrap();
    let found = tree.lookup(tree.root(), "/tmp/a", true);
    assert_eq!(found, Err(Errno::Loop));
    assert!(tree.lookup(tree.root(), "/tmp/a", false).is_ok());
}

#[test]
fn read_only_folders_cannot_be_changed() {
    let mut tree = tree();
    for op in [
        Op::Create("/x".into()),
        Op::Mkdir("/usr/x".into()),
        Op::Rmdir("/mnt".into()),
        Op::Unlink("/content".into()),
        Op::Rename("/mnt/data".into(), "/tmp/data".into()),
        Op::Rename("/home".into(), "/tmp/home".into()),
        Op::Unlink("/dev/null".into()),
        Op::Symlink("/tmp".into(), "/usr/local/lib/x".into()),
    ] {
        assert_eq!(apply(&mut tree, &op), Err(Errno::Access), "{op:?}");
    }
}

#[test]
fn a_folder_cannot_be_moved_into_itself_or_too_deep() {
    let mut tree = tree();
    apply(&mut tree, &Op::Mkdir("/tmp/a".into())).unwrap();
    let into = Op::Rename("/tmp/a".into(), "/tmp/a/b".into());
    assert_eq!(apply(&mut tree, &into), Err(Errno::Inval));
    let big = Quota {
        files: 1000,
        ..QUOTA
    };
    let mut path = String::from("/tmp/a");
    let depth = (0..200)
        .take_while(|_| {
            path += "/d";
            let path = tree.resolve(tree.root(), &path, false).unwrap();
            tree.create_dir(&path, &big, 1).is_ok()
        })
        .count();
    assert!((100..128).contains(&depth), "{depth}");
}

#[test]
fn an_unlinked_file_exists_until_it_is_closed() {
    let mut tree = tree();
    apply(&mut tree, &Op::Create("/tmp/a".into())).unwrap();
    let ino = tree.lookup(tree.root(), "/tmp/a", true).unwrap();
    tree.opened(ino).unwrap();
    tree.write_at(ino, b"data", 0, &QUOTA, 1).unwrap();
    apply(&mut tree, &Op::Unlink("/tmp/a".into())).unwrap();
    let mut buf = [0; 4];
    assert_eq!(tree.read_at(ino, &mut buf, 0), Ok(4));
    assert_eq!(&buf, b"data");
    tree.closed(ino);
    assert!(tree.stat(ino).is_err());
    assert_eq!(tree.bytes(), 0);
}

#[test]
fn attributes_have_the_real_path_of_a_name() {
    let mut tree = tree();
    tree.replace_file("/tmp/a/b/f", b"123", &QUOTA, 7).unwrap();
    apply(&mut tree, &Op::Symlink("a/b".into(), "/tmp/l".into())).unwrap();
    let named = tree.name_at("/tmp/l/../b/./f").unwrap();
    assert_eq!((&*named.path, named.modified), ("/tmp/a/b/f", 7));
    assert_eq!(tree.name_at("/tmp/l").unwrap().path, "/tmp/l");
    assert_eq!(tree.name_at("/tmp/l/").unwrap().path, "/tmp/a/b");
    assert_eq!(tree.name_at("/").unwrap().path, "/");
    assert_eq!(tree.whole_file("/tmp/l/f").unwrap().0, "/tmp/a/b/f");
    let listed = tree.names_in("/tmp/l").unwrap();
    assert_eq!(listed[0].path, "/tmp/a/b/f");
}

#[test]
fn packages_of_another_tree_replace_those_of_a_tree() {
    let site = "/usr/local/lib/site";
    let file = |name: &str| Kind::Pack(Arc::new(PackFile::lazy(name.into(), 1)));
    let with = |names: &[&str]| {
        let mut tree = tree();
        for name in names {
            tree.insert_read_only(&format!("{site}/{name}"), file(name));
        }
        tree
    };
    let names = |tree: &mut Tree, folder: &str| -> Vec<String> {
        let entries = tree.names_in(folder).unwrap();
        entries.iter().map(|entry| entry.name.to_string()).collect()
    };
    let (old, new) = (with(&["a/x", "b", "c"]), with(&["a/y", "b/z", "d"]));
    let mut tree = old.clone();
    let open = tree
        .lookup(tree.root(), &format!("{site}/b"), true)
        .unwrap();
    tree.opened(open).unwrap();
    tree.copy_packages(site, &new, false, 9);
    assert_eq!(names(&mut tree, site), ["a", "b", "d"]);
    assert_eq!(names(&mut tree, &format!("{site}/a")), ["y"]);
    assert_eq!(names(&mut tree, &format!("{site}/b")), ["z"]);
    assert_eq!(tree.name_at(site).unwrap().modified, 9);
    // It is removed when it is closed.
    assert!(tree.stat(open).is_ok());
    tree.closed(open);
    assert!(tree.stat(open).is_err());
    let unchanged = tree.name_at(site).unwrap().modified;
    tree.copy_packages(site, &new, false, 10);
    assert_eq!(tree.name_at(site).unwrap().modified, unchanged);
    tree.copy_packages(site, &old, true, 11);
    assert_eq!(names(&mut tree, &format!("{site}/a")), ["x", "y"]);
    assert_eq!(names(&mut tree, site), ["a", "b", "c", "d"]);
    assert_eq!((tree.files(), tree.bytes()), (0, 0));
}
