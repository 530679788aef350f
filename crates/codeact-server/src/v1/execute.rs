//! Running code, in a session or without one.

use std::sync::Arc;

use axum::Extension;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use codeact::event::EventSink;
use codeact::sandbox::Cancel;

use super::accept::Format;
use super::answer::Answer;
use super::json_body::JsonBody;
use super::outlet::whole;
use super::pictures::Pictures;
use super::plan::{ExecuteRequest, Plan, TurnRequest};
use super::state::V1State;
use super::stream;
use super::url::{QueryMap, UrlPath};
use crate::app::ServerTenant;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::turns::RunningTurn;

/// `POST /v1/execute`
pub(super) async fn execute(
    Extension(v1): Extension<Arc<V1State>>,
    Caller(tenant): Caller,
    query: QueryMap,
    headers: HeaderMap,
    JsonBody(request): JsonBody<ExecuteRequest>,
) -> Result<Response, ApiError> {
    let format = Format::of(&headers)?;
    let plan = request.plan(&tenant)?;
    let (plan, answer) = with_answer(plan, v1, &tenant, query)?;
    respond(plan, answer, format).await
}

/// `POST /v1/sessions/{id}/execute`
pub(super) async fn execute_in_session(
    Extension(v1): Extension<Arc<V1State>>,
    Caller(tenant): Caller,
    UrlPath(id): UrlPath<String>,
    query: QueryMap,
    headers: HeaderMap,
    JsonBody(request): JsonBody<TurnRequest>,
) -> Result<Response, ApiError> {
    let session = tenant.sessions.get(&id)?;
    let format = Format::of(&headers)?;
    let plan = request.plan(&tenant, session)?;
    let (plan, answer) = with_answer(plan, v1, &tenant, query)?;
    respond(plan, answer, format).await
}

/// Returns `plan` and how its result becomes the response.
fn with_answer(
    mut plan: Plan,
    v1: Arc<V1State>,
    tenant: &ServerTenant,
    mut query: QueryMap,
) -> Result<(Plan, Answer), ApiError> {
    let pictures = query.text("pictures");
    query.finish()?;
    let session = plan.session().map(|session| session.id().to_owned());
    let pictures = match (pictures.as_deref(), &session) {
        (None | Some("inline"), _) => None,
        (Some("link"), Some(session)) => Some(Pictures {
            store: v1,
            tenant: tenant.sessions.name().to_owned(),
            session: session.clone(),
        }),
        (Some("link"), None) => {
            return Err(ApiError::bad_request(
                "pictures can be linked only in a session; run the code in one, or use `pictures=inline`",
            ));
        }
        (Some(_), _) => {
            return Err(ApiError::bad_request(
                "the query parameter `pictures` is invalid; expected `inline` or `link`",
            ));
        }
    };
    let answer = Answer {
        session,
        patterns: std::mem::take(&mut plan.patterns),
        pictures,
    };
    Ok((plan, answer))
}

/// Runs `plan` and responds in `format`. If the client disconnects, the code is stopped.
async fn respond(plan: Plan, answer: Answer, format: Format) -> Result<Response, ApiError> {
    if format == Format::Json {
        let execution = plan.run(EventSink::none(), Cancel::new()).await?;
        let json = answer.json(execution, None).await?;
        return Ok(([(CONTENT_TYPE, "application/json")], whole(json)).into_response());
    }
    let running = RunningTurn::start(|events, cancel| plan.run(events, cancel));
    stream::respond(running, format, |execution| {
        answer.json(execution, Some("result"))
    })
    .await
}
