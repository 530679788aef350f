//! Limits of one shell command. Security boundary: the command is untrusted.

use std::time::Duration;

use bashkit::{ExecutionLimits, SessionLimits};

/// Longest time of a command.
pub(super) const MAX_TIME: Duration = Duration::from_secs(24 * 3600);
/// Largest file that a tool of the shell reads, because tools have it in memory.
pub(super) const MAX_FILE_BYTES: u64 = 64 << 20;
/// Largest source of a command, in bytes.
pub(super) const MAX_SOURCE_BYTES: usize = 1 << 20;
/// Limit of the output of one command, in bytes, for each stream.
pub(super) const MAX_OUTPUT_BYTES: usize = 32 << 20;
/// Commands that one shell runs, those in loops counted each time.
const MAX_COMMANDS: usize = 1_000_000;

/// Returns the limits of a command that may run for `time`.
pub(super) fn limits(time: Duration) -> ExecutionLimits {
    ExecutionLimits::new()
        .timeout(time.min(MAX_TIME))
        .max_input_bytes(MAX_SOURCE_BYTES)
        .max_commands(MAX_COMMANDS)
        .max_loop_iterations(MAX_COMMANDS)
        .max_total_loop_iterations(MAX_COMMANDS)
        .max_stdout_bytes(MAX_OUTPUT_BYTES)
        .max_stderr_bytes(MAX_OUTPUT_BYTES)
        .max_work_units(2_000_000_000)
        .max_aggregate_input_bytes(2 << 30)
        .max_live_intermediate_bytes(256 << 20)
        .max_background_jobs(16)
        .max_history_entries(0)
}

/// A shell runs one command and is then dropped, so the limits of the command are those of the shell.
pub(super) fn session_limits() -> SessionLimits {
    SessionLimits::unlimited()
}
