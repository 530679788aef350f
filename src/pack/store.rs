//! The packs on this machine.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::event::EventSink;

use super::install::{
    entries_with_prefix, install, remove_all, remove_stale, rename, temporary_prefix,
};
use super::lock::Lock;
use super::marker::is_complete;
use super::pip::folder_size;
use super::{Clients, Dirs, Manifest, PackError, Packages, Role, builtin_names, private};

/// The packs in one pair of folders. Several stores, threads and processes can use the same
/// folders at once.
#[derive(Debug, Clone)]
pub struct Store {
    dirs: Dirs,
    clients: Option<Clients>,
    events: EventSink,
}

/// How [`Store::ensure`] may get a missing pack. By default it is fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstallOptions {
    /// Never fetch: a missing pack is an error, unless `from` is given.
    pub offline: bool,
    /// Take the pack from this local wheel, which is checked against the same pins.
    pub from: Option<PathBuf>,
}

/// An installed, complete pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// What it is.
    pub manifest: Manifest,
    /// Its folder.
    pub root: PathBuf,
}

impl Pack {
    /// The WebAssembly module.
    pub fn module_path(&self) -> PathBuf {
        self.role_path(Role::Module)
    }

    /// The archive of the standard library and packages; the guest sees it, read-only, at
    /// `manifest.guest.stdlib`.
    pub fn stdlib_path(&self) -> PathBuf {
        self.role_path(Role::Stdlib)
    }

    /// The folder of matplotlib's data, if the pack has it.
    pub fn mpl_data_dir(&self) -> Option<PathBuf> {
        let mut folders = self.unpacked();
        folders.find_map(|(path, _)| path.ends_with("mpl-data").then_some(path))
    }

    /// The folders that were unpacked from archives, each with the guest path at which it must
    /// be shown, read-only.
    pub fn unpacked(&self) -> impl Iterator<Item = (PathBuf, &str)> {
        let specs = self.manifest.unpack.iter();
        specs.map(|u| (self.root.join(&u.to), u.guest.as_str()))
    }

    /// The pack's identity in hexadecimal: see [`Manifest::hash`].
    pub fn hash(&self) -> String {
        self.manifest.hash()
    }

    fn role_path(&self, role: Role) -> PathBuf {
        let file = self.manifest.file(role);
        file.map_or_else(|| self.root.clone(), |file| self.root.join(&file.to))
    }
}

/// A known pack and what of it lies on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackStatus {
    /// The pack's name.
    pub name: String,
    /// The pack's version.
    pub version: String,
    /// One line for people.
    pub description: String,
    /// The version of CPython.
    pub python: String,
    /// Whether it is complete and usable.
    pub installed: bool,
    /// Where it lies, or would.
    pub path: PathBuf,
    /// Bytes on disk of the pack, other versions of it included.
    pub pack_bytes: u64,
    /// Bytes on disk of what was compiled from it, other versions included.
    pub cache_bytes: u64,
    /// Bytes that an installation takes.
    pub installed_size: u64,
    /// What is inside.
    pub packages: Packages,
}

impl Store {
    /// A store in `dirs`, which are created when something is first written. Progress goes to
    /// `events`. Package clients are looked for on the process's `PATH`, only when one is
    /// needed; see [`Store::with_clients`].
    pub fn new(dirs: Dirs, events: EventSink) -> Self {
        Self {
            dirs,
            clients: None,
            events,
        }
    }

    /// Uses these package clients instead of those on the process's `PATH`.
    pub fn with_clients(mut self, clients: Clients) -> Self {
        self.clients = Some(clients);
        self
    }

    /// The pack, if it is installed. Takes about a millisecond: every file's presence and size
    /// is checked, not its content.
    ///
    /// # Errors
    ///
    /// [`PackError::Io`] if the folder is there and cannot be read.
    pub fn installed(&self, manifest: &Manifest) -> Result<Option<Pack>, PackError> {
        let root = self.pack_dir(manifest);
        let complete = is_complete(&root, manifest)?;
        Ok(complete.then(|| Pack {
            manifest: manifest.clone(),
            root,
        }))
    }

    /// The pack, installed now if it is missing. Blocks: a first installation fetches and
    /// checks the wheel, and waits while another process installs the same pack.
    ///
    /// # Errors
    ///
    /// Each [`PackError`] says what to do. After any, what is installed is as it was.
    pub fn ensure(&self, manifest: &Manifest, options: &InstallOptions) -> Result<Pack, PackError> {
        if let Some(pack) = self.installed(manifest)? {
            return Ok(pack);
        }
        if options.offline && options.from.is_none() {
            return Err(PackError::Offline {
                pack: manifest.name.clone(),
                wheel: manifest.distribution.wheel.clone(),
            });
        }
        let _lock = self.lock(&manifest.name)?;
        // Somebody else may have installed it while this one waited.
        if let Some(pack) = self.installed(manifest)? {
            return Ok(pack);
        }
        // Best effort: an orphaned client may still be writing there, and nothing there is used.
        let _ = remove_stale(&self.dirs.packs(), &manifest.name);
        let clients = self.clients();
        let root = self.pack_dir(manifest);
        install(
            manifest,
            &root,
            options.from.as_deref(),
            &clients,
            &self.events,
        )?;
        Ok(Pack {
            manifest: manifest.clone(),
            root,
        })
    }

