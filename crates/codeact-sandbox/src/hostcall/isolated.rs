//! Runs futures of the embedding program on a guest thread, in the context of their runtime, and contains their panics.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use tokio::runtime::Handle;

/// Calls `make` and drives the future that it returns, both in the context of `runtime`. Returns `None` if either
/// panics.
pub(super) async fn isolated<T, F>(runtime: Option<Handle>, make: impl FnOnce() -> F) -> Option<T>
where
    F: Future<Output = T> + Unpin,
{
    // Unwind safe: after a panic the value is not used again.
    let within = |work: &mut dyn FnMut()| {
        let _context = runtime.as_ref().map(Handle::enter);
        catch_unwind(AssertUnwindSafe(work)).is_ok()
    };
    let (mut make, mut work) = (Some(make), None);
    if !within(&mut || work = make.take().map(|make| make())) {
        return None;
    }
    let mut work = work?;
    poll_fn(|cx| {
        let mut polled = std::task::Poll::Pending;
        match within(&mut || polled = Pin::new(&mut work).poll(cx)) {
            true => polled.map(Some),
            false => std::task::Poll::Ready(None),
        }
    })
    .await
}
