//! The session in which an agent runs code.

use codeact_sandbox::{Changes, Execution, Session, Turn};
use codeact_sessions::NamedSession;

use super::error::AgentError;

/// The session of a run: one in memory, or a named one, whose turns are committed. A mutable reference to either converts
/// into it.
#[non_exhaustive]
pub enum SessionRef<'a> {
    /// A session in memory.
    Plain(&'a mut Session),
    /// A session on disk.
    Named(&'a mut NamedSession),
}

impl<'a> From<&'a mut Session> for SessionRef<'a> {
    fn from(session: &'a mut Session) -> Self {
        Self::Plain(session)
    }
}

impl<'a> From<&'a mut NamedSession> for SessionRef<'a> {
    fn from(session: &'a mut NamedSession) -> Self {
        Self::Named(session)
    }
}

/// State of a run, apart from its history.
pub(super) struct RunContext<'a> {
    pub(super) session: SessionRef<'a>,
    /// True if the input is bound in the session.
    pub(super) has_input: bool,
}

impl<'a> RunContext<'a> {
    pub(super) fn new(session: SessionRef<'a>) -> Self {
        Self {
            session,
            has_input: false,
        }
    }

    pub(super) async fn run(&mut self, turn: Turn) -> Result<Execution, AgentError> {
        Ok(match &mut self.session {
            SessionRef::Plain(session) => session.run(turn).await?,
            SessionRef::Named(session) => session.run(turn).await?,
        })
    }

    pub(super) fn changes(&self) -> Changes {
        match &self.session {
            SessionRef::Plain(session) => session.changes(),
            SessionRef::Named(session) => session.changes(),
        }
    }
}
