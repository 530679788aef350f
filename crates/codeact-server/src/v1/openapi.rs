//! The OpenAPI document, and a page that shows it. The page loads nothing from other hosts.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};

const DOCUMENT: &str = include_str!("openapi.json");
const PAGE: &str = include_str!("docs.html");
const STYLE: &str = include_str!("docs.css");
const SCRIPT: &str = include_str!("docs.js");
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// `GET /openapi.json`
pub(super) async fn document() -> Response {
    respond("application/json", DOCUMENT)
}

/// `GET /docs`
pub(super) async fn page() -> Response {
    respond("text/html; charset=utf-8", PAGE)
}

/// `GET /docs/docs.css`
pub(super) async fn style() -> Response {
    respond("text/css; charset=utf-8", STYLE)
}

/// `GET /docs/docs.js`
pub(super) async fn script() -> Response {
    respond("text/javascript; charset=utf-8", SCRIPT)
}

fn respond(media_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, content).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::routes::{others, repeatable};
    use super::*;

    /// Returns the operations of the document, with the parameters that are whole paths.
    fn documented() -> BTreeSet<(String, String)> {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let mut operations = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                if method != "parameters" {
                    operations.insert((method.to_uppercase(), path.clone()));
                }
            }
        }
        operations
    }

    #[test]
    fn the_document_describes_exactly_the_operations_of_the_router() {
        let operations = repeatable().into_iter().chain(others());
        let routed: BTreeSet<(String, String)> = operations
            .map(|(method, path, _)| (method.to_owned(), path.replace("{*", "{")))
            // The page is for people.
            .filter(|(_, path)| !path.starts_with("/docs"))
            .collect();
        assert_eq!(documented(), routed);
    }

    #[test]
    fn repeatable_operations_are_documented_as_such() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        for (method, path, _) in repeatable().into_iter().chain(others()) {
            let operation = &document["paths"][path.replace("{*", "{")][method.to_lowercase()];
            let parameters = operation["parameters"].to_string();
            let has_key = parameters.contains("#/components/parameters/IdempotencyKey");
            let is_repeatable = repeatable().iter().any(|r| (r.0, r.1) == (method, path));
            assert_eq!(has_key, is_repeatable, "{method} {path}");
        }
    }

    #[test]
    fn the_page_names_no_other_host() {
        for content in [PAGE, STYLE, SCRIPT] {
            assert!(
                !content.contains("//cdn") && !content.contains("http"),
                "{content}"
            );
        }
    }
}
