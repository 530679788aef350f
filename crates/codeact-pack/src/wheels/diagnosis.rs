//! Derives the cause of a failed run of pip: a package that needs compiled code, a missing package or version,
//! conflicting requirements, or a failure of the client itself.

use std::path::Path;

use super::pip_output::{ResolveFailure, ResolvedPackage, last_download, resolve_failure};
use super::requested::RequestedPackages;
use super::requirement::same_version;
use super::wheel::{has_pure_tags, parse_file_name};
use crate::PackError;
use crate::pip::{ClientError, FailedRun};

/// Returns the error of a failed download of wheels for any platform, after `resolved` was resolved for the reference
/// platform.
pub(super) fn download_error(
    requested: &RequestedPackages<'_>,
    run: Box<FailedRun>,
    resolved: &[ResolvedPackage],
) -> ClientError {
    match resolve_failure(&run.output) {
        Some(ResolveFailure::NoMatch { name, .. }) => {
            requested.needs_compiled_code(&name, resolved).into()
        }
        _ => ClientError::Failed(run),
    }
}

/// Returns the error of a failed resolution. `versions` returns all versions of a package on the index, newest first.
pub(super) fn resolution_error(
    requested: &RequestedPackages<'_>,
    error: ClientError,
    versions: impl FnOnce(&str) -> Result<Vec<String>, ClientError>,
) -> ClientError {
    let ClientError::Failed(run) = error else {
        return error;
    };
    match resolve_failure(&run.output) {
        None => size_error(requested, run),
        Some(ResolveFailure::Conflict(report)) => {
            let wanted = requested.to_string();
            PackError::PackagesConflict { wanted, report }.into()
        }
        Some(ResolveFailure::NoMatch {
            name,
            requirement,
            wheels,
        }) => match versions(&name) {
            Ok(versions) => no_match(requested, name, requirement, &wheels, &versions).into(),
            Err(error) => error,
        },
    }
}

/// Returns the error of a run that may have been stopped because of its size. Without separate metadata on the index,
/// pip downloads whole wheels, and the last one was too large: if it is not pure, it needs compiled code.
fn size_error(requested: &RequestedPackages<'_>, run: Box<FailedRun>) -> ClientError {
    let last = last_download(&run.output).and_then(|file| parse_file_name(Path::new(file)));
    match last {
        Some((name, _, tags)) if run.too_large && !has_pure_tags(&tags) => {
            requested.needs_compiled_code(&name, &[]).into()
        }
        _ => ClientError::Failed(run),
    }
}

/// Returns the error for a requirement without a matching wheel. `wheels` are the versions that have a wheel for the
/// reference platform, `versions` all versions on the index, newest first.
fn no_match(
    requested: &RequestedPackages<'_>,
    name: String,
    requirement: String,
    wheels: &[String],
    versions: &[String],
) -> PackError {
    let Some(newest) = versions.first() else {
        // The index may have the package for other systems only, which is known of some packages.
        if requested.builtin.is_known_compiled(&name) {
            return requested.needs_compiled_code(&name, &[]);
        }
        return PackError::NoSuchPackage {
            requirement: name,
            newest: None,
        };
    };
    let exists = match requirement.split_once("==") {
        Some((_, pin)) if !pin.contains(['*', ',']) => versions
            .iter()
            .any(|version| same_version(version, pin.trim())),
        // If the newest version has a wheel and there is no match, the requirement excludes it.
        _ => !wheels.iter().any(|version| version == newest),
    };
    if exists {
        // The index has the version as source code only, or for other platforms only.
        return requested.needs_compiled_code(&name, &[]);
    }
    PackError::NoSuchPackage {
        requirement,
        newest: Some(newest.clone()),
    }
}
