//! Refusals of requirements, which are remembered for some minutes.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use codeact_base::text::hex;

use super::Requirement;
use super::cache::{StoredResolution, now};
use crate::{Clients, Manifest, PackError};

/// Time for which a refusal is remembered, in seconds. The index can get a wheel at any time.
const MAX_AGE_S: u64 = 10 * 60;

/// Defines [`Refusal`] and its conversions. The fields are those of the variants of [`PackError`].
macro_rules! refusals {
    ($($variant:ident { $($field:ident: $kind:ty),* })*) => {
        /// An error that depends on the index only, as it is stored.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub(super) enum Refusal {
            $($variant { $($field: $kind),* },)*
        }

        impl Refusal {
            /// Returns `error` as a refusal, if it is one.
            pub(super) fn of(error: &PackError) -> Option<Self> {
                match error {
                    $(PackError::$variant { $($field),* } => Some(Self::$variant {
                        $($field: $field.clone()),*
                    }),)*
                    _ => None,
                }
            }
        }

        impl From<Refusal> for PackError {
            fn from(refusal: Refusal) -> Self {
                match refusal {
                    $(Refusal::$variant { $($field),* } => Self::$variant { $($field),* },)*
                }
            }
        }
    };
}

refusals! {
    NeedsCompiledCode { name: String, required_by: Option<String>, instead: Option<String> }
    SourceOnly { name: String, required_by: Option<String>, instead: Option<String> }
    OtherPython { requirement: String, required_by: Option<String>, python: String }
    DirectReference { name: String, address: String, chain: Vec<String> }
    PackagesConflict { wanted: String, report: Vec<String> }
}

/// A refusal with its time.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredRefusal {
    /// Seconds since 1970.
    time: u64,
    refusal: Refusal,
}

impl StoredRefusal {
    pub(super) fn now(refusal: Refusal) -> Self {
        Self {
            time: now(),
            refusal,
        }
    }

    /// Returns the refusal if it is not too old and not from the future.
    pub(super) fn if_recent(self) -> Option<Refusal> {
        let age = now().checked_sub(self.time)?;
        (age < MAX_AGE_S).then_some(self.refusal)
    }
}

impl Refusal {
    /// Returns the name of the refusal of `wanted` for this pack with the settings of `clients`.
    pub(super) fn key(manifest: &Manifest, wanted: &[Requirement], clients: &Clients) -> String {
        let mut hash = Sha256::new();
        hash.update(StoredResolution::key(manifest, wanted));
        for setting in clients.settings() {
            hash.update(setting.as_encoded_bytes());
            hash.update([0]);
        }
        hex(&hash.finalize())
    }
}
