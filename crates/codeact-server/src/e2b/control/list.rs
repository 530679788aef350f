//! Lists of sandboxes, in pages.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::body::Team;
use super::info::listed;
use crate::e2b::error::E2bError;
use crate::e2b::record::{E2bSandbox, State};
use crate::e2b::signature::{decode, query_pairs};
use crate::e2b::timestamp;

/// Default and largest number of entries of a page.
const MAX_PAGE: usize = 100;
/// Header with the token of the next page.
const NEXT: HeaderName = HeaderName::from_static("x-next-token");
/// Header with the number of running sandboxes.
const TOTAL_RUNNING: HeaderName = HeaderName::from_static("x-total-running");

/// The part of a list that a client asks for.
pub(super) struct Page {
    limit: usize,
    is_ascending: bool,
    after: Option<Cursor>,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            limit: MAX_PAGE,
            is_ascending: false,
            after: None,
        }
    }
}

/// The last entry of a page: its start, in milliseconds since 1970, and its identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cursor(u64, String);

impl Cursor {
    fn of(sandbox: &E2bSandbox) -> Self {
        Self(sandbox.record.started_ms, sandbox.handle.id().to_owned())
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}__{}", self.0, self.1))
    }

    fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (ms, id) = text.split_once("__")?;
        Some(Self(ms.parse().ok()?, id.to_owned()))
    }
}

