//! What a failed pip means: a package that needs compiled code, one that is not there, versions that
//! contradict one another, or just a client that failed.

use std::path::Path;

use super::super::PackError;
use super::super::pip::{Attempt, Failed};
use super::answers::{Chosen, Refusal, last_fetched, refusal};
use super::requirement::same_version;
use super::resolve::Asked;
use super::shown;
use super::wheel::{are_pure, file_name};

impl Asked<'_> {
    /// The reference has it, any platform has not.
    pub(super) fn not_pure(&self, failed: Box<Failed>, chosen: &[Chosen]) -> Attempt {
        match refusal(&failed.words) {
            Some(Refusal::NothingFits { name, .. }) => {
                let root = self.resolver.root(&name, chosen);
                self.resolver
                    .builtin
                    .needs_compiled_code(&name, root)
                    .into()
            }
            _ => Attempt::Failed(failed),
        }
    }

    /// Where the index serves no metadata apart, whole wheels are fetched, and a large one that is
    /// not pure is the answer.
    fn too_large(&self, failed: Box<Failed>) -> Attempt {
        let last = last_fetched(&failed.words).and_then(|file| file_name(Path::new(file)));
        match last {
            Some((name, _, tags)) if failed.too_large && !are_pure(&tags) => {
                let root = self.resolver.root(&name, &[]);
                self.resolver
                    .builtin
                    .needs_compiled_code(&name, root)
                    .into()
            }
            _ => Attempt::Failed(failed),
        }
    }

    /// What a failed reference means.
    pub(super) fn explain(&mut self, attempt: Attempt) -> Result<Attempt, Attempt> {
        let Attempt::Failed(failed) = attempt else {
            return Ok(attempt);
        };
        let (name, requirement, wheels) = match refusal(&failed.words) {
            None => return Ok(self.too_large(failed)),
            Some(Refusal::Conflict(account)) => {
                let wanted = shown(self.resolver.missing);
                return Ok(PackError::PackagesConflict { wanted, account }.into());
            }
            Some(Refusal::NothingFits {
                name,
                requirement,
                wheels,
            }) => (name, requirement, wheels),
        };
        let all = self.versions(&name)?;
        let Some(newest) = all.first() else {
            // Or it is there for other systems only, as is known of some.
            if self.resolver.builtin.knows_compiled(&name) {
                let root = self.resolver.root(&name, &[]);
                return Ok(self
                    .resolver
                    .builtin
                    .needs_compiled_code(&name, root)
                    .into());
            }
            let (requirement, newest) = (name, None);
            return Ok(PackError::NoSuchPackage {
                requirement,
                newest,
            }
            .into());
        };
        // There is such a version, but as source only, or for other platforms only.
        let exists = match requirement.split_once("==") {
            Some((_, pin)) if !pin.contains(['*', ',']) => {
                all.iter().any(|version| same_version(version, pin.trim()))
            }
            // Of the newest there is a wheel, and still nothing fits.
            _ => !wheels.iter().any(|version| version == newest),
        };
        if !exists {
            let newest = Some(newest.clone());
            return Ok(PackError::NoSuchPackage {
                requirement,
                newest,
            }
            .into());
        }
        let root = self.resolver.root(&name, &[]);
        Ok(self
            .resolver
            .builtin
            .needs_compiled_code(&name, root)
            .into())
    }
}
