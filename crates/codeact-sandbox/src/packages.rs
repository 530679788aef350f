//! Packages that are added to a sandbox that exists.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use codeact_base::event::EventSink;
use codeact_pack::{Clients, Requirement};

use crate::builder::CancelOnDrop;
use crate::bytecode;
use crate::error::SandboxError;
use crate::fs::site_packages;
use crate::sandbox::Sandbox;
use crate::session::context::SessionContext;
use crate::wasi::Clock;

impl Sandbox {
    /// Returns a sandbox that has `packages`, and their dependencies, in addition to those of this one. It shares the
    /// engine with this one, and has its mounts, tools and limits. Sessions of this one can move to it with
    /// [`Session::use_sandbox`](crate::Session::use_sandbox).
    ///
    /// The packages of this one keep their versions, except those that `packages` name. With `fetch`, a wheel that is not
    /// in the cache is fetched with the user's package client, unless this sandbox was built
    /// [offline](crate::SandboxBuilder::offline). If the future is dropped, a running package client is stopped.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Pack`] if the packages do not exist, conflict with those of this sandbox, need compiled code
    /// or cannot be fetched.
    pub async fn with_packages(
        &self,
        packages: &[Requirement],
        fetch: bool,
    ) -> Result<Sandbox, SandboxError> {
        let cancelled = CancelOnDrop::default();
        let flag = cancelled.0.clone();
        let (context, wanted) = (self.context().clone(), packages.to_vec());
        tokio::task::spawn_blocking(move || {
            // On a thread of its own: compiling blocks on guest code, which a thread inside an async context must not do.
            let add = || add(context, wanted, fetch, flag);
            let panicked = |_| SandboxError::engine("add packages", "a thread panicked");
            std::thread::scope(|scope| scope.spawn(add).join().map_err(panicked))?
        })
        .await
        .map_err(|e| SandboxError::engine("add packages", e))?
    }
}

/// Returns the sandbox of `context` with the packages `wanted`. Blocks.
fn add(
    mut context: SessionContext,
    mut wanted: Vec<Requirement>,
    fetch: bool,
    cancelled: Arc<AtomicBool>,
) -> Result<Sandbox, SandboxError> {
    let runtime = context.runtime.clone();
    let manifest = &runtime.pack.manifest;
    let clients = Clients::from_env(&|name| std::env::var_os(name)).cancelled_by(cancelled);
    let store = runtime.store.clone().with_clients(clients);
    for package in context.grants.packages.iter() {
        if !wanted.iter().any(|one| one.name() == package.name) {
            wanted.push(format!("{}=={}", package.name, package.version).parse()?);
        }
    }
    let grants = &mut context.grants;
    let mut site = store.packages(manifest, &wanted, grants.offline || !fetch)?;
    if site.packages.as_slice() == &*grants.packages {
        return Ok(Sandbox::from_context(context));
    }
    bytecode::add(&mut site, &store, manifest, &runtime, &EventSink::none())?;
    let mut layout = runtime.layout.clone();
    grants.site = site_packages::insert(&site, manifest, &mut layout);
    grants.packages = site.packages.into();
    for mount in grants.mounts.iter() {
        mount.attach(&mut layout, Clock::Frozen.realtime())?;
    }
    grants.layout = layout;
    Ok(Sandbox::from_context(context))
}
