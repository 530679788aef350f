//! Places for commands that run at a time, shared out among the tenants. Security boundary: one tenant cannot take the
//! places of the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::grants::TenantGrants;
use crate::shell::limits::{MAX_RUNNING, TENANT_SHARE};

/// The places of this process.
pub(super) static PLACES: Places = Places(Mutex::new(None));

/// Places for commands.
pub(super) struct Places(Mutex<Option<Taken>>);

/// The places that are taken.
#[derive(Default)]
struct Taken {
    all: usize,
    /// By the tenant, which is the address of its grants. A place holds these, so that no other has the address.
    by_tenant: HashMap<usize, usize>,
}

/// A place of a command. It is free when this is dropped.
pub(super) struct Place {
    places: &'static Places,
    tenant: usize,
    _grants: Option<Arc<TenantGrants>>,
}

impl Places {
    /// Takes a place for a command of a tenant; `None` if there is none, or the tenant has its share.
    pub(super) fn take(&'static self, grants: &Arc<TenantGrants>) -> Option<Place> {
        let mut place = self.take_for(Arc::as_ptr(grants) as usize)?;
        place._grants = Some(grants.clone());
        Some(place)
    }

    fn take_for(&'static self, tenant: usize) -> Option<Place> {
        let mut taken = self.lock();
        let taken = taken.get_or_insert_default();
        let own = taken.by_tenant.get(&tenant).copied().unwrap_or(0);
        if taken.all >= MAX_RUNNING || own >= MAX_RUNNING / TENANT_SHARE {
            return None;
        }
        taken.all += 1;
        taken.by_tenant.insert(tenant, own + 1);
        Some(Place {
            places: self,
            tenant,
            _grants: None,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Taken>> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        let Some(taken) = taken.as_mut() else {
            return;
        };
        taken.all = taken.all.saturating_sub(1);
        if let Some(own) = taken.by_tenant.get_mut(&self.tenant) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.by_tenant.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::{MAX_RUNNING, Places, TENANT_SHARE};

    #[test]
    fn a_tenant_cannot_take_the_places_of_others() {
        static PLACES: Places = Places(Mutex::new(None));
        let share = MAX_RUNNING / TENANT_SHARE;
        let mut first: Vec<_> = (0..share).filter_map(|_| PLACES.take_for(1)).collect();
        assert_eq!(first.len(), share);
        assert!(PLACES.take_for(1).is_none());
        let others: Vec<_> = (2..=TENANT_SHARE)
            .flat_map(|tenant| (0..share).filter_map(move |_| PLACES.take_for(tenant)))
            .collect();
        assert_eq!(others.len(), MAX_RUNNING - share);
        assert!(PLACES.take_for(99).is_none());
        first.pop();
        assert!(PLACES.take_for(99).is_some());
    }
}
