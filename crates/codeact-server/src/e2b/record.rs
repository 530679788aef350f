//! An E2B sandbox as a session of the manager: the data that is stored with it, and the state that follows.

use std::collections::BTreeMap;

use codeact_sessions::manager::{ManagerError, OnExpiry, SessionHandle, SessionSettings};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::app::ServerTenant;
use crate::e2b::error::E2bError;
use crate::e2b::timestamp::now_ms;

/// Version of envd whose protocol the server speaks. The SDKs derive from it what they may use.
pub(crate) const ENVD_VERSION: &str = "0.6.2";
/// Identifier of the sandbox that clients in debug mode share.
pub(crate) const DEBUG_SANDBOX: &str = "debug_sandbox_id";
/// Key of the record in the metadata of a session.
const KEY: &str = "e2b";

/// Data of an E2B sandbox, or of a snapshot that sandboxes are made from. It is stored with the session.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    /// The template, as the client named it.
    pub(crate) template: String,
    /// The client's metadata.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Token of requests to the sandbox.
    pub(crate) access_token: String,
    /// A second token of requests to the sandbox: the SDKs send it where they omit the first one.
    pub(crate) traffic_token: String,
    /// Time of the last start or resumption, in milliseconds since 1970.
    pub(crate) started_ms: u64,
    /// Time at which it ends or ended, in milliseconds since 1970.
    pub(crate) end_ms: u64,
    /// The last requested time to live, in seconds.
    pub(crate) timeout_s: u64,
    /// True if it is paused at its end, and not removed.
    pub(crate) auto_pause: bool,
    /// True if a request resumes it.
    pub(crate) auto_resume: bool,
    /// True if the interpreter's state is dropped when it is paused automatically.
    pub(crate) auto_pause_drops_memory: bool,
    /// Set if a request has paused it, or it is a snapshot: true if the interpreter's state counts.
    pub(crate) keeps_memory: Option<bool>,
    /// The client's wish for network access, if it has sent one.
    pub(crate) allow_internet: Option<bool>,
    /// The client's network configuration, as it was sent.
    pub(crate) network: Option<Value>,
    /// True for the sandbox that clients in debug mode share. It does not end.
    pub(crate) is_debug: bool,
    /// The name of a snapshot. A session with one is not a sandbox.
    pub(crate) snapshot: Option<SnapshotName>,
    /// The sandbox of which it is a snapshot.
    pub(crate) source: Option<String>,
}

/// Name of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SnapshotName {
    /// The name that the client gave; `None`: the identifier of its session is the name.
    pub(crate) alias: Option<String>,
    /// The tag.
    pub(crate) tag: String,
}

/// State of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Running,
    Paused,
    /// Its time is over, and it is removed in a moment.
    Ended,
}

impl Record {
    /// Returns the record of a session; `None` if the session was not made through E2B's API.
    pub(crate) fn of(settings: &SessionSettings) -> Option<Self> {
        let value = settings.metadata.get(KEY)?;
        Self::deserialize(value)
            .ok()
            .filter(|record| !record.access_token.is_empty())
    }

    /// Returns the token of the sandbox that a session is, without reading the rest of its record.
    pub(crate) fn access_token_of(settings: &SessionSettings) -> Option<&str> {
        let token = settings.metadata.get(KEY)?.get("access_token")?.as_str()?;
        (!token.is_empty()).then_some(token)
    }

    /// Returns the record as the metadata of a session.
    pub(crate) fn into_metadata(self) -> Result<Map<String, Value>, E2bError> {
        let value = serde_json::to_value(self).map_err(crate::error::ApiError::internal)?;
        Ok(Map::from_iter([(KEY.to_owned(), value)]))
    }

    /// Sets fresh random tokens.
    pub(crate) fn with_new_tokens(mut self) -> Result<Self, E2bError> {
        self.access_token = random_token()?;
        self.traffic_token = random_token()?;
        Ok(self)
    }
}

