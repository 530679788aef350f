//! Journal entries in files: compressed JSON in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::journal::{Entry, MAX_BYTES};

/// Serialises `entries` as compressed JSON in base64.
pub(crate) fn pack<S: Serializer>(entries: &[Entry], to: S) -> Result<S::Ok, S::Error> {
    let error = serde::ser::Error::custom;
    let json = serde_json::to_vec(entries).map_err(error)?;
    let packed = zstd::encode_all(&*json, 3).map_err(serde::ser::Error::custom)?;
    STANDARD.encode(packed).serialize(to)
}

/// Deserialises the output of [`pack`]. A recording is untrusted, so its unpacked size is limited.
pub(crate) fn unpack<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Entry>, D::Error> {
    use serde::de::Error;
    use std::io::Read;

    let text = String::deserialize(from)?;
    let packed = STANDARD.decode(text).map_err(D::Error::custom)?;
    let mut json = Vec::new();
    let max = 2 * MAX_BYTES as u64;
    zstd::Decoder::new(&*packed)
        .and_then(|from| from.take(max + 1).read_to_end(&mut json))
        .map_err(D::Error::custom)?;
    if json.len() as u64 > max {
        return Err(D::Error::custom(format!(
            "the journal of a turn has more than {} MiB",
            max >> 20
        )));
    }
    serde_json::from_slice(&json).map_err(D::Error::custom)
}
