//! Comparison with a real file system: the same operations on the tree and on a folder of the host have the same
//! results, and a committed mount has the same content as the tree.

mod ops;
mod view;

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::error::SandboxError;
use crate::fs::mount::{Changes, Mount, MountMode};
use crate::fs::vfs::{PackFiles, Tree, layout};
use crate::types::errno::Errno;
use ops::{Names, Op, agree, on_host, on_tree, ops};
use view::{host_view, stamps, tree_view};

/// Depth of the nested folders in which operations start. No path or link of an operation has enough `..` to leave
/// them.
const NEST: usize = 45;

fn nest() -> String {
    vec!["n"; NEST].join("/")
}

/// Returns a temporary folder, in memory if the system supports that.
fn scratch() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    match shm.is_dir() {
        true => tempfile::tempdir_in(shm).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

/// Creates a host folder with the nested folders in it. Returns it and the innermost folder.
fn host_folder(scratch: &tempfile::TempDir, name: &str) -> (PathBuf, PathBuf) {
    let top = scratch.path().join(name);
    let bottom = top.join(nest());
    std::fs::create_dir_all(&bottom).unwrap();
    (top, bottom)
}

fn tree() -> Tree {
    layout(&PackFiles { files: Vec::new() }, 0)
}

/// Runs `ops` on the tree below `top` and on the host's `folder`, and compares the results. Returns false if they
/// differ in a permitted way, after which they cannot be compared.
fn run_both(tree: &mut Tree, top: &str, folder: &Path, ops: &[Op]) -> Result<bool, TestCaseError> {
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
            "{:?}: the tree returned {:?}, the host {:?}",
            op,
            ours,
            hosts
        );
    }
    Ok(true)
}

proptest! {
    #[test]
    fn the_tree_behaves_as_a_real_file_system(ops in ops(Names::HardLinks)) {
        let scratch = scratch();
        let (top, folder) = host_folder(&scratch, "host");
        let mut tree = tree();
        tree.ensure_dir(&format!("/tmp/{}", nest()));
        if run_both(&mut tree, "/tmp", &folder, &ops)? {
            prop_assert_eq!(tree_view(&mut tree, "/tmp"), host_view(&top));
        }
    }

    #[test]
    fn an_overlay_behaves_as_a_real_file_system_and_does_not_change_the_host(
        before in ops(Names::NoHardLinks),
        after in ops(Names::NoHardLinks),
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
        if run_both(&mut tree, "/mnt/m", &folder, &after)? {
            prop_assert_eq!(tree_view(&mut tree, "/mnt/m"), host_view(&top));
        }
        prop_assert_eq!(stamps(&mounted), old);
    }

    #[test]
    fn a_commit_writes_the_content_of_the_tree(
        before in ops(Names::NoHardLinks),
        after in ops(Names::NoHardLinks),
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
        match Changes::from_tree(&mut tree, &[mount]).commit() {
            Ok(()) => prop_assert_eq!(host_view(&mounted), shown),
            // A link to a parent folder may be refused. Then nothing is written.
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
