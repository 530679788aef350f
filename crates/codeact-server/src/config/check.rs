//! Checks of a configuration.

use std::collections::HashSet;

use super::web_names::{Authority, Origin};
use super::{ServerConfig, TenantConfig};

/// Limit of the length of a tenant's name.
const MAX_NAME: usize = 64;

/// The configuration is invalid.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl ServerConfig {
    /// Checks what must hold between the settings, without use of the system.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] with the first fault: no tenant; an invalid or repeated name; a token of two tenants; a
    /// tenant that no request can act for; an invalid origin or host; requests without a token on an address that other machines can reach; a
    /// limit of 0.
    pub fn check(&self) -> Result<(), ConfigError> {
        let fault = |text: String| Err(ConfigError(text));
        if self.tenants.is_empty() {
            return fault("there are no tenants; name at least one".into());
        }
        let (mut names, mut tokens) = (HashSet::new(), HashSet::new());
        for (position, tenant) in self.tenants.iter().enumerate() {
            let name = &tenant.name;
            check_name(name)?;
            if !names.insert(name) {
                return fault(format!("there are two tenants with the name {name}"));
            }
            if tenant.tokens.is_empty() && self.anonymous != Some(position) {
                return fault(format!(
                    "the tenant {name} has no token, so no request can act for it; add the SHA-256 of one"
                ));
            }
            if !tenant.tokens.iter().all(|token| tokens.insert(token)) {
                return fault(format!(
                    "a token of the tenant {name} occurs twice; every token belongs to one tenant"
                ));
            }
            check_quota(tenant)?;
        }
        if self.anonymous.is_some() {
            if !self.listen.ip().is_loopback() {
                return fault(format!(
                    "{} can be reached by other machines, and requests without a token would be served; listen on \
                     127.0.0.1, or require a token",
                    self.listen.ip()
                ));
            }
            if self.hosts.iter().any(|host| host == "*") || self.origins.iter().any(|o| o == "*") {
                return fault(
                    "without tokens, any web page could run code if all hosts or all origins were allowed; name them, \
                     or require a token"
                        .into(),
                );
            }
        }
        for origin in self
            .origins
            .iter()
            .filter(|origin| *origin != "*" && *origin != "null")
        {
            if Origin::parse(origin).is_none() {
                return fault(format!(
                    "invalid origin {origin:?}; expected a scheme and a host without a path, such as https://app.example"
                ));
            }
        }
        for host in self.hosts.iter().filter(|host| *host != "*") {
            if Authority::parse(host).is_none_or(|authority| authority.port.is_some()) {
                return fault(format!(
                    "invalid host {host:?}; expected a name without a port, such as codeact.example"
                ));
            }
        }
        let limits = [
            ("connections", self.connections),
            ("bytes of a request's body", self.body),
            ("live sessions", self.live),
        ];
        match limits.iter().find(|(_, limit)| *limit == 0) {
            Some((name, _)) => fault(format!("the limit of {name} is 0; expected 1 or more")),
            None => Ok(()),
        }
    }
}

fn check_name(name: &str) -> Result<(), ConfigError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(plain) {
        true => Ok(()),
        false => Err(ConfigError(format!(
            "invalid name of a tenant {name:?}; expected letters, digits, `-` and `_`, at most {MAX_NAME}"
        ))),
    }
}

fn check_quota(tenant: &TenantConfig) -> Result<(), ConfigError> {
    if tenant.quota.turns == 0 || tenant.quota.sessions == 0 {
        return Err(ConfigError(format!(
            "the quota of turns or of sessions of the tenant {} is 0; expected 1 or more",
            tenant.name
        )));
    }
    Ok(())
}