    /// All known packs and what of them lies on this machine.
    ///
    /// # Errors
    ///
    /// [`PackError::Io`] if a folder is there and cannot be read.
    pub fn list(&self) -> Result<Vec<PackStatus>, PackError> {
        let manifests = builtin_names().filter_map(Manifest::builtin);
        manifests.map(|manifest| self.status(manifest)).collect()
    }

    /// One pack and what of it lies on this machine.
    ///
    /// # Errors
    ///
    /// [`PackError::Io`] if a folder is there and cannot be read.
    pub fn status(&self, manifest: &Manifest) -> Result<PackStatus, PackError> {
        let size = |folder: &Path| -> Result<u64, PackError> {
            let folders = entries_with_prefix(folder, &folder_prefix(&manifest.name))?;
            Ok(folders.iter().map(|path| folder_size(path)).sum())
        };
        Ok(PackStatus {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            description: manifest.description.clone(),
            python: manifest.python.clone(),
            installed: self.installed(manifest)?.is_some(),
            path: self.pack_dir(manifest),
            pack_bytes: size(&self.dirs.packs())?,
            cache_bytes: size(&self.dirs.compiled())?,
            installed_size: manifest.installed_size(),
            packages: manifest.packages.clone(),
        })
    }

    /// Deletes every version of the pack `name` and everything compiled from it; returns how
    /// many bytes that freed, 0 if there was nothing. Each folder is renamed away before it is
    /// deleted, so none is ever seen half-deleted.
    ///
    /// # Errors
    ///
    /// [`PackError::UnknownPack`]; [`PackError::Io`] if something cannot be deleted, for
    /// example on Windows while another process uses it.
    pub fn remove(&self, name: &str) -> Result<u64, PackError> {
        Manifest::known(name)?;
        self.remove_folders(name)
    }

    pub(super) fn remove_folders(&self, name: &str) -> Result<u64, PackError> {
        let _lock = self.lock(name)?;
        let mut freed = 0;
        for folder in [self.dirs.packs(), self.dirs.compiled()] {
            for path in entries_with_prefix(&folder, &folder_prefix(name))? {
                freed += folder_size(&path);
                let own = path.file_name().unwrap_or_default().to_string_lossy();
                let pid = std::process::id();
                let away = format!("{}removed-{pid}-{own}", temporary_prefix(name));
                let away = folder.join(away);
                rename(&path, &away)?;
                remove_all(&away)?;
            }
            remove_stale(&folder, name)?;
        }
        Ok(freed)
    }

    /// The folder for what is compiled from this pack: code and base images. It may not exist;
    /// use [`Store::prepare_cache`] before reading or writing there.
    pub fn cache_dir(&self, manifest: &Manifest) -> PathBuf {
        self.dirs.compiled().join(manifest.folder())
    }

    /// Creates [`Store::cache_dir`], private to the user, and makes sure that nobody else can
    /// put compiled code there.
    ///
    /// # Errors
    ///
    /// [`PackError::UnsafeFolder`] if the folder belongs to another user or others can write
    /// it (checked on Unix), [`PackError::NotWritable`] or [`PackError::Io`] if it cannot be
    /// created.
    pub fn prepare_cache(&self, manifest: &Manifest) -> Result<PathBuf, PackError> {
        let folder = self.cache_dir(manifest);
        private::create_dir(&folder).map_err(PackError::write(&folder, 0))?;
        for folder in [&self.dirs.cache, &self.dirs.compiled(), &folder] {
            private::check_dir(folder)?;
        }
        Ok(folder)
    }

    pub(super) fn clients(&self) -> Cow<'_, Clients> {
        match &self.clients {
            Some(clients) => Cow::Borrowed(clients),
            None => Cow::Owned(Clients::from_env(&|name| std::env::var_os(name))),
        }
    }

    pub(super) fn events(&self) -> &EventSink {
        &self.events
    }

    fn pack_dir(&self, manifest: &Manifest) -> PathBuf {
        self.dirs.packs().join(manifest.folder())
    }

    fn lock(&self, name: &str) -> Result<Lock, PackError> {
        let packs = self.dirs.packs();
        private::create_dir(&packs).map_err(PackError::write(&packs, 0))?;
        Lock::acquire(&packs.join(format!(".lock-{name}")))
    }
}

/// The beginning of the names of folders that belong to pack `name`; a name has no `-`.
fn folder_prefix(name: &str) -> String {
    format!("{name}-")
}
