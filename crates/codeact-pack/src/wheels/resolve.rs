//! Resolution and download of packages with one client after the other.

use std::path::{Path, PathBuf};
use std::time::Instant;

use codeact_base::private::create_dir;

use super::client_index::{ClientIndex, Reporter, newer_release};
use super::limits::MAX_BYTES;
use super::requested::RequestedPackages;
use super::resolver::{Resolution, Resolver};
use super::syntax::Version;
use crate::client::ClientsError;
use crate::pip::ClientError;
use crate::{Clients, PackError};

/// Maximum number of packages whose newest version is looked up, for a note.
const MAX_LOOKUPS: usize = 8;

/// Downloaded wheels.
#[derive(Debug, Default)]
pub(super) struct FetchedWheels {
    /// Paths of the wheels, which are below the staging folder.
    pub(super) wheels: Vec<PathBuf>,
    /// What the user should know about the selection.
    pub(super) notes: Vec<String>,
}

/// Resolves and downloads `requested`, until `deadline`.
pub(super) fn fetch(
    requested: &RequestedPackages<'_>,
    clients: &Clients,
    staging: &Path,
    deadline: Instant,
    reporter: &mut dyn Reporter,
) -> Result<FetchedWheels, PackError> {
    let mut attempt = 0;
    let wanted = requested.to_string();
    let result = clients.try_each(|client| {
        attempt += 1;
        let folder = staging.join(format!("try-{attempt}"));
        create_dir(&folder).map_err(PackError::write(&folder, MAX_BYTES))?;
        let mut index = ClientIndex {
            builtin: requested.builtin,
            client,
            folder: &folder,
            reporter: &mut *reporter,
            wanted: wanted.clone(),
            deadline,
            requests: 0,
            last_status: String::new(),
            wheels: Default::default(),
        };
        let resolver = Resolver::new(&mut index, requested.builtin, requested.requirements);
        let mut resolution = resolver.resolve()?;
        add_outdated(requested, &mut index, &mut resolution)?;
        let wheels = resolution.packages.iter().map(|p| index.wheel(p));
        Ok(FetchedWheels {
            wheels: wheels.flatten().collect(),
            notes: resolution.notes,
        })
    });
    result.map_err(|error| match error {
        ClientsError::Final(error) => *error,
        ClientsError::NotFound { looked_for } => {
            PackError::NoClientForPackages { wanted, looked_for }
        }
        ClientsError::Failed(failures) => PackError::PackagesNotFetched { wanted, failures },
    })
}

/// Adds a note for each requested package that has a newer version without a pure wheel.
fn add_outdated(
    requested: &RequestedPackages<'_>,
    index: &mut ClientIndex<'_>,
    resolution: &mut Resolution,
) -> Result<(), ClientError> {
    let bare = requested.requirements.iter().filter(|r| r.is_bare());
    for requirement in bare.take(MAX_LOOKUPS) {
        let name = requirement.name();
        let package = resolution.packages.iter().find(|p| p.name == name);
        let Some(version) = package.and_then(|p| Version::parse(&p.version)) else {
            continue;
        };
        let start = format!("{name} {version} is used, because");
        if resolution.notes.iter().any(|note| note.starts_with(&start)) {
            continue;
        }
        let Some(newest) = newer_release(&version, &index.all_versions(name)?) else {
            continue;
        };
        if requested.builtin.is_known_compiled(name) {
            // Releases of such a package that are pure by their tags are many years old.
            return Err(requested
                .builtin
                .needs_compiled_code(&[name.to_owned()])
                .into());
        }
        let python = requested.builtin.python();
        resolution.notes.push(format!(
            "{start} the newest version, {newest}, has no pure-Python wheel for Python {python}"
        ));
    }
    Ok(())
}
