//! A sequence of turns that can be undone and forked: in memory, or a named session on disk.

use std::collections::VecDeque;
use std::path::Path;

use anyhow::{bail, ensure};

use codeact::sandbox::{Limits, Sandbox, Session, Snapshot, Turn, Variable};
use codeact::sessions::{NamedSession, SessionStore};

use crate::cli::store::{self, Ran};

/// Limit of the turns that can be undone in memory. Each holds the pages that it changed.
const MAX_UNDO: usize = 100;

pub(super) enum Branch {
    Memory {
        session: Box<Session>,
        /// The states before its turns, oldest first.
        before: VecDeque<Snapshot>,
    },
    Disk(Box<NamedSession>),
}

impl Branch {
    pub(super) fn in_memory(session: Session) -> Self {
        Self::Memory {
            session: Box::new(session),
            before: VecDeque::new(),
        }
    }

    /// Opens the session `name` on disk.
    pub(super) fn open(
        store: &SessionStore,
        name: &str,
        sandbox: &Sandbox,
    ) -> anyhow::Result<Self> {
        Ok(Self::Disk(Box::new(store::open(store, name, sandbox)?)))
    }

    pub(super) fn session(&self) -> &Session {
        match self {
            Self::Memory { session, .. } => session,
            Self::Disk(named) => named.session(),
        }
    }

    /// Returns the number of turns that can be undone.
    pub(super) fn turns(&self) -> u32 {
        match self {
            Self::Memory { before, .. } => u32::try_from(before.len()).unwrap_or(u32::MAX),
            Self::Disk(named) => named.last(),
        }
    }

    /// Runs a turn. On disk, it is committed when this returns.
    pub(super) async fn run(&mut self, turn: Turn) -> anyhow::Result<Ran> {
        match self {
            Self::Memory { session, before } => {
                push_state(before, session.checkpoint()?);
                Ok(Ran {
                    execution: session.run(turn).await?,
                    not_committed: None,
                })
            }
            Self::Disk(named) => Ran::from_result(named.run(turn).await),
        }
    }

    /// Goes back `count` turns.
    pub(super) fn undo(&mut self, count: u32, sandbox: &Sandbox) -> anyhow::Result<()> {
        let turns = self.turns();
        ensure!(
            count <= turns,
            "cannot go back {count}: the number of turns to undo is {turns}"
        );
        match self {
            Self::Memory { session, before } => {
                let undone = before.split_off(before.len().saturating_sub(count as usize));
                if let Some(state) = undone.front() {
                    session.rollback(state);
                }
            }
            Self::Disk(named) => {
                named.undo(count, sandbox)?;
            }
        }
        Ok(())
    }

    /// Returns a copy of the branch. On disk it is the new session `name`.
    pub(super) fn fork(
        &self,
        name: &str,
        store: Option<&SessionStore>,
        sandbox: &Sandbox,
    ) -> anyhow::Result<Self> {
        match (self, store) {
            (Self::Memory { session, before }, _) => Ok(Self::Memory {
                session: Box::new(session.fork()?),
                before: before.clone(),
            }),
            (Self::Disk(named), Some(store)) => {
                store.fork_open(named, name)?;
                Self::open(store, name, sandbox)
            }
            (Self::Disk(_), None) => bail!("there is no folder of sessions"),
        }
    }

    /// Replaces the state with the one in `file`. It can be undone like a turn.
    pub(super) fn load(&mut self, file: &Path, sandbox: &Sandbox) -> anyhow::Result<()> {
        let Self::Memory { session, before } = self else {
            bail!("a named session cannot load another state; leave it with :quit first");
        };
        let state = Snapshot::load(sandbox, file)?;
        push_state(before, session.checkpoint()?);
        session.rollback(&state);
        Ok(())
    }

    /// Returns the current variables. They are listed in a fork, so the session does not change.
    pub(super) async fn variables(&self, limits: Limits) -> anyhow::Result<Vec<Variable>> {
        let turn = Turn::new("").limits(limits).variables(true);
        Ok(self.session().fork()?.run(turn).await?.variables)
    }
}

fn push_state(before: &mut VecDeque<Snapshot>, state: Snapshot) {
    if before.len() == MAX_UNDO {
        before.pop_front();
    }
    before.push_back(state);
}
