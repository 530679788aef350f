//! The error type of the crate.

/// Reasons why a module cannot be rewritten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// The bytes are not a valid WebAssembly module.
    #[error("invalid WebAssembly module: {0}")]
    Parse(#[from] wasmparser::BinaryReaderError),
    /// The module lacks something that metering needs, or uses a feature that it does not support.
    #[error("unsupported WebAssembly module: {0}")]
    Unsupported(String),
    /// The module was parsed but cannot be encoded again.
    #[error("cannot encode the metered module: {0}")]
    Encode(String),
}
