//! Tests of requirements, pip's output, wheels and the cache.

#[cfg(unix)]
mod failures;
#[cfg(unix)]
mod fetch;
mod pip_output;
mod requirements;
mod unpack;

use crate::tests::zip_with;

/// Returns a wheel of `name` with `METADATA` and these members.
fn wheel_with(name: &str, version: &str, members: &[(&str, &[u8])]) -> Vec<u8> {
    let info = format!("{name}-{version}.dist-info/METADATA");
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    let mut all: Vec<(&str, &[u8])> = vec![(&info, metadata.as_bytes())];
    all.extend(members);
    zip_with(&all)
}
