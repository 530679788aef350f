//! The table of all operations. The OpenAPI document describes exactly these.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::MatchedPath;
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, delete, get, patch, post, put};
use axum::{Extension, Router, middleware};

use super::idempotency::idempotent;
use super::state::V1State;
use super::{actions, archives, execute, files, openapi, pictures, runs, sessions};
use crate::app::AppState;
use crate::error::ApiError;

/// One operation: method, path, and the route with its handler.
pub(super) type Operation = (&'static str, &'static str, MethodRouter<AppState>);

/// Returns the routes.
pub(crate) fn routes(app: &AppState) -> Router<AppState> {
    let repeats = middleware::from_fn_with_state(app.clone(), idempotent);
    let mut paths: BTreeMap<&str, MethodRouter<AppState>> = BTreeMap::new();
    let repeated = repeatable().into_iter();
    let repeated =
        repeated.map(|(method, path, route)| (method, path, route.layer(repeats.clone())));
    for (_, path, route) in repeated.chain(others()) {
        let merged = match paths.remove(path) {
            Some(earlier) => earlier.merge(route),
            None => route,
        };
        paths.insert(path, merged);
    }
    let mut router = Router::new();
    for (path, route) in paths {
        router = router.route(path, route);
    }
    router
        .route("/v1", any(no_operation))
        .route("/v1/{*rest}", any(no_operation))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(Extension(Arc::new(V1State::default())))
}

/// Returns the operations that can be repeated with an `Idempotency-Key`.
pub(super) fn repeatable() -> Vec<Operation> {
    vec![
        ("POST", "/v1/execute", post(execute::execute)),
        ("POST", "/v1/runs", post(runs::run)),
        ("POST", "/v1/sessions", post(sessions::create)),
        (
            "POST",
            "/v1/sessions/{id}/execute",
            post(execute::execute_in_session),
        ),
        ("POST", "/v1/sessions/{id}/fork", post(actions::fork)),
    ]
}

/// Returns the other operations.
pub(super) fn others() -> Vec<Operation> {
    vec![
        ("GET", "/v1/sessions", get(sessions::list)),
        ("POST", "/v1/sessions/import", post(archives::import)),
        ("GET", "/v1/sessions/{id}", get(sessions::show)),
        ("PATCH", "/v1/sessions/{id}", patch(sessions::change)),
        ("DELETE", "/v1/sessions/{id}", delete(sessions::remove)),
        (
            "POST",
            "/v1/sessions/{id}/interrupt",
            post(actions::interrupt),
        ),
        ("POST", "/v1/sessions/{id}/undo", post(actions::undo)),
        ("POST", "/v1/sessions/{id}/restart", post(actions::restart)),
        ("POST", "/v1/sessions/{id}/pause", post(actions::pause)),
        ("GET", "/v1/sessions/{id}/turns", get(actions::turns)),
        (
            "GET",
            "/v1/sessions/{id}/variables",
            get(actions::variables),
        ),
        ("GET", "/v1/sessions/{id}/export", get(archives::export)),
        ("GET", "/v1/sessions/{id}/files", get(files::list)),
        (
            "GET",
            "/v1/sessions/{id}/files/{*path}",
            get(files::download),
        ),
        ("PUT", "/v1/sessions/{id}/files/{*path}", put(files::upload)),
        (
            "DELETE",
            "/v1/sessions/{id}/files/{*path}",
            delete(files::remove),
        ),
        (
            "GET",
            "/v1/sessions/{id}/pictures/{name}",
            get(pictures::get_picture),
        ),
        ("GET", "/openapi.json", get(openapi::document)),
        ("GET", "/docs", get(openapi::page)),
        ("GET", "/docs/docs.css", get(openapi::style)),
        ("GET", "/docs/docs.js", get(openapi::script)),
    ]
}

async fn no_operation() -> ApiError {
    ApiError::not_found("there is no such operation; /openapi.json describes all of them")
}

async fn method_not_allowed(path: MatchedPath) -> Response {
    let operations = repeatable().into_iter().chain(others());
    let methods: Vec<&str> = operations
        .filter(|(_, of_path, _)| *of_path == path.as_str())
        .map(|(method, _, _)| method)
        .collect();
    let allowed = methods.join(", ");
    let error = ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("the method is not allowed here; expected {allowed}"),
    );
    let mut response = error.into_response();
    if let Ok(allowed) = HeaderValue::try_from(allowed) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}
