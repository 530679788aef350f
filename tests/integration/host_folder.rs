//! A host folder to mount, next to a folder with a secret that no mount of it may show.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use codeact::Sandbox;
use codeact::sandbox::{Execution, Mount, MountMode, Session, Turn};

use crate::support::{Codeact, block_on, exec, sandbox};

/// Content of the files outside the mount. No guest may see it.
pub const SECRET: &str = "the secret outside";

pub struct Folder {
    both: tempfile::TempDir,
}

impl Folder {
    /// Creates a folder with `files` and their parent folders. A path that ends in `/` is a folder.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self {
            both: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(folder.path()).unwrap();
        fs::create_dir(folder.outside()).unwrap();
        for name in ["secret.txt", "f.txt"] {
            fs::write(folder.outside().join(name), SECRET).unwrap();
        }
        for (path, text) in files {
            folder.write(path, text);
        }
        folder
    }

    /// Returns the mounted folder.
    pub fn path(&self) -> PathBuf {
        self.both.path().join("inside")
    }

    /// Returns the folder next to the mounted one, with `secret.txt` and `f.txt`.
    pub fn outside(&self) -> PathBuf {
        self.both.path().join("outside")
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let at = self.at(path);
        if path.ends_with('/') {
            return fs::create_dir_all(at).unwrap();
        }
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    #[cfg(unix)]
    pub fn link(&self, target: impl AsRef<Path>, path: &str) {
        std::os::unix::fs::symlink(target, self.at(path)).unwrap();
    }

    /// Returns the content: files with their text, links with their target, folders with an empty text.
    pub fn shown(&self) -> BTreeMap<String, String> {
        shown(&self.path())
    }

    /// Asserts that nothing outside the mounted folder was created, changed or removed.
    #[track_caller]
    pub fn assert_outside_untouched(&self) {
        let names = ["f.txt", "secret.txt"].map(|name| (name.to_owned(), SECRET.to_owned()));
        assert_eq!(shown(&self.outside()), BTreeMap::from(names));
        assert_eq!(fs::read_dir(self.both.path()).unwrap().count(), 2);
    }

    /// Returns a mount of the folder at `/m`.
    pub fn mount(&self, mode: MountMode) -> Mount {
        let mount = Mount::open(self.path()).unwrap().mode(mode);
        mount.at("/m").unwrap()
    }

    pub fn sandbox(&self, mode: MountMode) -> Sandbox {
        (sandbox().derive())
            .mount(self.mount(mode))
            .build()
            .unwrap()
    }

    /// Runs `turn` in a fresh session with the folder at `/m`.
    pub fn run(&self, mode: MountMode, turn: impl Into<Turn>) -> Execution {
        self.sandbox(mode).run_blocking(turn).unwrap()
    }

    /// Returns a session with the folder at `/m` that has run `code`.
    pub fn session(&self, mode: MountMode, code: &str) -> Session {
        let mut session = self.sandbox(mode).session().unwrap();
        crate::support::result(&turn(&mut session, code));
        session
    }

    /// Returns `codeact exec` with the folder at `/m`.
    pub fn exec(&self, mode: &str) -> Codeact {
        let spec = format!("{}:/m:{mode}", self.path().display());
        exec().arg("--mount").arg(spec)
    }
}

/// Runs a turn of `session`.
pub fn turn(session: &mut Session, turn: impl Into<Turn>) -> Execution {
    block_on(session.run(turn)).unwrap()
}

fn shown(top: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut todo = vec![top.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let at = entry.unwrap().path();
            let path = at.strip_prefix(top).unwrap().to_string_lossy().into_owned();
            let kind = fs::symlink_metadata(&at).unwrap().file_type();
            let text = match () {
                () if kind.is_symlink() => fs::read_link(&at).unwrap().display().to_string(),
                () if kind.is_file() => {
                    String::from_utf8_lossy(&fs::read(&at).unwrap()).into_owned()
                }
                () => String::new(),
            };
            if kind.is_dir() {
                todo.push(at);
            }
            all.insert(path, text);
        }
    }
    all
}

/// Returns `files` in the form of [`Folder::shown`].
pub fn these(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect()
}
