//! Bodies of the fuzz targets. Each takes bytes and must not panic: the input is rejected with an error, or it runs in
//! the sandbox, which works afterwards.
//!
//! libFuzzer runs them through `targets/*.rs`, and `tests/fuzz_smoke.rs` of the workspace includes this file and runs them
//! on `seeds/TARGET/*` and on random mutations. The pack must be installed (`codeact pack install`).
//!
//! Files with checksums or compressed parts are not fuzzed directly, because nearly every change would be rejected before
//! it is parsed. In their targets the input selects a part of a valid file and edits of that part; then the file is
//! assembled again with valid checksums. An empty input is the valid file, which must be accepted. An input that starts with
//! `=` is a complete file in place of the valid one.

mod host_calls;
mod input;
mod recording;
mod reply;
mod rewriter;
mod sandboxes;
mod session_archive;
mod snapshot;

pub use host_calls::host_calls;
pub use recording::{recording, suspended_turn};
pub use reply::reply;
pub use rewriter::rewriter;
pub use sandboxes::assert_works;
pub use session_archive::session_archive;
pub use snapshot::snapshot;
