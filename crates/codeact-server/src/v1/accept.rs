//! The format of a response, as the client accepts it.

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};

use crate::error::ApiError;

/// Limit of the alternatives that are read from the header.
const MAX_ALTERNATIVES: usize = 32;

/// Format of the response to a request that runs code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON object at the end.
    Json,
    /// Events as JSON, one a line.
    Ndjson,
    /// Server-sent events.
    Sse,
}

impl Format {
    /// Returns the format that the client prefers.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut best: Option<(f32, Self)> = None;
        let mut is_empty = true;
        let values = headers.get_all(ACCEPT).iter();
        let alternatives = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .take(MAX_ALTERNATIVES);
        for alternative in alternatives {
            let mut parts = alternative.split(';').map(str::trim);
            let range = parts.next().unwrap_or_default().to_ascii_lowercase();
            if range.is_empty() {
                continue;
            }
            is_empty = false;
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            let weight = weight.map_or(1.0, |text| text.parse().unwrap_or(0.0));
            let format = match range.as_str() {
                "application/json" | "application/*" | "*/*" => Self::Json,
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::Ndjson,
                "text/event-stream" => Self::Sse,
                _ => continue,
            };
            if weight > 0.0 && best.is_none_or(|(least, _)| weight > least) {
                best = Some((weight, format));
            }
        }
        match best {
            Some((_, format)) => Ok(format),
            None if is_empty => Ok(Self::Json),
            None => Err(ApiError::new(
                StatusCode::NOT_ACCEPTABLE,
                "not_acceptable",
                "the client accepts no format of this response; it can be application/json, application/x-ndjson or \
                 text/event-stream",
            )),
        }
    }

    /// Returns the media type.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Sse => "text/event-stream",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &str) -> Option<Format> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        Format::of(&headers).ok()
    }

    #[test]
    fn the_preferred_format_is_used() {
        assert_eq!(Format::of(&HeaderMap::new()).ok(), Some(Format::Json));
        assert_eq!(of("*/*"), Some(Format::Json));
        assert_eq!(of("text/event-stream"), Some(Format::Sse));
        assert_eq!(
            of("application/json;q=0.5, application/x-ndjson"),
            Some(Format::Ndjson)
        );
        assert_eq!(
            of("text/html, application/json;q=0.9, */*;q=0.8"),
            Some(Format::Json)
        );
        assert_eq!(of("text/html"), None);
        assert_eq!(of("text/event-stream;q=0"), None);
    }
}
