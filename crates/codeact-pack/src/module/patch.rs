//! Replacement of single instructions in named functions.

use std::collections::BTreeMap;

use codeact_base::text::hex;

use super::sections::Sections;
use super::{Problem, problem};
use crate::ModulePatch;

/// Returns the changed function bodies by function index.
pub(super) fn apply(
    sections: &Sections<'_>,
    patches: &[ModulePatch],
) -> Result<BTreeMap<u32, Vec<u8>>, Problem> {
    let mut by_function: BTreeMap<u32, Vec<&ModulePatch>> = BTreeMap::new();
    for patch in patches {
        let function = sections.defined_function(&patch.function)?;
        by_function.entry(function).or_default().push(patch);
    }
    let mut bodies = BTreeMap::new();
    for (function, mut patches) in by_function {
        patches.sort_by_key(|patch| patch.offset);
        let Some(body) = sections.body(function) else {
            return problem(format!("function {function} has no body"));
        };
        bodies.insert(function, patched(body, &patches)?);
    }
    Ok(bodies)
}

/// Returns `body` with `patches`, which are sorted by offset.
fn patched(body: &[u8], patches: &[&ModulePatch]) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::with_capacity(body.len());
    let mut done = 0;
    for patch in patches {
        let name = format!(
            "the patch of `{}` at offset {}",
            patch.function, patch.offset
        );
        let (expected, replacement) = patch.bytes().map_err(Problem)?;
        let start = usize::try_from(patch.offset).unwrap_or(usize::MAX);
        let Some(found) = start
            .checked_add(expected.len())
            .and_then(|end| body.get(start..end))
        else {
            return problem(format!(
                "{name} is beyond the end of the function, which has {} bytes",
                body.len()
            ));
        };
        if found != expected {
            return problem(format!(
                "{name} expects the bytes {}, but they are {}",
                hex(&expected),
                hex(found)
            ));
        }
        let Some(kept) = body.get(done..start) else {
            return problem(format!("{name} overlaps the patch before it"));
        };
        out.extend_from_slice(kept);
        out.extend_from_slice(&replacement);
        done = start + expected.len();
    }
    out.extend_from_slice(body.get(done..).unwrap_or_default());
    Ok(out)
}
