//! Debug mode of the clients (`E2B_DEBUG=true`): one shared sandbox, without a control plane and without tokens.
//!
//! Its clients connect to fixed ports of this machine: 49983 (envd), 49999 (code interpreter) and 3000 (control plane).
//! Everybody on the machine can use the sandbox, so the server listens there only if its operator asks for it.

use std::io;
use std::net::Ipv4Addr;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use codeact_sessions::SessionError;
use codeact_sessions::manager::{ManagerError, SessionHandle, SessionSettings};
use tokio::net::TcpListener;

use crate::app::{AppState, ServerTenant};
use crate::connections::Connections;
use crate::e2b::error::E2bError;
use crate::e2b::record::{DEBUG_SANDBOX, E2bSandbox, Record};
use crate::e2b::route::{ENVD_PORT, INTERPRETER_PORT, Target};
use crate::e2b::timestamp::now_ms;

/// Ports that the clients in debug mode connect to.
const PORTS: [u16; 3] = [ENVD_PORT, INTERPRETER_PORT, CONTROL_PORT];
/// Port of the control plane in debug mode.
const CONTROL_PORT: u16 = 3000;

/// The listeners of debug mode.
pub(crate) struct DebugListeners([TcpListener; 3]);

impl DebugListeners {
    /// Listens on the ports of debug mode, on loopback only.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system, for example if another program listens on one of them.
    pub(crate) async fn bind() -> io::Result<Self> {
        let [envd, interpreter, control] = PORTS;
        Ok(Self([
            bind(envd).await?,
            bind(interpreter).await?,
            bind(control).await?,
        ]))
    }
}

async fn bind(port: u16) -> io::Result<TcpListener> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    bound.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("port {port} of E2B's debug mode: {error}"),
        )
    })
}

/// Serves requests on `listeners`, if there are some, until one fails. When it is dropped, its connections are closed.
pub(crate) async fn serve(
    listeners: Option<DebugListeners>,
    router: Router,
    max_connections: usize,
) -> io::Error {
    let Some(DebugListeners([envd, interpreter, control])) = listeners else {
        return std::future::pending().await;
    };
    let accept = |listener: TcpListener, router: Router| async move {
        let mut connections = Connections::new(router, max_connections);
        let never = std::future::pending();
        let ended = connections.accept(&listener, never).await;
        ended
            .err()
            .unwrap_or_else(|| io::Error::other("the listener has ended"))
    };
    tokio::select! {
        failed = accept(envd, debug_router(router.clone(), ENVD_PORT)) => failed,
        failed = accept(interpreter, debug_router(router.clone(), INTERPRETER_PORT)) => failed,
        failed = accept(control, router) => failed,
    }
}

/// Returns `router`, which [`wrap`](super::route::wrap) has made, for a port of debug mode: all requests are for that port
/// of the shared sandbox.
fn debug_router(router: Router, port: u16) -> Router {
    let target = Target {
        sandbox: DEBUG_SANDBOX.to_owned(),
        port,
        is_debug: true,
    };
    let mark = move |mut request: Request, next: Next| {
        request.extensions_mut().insert(target.clone());
        next.run(request)
    };
    Router::new()
        .fallback_service(router)
        .layer(middleware::from_fn(mark))
}

/// Returns the sandbox that clients in debug mode share. It is made by the first request: for the tenant of requests
/// without a token, or the first one.
pub(crate) async fn shared_sandbox(app: &AppState) -> Result<E2bSandbox, E2bError> {
    let anonymous = app.tokens.anonymous();
    let first = anonymous.or_else(|| app.tokens.all().into_iter().next());
    let Some(tenant) = first else {
        return Err(E2bError::not_running(DEBUG_SANDBOX));
    };
    if let Some(found) = E2bSandbox::find(tenant, DEBUG_SANDBOX) {
        return Ok(found);
    }
    let handle = match make(tenant).await {
        // Another request was faster.
        Err(ManagerError::Session(SessionError::Exists { .. })) => {
            tenant.sessions.get(DEBUG_SANDBOX)?
        }
        made => made?,
    };
    E2bSandbox::of(tenant, handle).ok_or_else(|| E2bError::not_running(DEBUG_SANDBOX))
}

async fn make(tenant: &ServerTenant) -> Result<SessionHandle, ManagerError> {
    let record = Record {
        template: "base".to_owned(),
        started_ms: now_ms(),
        is_debug: true,
        ..Record::default()
    };
    let metadata = record
        .with_new_tokens()
        .and_then(Record::into_metadata)
        .map_err(|error| ManagerError::Setting(error.message))?;
    let mut settings = SessionSettings::default();
    settings.metadata = metadata;
    let id = Some(DEBUG_SANDBOX.to_owned());
    tenant.sessions.create(id, settings).await
}
