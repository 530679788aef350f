//! Pictures of executions that a response links to.
//!
//! Security boundary: the code chose their content, so they are served in a way in which a browser runs nothing of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::body::Bytes;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};

use super::outlet::whole;
use super::state::V1State;
use super::url::UrlPath;
use crate::auth::Caller;
use crate::error::ApiError;

/// Limit of the stored pictures of a tenant.
const MAX_PICTURES: usize = 1000;
/// Limit of their content, in bytes. The oldest are dropped first.
const MAX_BYTES: usize = 64 << 20;
/// Policy of a response whose content the guest has chosen.
pub(super) const GUEST_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// The pictures of all tenants.
#[derive(Default)]
pub(super) struct PictureStore(Mutex<HashMap<String, TenantPictures>>);

#[derive(Default)]
struct TenantPictures {
    pictures: VecDeque<Picture>,
    bytes: usize,
}

struct Picture {
    session: String,
    name: String,
    mime: String,
    content: Bytes,
}

/// Where the pictures of one execution go.
pub(super) struct Pictures {
    pub(super) store: Arc<V1State>,
    pub(super) tenant: String,
    pub(super) session: String,
}

impl Pictures {
    /// Stores a picture and returns its URL; `None` if it is too large.
    pub(super) fn add(&self, mime: &str, content: Bytes) -> Option<String> {
        let extension = match mime {
            "image/png" => "png",
            "image/jpeg" => "jpg",
            "image/webp" => "webp",
            "image/gif" => "gif",
            "image/svg+xml" => "svg",
            _ => return None,
        };
        if content.len() > MAX_BYTES {
            return None;
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).ok()?;
        let name = format!("{:032x}.{extension}", u128::from_le_bytes(random));
        let url = format!("/v1/sessions/{}/pictures/{name}", self.session);
        let picture = Picture {
            session: self.session.clone(),
            name,
            mime: mime.to_owned(),
            content,
        };
        self.store.pictures.add(&self.tenant, picture);
        Some(url)
    }
}

impl PictureStore {
    fn add(&self, tenant: &str, picture: Picture) {
        let mut tenants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = tenants.entry(tenant.to_owned()).or_default();
        stored.bytes += picture.content.len();
        stored.pictures.push_back(picture);
        while stored.bytes > MAX_BYTES || stored.pictures.len() > MAX_PICTURES {
            match stored.pictures.pop_front() {
                Some(oldest) => stored.bytes -= oldest.content.len(),
                None => break,
            }
        }
    }

    fn get(&self, tenant: &str, session: &str, name: &str) -> Option<(String, Bytes)> {
        let tenants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pictures = tenants.get(tenant)?.pictures.iter();
        let found = pictures.find(|picture| picture.name == name && picture.session == session)?;
        Some((found.mime.clone(), found.content.clone()))
    }
}

/// `GET /v1/sessions/{id}/pictures/{name}`
pub(super) async fn get_picture(
    Extension(v1): Extension<Arc<V1State>>,
    Caller(tenant): Caller,
    UrlPath((id, name)): UrlPath<(String, String)>,
) -> Result<Response, ApiError> {
    let session = tenant.sessions.get(&id)?;
    let found = v1.pictures.get(tenant.sessions.name(), session.id(), &name);
    let (mime, content) = found.ok_or_else(|| {
        ApiError::not_found("there is no such picture; only the last ones are stored")
    })?;
    let headers = [
        (CONTENT_TYPE, mime),
        (CACHE_CONTROL, "private, max-age=3600".to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (CONTENT_SECURITY_POLICY, GUEST_POLICY.to_owned()),
    ];
    Ok((headers, whole(content)).into_response())
}
