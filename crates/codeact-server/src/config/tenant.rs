//! Settings of one tenant.

use codeact::pack::Requirement;
use codeact::sandbox::{Limits, Mount};
use codeact::tools::Tools;
use codeact::tools::net::Network;
use codeact_sessions::manager::Quota;
use sha2::{Digest, Sha256};

/// One tenant: who it is, and what its code may use.
#[derive(Clone)]
#[non_exhaustive]
pub struct TenantConfig {
    /// Name: letters, digits, `-` and `_`, at most 64.
    pub name: String,
    /// SHA-256 of each of its tokens.
    pub tokens: Vec<[u8; 32]>,
    /// Its quotas.
    pub quota: Quota,
    /// Limits of its turns. A request can set lower ones.
    pub limits: Limits,
    /// Folders and files of the host that its code sees.
    pub mounts: Vec<Mount>,
    /// Tools that its code can call, and their approval rules, without network access.
    pub tools: Tools,
    /// Network access of its code, with secrets. A session can have access to a part of these hosts.
    pub network: Option<Network>,
    /// Packages in addition to those of the pack.
    pub packages: Vec<Requirement>,
    /// True if its requests and its code may add pure-Python packages from the package index.
    pub may_install: bool,
    /// True if its requests may read the metrics of the whole server.
    pub is_operator: bool,
}

impl TenantConfig {
    /// Returns the tenant `name` with default quotas and limits, and without tokens and grants.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            tokens: Vec::new(),
            quota: Quota::default(),
            limits: Limits::default(),
            mounts: Vec::new(),
            tools: Tools::new(),
            network: None,
            packages: Vec::new(),
            may_install: false,
            is_operator: false,
        }
    }

    /// Adds a token. Only its hash is stored.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.tokens.push(Sha256::digest(token.as_bytes()).into());
        self
    }
}
