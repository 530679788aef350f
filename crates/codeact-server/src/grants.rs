//! Sandboxes of a tenant: its grants, narrowed by the settings of a session.
//!
//! Security boundary: settings come from requests. They can only narrow what the operator granted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use codeact::pack::{PackError, Requirement};
use codeact::sandbox::{Limits, Sandbox, SandboxError};
use codeact::tools::Tools;
use codeact::tools::net::HostRule;
use codeact_sessions::manager::{ManagerError, SandboxSource, SessionSettings, SourceFuture};
use tokio::sync::OnceCell;

use crate::config::TenantConfig;

/// Limit of the sandboxes that are kept for reuse. Live sessions hold theirs themselves.
const MAX_KEPT: usize = 64;
/// Limit of the packages of one session.
const MAX_PACKAGES: usize = 64;
/// Limit of the length of a requirement, in bytes.
const MAX_REQUIREMENT_BYTES: usize = 1024;
/// Limit of the hosts of one session.
const MAX_HOSTS: usize = 256;
/// Limit of the length of a host, in bytes.
const MAX_HOST_BYTES: usize = 300;

/// What the operator grants to a tenant.
pub(crate) struct TenantGrants {
    pub(crate) config: TenantConfig,
    /// Sandbox with all grants of the tenant.
    pub(crate) sandbox: Sandbox,
    kept: Mutex<Kept>,
}

/// Sandboxes of settings that were used lately.
#[derive(Default)]
struct Kept {
    sandboxes: HashMap<Narrowed, (u64, Arc<OnceCell<Sandbox>>)>,
    /// Number of the uses so far, by which the least recent one is found.
    uses: u64,
}

/// The settings from which a sandbox follows.
#[derive(PartialEq, Eq, Hash, Clone, Default)]
struct Narrowed {
    packages: Vec<String>,
    limits: Option<String>,
    hosts: Option<Vec<HostRule>>,
}

impl TenantGrants {
    /// Derives the sandbox of a tenant from `base`.
    pub(crate) async fn new(base: &Sandbox, config: TenantConfig) -> Result<Self, ManagerError> {
        let mut builder = base.derive().limits(config.limits.clone());
        for mount in &config.mounts {
            builder = builder.mount(mount.clone());
        }
        let tools = tools(&config, config.network.clone());
        if !tools.is_empty() {
            builder = builder.tools(tools);
        }
        let mut sandbox = builder.build()?;
        if !config.packages.is_empty() {
            sandbox = sandbox.with_packages(&config.packages, true).await?;
        }
        Ok(Self {
            config,
            sandbox,
            kept: Mutex::default(),
        })
    }

    /// True if requests and code may add packages.
    pub(crate) fn may_install(&self) -> bool {
        self.config.may_install
    }

    /// Returns `limits` where they are lower than those of the tenant, and those of the tenant elsewhere.
    pub(crate) fn narrow_limits(&self, limits: &Limits) -> Limits {
        let own = &self.config.limits;
        let fuel = match (limits.fuel, own.fuel) {
            (Some(asked), Some(own)) => Some(asked.min(own)),
            (asked, own) => asked.or(own),
        };
        Limits::new()
            .with_wall(limits.wall.min(own.wall))
            .with_fuel(fuel)
            .with_memory(limits.memory.min(own.memory))
            .with_output(limits.output.min(own.output))
            .with_host_calls(limits.host_calls.min(own.host_calls))
            .with_host_call_bytes(limits.host_call_bytes.min(own.host_call_bytes))
            .with_file_bytes(limits.file_bytes.min(own.file_bytes))
            .with_files(limits.files.min(own.files))
            .with_open_files(limits.open_files.min(own.open_files))
    }

    /// Returns the sandbox of `settings`. Equal settings share one, also if they arrive at the same time.
    async fn narrowed(&self, settings: &SessionSettings) -> Result<Sandbox, ManagerError> {
        let limits = (settings.limits.as_ref())
            .map(|limits| self.narrow_limits(limits))
            .filter(|limits| limits != &self.config.limits);
        let requirements = requirements(&settings.packages)?;
        let hosts = match &settings.hosts {
            Some(hosts) => Some(rules(hosts)?),
            None => None,
        };
        let key = Narrowed {
            packages: requirements.iter().map(ToString::to_string).collect(),
            limits: limits.as_ref().map(|limits| format!("{limits:?}")),
            hosts,
        };
        if key == Narrowed::default() {
            return Ok(self.sandbox.clone());
        }
        let cell = self.cell(&key);
        let sandbox = cell
            .get_or_try_init(|| self.make(&key, limits, &requirements))
            .await?;
        Ok(sandbox.clone())
    }

