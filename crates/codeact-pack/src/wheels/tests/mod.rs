//! Tests of requirements, pip's output, wheels and the cache.

#[cfg(unix)]
mod failures;
#[cfg(unix)]
mod fetch;
mod pip_output;
mod requirements;
#[cfg(unix)]
mod resolver;
mod script;
mod syntax;
mod unpack;

use crate::tests::zip_with;

/// Returns a wheel of `name` with `METADATA` and these members.
fn wheel_with(name: &str, version: &str, members: &[(&str, &[u8])]) -> Vec<u8> {
    wheel_that_requires(name, version, &[], members)
}

/// As [`wheel_with`], with these values of `Requires-Dist`.
fn wheel_that_requires(
    name: &str,
    version: &str,
    requires: &[&str],
    members: &[(&str, &[u8])],
) -> Vec<u8> {
    let info = format!("{name}-{version}.dist-info/METADATA");
    let requires = requires
        .iter()
        .map(|text| format!("Requires-Dist: {text}\n"));
    let metadata = format!(
        "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{}\nDescription: none\n",
        requires.collect::<String>()
    );
    let mut all: Vec<(&str, &[u8])> = vec![(&info, metadata.as_bytes())];
    all.extend(members);
    zip_with(&all)
}
