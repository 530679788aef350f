//! Ctrl-C.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use codeact::sandbox::Cancel;

use super::exit_code;

/// Makes the first Ctrl-C cancel the turn, which then reports its ending, and the second one exit the process. Returns
/// when the handler is installed.
pub(super) async fn cancel_on_ctrl_c(cancel: &Cancel) {
    let cancel = cancel.clone();
    let (installed, is_installed) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut pressed = pin!(tokio::signal::ctrl_c());
        // The first poll installs the handler.
        let first = poll_fn(|cx| Poll::Ready(pressed.as_mut().poll(cx))).await;
        let _ = installed.send(());
        let first = match first {
            Poll::Ready(pressed) => pressed,
            Poll::Pending => pressed.await,
        };
        if first.is_ok() {
            cancel.cancel();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(exit_code::CANCELLED.into());
        }
    });
    let _ = is_installed.await;
}

/// Runs `work`. Meanwhile the first Ctrl-C cancels the turn, which then reports its ending, and the second one exits
/// the process.
pub(super) async fn cancellable<T>(cancel: &Cancel, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => return done,
        _ = tokio::signal::ctrl_c() => cancel.cancel(),
    }
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => std::process::exit(exit_code::CANCELLED.into()),
    }
}
