//! The limit of open files, which sessions and connections need.

use codeact_server::ServerConfig;

/// Files of a live session: its memory and its folder.
const OF_SESSION: u64 = 2;
/// Files of the server itself, of running turns, tools and models.
const OWN: u64 = 512;

/// Raises the limit of open files to what `config` needs. If it cannot be raised so far, lowers the numbers of live
/// sessions and connections to what fits, and logs a warning.
pub(super) fn fit(config: &mut ServerConfig) {
    let needed = needed(config.live, config.connections);
    let limit = raise(needed);
    if limit >= needed {
        return;
    }
    (config.live, config.connections) = fitted(limit, config.live, config.connections);
    tracing::warn!(
        limit,
        needed,
        live = config.live,
        connections = config.connections,
        "the limit of open files is too low: fewer sessions are live and fewer connections are open; raise it, for \
         example with `ulimit -n`"
    );
}

fn needed(live: usize, connections: usize) -> u64 {
    let sessions = (live as u64).saturating_mul(OF_SESSION);
    sessions
        .saturating_add(connections as u64)
        .saturating_add(OWN)
}

/// Returns the numbers of live sessions and connections that a limit of open files allows.
fn fitted(limit: u64, live: usize, connections: usize) -> (usize, usize) {
    let small = |count: u64| usize::try_from(count).unwrap_or(usize::MAX).max(1);
    let connections = connections.min(small(limit / 4));
    let own = OWN.min(limit / 4);
    let rest = limit.saturating_sub(own).saturating_sub(connections as u64);
    (live.min(small(rest / OF_SESSION)), connections)
}

/// Raises the limit of open files to `needed`, or to the hard limit if that is less, and returns it.
#[cfg(unix)]
fn raise(needed: u64) -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // No limit.
    let Some(soft) = current else {
        return u64::MAX;
    };
    let wanted = needed.min(maximum.unwrap_or(u64::MAX));
    if soft >= wanted {
        return soft;
    }
    let new = Rlimit {
        current: Some(wanted),
        maximum,
    };
    match setrlimit(Resource::Nofile, new) {
        Ok(()) => wanted,
        Err(_) => soft,
    }
}

/// Returns the limit of open files: none.
#[cfg(not(unix))]
fn raise(_needed: u64) -> u64 {
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fitted_needs_no_more_than_the_limit() {
        for limit in [16, 256, 1024, 4096] {
            let (live, connections) = fitted(limit, 1000, 1024);
            assert!(live > 0 && connections > 0, "{limit}");
            assert!(live as u64 * OF_SESSION + connections as u64 <= limit);
        }
        assert_eq!(fitted(1 << 20, 1000, 1024), (1000, 1024));
    }
}
