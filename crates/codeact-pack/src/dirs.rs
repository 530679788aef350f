//! Folders of packs and compiled code.

use std::ffi::OsString;
use std::path::PathBuf;

use etcetera::BaseStrategy;

use crate::PackError;

/// The two folders in which codeact stores files. They are created at the first write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dirs {
    /// Folder of installed packs and sessions.
    pub data: PathBuf,
    /// Folder of compiled code and base images. It can be deleted at any time.
    pub cache: PathBuf,
}

impl Dirs {
    /// Returns these two folders.
    pub fn new(data: impl Into<PathBuf>, cache: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            cache: cache.into(),
        }
    }

    /// Returns the folders for a user with the environment that `lookup` reads.
    ///
    /// If `CODEACT_HOME` is set and not empty, the folders are `$CODEACT_HOME` and `$CODEACT_HOME/cache`. Otherwise
    /// they are `codeact` in the platform's folders for data and caches. On Linux and macOS these are
    /// `~/.local/share` and `~/.cache`, or `XDG_DATA_HOME` and `XDG_CACHE_HOME`. On Windows both are in the local
    /// application data and not in the roaming one, because packs are large.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::NoHome`] if the user has no home folder, and [`PackError::Io`] if a relative
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

    /// Returns the folder that contains the folders of packs.
    pub(crate) fn packs(&self) -> PathBuf {
        self.data.join("packs")
    }

    /// Returns the folder that contains one folder of compiled code for each pack.
    pub(crate) fn compiled(&self) -> PathBuf {
        self.cache.join("packs")
    }
}
