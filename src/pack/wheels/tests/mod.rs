//! Packages: what is asked for, what pip says, what is in a wheel, and what is kept.

mod answers;
#[cfg(unix)]
mod fetch;
#[cfg(unix)]
mod refuse;
mod requirements;
mod unpack;

use super::super::tests::zip_of;

/// A wheel of `name` with `METADATA` and these members besides.
fn wheel_of(name: &str, version: &str, members: &[(&str, &[u8])]) -> Vec<u8> {
    let info = format!("{name}-{version}.dist-info/METADATA");
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    let mut all: Vec<(&str, &[u8])> = vec![(&info, metadata.as_bytes())];
    all.extend(members);
    zip_of(&all)
}
