//! Names of tools and namespaces.

use std::collections::BTreeMap;
#[cfg(feature = "mcp")]
use std::collections::HashSet;
use std::sync::Arc;

use super::tool::Tool;

/// Names below `tools` that the guest itself defines.
pub(crate) const RESERVED: [&str; 5] = [
    "search",
    "describe",
    "ToolError",
    "ToolArgumentError",
    "ToolDenied",
];

/// Largest number of tools of one source, and of a listing.
pub(crate) const MAX_TOOLS: usize = 10_000;

/// Tools by their names in Python.
pub(crate) type ToolMap = BTreeMap<String, Arc<Tool>>;

/// True if `inner` is `outer` or a name below it.
#[cfg(feature = "mcp")]
pub(crate) fn inside(outer: &str, inner: &str) -> bool {
    (inner.strip_prefix(outer)).is_some_and(|rest| rest.starts_with('.') || rest.is_empty())
}

/// Returns `name`, with underscores at its end if it is reserved or among `taken`.
#[cfg(feature = "mcp")]
pub(crate) fn free_namespace(name: &str, taken: &HashSet<String>) -> String {
    let mut free = name.to_owned();
    while taken.contains(&free) || RESERVED.contains(&&*free) {
        free.push('_');
    }
    free
}
