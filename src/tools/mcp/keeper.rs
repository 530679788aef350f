//! A connection while it is in use: somebody stays with it, fetches the list anew when it has changed, and
//! ends what is left of it when it has ended or is no longer wanted.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rmcp::{Peer, RoleClient, ServiceError};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::catalog::{self, List};
use super::config::ServerSpec;
use super::content;
use super::link::{Gone, Link};
use super::server::Server;

/// How long a list stays as it is: a server that changes it all the time is not asked all the time.
const SETTLE: Duration = Duration::from_millis(200);
/// How long it may take until it is known why a connection has ended.
const POST_MORTEM: Duration = Duration::from_secs(5);

/// Connects and fetches the list.
pub(super) async fn attempt(spec: &ServerSpec, within: Duration) -> Result<(Link, List), Gone> {
    let now = Instant::now();
    // A time that no clock can tell is as good as an hour.
    let deadline = (now.checked_add(within)).unwrap_or(now + Duration::from_secs(3600));
    let mut link = Link::open(spec, deadline).await?;
    match timeout_at(deadline, catalog::fetch(&link.peer)).await {
        Ok(Ok(list)) => Ok((link, list)),
        Ok(Err(ServiceError::McpError(e))) => Err(Gone::new(format!(
            "it does not tell its tools: {}",
            content::message(&e.message)
        ))),
        Ok(Err(e)) => match timeout(POST_MORTEM, link.ended()).await {
            Ok(gone) => Err(gone),
            Err(_) => Err(Gone::new("it does not tell its tools").detail(e.to_string())),
        },
        Err(_) => Err(Gone::new("it did not tell its tools in time")),
    }
}

/// A connection, as those see it who use it. Dropping it ends the connection.
pub(super) struct Live {
    pub(super) peer: Peer<RoleClient>,
    stop: watch::Sender<bool>,
    gone: watch::Receiver<Option<Gone>>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl Live {
    /// Keeps `link`, which is one of `server`'s. Must be called in the runtime.
    pub(super) fn begin(server: Weak<Server>, link: Link) -> Arc<Self> {
        let (stop, stopped) = watch::channel(false);
        let (went, gone) = watch::channel(None);
        let peer = link.peer.clone();
        let keeper = tokio::spawn(keep(server, link, stopped, went));
        Arc::new(Self {
            peer,
            stop,
            gone,
            keeper: Mutex::new(Some(keeper)),
        })
    }

    /// Ends it, some time.
    pub(super) fn end(&self) {
        self.stop.send_replace(true);
    }

    /// Ends it and waits until it has ended.
    pub(super) async fn close(&self) {
        self.end();
        if let Some(keeper) = self.keeper.lock().await.take() {
            // A keeper that has panicked has dropped its connection.
            let _ = keeper.await;
        }
    }

    /// Why it has ended, or is about to, in words for the code.
    pub(super) async fn why(&self) -> Option<String> {
        let mut gone = self.gone.clone();
        let known = timeout(POST_MORTEM, gone.wait_for(Option::is_some)).await;
        Some(known.ok()?.ok()?.as_ref()?.told.clone())
    }

    pub(super) fn is_alive(&self) -> bool {
        self.gone.borrow().is_none() && !*self.stop.borrow() && !self.peer.is_transport_closed()
    }
}

/// Stays with a connection until it ends, or nobody wants it any more, and ends it.
async fn keep(
    server: Weak<Server>,
    mut link: Link,
    mut stopped: watch::Receiver<bool>,
    went: watch::Sender<Option<Gone>>,
) {
    let (peer, changed) = (link.peer.clone(), link.changed.clone());
    let lists = async {
        loop {
            changed.notified().await;
            // Not held while waiting for the server.
            let Some(within) = server.upgrade().map(|server| server.connect_time()) else {
                return;
            };
            let list = timeout(within, catalog::fetch(&peer)).await;
            let Some(server) = server.upgrade() else {
                return;
            };
            match list {
                Ok(Ok(list)) => server.changed(list).await,
                Ok(Err(ServiceError::TransportClosed)) => {}
                Ok(Err(e)) => {
                    server.not_changed(&format!("its new list of tools cannot be fetched: {e}"));
                }
                Err(_) => server.not_changed("its new list of tools did not come in time"),
            }
            drop(server);
            tokio::time::sleep(SETTLE).await;
        }
    };
    tokio::select! {
        // Also when there is nobody who could.
        _ = stopped.wait_for(|stop| *stop) => {}
        gone = link.ended() => {
            if let Some(server) = server.upgrade() {
                server.went(&gone);
            }
            went.send_replace(Some(gone));
        }
        () = lists => {}
    }
    link.close().await;
}
