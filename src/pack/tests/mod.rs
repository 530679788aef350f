//! A tiny synthetic pack, and what installs it.

#[cfg(unix)]
pub(super) mod clients;
mod folders;
mod install;
mod manifests;

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::event::{Event, EventSink};

use super::manifest::hex;
use super::{Clients, Dirs, InstallOptions, Manifest, Store};

pub(super) const WHEEL: &str = "tiny_python-0.1.0-py3-none-any.whl";

/// An archive with these members.
pub(super) fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// What the tiny pack is made of, and what its manifest pins; tests change one or the other.
pub(super) struct Tiny {
    pub(super) module: Vec<u8>,
    pub(super) pinned_module: Vec<u8>,
    pub(super) members: Vec<&'static str>,
    pub(super) warm: &'static str,
    pub(super) unpacked_size: u64,
}

impl Default for Tiny {
    fn default() -> Self {
        // Larger than one buffer, and not of one byte.
        let module: Vec<u8> = (0..3_000_000u32).map(|i| (i / 7 + i % 251) as u8).collect();
        Self {
            pinned_module: module.clone(),
            module,
            members: vec!["tiny/python.wasm", "tiny/stdlib.zip", "tiny/MANIFEST"],
            warm: "json",
            unpacked_size: 9,
        }
    }
}

impl Tiny {
    /// The wheel's bytes and the manifest's text.
    pub(super) fn build(&self) -> (Vec<u8>, String) {
        let inner = zip_of(&[("fonts/a.ttf", b"font"), ("matplotlibrc", b"style")]);
        let stdlib = zip_of(&[("os.pyc", b"code"), ("matplotlib/mpl-data.zip", &inner)]);
        let members: Vec<(&str, &[u8])> = self
            .members
            .iter()
            .map(|&name| match name {
                "tiny/python.wasm" => (name, self.module.as_slice()),
                "tiny/stdlib.zip" => (name, stdlib.as_slice()),
                _ => (name, b"record".as_slice()),
            })
            .collect();
        let wheel = zip_of(&members);
        let pin = |bytes: &[u8]| {
            let hash = hex(&Sha256::digest(bytes));
            format!("size = {}, sha256 = \"{hash}\"", bytes.len())
        };
        let lines = |bytes: &[u8]| pin(bytes).replace(", ", "\n");
        let (module, stdlib, record) = (pin(&self.pinned_module), pin(&stdlib), pin(b"record"));
        let text = format!(
            r#"
            format = 1
            name = "tiny"
            version = "0.1.0"
            description = "for tests"
            abi = 1
            python = "3.15.0"
            files = [
              {{ role = "module", path = "tiny/python.wasm", to = "python.wasm", {module} }},
              {{ role = "stdlib", path = "tiny/stdlib.zip", to = "stdlib.zip", {stdlib} }},
              {{ role = "record", path = "tiny/MANIFEST", to = "notes/MANIFEST", {record} }},
            ]
            [distribution]
            name = "tiny-python"
            version = "0.1.0"
            wheel = "{WHEEL}"
            {}
            [guest]
            stdlib = "/usr/local/lib/python315.zip"
            [[unpack]]
            archive = "stdlib.zip"
            member = "matplotlib/mpl-data.zip"
            {}
            to = "mpl-data"
            guest = "/usr/local/lib/python315.zip/matplotlib/mpl-data"
            unpacked_files = 2
            unpacked_size = {}
            [image]
            warm = ["{}"]
            [packages.python]
            tiny = "1"
            "#,
            lines(&wheel),
            lines(&inner),
            self.unpacked_size,
            self.warm,
        );
        (wheel, text)
    }

    /// A home with the wheel in it and nothing installed.
    pub(super) fn home(&self) -> Home {
        let (wheel, text) = self.build();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(WHEEL), wheel).unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        Home {
            folder,
            manifest: Manifest::parse(&text).unwrap(),
        }
    }
}

/// A temporary home folder.
pub(super) struct Home {
    folder: TempDir,
    pub(super) manifest: Manifest,
}

impl Home {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn wheel(&self) -> PathBuf {
        self.path(WHEEL)
    }

    /// A store that finds clients in `bin` only.
    pub(super) fn store(&self) -> Store {
        self.store_telling(EventSink::none())
    }

    pub(super) fn store_telling(&self, events: EventSink) -> Store {
        let dirs = Dirs {
            data: self.path("data"),
            cache: self.path("cache"),
        };
        Store::new(dirs, events).with_clients(Clients::in_path(self.path("bin")))
    }

    pub(super) fn wheel_options(&self) -> InstallOptions {
        InstallOptions {
            offline: true,
            from: Some(self.wheel()),
        }
    }

    /// What lies beside the packs: temporary folders and packs, not the lock.
    pub(super) fn packs(&self) -> Vec<String> {
        let mut names = names_in(&self.path("data/packs"));
        names.retain(|name| !name.starts_with(".lock"));
        names
    }

    /// Nothing was installed and nothing lies about.
    pub(super) fn assert_empty(&self) {
        assert_eq!(self.packs(), Vec::<String>::new());
        assert_eq!(self.store().installed(&self.manifest).unwrap(), None);
    }
}

pub(super) fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// A sink, and the events it got.
pub(super) fn recorder() -> (EventSink, Arc<Mutex<Vec<Event>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    (EventSink::new(move |e| sink.lock().unwrap().push(e)), seen)
}
