//! The base image is the same bytes on every machine, so that sessions and recordings can move between machines.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use codeact::pack::Dirs;
use sha2::{Digest, Sha256};

use crate::support::{codeact, ready};

/// File with the SHA-256 of the base image of the default pack.
const PINNED: &str = "tests/integration/base_image.sha256";

/// A home with the installed pack and its compiled code, and without a base image.
struct Home {
    dir: tempfile::TempDir,
    cache: PathBuf,
}

impl Home {
    /// Makes the home in `parent`. The small files of the pack are written in the order of `sort`.
    fn new(parent: &Path, sort: fn(&mut Vec<PathBuf>)) -> Self {
        ready();
        let dir = tempfile::tempdir_in(parent).unwrap();
        let pack = codeact(["pack", "path"]).run().success();
        let pack = Path::new(pack.stdout.trim_end());
        let name = pack.file_name().unwrap();
        let to = dir.path().join("packs").join(name);
        copy(pack, &to, sort);
        let dirs = Dirs::from_env(&|name| std::env::var_os(name)).unwrap();
        let cache = dir.path().join("cache/packs").join(name);
        for folder in ["cache", "cache/packs"].map(|folder| dir.path().join(folder)) {
            private(&folder);
        }
        private(&cache);
        for entry in fs::read_dir(dirs.cache.join("packs").join(name)).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "cwasm")
            {
                link(&path, &cache.join(path.file_name().unwrap()));
            }
        }
        Self { dir, cache }
    }

    /// Makes the base image with these variables in the environment. Returns its SHA-256.
    fn image(&self, variables: &[(&str, &str)]) -> String {
        let mut command = codeact(["exec", "--offline", "--timeout", "300s"]).code("pass");
        for (name, value) in variables {
            command = command.host_env(name, *value);
        }
        command
            .host_env("CODEACT_HOME", self.dir.path())
            .run()
            .success();
        let entries = fs::read_dir(&self.cache).unwrap();
        let images: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
            .collect();
        let [image] = &*images else {
            panic!("{images:?}");
        };
        format!("{:x}", Sha256::digest(fs::read(image).unwrap()))
    }
}

fn private(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

/// Copies a folder. Large files are linked.
fn copy(from: &Path, to: &Path, sort: fn(&mut Vec<PathBuf>)) {
    fs::create_dir_all(to).unwrap();
    let entries = fs::read_dir(from).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    sort(&mut paths);
    for path in paths {
        let to = to.join(path.file_name().unwrap());
        let len = fs::metadata(&path).unwrap().len();
        if path.is_dir() {
            copy(&path, &to, sort);
        } else if len > 1 << 20 {
            link(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

fn link(from: &Path, to: &Path) {
    let linked = fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop));
    linked.unwrap_or_else(|e: io::Error| panic!("{}: {e}", to.display()));
}

#[test]
fn the_base_image_is_the_same_wherever_the_pack_was_unpacked_and_in_any_environment() {
    let ascending = Home::new(&std::env::temp_dir(), |_| ()).image(&[]);
    // A file system that lists the files in the order in which they were written, if there is one.
    let memory = Path::new("/dev/shm");
    let other = match tempfile::tempdir_in(memory) {
        Ok(_) => memory.to_owned(),
        Err(_) => std::env::temp_dir(),
    };
    let variables = [
        ("TZ", "Asia/Tokyo"),
        ("LANG", "de_DE.UTF-8"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("PYTHONHASHSEED", "7"),
        ("PYTHONPATH", "/tmp"),
        ("MPLBACKEND", "svg"),
    ];
    let descending = Home::new(&other, |paths| paths.reverse()).image(&variables);
    assert_eq!(ascending, descending);
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join(PINNED);
    if std::env::var_os("CODEACT_BLESS").is_some() {
        fs::write(&pinned, format!("{ascending}\n")).unwrap();
    }
    assert_eq!(
        ascending,
        fs::read_to_string(&pinned).unwrap_or_default().trim_end(),
        "the base image is not the pinned one. Sessions and recordings of other builds cannot be used with it. If that \
         is intended, CODEACT_BLESS=1 cargo test --test integration base_image writes {PINNED}"
    );
}
