//! A small synthetic pack and a temporary home for it.

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

use codeact_base::Hint;
use codeact_base::event::{Event, EventSink};

use super::{Clients, Dirs, InstallOptions, Manifest, Store};
use codeact_base::text::hex;

pub(super) const WHEEL: &str = "tiny_python-0.1.0-py3-none-any.whl";

/// Returns an archive with these members.
pub(super) fn zip_with(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Content of the synthetic pack, and the values that its manifest pins. Tests change one of them.
pub(super) struct Tiny {
    pub(super) module: Vec<u8>,
    pub(super) pinned_module: Vec<u8>,
    pub(super) members: Vec<&'static str>,
    pub(super) warm: &'static str,
    pub(super) unpacked_size: u64,
}

impl Default for Tiny {
    fn default() -> Self {
        // Larger than one buffer, and not a repetition of one byte.
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
    /// Returns the wheel's bytes and the manifest's text.
    pub(super) fn build(&self) -> (Vec<u8>, String) {
        let inner = zip_with(&[("fonts/a.ttf", b"font"), ("matplotlibrc", b"style")]);
        let stdlib = zip_with(&[("os.pyc", b"code"), ("matplotlib/mpl-data.zip", &inner)]);
        let members: Vec<(&str, &[u8])> = self
            .members
            .iter()
            .map(|&name| match name {
                "tiny/python.wasm" => (name, self.module.as_slice()),
                "tiny/stdlib.zip" => (name, stdlib.as_slice()),
                _ => (name, b"record".as_slice()),
            })
            .collect();
        let wheel = zip_with(&members);
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

    /// Returns a home that contains the wheel and no installed pack.
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

    /// Returns a store that finds clients in `bin` only.
    pub(super) fn store(&self) -> Store {
        self.store_with_events(EventSink::none())
    }

    pub(super) fn store_with_events(&self, events: EventSink) -> Store {
        let dirs = Dirs::new(self.path("data"), self.path("cache"));
        Store::new(dirs, events).with_clients(Clients::in_path(self.path("bin")))
    }

    pub(super) fn wheel_options(&self) -> InstallOptions {
        InstallOptions {
            offline: true,
            from: Some(self.wheel()),
        }
    }

    /// Returns the names in the folder of packs, without lock files.
    pub(super) fn packs(&self) -> Vec<String> {
        let mut names = names_in(&self.path("data/packs"));
        names.retain(|name| !name.starts_with(".lock"));
        names
    }

    /// Asserts that no pack was installed and no temporary folder is left.
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

/// Returns the hint for an error of the download of the synthetic pack.
pub(super) fn install_from_file() -> Hint {
    Hint::InstallPackFromFile {
        pack: "tiny".to_owned(),
        wheel: WHEEL.to_owned(),
    }
}

/// Returns a sink and the events that it received.
pub(super) fn event_recorder() -> (EventSink, Arc<Mutex<Vec<Event>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    (EventSink::new(move |e| sink.lock().unwrap().push(e)), seen)
}
