//! Changes of the pack's module before it is compiled, where its behaviour would mislead users.
//!
//! The manifest lists patches of single instructions ([`ModulePatch`](crate::ModulePatch)), and the functions that the
//! functions of an overlay wrap ([`ModuleOverlay`](crate::ModuleOverlay)). Both refer to functions by name, so they need
//! the module's name section. Everything has to match exactly, because the module is pinned by its hash.

mod overlay;
mod patch;
mod sections;

#[cfg(test)]
mod tests;

use crate::{Manifest, PackError};
use overlay::Overlay;
use sections::Sections;

/// Returns `module` with the patches and the overlay of `manifest`.
///
/// # Errors
///
/// Returns [`PackError::BadModule`] if a named function does not exist exactly once, if the bytes at a patch are not the
/// expected ones, if types of an overlay's function and of the module's function differ, or if the module is invalid.
pub(crate) fn rewritten(manifest: &Manifest, module: Vec<u8>) -> Result<Vec<u8>, PackError> {
    if manifest.patch.is_empty() && manifest.overlay.is_none() {
        return Ok(module);
    }
    let rewrite = || {
        let sections = Sections::parse(&module)?;
        let patched = patch::apply(&sections, &manifest.patch)?;
        let overlay = manifest.overlay_bytes().map(Overlay::parse).transpose()?;
        sections.encode(&patched, overlay.as_ref(), manifest.wraps())
    };
    rewrite().map_err(|problem: Problem| PackError::BadModule {
        pack: manifest.name.clone(),
        problem: problem.0,
    })
}

/// Description of the reason why a module cannot be changed.
#[derive(Debug)]
pub(crate) struct Problem(String);

impl From<wasmparser::BinaryReaderError> for Problem {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self(format!("it is not a valid WebAssembly module: {error}"))
    }
}

/// Returns a function for `map_err` that describes an error with `context`.
fn problem<T>(text: impl Into<String>) -> Result<T, Problem> {
    Err(Problem(text.into()))
}
