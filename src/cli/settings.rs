//! Converts arguments and the environment to the library's types.

use std::path::PathBuf;

use codeact::event::EventSink;
use codeact::pack::Requirement;
use codeact::sandbox::{Limits, Sandbox, SandboxBuilder};

use super::args::{Global, LimitArgs};

impl LimitArgs {
    /// Returns the limits of a turn.
    pub(super) fn limits(&self) -> Limits {
        Limits::new()
            .with_wall(self.timeout.0)
            .with_fuel(self.fuel)
            .with_memory(self.max_memory.0)
            .with_output(self.max_output.0)
            .with_host_calls(self.max_host_calls)
            .with_host_call_bytes(self.max_host_call_bytes.0)
            .with_file_bytes(self.max_file_bytes.0)
            .with_files(self.max_files)
            .with_open_files(self.max_open_files)
    }
}

/// Returns the folder of the user's settings: `CODEACT_HOME`, or the platform's configuration folder.
pub(super) fn config_dir() -> Option<PathBuf> {
    use etcetera::BaseStrategy;

    match std::env::var_os("CODEACT_HOME").filter(|home| !home.is_empty()) {
        Some(home) => Some(home.into()),
        None => Some(
            etcetera::choose_base_strategy()
                .ok()?
                .config_dir()
                .join("codeact"),
        ),
    }
}

/// Returns a sandbox builder with the global options and with `packages` in addition to those of the pack.
pub(super) fn sandbox(
    global: &Global,
    events: EventSink,
    packages: &[Requirement],
) -> SandboxBuilder {
    let builder = Sandbox::builder().offline(global.offline).events(events);
    (packages.iter().cloned()).fold(builder, SandboxBuilder::package)
}
