//! The threads that run guests. Threads of the embedding program never do, except in blocking calls.

use std::future::Future;
use std::num::NonZero;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

use crate::error::SandboxError;

/// A runtime of its own for guests; `None` during its drop.
pub(crate) struct GuestThreads(Option<Runtime>);

impl GuestThreads {
    /// Starts one thread per core, and at least two: a single guest rarely yields (see `meter`), and connections of
    /// tools have to make progress meanwhile.
    pub(crate) fn start() -> Result<Self, SandboxError> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Builder::new_multi_thread()
            .worker_threads(cores.max(2))
            .thread_name("codeact-guest")
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(|e| SandboxError::engine("start guest threads", e))
    }

    fn handle(&self) -> Option<&Handle> {
        self.0.as_ref().map(Runtime::handle)
    }

    /// Runs `job` on a guest thread. Dropping the returned future stops it.
    pub(crate) async fn spawn<T: Send + 'static>(
        &self,
        job: impl Future<Output = Result<T, SandboxError>> + Send + 'static,
    ) -> Result<T, SandboxError> {
        let handle = self.handle().ok_or(SandboxError::ShuttingDown)?;
        // A set aborts its tasks when it is dropped; a join handle does not.
        let mut tasks = JoinSet::new();
        tasks.spawn_on(job, handle);
        match tasks.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(e)) => Err(SandboxError::engine("run a turn on a guest thread", e)),
            None => Err(SandboxError::ShuttingDown),
        }
    }

    /// Drives `job` on the calling thread.
    pub(crate) fn block_on<F: Future>(&self, job: F) -> Result<F::Output, SandboxError> {
        if Handle::try_current().is_ok() {
            return Err(SandboxError::BlockingInAsync);
        }
        let handle = self.handle().ok_or(SandboxError::ShuttingDown)?;
        Ok(handle.block_on(job))
    }
}

impl Drop for GuestThreads {
    fn drop(&mut self) {
        // A plain drop waits for running guests, and panics inside an async context.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
