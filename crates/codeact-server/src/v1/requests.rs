//! Parts of requests that several operations share, and their conversion to settings and limits.
//!
//! Security boundary: a request can only narrow what the operator has granted. Limits are lowered here, hosts and packages
//! are checked by `grants`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codeact::sandbox::Limits;
use codeact_sessions::manager::SessionSettings;
use serde::Deserialize;

use super::bounded::{List, Object};
use super::json_body::invalid;
use crate::app::ServerTenant;
use crate::error::ApiError;

/// Limit of the names and values of environment variables, in bytes.
const MAX_ENV_BYTES: usize = 1 << 20;

/// Environment variables.
pub(super) type Env = Object<String, 1000>;
/// Requirements of packages.
pub(super) type Packages = List<String, 64>;
/// Names of hosts.
pub(super) type Hosts = List<String, 100>;
/// Files by path.
pub(super) type Files = Object<FileContent, 1000>;
/// Paths and patterns of files.
pub(super) type Paths = List<String, 100>;

/// Content of a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "FileContentFields")]
pub(super) enum FileContent {
    /// UTF-8.
    Text(String),
    /// Bytes, in standard base64 with padding.
    Base64(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileContentFields {
    text: Option<String>,
    base64: Option<String>,
}

impl TryFrom<FileContentFields> for FileContent {
    type Error = &'static str;

    fn try_from(fields: FileContentFields) -> Result<Self, Self::Error> {
        match (fields.text, fields.base64) {
            (Some(text), None) => Ok(Self::Text(text)),
            (None, Some(base64)) => Ok(Self::Base64(base64)),
            _ => Err("expected either `text` or `base64`"),
        }
    }
}

/// Limits of a request. An absent one is that of the session or the tenant.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsRequest {
    wall_ms: Option<u64>,
    fuel: Option<u64>,
    memory_bytes: Option<u64>,
    output_bytes: Option<u64>,
    host_calls: Option<u64>,
    host_call_bytes: Option<u64>,
    file_bytes: Option<u64>,
    files: Option<u64>,
    open_files: Option<u64>,
}

impl LimitsRequest {
    /// Returns `base` with these limits where they are lower. An error if no code can run with them.
    pub(super) fn apply(&self, base: &Limits, tenant: &ServerTenant) -> Result<Limits, ApiError> {
        let needed = tenant.grants.sandbox.base_memory();
        match self.memory_bytes {
            Some(asked) if asked < needed => Err(invalid(
                "limits.memory_bytes",
                format!("it is {asked}; the interpreter itself needs {needed}"),
            )),
            _ => Ok(self.lower(base)),
        }
    }

    /// Returns `base` with these limits where they are lower.
    fn lower(&self, base: &Limits) -> Limits {
        let min = |asked: Option<u64>, base: u64| asked.map_or(base, |asked| asked.min(base));
        let fuel = match (self.fuel, base.fuel) {
            (Some(asked), Some(base)) => Some(asked.min(base)),
            (asked, base) => asked.or(base),
        };
        let wall = self.wall_ms.map(Duration::from_millis);
        Limits::new()
            .with_wall(wall.map_or(base.wall, |wall| wall.min(base.wall)))
            .with_fuel(fuel)
            .with_memory(min(self.memory_bytes, base.memory))
            .with_output(min(self.output_bytes, base.output))
            .with_host_calls(min(self.host_calls, base.host_calls))
            .with_host_call_bytes(min(self.host_call_bytes, base.host_call_bytes))
            .with_file_bytes(min(self.file_bytes, base.file_bytes))
            .with_files(min(self.files, base.files))
            .with_open_files(min(self.open_files, base.open_files))
    }
}

/// The sandbox that a request asks for: settings of a session, or of code that runs without one.
#[derive(Debug, Default)]
pub(super) struct SandboxRequest {
    pub(super) packages: Packages,
    pub(super) env: Env,
    pub(super) limits: Option<LimitsRequest>,
    pub(super) seed: Option<u64>,
    pub(super) hosts: Option<Hosts>,
}

impl SandboxRequest {
    /// Returns the settings, narrowed to what `tenant` has.
    pub(super) fn settings(self, tenant: &ServerTenant) -> Result<SessionSettings, ApiError> {
        let mut settings = SessionSettings::default();
        settings.packages = self.packages.0;
        settings.env = env(self.env)?;
        let of_tenant = &tenant.grants.config.limits;
        let limits = self.limits.map(|limits| limits.apply(of_tenant, tenant));
        settings.limits = limits.transpose()?;
        settings.seed = self.seed;
        settings.hosts = self.hosts.map(|hosts| hosts.0);
        Ok(settings)
    }
}

/// Returns valid environment variables.
pub(super) fn env(env: Env) -> Result<Vec<(String, String)>, ApiError> {
    let mut bytes = 0;
    for (name, value) in &env.0 {
        bytes += name.len() + value.len();
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            let why = "invalid variable; its name must not be empty or contain `=`, and neither it nor its value NUL";
            return Err(invalid(&format!("env.{name}"), why));
        }
    }
    if bytes > MAX_ENV_BYTES {
        let why = format!("the variables have {bytes} bytes; expected at most {MAX_ENV_BYTES}");
        return Err(invalid("env", why));
    }
    Ok(env.0.into_iter().collect())
}

/// Returns the content of each file.
pub(super) fn files(files: Files) -> Result<Vec<(String, Vec<u8>)>, ApiError> {
    let decode = |(path, content): (String, FileContent)| match content {
        FileContent::Text(text) => Ok((path, text.into_bytes())),
        FileContent::Base64(text) => match STANDARD.decode(text) {
            Ok(bytes) => Ok((path, bytes)),
            Err(error) => Err(invalid(
                &format!("files.{path}.base64"),
                format!("not standard base64 with padding: {error}"),
            )),
        },
    };
    files.0.into_iter().map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_request_only_lower() {
        let base = Limits::new().with_fuel(100).with_memory(200 << 20);
        let asked = LimitsRequest {
            wall_ms: Some(u64::MAX),
            fuel: Some(1000),
            memory_bytes: Some(100 << 20),
            ..LimitsRequest::default()
        };
        let lowered = asked.lower(&base);
        assert_eq!(lowered, base.with_memory(100 << 20));
    }

    #[test]
    fn variables_with_invalid_names_are_refused() {
        for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "\0")] {
            let mut given = Env::default();
            given.0.insert(name.into(), value.into());
            assert!(env(given).is_err(), "{name:?}");
        }
        let mut given = Env::default();
        given.0.insert("A".into(), "x".repeat(MAX_ENV_BYTES));
        assert!(env(given).is_err());
    }
}
