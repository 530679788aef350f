//! The sessions of one tenant.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::entry::Entry;
use super::error::ManagerError;
use super::handle::SessionHandle;
use super::quota::{Meter, Quota, TenantUsage, TurnPermit};
use super::settings::{SandboxSource, SessionSettings, now_ms};
use super::supervisor::Shared;
use crate::{SessionBackend, SessionError};

/// The sessions of one tenant. Cheap to clone. Sessions of other tenants cannot be reached through it.
#[derive(Clone)]
pub struct Tenant {
    pub(super) inner: Arc<TenantInner>,
}

/// State that a tenant's handles share.
pub(super) struct TenantInner {
    pub(super) name: String,
    pub(super) backend: Arc<dyn SessionBackend>,
    pub(super) source: Arc<dyn SandboxSource>,
    pub(super) meter: Arc<Meter>,
    pub(super) shared: Arc<Shared>,
    entries: RwLock<HashMap<String, Arc<Entry>>>,
    /// Sessions that are being made.
    reserved: AtomicUsize,
}

impl Tenant {
    /// Loads the list of the sessions in `backend`. Blocks.
    pub(super) fn open(
        name: &str,
        backend: Arc<dyn SessionBackend>,
        source: Arc<dyn SandboxSource>,
        quota: Quota,
        shared: Arc<Shared>,
    ) -> Result<Self, SessionError> {
        let meter = Arc::new(Meter::new(quota));
        let mut entries = HashMap::new();
        for id in backend.ids()? {
            match load(&*backend, &id) {
                Ok(entry) => {
                    meter.replace_disk(0, entry.disk());
                    entries.insert(id, Arc::new(entry));
                }
                // One damaged session must not keep the others from being served. Its files stay.
                Err(error) => tracing::error!(tenant = name, %id, %error, "cannot read a session"),
            }
        }
        remove_orphans(&*backend, &mut entries);
        Ok(Self {
            inner: Arc::new(TenantInner {
                name: name.to_owned(),
                backend,
                source,
                meter,
                shared,
                entries: RwLock::new(entries),
                reserved: AtomicUsize::new(0),
            }),
        })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns the quotas.
    pub fn quota(&self) -> &Quota {
        self.inner.meter.quota()
    }

    /// Returns what the tenant uses now.
    pub fn usage(&self) -> TenantUsage {
        let entries = self.inner.all();
        TenantUsage {
            sessions: entries.len(),
            live: entries.iter().filter(|entry| entry.is_live()).count(),
            turns: self.inner.meter.turns(),
            memory: entries.iter().map(|entry| entry.memory()).sum(),
            disk: self.inner.meter.disk.load(Ordering::Relaxed),
        }
    }

    /// Makes a session. `id` is its identifier; `None`: a random one of 20 letters and digits.
    ///
    /// # Errors
    ///
    /// Returns [`ManagerError::Setting`] if the settings ask for more than the tenant has; [`SessionError::Exists`] and
    /// [`SessionError::Name`] as [`ManagerError::Session`]; quotas.
    pub async fn create(
        &self,
        id: Option<String>,
        mut settings: SessionSettings,
    ) -> Result<SessionHandle, ManagerError> {
        settings.created_ms = now_ms();
        settings.parent = None;
        settings.contexts = Vec::new();
        let create =
            |backend: &dyn SessionBackend, id: &str, settings: &[u8]| backend.create(id, settings);
        self.inner.add(id, settings, create, None).await
    }

    /// Makes a session from the archive `from`, which is untrusted.
    ///
    /// # Errors
    ///
    /// As [`Tenant::create`]; [`SessionError::Damaged`].
    pub async fn import(
        &self,
        from: PathBuf,
        id: Option<String>,
        mut settings: SessionSettings,
    ) -> Result<SessionHandle, ManagerError> {
        settings.created_ms = now_ms();
        settings.parent = None;
        settings.contexts = Vec::new();
        let import = move |backend: &dyn SessionBackend, id: &str, settings: &[u8]| {
            backend.import(&from, id, settings)
        };
        self.inner.add(id, settings, import, None).await
    }

    /// Returns the session `id`.
    ///
    /// # Errors
    ///
    /// Returns [`ManagerError::Missing`].
    pub fn get(&self, id: &str) -> Result<SessionHandle, ManagerError> {
        let entry = self.inner.find(id)?;
        if entry.settings().parent.is_some() {
            return Err(ManagerError::missing(id));
        }
        Ok(SessionHandle {
            entry,
            tenant: self.inner.clone(),
        })
    }

    /// Returns all sessions, without contexts, sorted by the time at which they were made.
    pub fn list(&self) -> Vec<SessionHandle> {
        let mut all: Vec<_> = (self.inner.all().into_iter())
            .filter(|entry| entry.settings().parent.is_none())
            .map(|entry| (entry.settings().created_ms, entry))
            .collect();
        all.sort_by(|a, b| (a.0, &a.1.id).cmp(&(b.0, &b.1.id)));
        all.into_iter()
            .map(|(_, entry)| SessionHandle {
                entry,
                tenant: self.inner.clone(),
            })
            .collect()
    }
}

impl TenantInner {
    /// Returns the session `id`.
    pub(super) fn find(&self, id: &str) -> Result<Arc<Entry>, ManagerError> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries
            .get(id)
            .cloned()
            .ok_or_else(|| ManagerError::missing(id))
    }

