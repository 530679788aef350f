//! Resumes a suspended turn.

use crate::error::SandboxError;
use crate::journal::Call;
use crate::replay::suspended::SuspendedTurn;
use crate::sandbox::Sandbox;
use crate::session::execution::Execution;
use crate::session::handle::Session;
use crate::session::turn::{Turn, TurnOptions};
use crate::types::user_input::InputResponse;

impl SuspendedTurn {
    /// Resumes the turn with the response to its request. Returns the session and the execution of the turn.
    ///
    /// The turn runs again from its start with its journal. At the open request it gets `response`, and goes on. The
    /// execution also has the output before the request.
    ///
    /// `sandbox` must have the mounts and packages of the suspended turn. Its limits hold, whatever the turn says.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::load`](crate::Snapshot::load) and [`Session::run`]; [`SandboxError::NeedsMore`] if the limits of
    /// the turn are above those of `sandbox`; [`SandboxError::Differs`] if it does not make the same calls again.
    pub async fn resume(
        &self,
        sandbox: &Sandbox,
        response: InputResponse,
        options: TurnOptions,
    ) -> Result<(Session, Execution), SandboxError> {
        let (mut session, turn) = self.prepare(sandbox, response)?;
        let execution = session.run(turn.options(options)).await?;
        Ok((session, execution))
    }

    /// Returns the session before the turn, and the turn, for callers that run it themselves. It must be the next turn
    /// of the session.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::load`](crate::Snapshot::load).
    pub fn prepare(
        &self,
        sandbox: &Sandbox,
        response: InputResponse,
    ) -> Result<(Session, Turn), SandboxError> {
        let call = Call::Ask {
            request: self.data.request.clone(),
        };
        let Some(journal) = self.data.journal.with(call, &response) else {
            return Err(SandboxError::setting("the response cannot be recorded"));
        };
        let session = self.data.start.session(sandbox)?;
        let session = session.resuming(journal);
        let turn = Turn::from_spec(self.data.spec.clone(), TurnOptions::default());
        Ok((session, turn))
    }
}
