//! The installed packs of this machine.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use codeact_base::event::{Event, EventSink, SetupStage};

use crate::folders::{
    entries_with_prefix, folder_size, remove_all, remove_stale, rename, temporary_prefix,
};
use crate::install::install;
use crate::lock::Lock;
use crate::marker::is_complete;
use crate::module;
use crate::permissions::check_dir;
use crate::{Clients, Dirs, FileRole, Manifest, PackError, PackageVersions, builtin_names};

/// The packs in the folders of one [`Dirs`]. Several stores, threads and processes can use the same folders at once.
///
/// ```no_run
/// use codeact_base::event::EventSink;
/// use codeact_pack::{Dirs, InstallOptions, Manifest, Store};
///
/// let dirs = Dirs::from_env(&|name| std::env::var_os(name))?;
/// let store = Store::new(dirs, EventSink::none());
/// let manifest = Manifest::known("science")?;
/// let pack = store.ensure(manifest, &InstallOptions::new())?;
/// println!("{}", pack.module_path().display());
///
/// let site = store.packages(manifest, &["rich==14.0.0".parse()?], false)?;
/// println!("{} files", site.files.len());
/// # Ok::<(), codeact_pack::PackError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Store {
    dirs: Dirs,
    clients: Option<Clients>,
    events: EventSink,
}

/// Source of a missing pack for [`Store::ensure`]. By default it is downloaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstallOptions {
    /// True if downloads are forbidden: a missing pack is an error unless `from` is set. Default: false.
    pub offline: bool,
    /// Local wheel to install from. It is checked against the same pins. Default: none.
    pub from: Option<PathBuf>,
}

impl InstallOptions {
    /// Returns the default: download the pack.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`InstallOptions::offline`].
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// Sets [`InstallOptions::from`].
    #[must_use]
    pub fn from_wheel(mut self, path: impl Into<PathBuf>) -> Self {
        self.from = Some(path.into());
        self
    }
}

/// An installed pack.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pack {
    /// The manifest of the pack.
    pub manifest: Manifest,
    /// The folder of the pack.
    pub root: PathBuf,
}

impl Pack {
    /// Returns the path of the WebAssembly module.
    pub fn module_path(&self) -> PathBuf {
        self.role_path(FileRole::Module)
    }

    /// Reads the WebAssembly module and makes the changes that the manifest lists. The result is what is compiled.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::Io`] if the file cannot be read, and [`PackError::BadModule`] if a change does not match the
    /// module.
    pub fn module(&self) -> Result<Vec<u8>, PackError> {
        let path = self.module_path();
        let module = std::fs::read(&path).map_err(PackError::io("read", &path))?;
        module::rewritten(&self.manifest, module)
    }

    /// Returns the path of the archive of the standard library and packages. The guest has it read-only at
    /// `manifest.guest.stdlib`.
    pub fn stdlib_path(&self) -> PathBuf {
        self.role_path(FileRole::Stdlib)
    }

    /// Returns the folder of matplotlib's data, if the pack has one.
    pub fn mpl_data_dir(&self) -> Option<PathBuf> {
        let mut folders = self.unpacked();
        folders.find_map(|(path, _)| path.ends_with("mpl-data").then_some(path))
    }

    /// Returns the folders that were unpacked from archives, each with its guest path. The guest has them read-only.
    pub fn unpacked(&self) -> impl Iterator<Item = (PathBuf, &str)> {
        let specs = self.manifest.unpack.iter();
        specs.map(|u| (self.root.join(&u.to), u.guest.as_str()))
    }

    /// Returns [`Manifest::hash`].
    pub fn hash(&self) -> String {
        self.manifest.hash()
    }

    fn role_path(&self, role: FileRole) -> PathBuf {
        let file = self.manifest.file(role);
        file.map_or_else(|| self.root.clone(), |file| self.root.join(&file.to))
    }
}

/// A built-in pack and its state on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackStatus {
    /// Name of the pack.
    pub name: String,
    /// Version of the pack.
    pub version: String,
    /// One-line description for the user.
    pub description: String,
    /// Version of CPython.
    pub python: String,
    /// True if the pack is installed and complete.
    pub installed: bool,
    /// Folder of the pack; it does not exist if the pack is not installed.
    pub path: PathBuf,
    /// Size on disk of all installed versions of the pack, in bytes.
    pub pack_bytes: u64,
    /// Size on disk of the compiled code and base images of all versions, in bytes.
    pub cache_bytes: u64,
    /// Size of this version when it is installed, in bytes.
    pub installed_size: u64,
    /// Versions of the contained packages.
    pub packages: PackageVersions,
}

