//! State of envd that its handlers share.

use std::sync::Arc;

use crate::e2b::envd::processes::Processes;
use crate::e2b::envd::transfer::Transfers;
use crate::e2b::envd::watch::Watchers;

/// State of envd that its handlers share.
#[derive(Default)]
pub(super) struct EnvdState {
    pub(super) processes: Processes,
    pub(super) watchers: Watchers,
    pub(super) transfers: Transfers,
}

pub(super) type SharedState = Arc<EnvdState>;
