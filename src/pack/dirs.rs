//! Where packs and compiled code lie.

use std::ffi::OsString;
use std::path::PathBuf;

use etcetera::BaseStrategy;

use super::PackError;

/// The two folders codeact keeps things in. Nothing is created by making this value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Installed packs; lost only at the price of fetching them again.
    pub data: PathBuf,
    /// Compiled code and base images; can be deleted at any time.
    pub cache: PathBuf,
}

impl Dirs {
    /// The folders for a user with this environment.
    ///
    /// `CODEACT_HOME`, when it is set and not empty, holds both (`$CODEACT_HOME` and
    /// `$CODEACT_HOME/cache`). Otherwise they are `codeact` in the platform's data and cache
    /// folders: on Linux and macOS `~/.local/share` and `~/.cache` (or `XDG_DATA_HOME` and
    /// `XDG_CACHE_HOME`), on Windows both under the local, not the roaming, application data,
    /// since packs are large.
    ///
    /// # Errors
    ///
    /// [`PackError::NoHome`] if the user has no home folder, [`PackError::Io`] if a relative
    /// `CODEACT_HOME` cannot be made absolute.
    pub fn from_env(lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, PackError> {
        if let Some(home) = lookup("CODEACT_HOME").filter(|home| !home.is_empty()) {
            let home = PathBuf::from(home);
            let home = std::path::absolute(&home).map_err(PackError::io("find", &home))?;
            return Ok(Self {
                cache: home.join("cache"),
                data: home,
            });
        }
        let base = etcetera::choose_base_strategy().map_err(|_| PackError::NoHome)?;
        if cfg!(windows) {
            let local = base.cache_dir().join("codeact");
            return Ok(Self {
                data: local.join("data"),
                cache: local.join("cache"),
            });
        }
        Ok(Self {
            data: base.data_dir().join("codeact"),
            cache: base.cache_dir().join("codeact"),
        })
    }

    /// The folder that holds the packs' folders.
    pub(super) fn packs(&self) -> PathBuf {
        self.data.join("packs")
    }

    /// The folder that holds the folders of what was compiled from each pack.
    pub(super) fn compiled(&self) -> PathBuf {
        self.cache.join("packs")
    }
}