impl Store {
    /// Returns a store in `dirs`, which are created at the first write. Progress events go to `events`. Package
    /// clients are searched on the process's `PATH` when one is needed; see [`Store::with_clients`].
    pub fn new(dirs: Dirs, events: EventSink) -> Self {
        Self {
            dirs,
            clients: None,
            events,
        }
    }

    /// Sets the package clients. Default: those on the process's `PATH`.
    #[must_use]
    pub fn with_clients(mut self, clients: Clients) -> Self {
        self.clients = Some(clients);
        self
    }

    /// Returns the pack if it is installed. Takes about a millisecond, because it checks the presence and size of
    /// each file and not the content.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::Io`] if the folder exists and cannot be read.
    pub fn installed(&self, manifest: &Manifest) -> Result<Option<Pack>, PackError> {
        let root = self.pack_dir(manifest);
        let complete = is_complete(&root, manifest)?;
        Ok(complete.then(|| Pack {
            manifest: manifest.clone(),
            root,
        }))
    }

    /// Returns the pack, and installs it first if it is missing. Blocks while it downloads and checks the wheel, and
    /// while another process installs the same pack.
    ///
    /// # Errors
    ///
    /// Returns a [`PackError`] with advice for the user. The installed packs are then unchanged.
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
        // Another process or thread may have installed the pack during the wait for the lock.
        if let Some(pack) = self.installed(manifest)? {
            return Ok(pack);
        }
        // An error is ignored: a running client of a killed process may still write there, and the folders are not
        // used.
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

    /// Returns the state of all built-in packs.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::Io`] if a folder exists and cannot be read.
    pub fn list(&self) -> Result<Vec<PackStatus>, PackError> {
        let manifests = builtin_names().filter_map(Manifest::builtin);
        manifests.map(|manifest| self.status(manifest)).collect()
    }

    /// Returns the state of one pack.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::Io`] if a folder exists and cannot be read.
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

    /// Deletes all versions of the pack `name` and their compiled code. Returns the freed bytes, 0 if nothing was
    /// deleted. Each folder is renamed before it is deleted, so that no process can use an incomplete one.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::UnknownPack`] if no pack has this name, and [`PackError::Io`] if a folder cannot be
    /// deleted, for example because another process uses it on Windows.
    pub fn remove(&self, name: &str) -> Result<u64, PackError> {
        Manifest::known(name)?;
        self.remove_folders(name)
    }

    pub(crate) fn remove_folders(&self, name: &str) -> Result<u64, PackError> {
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

    /// Returns the folder for the pack's compiled code and base images. It may not exist: call
    /// [`Store::prepare_cache`] before reading or writing there.
    pub fn cache_dir(&self, manifest: &Manifest) -> PathBuf {
        self.dirs.compiled().join(manifest.folder())
    }

    /// Creates [`Store::cache_dir`] and checks that only the user can write there.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::UnsafeFolder`] if the folder belongs to another user or if others can write to it
    /// (checked on Unix), and [`PackError::NotWritable`] or [`PackError::Io`] if it cannot be created.
    pub fn prepare_cache(&self, manifest: &Manifest) -> Result<PathBuf, PackError> {
        let folder = self.cache_dir(manifest);
        codeact_base::private::create_dir(&folder).map_err(PackError::write(&folder, 0))?;
        for folder in [&self.dirs.cache, &self.dirs.compiled(), &folder] {
            check_dir(folder)?;
        }
        Ok(folder)
    }

    pub(crate) fn clients(&self) -> Cow<'_, Clients> {
        match &self.clients {
            Some(clients) => Cow::Borrowed(clients),
            None => Cow::Owned(Clients::from_env(&|name| std::env::var_os(name))),
        }
    }

    pub(crate) fn events(&self) -> &EventSink {
        &self.events
    }

    fn pack_dir(&self, manifest: &Manifest) -> PathBuf {
        self.dirs.packs().join(manifest.folder())
    }

    fn lock(&self, name: &str) -> Result<Lock, PackError> {
        let packs = self.dirs.packs();
        codeact_base::private::create_dir(&packs).map_err(PackError::write(&packs, 0))?;
        Lock::acquire(&packs.join(format!(".lock-{name}")), || {
            self.events.emit(Event::SetupStatus {
                stage: SetupStage::Download,
                text: format!(
                    "waiting for another process that installs or removes the pack {name}"
                ),
            });
        })
    }
}

/// Returns the prefix of the names of the folders of pack `name`. A pack's name contains no `-`.
fn folder_prefix(name: &str) -> String {
    format!("{name}-")
}
