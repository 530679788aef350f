//! The tree answers as a real file system does, whatever is done to both; and a mount that is
//! written back leaves the host's folder as the tree shows it.

mod ops;
mod view;

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{PackFiles, Tree, layout};
use crate::sandbox::error::SandboxError;
use crate::sandbox::mount::{Changes, Mount, MountMode};
use crate::sandbox::wasi::Errno;
use ops::{Names, Op, agree, on_host, on_tree, ops};
use view::{host_view, stamps, tree_view};

/// Folders in each other, with the place where operations begin at the bottom: so that no path or
/// link of theirs leads out of the top, however many `..` it has.
const NEST: usize = 45;

fn nest() -> String {
    vec!["n"; NEST].join("/")
}

/// A temporary folder in memory, where the system has that.
fn scratch() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    match shm.is_dir() {
        true => tempfile::tempdir_in(shm).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

/// A host folder of that name with the nest in it; returns it and where operations begin.
fn host_folder(scratch: &tempfile::TempDir, name: &str) -> (PathBuf, PathBuf) {
    let top = scratch.path().join(name);
    let bottom = top.join(nest());
    std::fs::create_dir_all(&bottom).unwrap();
    (top, bottom)
}

fn tree() -> Tree {
    layout(&PackFiles { files: Vec::new() }, 0)
}

/// Does all of `ops` to the tree below `top` and to the host's `folder` and compares the answers.
/// False where they took ways of their own, as they may.
fn do_both(tree: &mut Tree, top: &str, folder: &Path, ops: &[Op]) -> Result<bool, TestCaseError> {
    let from = tree.lookup(tree.root(), &format!("{top}/{}", nest()), true);
    let from = from.unwrap();
    for op in ops {
        let (ours, hosts) = (on_tree(tree, from, op), on_host(folder, op));
        // The tree follows fewer links than Linux does.
        if ours == Err(Errno::Loop) && hosts.is_ok() {
            return Ok(false);
        }
        prop_assert!(
            agree(op, &ours, &hosts),
            "{:?}: the tree says {:?}, the host {:?}",
            op,
            ours,
            hosts
        );
    }
    Ok(true)
}

proptest! {
    #[test]
    fn the_tree_answers_as_a_real_file_system(ops in ops(Names::AlsoLinks)) {
        let scratch = scratch();
        let (top, folder) = host_folder(&scratch, "host");
        let mut tree = tree();
        tree.place_dir(&format!("/tmp/{}", nest()));
        if do_both(&mut tree, "/tmp", &folder, &ops)? {
            prop_assert_eq!(tree_view(&mut tree, "/tmp"), host_view(&top));
        }
    }

    #[test]
    fn an_overlay_answers_as_a_real_file_system_and_leaves_the_hosts_as_it_is(
        before in ops(Names::OneEach),
        after in ops(Names::OneEach),
    ) {
        let scratch = scratch();
        let (top, folder) = host_folder(&scratch, "same");
        let (mounted, below) = host_folder(&scratch, "mounted");
        for op in &before {
            let _ = (on_host(&folder, op), on_host(&below, op));
        }
        let old = stamps(&mounted);
        let mut tree = tree();
        attach(&mut tree, &mounted, MountMode::Overlay);
        if do_both(&mut tree, "/mnt/m", &folder, &after)? {
            prop_assert_eq!(tree_view(&mut tree, "/mnt/m"), host_view(&top));
        }
        prop_assert_eq!(stamps(&mounted), old);
    }

    #[test]
    fn what_is_written_back_is_what_the_tree_shows(
        before in ops(Names::OneEach),
        after in ops(Names::OneEach),
    ) {
        let scratch = scratch();
        let (mounted, below) = host_folder(&scratch, "mounted");
        for op in &before {
            let _ = on_host(&below, op);
        }
        let old = stamps(&mounted);
        let mut tree = tree();
        let mount = attach(&mut tree, &mounted, MountMode::Commit);
        let from = tree.lookup(tree.root(), &format!("/mnt/m/{}", nest()), true).unwrap();
        for op in &after {
            let _ = on_tree(&mut tree, from, op);
        }
        let shown = tree_view(&mut tree, "/mnt/m");
        match Changes::of(&mut tree, &[mount]).commit() {
            Ok(()) => prop_assert_eq!(host_view(&mounted), shown),
            // Links that lead up may be refused: then nothing is written.
            Err(SandboxError::Conflict { conflicts }) => {
                prop_assert!(conflicts.iter().all(|c| c.contains("lead out")), "{:?}", conflicts);
                prop_assert_eq!(stamps(&mounted), old);
            }
            Err(e) => prop_assert!(false, "{}", e),
        }
    }

}

fn attach(tree: &mut Tree, host: &Path, mode: MountMode) -> Mount {
    let mount = Mount::open(host).unwrap().at("/mnt/m").unwrap().mode(mode);
    mount.attach(tree, 0).unwrap();
    mount
}
