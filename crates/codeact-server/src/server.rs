//! Start and end of the server.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use codeact::sandbox::Sandbox;
use codeact_sessions::manager::{ManagerError, ManagerOptions, SessionManager};
use codeact_sessions::{SessionError, SessionStore};
use tokio::net::TcpListener;

use crate::app::{App, AppState, ServerTenant};
use crate::auth::Tokens;
use crate::config::{ConfigError, ServerConfig};
use crate::connections::Connections;
use crate::e2b::debug::{self, DebugListeners};
use crate::grants::{SharedGrants, TenantGrants};
use crate::router::router;
use crate::telemetry::TracedModel;

/// A server that is ready to listen.
pub struct Server {
    app: AppState,
    /// Locked as long as the server exists.
    _lock: File,
    /// Removed when the server is dropped.
    _temporary: Option<tempfile::TempDir>,
}

/// Time in which responses may be sent after the last turn has ended.
const LAST_RESPONSES: Duration = Duration::from_secs(5);
/// Name of the lock file in the state folder.
const LOCK: &str = "lock";

/// The server could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The sessions of a tenant could not be read.
    #[error("cannot open the sessions of {tenant}: {source}")]
    Sessions {
        /// The tenant.
        tenant: String,
        /// The error of the store.
        source: SessionError,
    },
    /// The grants of a tenant cannot be used.
    #[error("cannot use the grants of {tenant}: {source}")]
    Grants {
        /// The tenant.
        tenant: String,
        /// The reason.
        source: ManagerError,
    },
    /// Another server uses the state folder.
    #[error(
        "the state folder {} is used by another server; stop that one, or use another folder",
        folder.display()
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The listener or the state folder failed.
    #[error("cannot {action}: {source}")]
    Io {
        /// The operation, as a verb with its object.
        action: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl Server {
    /// Opens the sessions of all tenants in `sandbox`, which has no grants.
    ///
    /// # Errors
    ///
    /// Returns [`ServerError`].
    pub async fn start(mut config: ServerConfig, sandbox: Sandbox) -> Result<Self, ServerError> {
        config.check()?;
        let temporary = match config.state {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(|source| ServerError::Io {
                action: "make a temporary folder",
                source,
            })?),
        };
        let root = match (&config.state, &temporary) {
            (Some(state), _) => state.clone(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => return Err(ConfigError("there is no state folder".into()).into()),
        };
        let lock = lock(&root)?;
        let mut options = ManagerOptions::default();
        options.memory = config.memory;
        options.live = config.live;
        options.idle = config.idle;
        options.ttl = config.ttl;
        options.durability = config.durability;
        options.queue = config.queue;
        let manager = SessionManager::new(options);
        let mut tenants = Vec::new();
        for tenant in &config.tenants {
            let grants = TenantGrants::new(&sandbox, tenant.clone()).await;
            let grants = Arc::new(grants.map_err(|source| ServerError::Grants {
                tenant: tenant.name.clone(),
                source,
            })?);
            let store = SessionStore::at(root.join("tenants").join(&tenant.name).join("sessions"));
            let source = Arc::new(SharedGrants(grants.clone()));
            let sessions = manager
                .tenant(&tenant.name, Arc::new(store), source, tenant.quota.clone())
                .map_err(|source| ServerError::Sessions {
                    tenant: tenant.name.clone(),
                    source,
                })?;
            tenants.push((tenant.tokens.clone(), ServerTenant { sessions, grants }));
        }
        for model in &mut config.models {
            model.model = Arc::new(TracedModel(model.model.clone()));
        }
        let anonymous = config
            .anonymous
            .and_then(|index| Some(tenants.get(index)?.1.clone()));
        let app = Arc::new(App {
            config,
            sandbox,
            manager,
            tokens: Tokens::new(tenants, anonymous),
            is_stopping: AtomicBool::new(false),
        });
        Ok(Self {
            app,
            _lock: lock,
            _temporary: temporary,
        })
    }

    /// Serves requests on `listener` until `stop` completes. Then running turns may end within the grace time, and all
    /// sessions are written out.
    ///
    /// # Errors
    ///
    /// Returns [`ServerError::Config`] if requests without a token would be served to other machines, and
    /// [`ServerError::Io`] if the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        let listening = |source| ServerError::Io {
            action: "listen for connections",
            source,
        };
        let mut config = self.app.config.clone();
        config.listen = listener.local_addr().map_err(listening)?;
        config.check()?;
        let router = router(self.app.clone());
        let debug = match config.e2b_debug {
            true => Some(DebugListeners::bind().await.map_err(listening)?),
            false => None,
        };
        let mut connections = Connections::new(router.clone(), config.connections);
        let accepted = tokio::select! {
            accepted = connections.accept(&listener, stop) => accepted,
            failed = debug::serve(debug, router, config.connections) => Err(failed),
        };
        drop(listener);
        self.app.is_stopping.store(true, Ordering::Relaxed);
        connections.begin_end();
        tracing::info!("shutting down");
        for (id, error) in self.app.manager.shutdown(config.grace).await {
            tracing::error!(%id, %error, "cannot write a session out");
        }
        connections.end(LAST_RESPONSES).await;
        accepted.map_err(listening)
    }
}

/// Makes the state folder, and locks it for this process.
fn lock(root: &Path) -> Result<File, ServerError> {
    let failed = |source| ServerError::Io {
        action: "use the state folder",
        source,
    };
    codeact_base::private::create_dir(root).map_err(failed)?;
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    let file = options.open(root.join(LOCK)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServerError::InUse {
            folder: root.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
