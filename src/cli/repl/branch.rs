//! A line of turns that can be undone and forked: in memory, or a named session on disk.

use std::collections::VecDeque;
use std::path::Path;

use anyhow::bail;

use crate::cli::session;
use crate::sandbox::{Execution, Limits, Sandbox, Session, Snapshot, Turn, Variable};
use crate::sessions::{NamedSession, SessionStore};

/// So many turns of a session in memory can be undone; each keeps what it changed.
const MOST_UNDO: usize = 100;

pub(super) enum Branch {
    Memory {
        session: Box<Session>,
        /// The states before its turns, the oldest first.
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

    pub(super) fn open(store: &SessionStore, name: &str, on: &Sandbox) -> anyhow::Result<Self> {
        Ok(Self::Disk(Box::new(session::open_in(store, name, on)?)))
    }

    pub(super) fn session(&self) -> &Session {
        match self {
            Self::Memory { session, .. } => session,
            Self::Disk(named) => &named.session,
        }
    }

    /// Turns there are to undo.
    pub(super) fn turns(&self) -> u32 {
        match self {
            Self::Memory { before, .. } => before.len() as u32,
            Self::Disk(named) => named.last(),
        }
    }

    /// Runs a turn, which on disk is committed when this returns.
    pub(super) async fn run(&mut self, turn: Turn, code: &str) -> anyhow::Result<Execution> {
        match self {
            Self::Memory { session, before } => {
                remember(before, session.checkpoint()?);
                Ok(session.run(turn).await?)
            }
            Self::Disk(named) => {
                let execution = named.session.run(turn.variables()).await?;
                named.commit(code, &execution)?;
                Ok(execution)
            }
        }
    }

    /// Goes back `count` turns.
    pub(super) fn undo(&mut self, count: u32, on: &Sandbox) -> anyhow::Result<()> {
        match self {
            Self::Memory { session, before } => {
                let Some(left) = before.len().checked_sub(count as usize) else {
                    bail!("there are only {} turns to undo", before.len());
                };
                let gone = before.split_off(left);
                if let Some(to) = gone.front() {
                    session.rollback(to);
                }
            }
            Self::Disk(named) => {
                named.undo(count, on)?;
            }
        }
        Ok(())
    }

    /// A second one that is as this one is now; on disk, the session `name`.
    pub(super) fn fork(
        &self,
        name: &str,
        store: Option<&SessionStore>,
        on: &Sandbox,
    ) -> anyhow::Result<Self> {
        match (self, store) {
            (Self::Memory { session, before }, _) => Ok(Self::Memory {
                session: Box::new(session.fork()?),
                before: before.clone(),
            }),
            (Self::Disk(named), Some(store)) => {
                store.fork_open(named, name)?;
                Self::open(store, name, on)
            }
            (Self::Disk(_), None) => bail!("there is no folder of sessions"),
        }
    }

    /// Puts the state in `file` in this one's place.
    pub(super) fn load(&mut self, file: &Path, on: &Sandbox) -> anyhow::Result<()> {
        let Self::Memory { session, before } = self else {
            bail!("a named session cannot take another's state; leave it with :quit first");
        };
        let state = Snapshot::load(on, file)?;
        remember(before, session.checkpoint()?);
        session.rollback(&state);
        Ok(())
    }

    /// The variables as they are now. A copy looks, so nothing is changed.
    pub(super) async fn variables(&self, limits: Limits) -> anyhow::Result<Vec<Variable>> {
        let turn = Turn::new("").limits(limits).variables();
        Ok(self.session().fork()?.run(turn).await?.variables)
    }
}

fn remember(before: &mut VecDeque<Snapshot>, state: Snapshot) {
    if before.len() == MOST_UNDO {
        before.pop_front();
    }
    before.push_back(state);
}