    /// Returns all sessions and contexts.
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.values().cloned().collect()
    }

    pub(super) fn begin_turn(&self) -> Result<TurnPermit, ManagerError> {
        let permit = self.meter.begin_turn()?;
        self.shared.counters.turns.fetch_add(1, Ordering::Relaxed);
        Ok(permit)
    }

    /// Makes a session with `make` in the store. `source` is written out before, so that it can be forked.
    pub(super) async fn add(
        self: &Arc<Self>,
        id: Option<String>,
        settings: SessionSettings,
        make: impl FnOnce(&dyn SessionBackend, &str, &[u8]) -> Result<(), SessionError> + Send + 'static,
        source: Option<&SessionHandle>,
    ) -> Result<SessionHandle, ManagerError> {
        self.shared.check_open()?;
        let place = Place::reserve(self)?;
        // Refused before anything is made.
        self.source.sandbox(&settings).await?;
        let id = match id {
            Some(id) => id,
            None => random_id()?,
        };
        let mut guard = match source {
            Some(source) => Some((source.clone(), source.entry.acquire_always().await)),
            None => None,
        };
        let this = self.clone();
        tokio::task::spawn_blocking(move || {
            if let Some((source, guard)) = &mut guard {
                if source.entry.is_removed() {
                    return Err(ManagerError::missing(source.id()));
                }
                source.entry.write_out(guard, &this)?;
            }
            make(&*this.backend, &id, &encode(&settings)?)?;
            let turn = this.backend.last(&id)?;
            let entry = Arc::new(Entry::new(id.clone(), settings, 0, turn));
            entry.count_disk(&this);
            let mut entries = this.entries.write().unwrap_or_else(PoisonError::into_inner);
            entries.insert(id, entry.clone());
            drop((entries, place));
            Ok(SessionHandle {
                entry,
                tenant: this,
            })
        })
        .await
        .map_err(ManagerError::task)?
    }

    /// Writes the settings of a session to the store, and then to its entry. Blocks.
    pub(super) fn store_settings(
        &self,
        entry: &Entry,
        settings: SessionSettings,
    ) -> Result<(), ManagerError> {
        if entry.is_removed() {
            return Err(ManagerError::missing(&entry.id));
        }
        self.backend.set_settings(&entry.id, &encode(&settings)?)?;
        entry.set_settings(settings);
        Ok(())
    }

    /// Removes a session from the list.
    pub(super) fn forget(&self, entry: &Entry) {
        entry.set_removed(true);
        self.meter.replace_disk(entry.disk(), 0);
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if (entries.get(&entry.id)).is_some_and(|found| std::ptr::eq(&**found, entry)) {
            entries.remove(&entry.id);
        }
    }
}

/// A place in the quota of sessions, for one that is being made.
struct Place(Arc<TenantInner>);

impl Place {
    fn reserve(tenant: &Arc<TenantInner>) -> Result<Self, ManagerError> {
        let reserved = tenant.reserved.fetch_add(1, Ordering::SeqCst);
        let place = Self(tenant.clone());
        let entries = (tenant.entries.read()).unwrap_or_else(PoisonError::into_inner);
        tenant.meter.check_sessions(entries.len() + reserved)?;
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.reserved.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Removes contexts whose session does not have them: their creation or removal was interrupted.
fn remove_orphans(backend: &dyn SessionBackend, entries: &mut HashMap<String, Arc<Entry>>) {
    let is_orphan = |entry: &Entry| {
        let settings = entry.settings();
        let parent = settings.parent.as_ref().map(|parent| entries.get(parent));
        parent.is_some_and(|parent| {
            !parent.is_some_and(|parent| parent.settings().contexts.contains(&entry.id))
        })
    };
    let orphans = entries.values().filter(|entry| is_orphan(entry));
    for id in orphans.map(|entry| entry.id.clone()).collect::<Vec<_>>() {
        // If it cannot be removed, the next start tries again.
        let _ = backend.remove(&id);
        entries.remove(&id);
    }
}

/// Reads the description of a session.
fn load(backend: &dyn SessionBackend, id: &str) -> Result<Entry, SessionError> {
    let bytes = backend.settings(id)?;
    let settings = match bytes.is_empty() {
        true => SessionSettings::default(),
        false => serde_json::from_slice(&bytes).map_err(|e| SessionError::Damaged {
            path: PathBuf::from(id),
            why: format!("its settings: {e}"),
        })?,
    };
    let (disk, turn) = (backend.bytes(id), backend.last(id)?);
    Ok(Entry::new(id.to_owned(), settings, disk, turn))
}

fn encode(settings: &SessionSettings) -> Result<Vec<u8>, ManagerError> {
    serde_json::to_vec(settings).map_err(|e| ManagerError::Setting(e.to_string()))
}

/// Returns an identifier that cannot be guessed: 20 characters, about 103 bits.
fn random_id() -> Result<String, ManagerError> {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).map_err(ManagerError::task)?;
    // The modulus favours four characters a little, which costs less than a bit.
    let pick = |byte: &u8| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]);
    Ok(bytes.iter().map(pick).collect())
}