impl Page {
    /// Reads a parameter of a query; other parameters are ignored.
    pub(super) fn read(&mut self, key: &str, value: &str) -> Result<(), E2bError> {
        let invalid = |expected: &str| {
            E2bError::bad_request(format!(
                "the parameter {key} is not valid, expected {expected}"
            ))
        };
        match key {
            "limit" => {
                let limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MAX_PAGE).contains(limit));
                self.limit = limit.ok_or_else(|| invalid("1 to 100"))?;
            }
            "order" => {
                self.is_ascending = match value {
                    "asc" => true,
                    "desc" => false,
                    _ => return Err(invalid("asc or desc")),
                }
            }
            "nextToken" if !value.is_empty() => {
                let cursor = Cursor::decode(value);
                self.after = Some(cursor.ok_or_else(|| invalid("the token of an earlier page"))?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Returns the wanted page of `all`, sorted by start and identifier, and the header that names the next one.
pub(super) fn page(mut all: Vec<E2bSandbox>, wanted: &Page) -> (Vec<E2bSandbox>, HeaderMap) {
    let key = |sandbox: &E2bSandbox| {
        let Cursor(ms, id) = Cursor::of(sandbox);
        (ms, std::cmp::Reverse(id))
    };
    all.sort_by_cached_key(key);
    if !wanted.is_ascending {
        all.reverse();
    }
    if let Some(Cursor(ms, id)) = &wanted.after {
        let last = (*ms, std::cmp::Reverse(id.clone()));
        all.retain(|sandbox| match wanted.is_ascending {
            true => key(sandbox) > last,
            false => key(sandbox) < last,
        });
    }
    let has_more = all.len() > wanted.limit;
    all.truncate(wanted.limit);
    let mut headers = HeaderMap::new();
    if let Some(last) = all.last().filter(|_| has_more)
        && let Ok(token) = HeaderValue::from_str(&Cursor::of(last).encode())
    {
        headers.insert(NEXT, token);
    }
    (all, headers)
}

/// `GET /sandboxes`: all running sandboxes.
pub(super) async fn list_v1(
    team: Team,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, E2bError> {
    let mut filter = Filter::default();
    for (key, value) in query_pairs(&query.unwrap_or_default()) {
        if key == "metadata" {
            filter.read(&key, &value)?;
        }
    }
    filter.states = vec![State::Running];
    let found = filter.sandboxes(&team);
    let wanted = Page {
        limit: usize::MAX,
        ..Page::default()
    };
    let (found, _) = page(found, &wanted);
    Ok(Json(found.iter().map(listed).collect()))
}

/// `GET /v2/sandboxes`.
pub(super) async fn list_v2(
    team: Team,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, E2bError> {
    let mut filter = Filter::default();
    let mut wanted = Page::default();
    for (key, value) in query_pairs(&query.unwrap_or_default()) {
        filter.read(&key, &value)?;
        wanted.read(&key, &value)?;
    }
    let found = filter.sandboxes(&team);
    let running = found
        .iter()
        .filter(|found| found.state() == State::Running)
        .count();
    let (found, mut headers) = page(found, &wanted);
    if filter.states.is_empty() || filter.states.contains(&State::Running) {
        headers.insert(TOTAL_RUNNING, HeaderValue::from(running));
    }
    let list: Vec<Value> = found.iter().map(listed).collect();
    Ok((headers, Json(list)))
}

/// Which sandboxes a client asks for.
#[derive(Default)]
struct Filter {
    /// Empty: all.
    states: Vec<State>,
    metadata: BTreeMap<String, String>,
    started_after: Option<u64>,
    template: Option<String>,
}

impl Filter {
    fn read(&mut self, key: &str, value: &str) -> Result<(), E2bError> {
        match key {
            "state" => {
                for state in value.split(',') {
                    self.states.push(match state {
                        "running" => State::Running,
                        "paused" => State::Paused,
                        _ => {
                            return Err(E2bError::bad_request(
                                "the parameter state is not valid, expected running or paused",
                            ));
                        }
                    });
                }
            }
            // The pairs are encoded twice: as texts, and again as a query.
            "metadata" => {
                let pairs = query_pairs(value).map(|(key, value)| (decode(&key), decode(&value)));
                self.metadata.extend(pairs);
            }
            "startedAfter" => {
                // A client that does not encode the plus sign of the offset sends a space.
                let time = timestamp::parse(value).or_else(|| {
                    let (head, tail) = value.rsplit_once(' ')?;
                    timestamp::parse(&format!("{head}+{tail}"))
                });
                self.started_after = Some(time.ok_or_else(|| {
                    E2bError::bad_request(
                        "the parameter startedAfter is not valid, expected an RFC 3339 time",
                    )
                })?);
            }
            "template" => self.template = Some(value.to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn sandboxes(&self, team: &Team) -> Vec<E2bSandbox> {
        let sessions = team.0.sessions.list().into_iter();
        sessions
            .filter_map(|handle| E2bSandbox::of(&team.0, handle))
            .filter(|found| found.record.snapshot.is_none() && self.includes(found))
            .collect()
    }

    fn includes(&self, sandbox: &E2bSandbox) -> bool {
        let record = &sandbox.record;
        (self.states.is_empty() || self.states.contains(&sandbox.state()))
            && (self.metadata.iter()).all(|(key, value)| record.metadata.get(key) == Some(value))
            && self
                .started_after
                .is_none_or(|after| record.started_ms >= after)
            && (self.template.as_ref()).is_none_or(|template| record.template == *template)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Filter, Page};
    use crate::e2b::record::State;

    #[test]
    fn parameters_are_checked() {
        let mut page = Page::default();
        for (key, value) in [
            ("limit", "0"),
            ("limit", "101"),
            ("limit", "-1"),
            ("order", "up"),
            ("nextToken", "%%"),
            ("nextToken", "bm90aGluZw"),
        ] {
            assert!(page.read(key, value).is_err(), "{key}={value}");
        }
        let cursor = Cursor(17, "abc".into());
        assert!(page.read("nextToken", &cursor.encode()).is_ok());
        assert_eq!(page.after, Some(cursor));
        let mut filter = Filter::default();
        assert!(filter.read("state", "gone").is_err());
        assert!(filter.read("startedAfter", "soon").is_err());
        assert!(filter.read("state", "running,paused").is_ok());
        assert_eq!(filter.states, [State::Running, State::Paused]);
    }

    #[test]
    fn metadata_is_decoded_twice() {
        let mut filter = Filter::default();
        // The SDK: urlencode({quote("a b"): quote("c&d")}).
        assert!(filter.read("metadata", "a%2520b=c%2526d").is_ok());
        assert_eq!(filter.metadata.get("a b").map(String::as_str), Some("c&d"));
    }
}
