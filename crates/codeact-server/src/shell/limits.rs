//! Limits of one shell command. Security boundary: the command is untrusted.

use std::time::Duration;

use bashkit::{ExecutionLimits, SessionLimits};

/// Longest time of a command.
const MAX_TIME: Duration = Duration::from_secs(3600);
/// Longest time of a command, in times of the wall limit of one turn.
const MAX_TURNS: u32 = 10;
/// Commands that run at a time in this process. Each has a thread.
pub(super) const MAX_RUNNING: usize = 256;
/// Part of these that one tenant can have: one of so many.
pub(super) const TENANT_SHARE: usize = 4;
/// Fuel of a command, in addition to that of its work.
pub(super) const COMMAND_FUEL: u64 = 10_000_000;
/// Fuel of a millisecond in which a shell computes: about half of what a loop of Python uses in it.
pub(super) const FUEL_PER_MS: u64 = 10_000_000;
/// Fuel of 1 MiB of output.
pub(super) const FUEL_PER_MIB: u64 = 20_000_000;
/// Largest file that a tool of the shell reads, because tools have it in memory.
pub(super) const MAX_FILE_BYTES: u64 = 64 << 20;
/// Largest source of a command, in bytes.
pub(super) const MAX_SOURCE_BYTES: usize = 1 << 20;
/// Limit of the output of one command, in bytes, for each stream.
pub(super) const MAX_OUTPUT_BYTES: usize = 32 << 20;
/// Commands that one shell runs, those in loops counted each time.
const MAX_COMMANDS: usize = 1_000_000;

/// Returns the longest time of a command if a turn may run for `wall`.
pub(super) fn longest_time(wall: Duration) -> Duration {
    wall.saturating_mul(MAX_TURNS).min(MAX_TIME)
}

/// Returns the limits of a command that may run for `time`.
pub(super) fn limits(time: Duration) -> ExecutionLimits {
    ExecutionLimits::new()
        .timeout(time)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::longest_time;

    #[test]
    fn a_command_has_the_time_of_ten_turns_and_at_most_an_hour() {
        let seconds = Duration::from_secs;
        assert_eq!(longest_time(seconds(30)), seconds(300));
        assert_eq!(longest_time(seconds(600)), seconds(3600));
        assert_eq!(longest_time(Duration::MAX), seconds(3600));
    }
}
