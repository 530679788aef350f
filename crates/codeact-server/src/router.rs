//! All routes of the server.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;

use crate::app::AppState;
use crate::body_budget::BodyBudget;
use crate::{compat, e2b, guard, health, jupyter, metrics, observe, stream_limits, v1};

/// Returns the service of all requests.
pub(crate) fn router(app: AppState) -> Router {
    let policy = guard::Policy::new(&app.config);
    let inner = Router::new()
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(v1::routes(&app))
        .merge(e2b::routes())
        .merge(jupyter::routes())
        .merge(compat::routes())
        .layer(DefaultBodyLimit::max(app.config.body))
        .layer(middleware::from_fn_with_state(
            BodyBudget::new(app.config.body),
            stream_limits::timed_body,
        ));
    let inner = guard::guarded(inner, policy)
        .layer(middleware::from_fn(observe::observe))
        .with_state(app);
    e2b::route::wrap(inner)
}
