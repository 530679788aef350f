//! The tree keeps its counts and its shape, whatever is done to it.

use proptest::prelude::*;

use super::{PackFiles, Quota, Tree, layout};
use crate::sandbox::wasi::Errno;

const QUOTA: Quota = Quota {
    bytes: 4096,
    files: 20,
};

fn tree() -> Tree {
    layout(&PackFiles { files: Vec::new() }, 0)
}

/// One thing a guest may do, on a few names so that they meet.
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
    ]
}

fn apply(tree: &mut Tree, op: &Op) -> Result<(), Errno> {
    let root = tree.root();
    match op {
        Op::Create(path) => {
            let place = tree.resolve(root, path, true)?;
            tree.create_file(&place, &QUOTA, 1).map(|_| ())
        }
        Op::Mkdir(path) => {
            let place = tree.resolve(root, path, false)?;
            tree.create_dir(&place, &QUOTA, 1).map(|_| ())
        }
        Op::Link(from, to) => {
            let ino = tree.lookup(root, from, false)?;
            let place = tree.resolve(root, to, false)?;
            tree.link(ino, &place, &QUOTA, 1)
        }
        Op::Symlink(target, path) => {
            let place = tree.resolve(root, path, false)?;
            tree.create_symlink(&place, target, &QUOTA, 1).map(|_| ())
        }
        Op::Unlink(path) => {
            let place = tree.resolve(root, path, false)?;
            tree.unlink(&place, 1)
        }
        Op::Rmdir(path) => {
            let place = tree.resolve(root, path, false)?;
            tree.remove_dir(&place, 1)
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
    }
}

/// Walks the whole tree and counts names below `/tmp` and the bytes that they lead to.
fn count(tree: &mut Tree) -> (u64, u64) {
    let mut seen = std::collections::BTreeSet::new();
    let (mut names, mut bytes) = (0, 0);
    let mut todo = vec![tree.lookup(tree.root(), "/tmp", true).unwrap()];
    while let Some(dir) = todo.pop() {
        for (name, ino, filetype) in tree.list(dir).unwrap() {
            if &*name == "." || &*name == ".." {
                continue;
            }
            names += 1;
            if filetype == 3 {
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
                prop_assert_eq!(count(&mut tree), before, "a failed {:?} changed something", op);
            }
            prop_assert_eq!(count(&mut copy), before, "{:?} reached into a copy", op);
            let (names, bytes) = count(&mut tree);
            prop_assert_eq!((tree.files(), tree.bytes()), (names, bytes), "after {:?}", op);
            prop_assert!(names <= QUOTA.files && bytes <= QUOTA.bytes);
        }
    }

    #[test]
    fn no_path_leads_out_or_panics(path in ".{0,60}", from in ".{0,20}") {
        let mut tree = tree();
        let _ = apply(&mut tree, &Op::Symlink(from, "/tmp/a".into()));
        let _ = tree.lookup(tree.root(), &path, true);
        let _ = tree.lookup(tree.root(), &format!("/tmp/a/{path}"), true);
    }
}

#[test]
fn links_that_lead_in_circles_end_in_an_error() {
    let mut tree = tree();
    apply(&mut tree, &Op::Symlink("/tmp/b".into(), "/tmp/a".into())).unwrap();
    apply(&mut tree, &Op::Symlink("/tmp/a".into(), "/tmp/b".into())).unwrap();
    let found = tree.lookup(tree.root(), "/tmp/a", true);
    assert_eq!(found, Err(Errno::Loop));
    assert!(tree.lookup(tree.root(), "/tmp/a", false).is_ok());
}

#[test]
fn what_the_guest_may_not_change_stays() {
    let mut tree = tree();
    for op in [
        Op::Create("/x".into()),
        Op::Mkdir("/usr/x".into()),
        Op::Rmdir("/mnt".into()),
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
            let place = tree.resolve(tree.root(), &path, false).unwrap();
            tree.create_dir(&place, &big, 1).is_ok()
        })
        .count();
    assert!((100..128).contains(&depth), "{depth}");
}

#[test]
fn an_unlinked_file_lives_until_it_is_closed() {
    let mut tree = tree();
    apply(&mut tree, &Op::Create("/tmp/a".into())).unwrap();
    let ino = tree.lookup(tree.root(), "/tmp/a", true).unwrap();
    tree.opened(ino).unwrap();
    tree.write_at(ino, b"kept", 0, &QUOTA, 1).unwrap();
    apply(&mut tree, &Op::Unlink("/tmp/a".into())).unwrap();
    let mut buf = [0; 4];
    assert_eq!(tree.read_at(ino, &mut buf, 0), Ok(4));
    assert_eq!(&buf, b"kept");
    tree.closed(ino);
    assert!(tree.stat(ino).is_err());
    assert_eq!(tree.bytes(), 0);
}
