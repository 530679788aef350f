//! Somebody else's future, on a guest's thread: in the runtime it belongs to, and without its panics.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use tokio::runtime::Handle;

/// Drives what `make` makes, both in the context of `runtime`; `None` when either panics.
pub(super) async fn contained<T, F>(runtime: Option<Handle>, make: impl FnOnce() -> F) -> Option<T>
where
    F: Future<Output = T> + Unpin,
{
    // What panicked is not looked at again.
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
