//! The part of a manifest that describes changes of the module. `module` makes them.

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use codeact_base::text::hex;

use crate::Manifest;

/// Maximum number of patches.
const MAX_PATCHES: usize = 256;

/// Maximum number of functions that an overlay wraps.
const MAX_WRAPPED: usize = 1000;

/// Maximum number of bytes that a patch expects, and that replace them.
const MAX_PATCH_BYTES: usize = 64;

/// Name and bytes of the built-in overlays.
const OVERLAYS: &[(&str, &[u8])] = &[("numpy", codeact_wasm_python::NUMPY_OVERLAY)];

/// A change of instructions in one function of the module. It is made before the module is compiled.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModulePatch {
    /// Name of the function in the module's name section; `NAME@INDEX` if several functions have the name.
    pub function: String,
    /// Number of bytes from the start of the function's body, which begins with its locals.
    pub offset: u64,
    /// The bytes at this offset, in hexadecimal: 1 to 64 bytes.
    pub expected: String,
    /// The bytes that replace them, in hexadecimal: at most 64 bytes.
    pub replacement: String,
    /// The purpose, for people.
    pub reason: String,
}

/// Functions of the module that the functions of a built-in overlay wrap, before the module is compiled.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModuleOverlay {
    /// Name of the overlay.
    pub name: String,
    /// Names of the wrapped functions, as in [`ModulePatch::function`], by the wrapper's name.
    pub wrap: BTreeMap<String, Vec<String>>,
}

impl ModulePatch {
    /// Returns the expected bytes and their replacement.
    pub(crate) fn bytes(&self) -> Result<(Vec<u8>, Vec<u8>), String> {
        let decode = |text: &str| {
            let digits = text.as_bytes();
            let pairs = digits.chunks(2).map(|pair| match pair {
                [high, low] => {
                    let digit = |d: u8| (d as char).to_digit(16);
                    Some((digit(*high)? << 4 | digit(*low)?) as u8)
                }
                _ => None,
            });
            let bytes: Option<Vec<u8>> = pairs.collect();
            bytes.filter(|bytes| bytes.len() <= MAX_PATCH_BYTES)
        };
        match (decode(&self.expected), decode(&self.replacement)) {
            (Some(expected), Some(replacement)) if !expected.is_empty() => {
                Ok((expected, replacement))
            }
            _ => Err(format!(
                "the bytes of the patch of `{}` at offset {} are not 1 to {MAX_PATCH_BYTES} bytes in hexadecimal",
                self.function, self.offset
            )),
        }
    }
}

impl Manifest {
    /// Returns the bytes of the overlay.
    pub(crate) fn overlay_bytes(&self) -> Option<&'static [u8]> {
        let name = &self.overlay.as_ref()?.name;
        let mut overlays = OVERLAYS.iter();
        overlays.find_map(|(known, bytes)| (known == name).then_some(*bytes))
    }

    /// Returns [`ModuleOverlay::wrap`].
    pub(crate) fn wraps(&self) -> &BTreeMap<String, Vec<String>> {
        static NONE: BTreeMap<String, Vec<String>> = BTreeMap::new();
        self.overlay.as_ref().map_or(&NONE, |overlay| &overlay.wrap)
    }

    /// Returns a line for each change, as a part of the pack's identity.
    pub(crate) fn change_lines(&self) -> impl Iterator<Item = String> {
        let patches = self.patch.iter().map(|patch| {
            let ModulePatch {
                function,
                offset,
                expected,
                replacement,
                ..
            } = patch;
            format!("patch {function} {offset} {expected} {replacement}\n")
        });
        let overlay = self
            .overlay_bytes()
            .map(|bytes| format!("overlay {}\n", hex(&Sha256::digest(bytes))));
        let wraps = self.wraps().iter();
        let wraps = wraps.map(|(kind, names)| format!("wrap {kind} {}\n", names.join(" ")));
        patches.chain(overlay).chain(wraps)
    }

    /// Returns the first fault of the changes.
    pub(crate) fn changes_problem(&self) -> Option<String> {
        if self.patch.len() > MAX_PATCHES {
            return Some(format!("it has more than {MAX_PATCHES} patches"));
        }
        if let Some(overlay) = &self.overlay {
            if self.overlay_bytes().is_none() {
                return Some(format!("there is no overlay `{}`", overlay.name));
            }
            if overlay.wrap.values().map(Vec::len).sum::<usize>() > MAX_WRAPPED {
                return Some(format!("it wraps more than {MAX_WRAPPED} functions"));
            }
        }
        self.patch.iter().find_map(|patch| {
            let name = &patch.function;
            if name.is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
                return Some("the function of a patch is not a name".to_owned());
            }
            if patch.reason.trim().is_empty() {
                return Some(format!("the patch of `{name}` has no reason"));
            }
            patch.bytes().err()
        })
    }
}