/// A sandbox of a tenant.
#[derive(Clone)]
pub(crate) struct E2bSandbox {
    pub(crate) tenant: ServerTenant,
    pub(crate) handle: SessionHandle,
    pub(crate) record: Record,
}

impl E2bSandbox {
    /// Returns the sandbox `id`; `None` if the tenant has none, or its time is over.
    pub(crate) fn find(tenant: &ServerTenant, id: &str) -> Option<Self> {
        let handle = tenant.sessions.get(id).ok()?;
        Self::of(tenant, handle).filter(|found| found.record.snapshot.is_none())
    }

    /// Returns the sandbox or snapshot of a session.
    pub(crate) fn of(tenant: &ServerTenant, handle: SessionHandle) -> Option<Self> {
        let record = Record::of(&handle.settings())?;
        let found = Self {
            tenant: tenant.clone(),
            handle,
            record,
        };
        (found.state() != State::Ended).then_some(found)
    }

    pub(crate) fn state(&self) -> State {
        if self.record.is_debug || self.record.snapshot.is_some() {
            return State::Running;
        }
        let settings = self.handle.settings();
        match settings.expires_ms {
            Some(at) if at > now_ms() => State::Running,
            Some(_) if settings.on_expiry == OnExpiry::Remove => State::Ended,
            // The manager has paused it at its end, or a request has.
            _ => State::Paused,
        }
    }

    /// Lets the sandbox run for `timeout_s` seconds from now, and changes its record with `change`.
    pub(crate) async fn run_for(
        &self,
        timeout_s: u64,
        change: impl FnOnce(&mut Record) + Send + 'static,
    ) -> Result<(), ManagerError> {
        if self.record.is_debug {
            return Ok(());
        }
        let end = now_ms().saturating_add(timeout_s.saturating_mul(1000));
        self.change(move |settings, record| {
            record.end_ms = end;
            record.timeout_s = timeout_s;
            settings.expires_ms = Some(end);
            settings.on_expiry = match record.auto_pause {
                true => OnExpiry::Pause,
                false => OnExpiry::Remove,
            };
            change(record);
        })
        .await
    }

    /// Changes the settings and the record together.
    pub(crate) async fn change(
        &self,
        change: impl FnOnce(&mut SessionSettings, &mut Record) + Send + 'static,
    ) -> Result<(), ManagerError> {
        self.handle
            .update(move |settings| {
                let Some(mut record) = Record::of(settings) else {
                    return;
                };
                change(settings, &mut record);
                // A record is strings, numbers and JSON, so this does not fail.
                if let Ok(value) = serde_json::to_value(record) {
                    settings.metadata.insert(KEY.to_owned(), value);
                }
            })
            .await
    }

    /// Returns true if a paused sandbox has to start with a fresh interpreter.
    pub(crate) fn starts_fresh(&self) -> bool {
        match self.record.keeps_memory {
            Some(keeps) => !keeps,
            None => self.record.auto_pause_drops_memory,
        }
    }

    /// Resumes a paused sandbox for `timeout_s` seconds. Without `memory`, interpreters start fresh over its files.
    pub(crate) async fn resume(&self, timeout_s: u64, memory: bool) -> Result<(), ManagerError> {
        if !memory || self.starts_fresh() {
            self.restart_all().await?;
        }
        self.run_for(timeout_s, |record| {
            record.started_ms = now_ms();
            record.keeps_memory = None;
        })
        .await
    }

    /// Starts the interpreters of the sandbox and its contexts again. Files stay.
    pub(crate) async fn restart_all(&self) -> Result<(), ManagerError> {
        for context in self.handle.contexts() {
            context.restart().await?;
        }
        self.handle.restart().await
    }
}

/// Returns a random token of 256 bits, in hexadecimal.
pub(crate) fn random_token() -> Result<String, E2bError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(crate::error::ApiError::internal)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
