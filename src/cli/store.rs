//! Sessions of a command: the user's named sessions on disk, or one in memory.

use anyhow::bail;

use codeact::agent::SessionRef;
use codeact::pack::Dirs;
use codeact::sandbox::{Changes, Execution, Recorder, Sandbox, Session, SessionOptions, Turn};
use codeact::sessions::{NamedSession, SessionError, SessionStore};

use super::user_input;

/// Returns the store of the user's sessions: the folder `CODEACT_SESSIONS`, or one in the user's data folder.
pub(super) fn store() -> anyhow::Result<SessionStore> {
    if let Some(root) = std::env::var_os("CODEACT_SESSIONS").filter(|root| !root.is_empty()) {
        return Ok(SessionStore::at(root));
    }
    let dirs = Dirs::from_env(&|name| std::env::var_os(name))?;
    Ok(SessionStore::new(&dirs))
}

/// Opens the session `name` to continue it, or creates it. Returns an error if its last turn is suspended.
pub(super) fn open(
    store: &SessionStore,
    name: &str,
    sandbox: &Sandbox,
) -> anyhow::Result<NamedSession> {
    let named = store.open(name, sandbox)?;
    if let Some(suspended) = named.suspended()? {
        user_input::report_suspended(name, &suspended);
        bail!("the last turn of the session {name} is suspended: it waits for an answer");
    }
    Ok(named)
}

/// The session in which a command runs turns.
pub(super) enum ActiveSession {
    /// A session on disk.
    Named(Box<NamedSession>),
    /// A session in memory.
    Temporary(Box<Session>),
}

impl ActiveSession {
    /// Opens the named session, or starts one in memory whose randomness follows from `seed`.
    pub(super) fn open(
        name: Option<&str>,
        seed: Option<u64>,
        sandbox: &Sandbox,
    ) -> anyhow::Result<Self> {
        Ok(match name {
            Some(name) => Self::Named(Box::new(open(&store()?, name, sandbox)?)),
            None => {
                let session = sandbox.session_with(&SessionOptions::new().seed(seed))?;
                Self::Temporary(Box::new(session))
            }
        })
    }

    /// Returns the session on disk, if it is one.
    pub(super) fn named(&self) -> Option<&NamedSession> {
        match self {
            Self::Named(named) => Some(named),
            Self::Temporary(_) => None,
        }
    }

    /// Returns the session after its last turn.
    pub(super) fn session(&self) -> &Session {
        match self {
            Self::Named(named) => named.session(),
            Self::Temporary(session) => session,
        }
    }

    /// Returns the session for an agent.
    pub(super) fn as_ref(&mut self) -> SessionRef<'_> {
        match self {
            Self::Named(named) => SessionRef::Named(named),
            Self::Temporary(session) => SessionRef::Plain(session),
        }
    }

    /// Records the following turns.
    pub(super) fn record(&mut self, recorder: &Recorder) {
        match self {
            Self::Named(named) => named.record(recorder),
            Self::Temporary(session) => session.record(recorder),
        }
    }

    /// Returns the changes in mounts and in the home folder.
    pub(super) fn changes(&self) -> Changes {
        self.session().changes()
    }

    /// Runs a turn. A named session commits it; in memory it is the only turn.
    pub(super) async fn run(&mut self, turn: Turn) -> anyhow::Result<Ran> {
        match self {
            Self::Named(named) => Ran::from_result(named.run(turn).await),
            Self::Temporary(session) => Ok(Ran {
                execution: session.run(turn.last(true)).await?,
                not_committed: None,
            }),
        }
    }
}

/// A turn that has run.
pub(super) struct Ran {
    /// Its result.
    pub(super) execution: Execution,
    /// The error if the turn could not be written to disk. The result is shown before it is returned.
    pub(super) not_committed: Option<anyhow::Error>,
}

impl Ran {
    /// Separates a turn that has run and could not be committed from one that has not run.
    pub(super) fn from_result(result: Result<Execution, SessionError>) -> anyhow::Result<Self> {
        match result {
            Ok(execution) => Ok(Self {
                execution,
                not_committed: None,
            }),
            Err(SessionError::NotCommitted { execution, source }) => {
                let error = anyhow::Error::new(*source);
                Ok(Self {
                    execution: *execution,
                    not_committed: Some(error.context("the turn could not be committed")),
                })
            }
            Err(error) => Err(error.into()),
        }
    }
}
