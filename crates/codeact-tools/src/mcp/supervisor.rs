//! Supervises a connection: refreshes the list of tools if it changes, and cleans up at the end.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rmcp::{Peer, RoleClient, ServiceError};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::catalog::ToolList;
use super::config::ServerSpec;
use super::link::{Disconnected, Link};
use super::{catalog, content};
use crate::source::BoxFuture;

/// Smallest time between two refreshes of a list.
const REFRESH_INTERVAL: Duration = Duration::from_millis(200);
/// Time to wait for the reason of the end of a connection.
const REASON_TIME: Duration = Duration::from_secs(5);

/// The server of a connection, which receives its changes.
pub(super) trait ConnectionOwner: Send + Sync {
    /// Returns the time limit to fetch a list.
    fn connect_time(&self) -> Duration;
    /// Replaces the list of tools.
    fn list_changed(self: Arc<Self>, list: ToolList) -> BoxFuture<()>;
    /// Reports that a changed list cannot be fetched.
    fn list_failed(&self, why: &str);
    /// Reports the end of the connection.
    fn report_disconnect(&self, reason: &Disconnected);
}

/// Connects and fetches the list.
pub(super) async fn attempt(
    spec: &ServerSpec,
    within: Duration,
) -> Result<(Link, ToolList), Disconnected> {
    let now = Instant::now();
    // A deadline that overflows the clock becomes an hour.
    let deadline = (now.checked_add(within)).unwrap_or(now + Duration::from_secs(3600));
    let mut link = Link::open(spec, deadline).await?;
    match timeout_at(deadline, catalog::fetch(&link.peer)).await {
        Ok(Ok(list)) => Ok((link, list)),
        Ok(Err(ServiceError::McpError(e))) => Err(Disconnected::new(format!(
            "it does not list its tools: {}",
            content::message(&e.message)
        ))),
        Ok(Err(e)) => match timeout(REASON_TIME, link.ended()).await {
            Ok(reason) => Err(reason),
            Err(_) => Err(Disconnected::new("it does not list its tools").detail(e.to_string())),
        },
        Err(_) => Err(Disconnected::new("it did not list its tools in time")),
    }
}

/// Handle of a connection. Dropping it ends the connection.
pub(super) struct Connection {
    pub(super) peer: Peer<RoleClient>,
    stop: watch::Sender<bool>,
    disconnected: watch::Receiver<Option<Disconnected>>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

impl Connection {
    /// Starts the supervision of `link`. Must be called in the runtime.
    pub(super) fn supervise(owner: Weak<dyn ConnectionOwner>, link: Link) -> Arc<Self> {
        let (stop, stopped) = watch::channel(false);
        let (report, disconnected) = watch::channel(None);
        let peer = link.peer.clone();
        let supervisor = tokio::spawn(supervise(owner, link, stopped, report));
        Arc::new(Self {
            peer,
            stop,
            disconnected,
            supervisor: Mutex::new(Some(supervisor)),
        })
    }

    /// Begins to end the connection.
    pub(super) fn end(&self) {
        self.stop.send_replace(true);
    }

    /// Ends the connection and waits until it has ended.
    pub(super) async fn close(&self) {
        self.end();
        if let Some(supervisor) = self.supervisor.lock().await.take() {
            // A supervisor that has panicked has dropped its connection.
            let _ = supervisor.await;
        }
    }

    /// Returns the reason of its end, for the code. Waits for the end.
    pub(super) async fn reason(&self) -> Option<String> {
        let mut disconnected = self.disconnected.clone();
        let known = timeout(REASON_TIME, disconnected.wait_for(Option::is_some)).await;
        Some(known.ok()?.ok()?.as_ref()?.message.clone())
    }

    /// True if it can still be used.
    pub(super) fn is_alive(&self) -> bool {
        self.disconnected.borrow().is_none()
            && !*self.stop.borrow()
            && !self.peer.is_transport_closed()
    }
}

/// Waits until the connection ends or is no longer used, and closes it. Refreshes its list meanwhile.
async fn supervise(
    owner: Weak<dyn ConnectionOwner>,
    mut link: Link,
    mut stopped: watch::Receiver<bool>,
    report: watch::Sender<Option<Disconnected>>,
) {
    let (peer, changed) = (link.peer.clone(), link.changed.clone());
    let refreshes = async {
        loop {
            changed.notified().await;
            // The owner is not held while the request is pending.
            let Some(within) = owner.upgrade().map(|owner| owner.connect_time()) else {
                return;
            };
            let list = timeout(within, catalog::fetch(&peer)).await;
            {
                let Some(current) = owner.upgrade() else {
                    return;
                };
                match list {
                    Ok(Ok(list)) => current.list_changed(list).await,
                    Ok(Err(ServiceError::TransportClosed)) => {}
                    Ok(Err(e)) => {
                        current
                            .list_failed(&format!("cannot fetch its changed list of tools: {e}"));
                    }
                    Err(_) => {
                        current.list_failed("its changed list of tools did not arrive in time")
                    }
                }
            }
            tokio::time::sleep(REFRESH_INTERVAL).await;
        }
    };
    tokio::select! {
        // Also if the handle was dropped.
        _ = stopped.wait_for(|stop| *stop) => {}
        reason = link.ended() => {
            if let Some(owner) = owner.upgrade() {
                owner.report_disconnect(&reason);
            }
            report.send_replace(Some(reason));
        }
        () = refreshes => {}
    }
    link.close().await;
}
