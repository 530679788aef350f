//! Errors of this crate.

/// A tool cannot be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolsError {
    /// Python cannot call the tool.
    #[error("cannot offer the tool `{name}`: {why}")]
    Tool {
        /// Its name.
        name: String,
        /// The reason.
        why: String,
    },
    /// Two tools have the same name in Python.
    #[error("two tools have the name `{name}`; rename one of them")]
    Clash {
        /// The name in Python.
        name: String,
    },
}