    /// Returns the place of the sandbox of `key`, and removes the least recently used ones beyond the limit.
    fn cell(&self, key: &Narrowed) -> Arc<OnceCell<Sandbox>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        let cell = match kept.sandboxes.entry(key.clone()) {
            Entry::Occupied(mut found) => {
                let (used, cell) = found.get_mut();
                *used = now;
                cell.clone()
            }
            Entry::Vacant(free) => free.insert((now, Arc::default())).1.clone(),
        };
        if kept.sandboxes.len() > MAX_KEPT {
            let oldest = kept.sandboxes.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                kept.sandboxes.remove(&oldest);
            }
        }
        cell
    }

    async fn make(
        &self,
        key: &Narrowed,
        limits: Option<Limits>,
        packages: &[Requirement],
    ) -> Result<Sandbox, ManagerError> {
        let mut sandbox = self.sandbox.clone();
        if let Some(hosts) = &key.hosts {
            sandbox = self.narrow_hosts(&sandbox, hosts)?;
        }
        if let Some(limits) = limits {
            sandbox = sandbox.derive().limits(limits).build()?;
        }
        if !packages.is_empty() {
            if !self.may_install() {
                return Err(ManagerError::Setting(
                    "this server does not let its clients add packages; its operator can allow it"
                        .into(),
                ));
            }
            let with_packages = sandbox.with_packages(packages, true).await;
            sandbox = with_packages.map_err(of_request)?;
        }
        Ok(sandbox)
    }

    /// Returns `sandbox` with network access to `hosts` only, each of which the tenant must have.
    fn narrow_hosts(&self, sandbox: &Sandbox, hosts: &[HostRule]) -> Result<Sandbox, ManagerError> {
        let not_granted = |host: &HostRule| {
            ManagerError::Setting(format!(
                "the host {host} was asked for, and this server does not grant it; its operator can"
            ))
        };
        let network = match (hosts, &self.config.network) {
            ([], _) => None,
            ([host, ..], None) => return Err(not_granted(host)),
            (hosts, Some(network)) => {
                let narrowed = network.narrow(hosts.to_vec());
                Some(narrowed.map_err(|host| not_granted(&host))?)
            }
        };
        let tools = tools(&self.config, network);
        Ok(sandbox.derive().tools(tools).build()?)
    }
}

/// Returns the tools of a tenant with this network access.
fn tools(config: &TenantConfig, network: Option<codeact::tools::net::Network>) -> Tools {
    match network {
        Some(network) => config.tools.clone().network(network),
        None => config.tools.clone(),
    }
}

/// Separates packages that cannot be added, which the client can mend, from failures of the host.
fn of_request(error: SandboxError) -> ManagerError {
    match error {
        SandboxError::Pack(
            PackError::BadRequirement { .. }
            | PackError::BuiltInPackage { .. }
            | PackError::NeedsCompiledCode { .. }
            | PackError::SourceOnly { .. }
            | PackError::OtherPython { .. }
            | PackError::DirectReference { .. }
            | PackError::TooManyPackages { .. }
            | PackError::ResolutionGaveUp { .. }
            | PackError::NoSuchPackage { .. }
            | PackError::PackagesConflict { .. }
            | PackError::PackagesTooLarge { .. },
        ) => ManagerError::Setting(error.to_string()),
        error => error.into(),
    }
}

/// Parses the packages that a request asks for.
fn requirements(packages: &[String]) -> Result<Vec<Requirement>, ManagerError> {
    if packages.len() > MAX_PACKAGES {
        return Err(ManagerError::Setting(format!(
            "{} packages were asked for; a session can have {MAX_PACKAGES}",
            packages.len()
        )));
    }
    let parse = |text: &String| {
        let bad = |why: String| {
            ManagerError::Setting(format!("{text:?} is not a package requirement: {why}"))
        };
        if text.len() > MAX_REQUIREMENT_BYTES {
            return Err(ManagerError::Setting(format!(
                "a package requirement has {} bytes; expected at most {MAX_REQUIREMENT_BYTES}",
                text.len()
            )));
        }
        text.parse::<Requirement>().map_err(|e| bad(e.to_string()))
    };
    packages.iter().map(parse).collect()
}

/// Parses the hosts that a request asks for.
fn rules(hosts: &[String]) -> Result<Vec<HostRule>, ManagerError> {
    if hosts.len() > MAX_HOSTS || hosts.iter().any(|host| host.len() > MAX_HOST_BYTES) {
        return Err(ManagerError::Setting(format!(
            "a session can have {MAX_HOSTS} hosts, of {MAX_HOST_BYTES} bytes each"
        )));
    }
    let parse = |host: &String| {
        host.parse::<HostRule>()
            .map_err(|e| ManagerError::Setting(e.to_string()))
    };
    hosts.iter().map(parse).collect()
}

impl SandboxSource for TenantGrants {
    fn sandbox<'a>(&'a self, settings: &'a SessionSettings) -> SourceFuture<'a> {
        Box::pin(self.narrowed(settings))
    }
}

/// The same grants, shared with the handlers of requests.
pub(crate) struct SharedGrants(pub(crate) Arc<TenantGrants>);

impl SandboxSource for SharedGrants {
    fn sandbox<'a>(&'a self, settings: &'a SessionSettings) -> SourceFuture<'a> {
        self.0.sandbox(settings)
    }
}
