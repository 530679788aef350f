//! Code that a request wants to run: where, and with which surroundings.

use std::pin::Pin;

use codeact::event::EventSink;
use codeact::sandbox::{Cancel, Execution, Session, SessionOptions, Turn};
use codeact_sessions::manager::{ManagerError, SessionHandle, SessionSettings, Tenant};
use serde::Deserialize;

use super::bounded::List;
use super::globs::Patterns;
use super::json_body::invalid;
use super::requests::{
    Env, Files, Hosts, LimitsRequest, Packages, Paths, SandboxRequest, env, files,
};
use crate::app::ServerTenant;
use crate::error::ApiError;

/// Body of `POST /v1/execute`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExecuteRequest {
    code: String,
    #[serde(default)]
    stdin: Option<String>,
    #[serde(default)]
    files: Files,
    #[serde(default)]
    packages: Packages,
    #[serde(default)]
    env: Env,
    #[serde(default)]
    limits: Option<LimitsRequest>,
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default)]
    hosts: Option<Hosts>,
    #[serde(default)]
    argv: List<String, 1000>,
    #[serde(default)]
    rich: bool,
    #[serde(default)]
    transactional: bool,
    #[serde(default)]
    return_files: Paths,
    #[serde(default)]
    session: Option<String>,
}

/// Body of `POST /v1/sessions/{id}/execute`. Packages, seed and hosts are settings of the session.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TurnRequest {
    code: String,
    #[serde(default)]
    stdin: Option<String>,
    #[serde(default)]
    files: Files,
    #[serde(default)]
    env: Env,
    #[serde(default)]
    limits: Option<LimitsRequest>,
    #[serde(default)]
    argv: List<String, 1000>,
    #[serde(default)]
    rich: bool,
    #[serde(default)]
    transactional: bool,
    #[serde(default)]
    return_files: Paths,
}

/// A validated request to run code.
pub(super) struct Plan {
    target: Target,
    turn: Turn,
    files: Vec<(String, Vec<u8>)>,
    /// Files to return.
    pub(super) patterns: Patterns,
}

/// Where code runs.
enum Target {
    /// In a fresh sandbox.
    Once(Tenant, Box<SessionSettings>),
    Session(SessionHandle),
}

/// A future of [`Plan::run`].
pub(super) type RunFuture = Pin<Box<dyn Future<Output = Result<Execution, ManagerError>> + Send>>;

impl ExecuteRequest {
    /// Validates the request.
    pub(super) fn plan(self, tenant: &ServerTenant) -> Result<Plan, ApiError> {
        if let Some(id) = &self.session {
            let session = tenant.sessions.get(id)?;
            let why = "this is a setting of the session; set it when the session is made";
            if !self.packages.0.is_empty() {
                return Err(invalid("packages", why));
            }
            if self.seed.is_some() {
                return Err(invalid("seed", why));
            }
            if self.hosts.is_some() {
                return Err(invalid("hosts", why));
            }
            return self.turn_request().plan(tenant, session);
        }
        let patterns = Patterns::new(&self.return_files.0)?;
        let request = SandboxRequest {
            packages: self.packages,
            env: self.env,
            limits: self.limits,
            seed: self.seed,
            hosts: self.hosts,
        };
        let settings = request.settings(tenant)?;
        let mut turn = Turn::new(self.code)
            .argv(self.argv.0)
            .rich(self.rich)
            .transactional(self.transactional)
            .keep_files(!patterns.is_empty());
        if let Some(stdin) = self.stdin {
            turn = turn.stdin(stdin.into_bytes());
        }
        Ok(Plan {
            target: Target::Once(tenant.sessions.clone(), Box::new(settings)),
            turn,
            files: files(self.files)?,
            patterns,
        })
    }

    fn turn_request(self) -> TurnRequest {
        TurnRequest {
            code: self.code,
            stdin: self.stdin,
            files: self.files,
            env: self.env,
            limits: self.limits,
            argv: self.argv,
            rich: self.rich,
            transactional: self.transactional,
            return_files: self.return_files,
        }
    }
}

impl TurnRequest {
    /// Validates the request.
    pub(super) fn plan(
        self,
        tenant: &ServerTenant,
        session: SessionHandle,
    ) -> Result<Plan, ApiError> {
        let patterns = Patterns::new(&self.return_files.0)?;
        let mut turn = Turn::new(self.code)
            .rich(self.rich)
            .transactional(self.transactional)
            .keep_files(!patterns.is_empty());
        if !self.argv.0.is_empty() {
            turn = turn.argv(self.argv.0);
        }
        for (name, value) in env(self.env)? {
            turn = turn.env(name, value);
        }
        if let Some(limits) = self.limits {
            let of_tenant = &tenant.grants.config.limits;
            let base = session.settings().limits.clone();
            turn = turn.limits(limits.apply(base.as_ref().unwrap_or(of_tenant), tenant)?);
        }
        // Without a stdin of its own, a turn would read the rest of that of an earlier request.
        turn = turn.stdin(self.stdin.unwrap_or_default().into_bytes());
        Ok(Plan {
            target: Target::Session(session),
            turn,
            files: files(self.files)?,
            patterns,
        })
    }
}

impl Plan {
    /// Returns the session in which the code runs, if there is one.
    pub(super) fn session(&self) -> Option<&SessionHandle> {
        match &self.target {
            Target::Once(..) => None,
            Target::Session(session) => Some(session),
        }
    }

    /// Runs the code. Dropping the future stops it.
    pub(super) fn run(self, events: EventSink, cancel: Cancel) -> RunFuture {
        let turn = self.turn.events(events);
        let files = self.files;
        Box::pin(async move {
            match self.target {
                Target::Session(session) => {
                    if !files.is_empty() {
                        let write = move |session: &mut Session| Ok(write(session, &files)?);
                        session.change(write).await?;
                    }
                    session.run(turn, &cancel).await
                }
                Target::Once(tenant, settings) if files.is_empty() => {
                    tenant.run_once(&settings, turn, &cancel).await
                }
                Target::Once(tenant, settings) => {
                    run_with_files(&tenant, *settings, turn, files, &cancel).await
                }
            }
        })
    }
}

/// Runs `turn` in a fresh sandbox that has `files`.
async fn run_with_files(
    tenant: &Tenant,
    settings: SessionSettings,
    mut turn: Turn,
    files: Vec<(String, Vec<u8>)>,
    cancel: &Cancel,
) -> Result<Execution, ManagerError> {
    for (name, value) in &settings.env {
        turn = turn.env(name, value);
    }
    let seed = settings.seed;
    let run = move |sandbox: codeact::Sandbox, stop: Cancel| async move {
        let mut session = sandbox.session_with(&SessionOptions::new().seed(seed))?;
        let write = move || write(&mut session, &files).map(|()| session);
        let written = tokio::task::spawn_blocking(write).await;
        let mut session = written.map_err(|e| ManagerError::Task(e.to_string()))??;
        let execution = session.run(turn.cancel(stop).last(true)).await?;
        let fuel = execution.usage.fuel;
        Ok((execution, fuel))
    };
    tenant.run_with(&settings, cancel, run).await
}

/// Writes `files`.
pub(super) fn write(
    session: &mut Session,
    files: &[(String, Vec<u8>)],
) -> Result<(), codeact::sandbox::FileError> {
    for (path, bytes) in files {
        session.write_file(path, bytes)?;
    }
    Ok(())
}
