//! The threads that run guests: never those of whoever embeds the library.

use std::future::Future;
use std::num::NonZero;

use tokio::runtime::{Builder, Handle, Runtime};

use super::error::SandboxError;

pub(crate) struct GuestThreads(Option<Runtime>);

impl GuestThreads {
    /// As many threads as the machine runs at once, and one more where that is one: a guest that is alone
    /// seldom gives way (`meter`), and connections have to go on beside it.
    pub(crate) fn start() -> Result<Self, SandboxError> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Builder::new_multi_thread()
            .worker_threads(cores.max(2))
            .thread_name("codeact-guest")
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(|e| SandboxError::Engine(format!("starting guest threads: {e}")))
    }

    fn handle(&self) -> Option<&Handle> {
        self.0.as_ref().map(Runtime::handle)
    }

    /// Runs `job` on a guest thread. Dropping the returned future stops it.
    pub(crate) async fn spawn<T: Send + 'static>(
        &self,
        job: impl Future<Output = Result<T, SandboxError>> + Send + 'static,
    ) -> Result<T, SandboxError> {
        let handle = self.handle().ok_or_else(shut_down)?;
        let mut task = AbortOnDrop(handle.spawn(job));
        (&mut task.0)
            .await
            .map_err(|e| SandboxError::Engine(format!("a guest thread failed: {e}")))?
    }

    /// Drives `job` on the calling thread.
    pub(crate) fn block_on<F: Future>(&self, job: F) -> Result<F::Output, SandboxError> {
        if Handle::try_current().is_ok() {
            return Err(SandboxError::BlockingInAsync);
        }
        Ok(self.handle().ok_or_else(shut_down)?.block_on(job))
    }
}

fn shut_down() -> SandboxError {
    SandboxError::Engine("the sandbox is shutting down".into())
}

impl Drop for GuestThreads {
    fn drop(&mut self) {
        // A plain drop waits for running guests, and panics inside an async context.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
