//! Bytecode of the modules of a wheel, stored in the folder of the unpacked wheel.
//!
//! The guest makes it, so it is data of unknown content, and is only ever given back to a guest. The files are named by
//! numbers, and an index has the path of the source of each.

use std::collections::BTreeMap;
use std::fs;

use codeact_base::private::create_dir;

use super::cache::{Cache, Staging, read, write};
use super::limits::MAX_BYTES;
use super::site::{SiteFile, SitePackage};
use crate::folders::rename;
use crate::{Manifest, PackError, Store};

/// Name of the index.
const INDEX: &str = "index.json";

/// Bytecode to store: the path of each source, relative to `site-packages`, and its compiled form.
pub type Bytecode = Vec<(String, Vec<u8>)>;

impl Store {
    /// Returns the Python sources of an unpacked package; empty if it is not in the cache.
    ///
    /// # Errors
    ///
    /// Returns errors of the file system.
    pub fn package_sources(
        &self,
        manifest: &Manifest,
        package: &SitePackage,
    ) -> Result<Vec<SiteFile>, PackError> {
        let cache = Cache::open(&self.prepare_cache(manifest)?)?;
        let Some(wheel) = cache.wheel(&package.sha256)? else {
            return Ok(Vec::new());
        };
        let sources = wheel
            .files
            .into_iter()
            .filter(|(path, _)| path.ends_with(".py"));
        let file = |(path, len): (String, u64)| SiteFile {
            host: wheel.root.join(&path),
            path,
            len,
        };
        Ok(sources.map(file).collect())
    }

    /// Returns the stored bytecode of a package: files with the paths of their sources. `compiler` names the compiler
    /// that made it. Returns `None` if there is none.
    ///
    /// # Errors
    ///
    /// Returns errors of the file system.
    pub fn bytecode(
        &self,
        manifest: &Manifest,
        package: &SitePackage,
        compiler: &str,
    ) -> Result<Option<Vec<SiteFile>>, PackError> {
        let cache = Cache::open(&self.prepare_cache(manifest)?)?;
        let Some(folder) = cache.bytecode_folder(&package.sha256, compiler) else {
            return Ok(None);
        };
        let Some(index) = read::<BTreeMap<String, u64>>(&folder.join(INDEX))? else {
            return Ok(None);
        };
        let files = index.into_iter().enumerate().map(|(number, (path, len))| {
            let host = folder.join(number.to_string());
            let meta = fs::symlink_metadata(&host).ok()?;
            (meta.is_file() && meta.len() == len).then_some(SiteFile { path, host, len })
        });
        Ok(files.collect())
    }

    /// Stores the bytecode of a package.
    ///
    /// # Errors
    ///
    /// Returns errors of the file system.
    pub fn store_bytecode(
        &self,
        manifest: &Manifest,
        package: &SitePackage,
        compiler: &str,
        bytecode: Bytecode,
    ) -> Result<(), PackError> {
        let cache = Cache::open(&self.prepare_cache(manifest)?)?;
        let Some(folder) = cache.bytecode_folder(&package.sha256, compiler) else {
            return Ok(());
        };
        let staging = Staging::new(&cache)?;
        let staged = staging.path().join("bytecode");
        create_dir(&staged).map_err(PackError::write(&staged, MAX_BYTES))?;
        let bytecode: BTreeMap<_, _> = bytecode.into_iter().collect();
        let mut index = BTreeMap::new();
        for (number, (path, bytes)) in bytecode.into_iter().enumerate() {
            let file = staged.join(number.to_string());
            index.insert(path, bytes.len() as u64);
            fs::write(&file, bytes).map_err(PackError::write(&file, MAX_BYTES))?;
        }
        write(&staged.join(INDEX), &index)?;
        let _lock = cache.lock()?;
        if fs::symlink_metadata(&folder).is_ok() {
            // It is incomplete, or another process has stored the same.
            rename(&folder, &staging.path().join("replaced"))?;
        }
        rename(&staged, &folder)
    }
}
