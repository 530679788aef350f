//! A client of the own API, which checks every JSON response against the OpenAPI document.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use codeact_server::ServerConfig;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{HANG, Served, TOKEN, config};

/// A client with the token of one tenant.
#[derive(Clone)]
pub struct Api {
    pub served: Arc<Served>,
    pub client: Client,
    token: String,
}

/// Starts a server with one tenant, and returns its client.
pub async fn api() -> Api {
    api_with(|_| ()).await
}

/// As [`api`], with changes of the configuration, whose only tenant is `tenants[0]`.
pub async fn api_with(change: impl FnOnce(&mut ServerConfig)) -> Api {
    let mut config = config();
    change(&mut config);
    Api::new(Arc::new(Served::start(config).await), TOKEN)
}

/// The document.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/v1/openapi.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    })
}

impl Api {
    pub fn new(served: Arc<Served>, token: &str) -> Self {
        Self {
            served,
            client: Client::builder().no_proxy().timeout(HANG).build().unwrap(),
            token: token.to_owned(),
        }
    }

    /// The same server, as another tenant.
    pub fn with_token(&self, token: &str) -> Self {
        Self::new(self.served.clone(), token)
    }

    /// Returns a request to `path`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.served.url);
        self.client.request(method, url).bearer_auth(&self.token)
    }

    /// Sends a request, and returns the status and the JSON response, which the document must describe.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = self.request(method.clone(), path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let bytes = response.bytes().await.unwrap();
        if status == StatusCode::NO_CONTENT {
            return (status, Value::Null);
        }
        let value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|e| panic!("{method} {path}: {e}: {bytes:?}"));
        check(method.as_str(), path, status, &value);
        (status, value)
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, Some(body)).await
    }

    /// As [`Api::post`]; the request must succeed.
    pub async fn done(&self, path: &str, body: Value) -> Value {
        let (status, value) = self.post(path, body).await;
        assert!(status.is_success(), "{path}: {status} {value}");
        value
    }

    /// Runs `code` in a session, which must succeed. Returns its result.
    pub async fn run(&self, session: &str, code: &str) -> Value {
        let path = format!("/v1/sessions/{session}/execute");
        let execution = self.done(&path, json!({ "code": code })).await;
        assert_eq!(execution["status"], "ok", "{execution}");
        execution["result"].clone()
    }

    /// Makes the session `id`.
    pub async fn session(&self, id: &str) {
        self.done("/v1/sessions", json!({ "id": id })).await;
    }

    /// Sends a request whose response is streamed.
    pub async fn stream(&self, accept: &str, path: &str, body: Value) -> Response {
        let request = self.request(Method::POST, path).json(&body);
        request.header("accept", accept).send().await.unwrap()
    }

    /// Waits until the session has this status.
    pub async fn wait_for(&self, session: &str, status: &str) {
        self.wait_until(session, "status", status.into()).await;
    }

    /// Waits until the last turn of `session` is the turn `number`.
    pub async fn wait_for_turn(&self, session: &str, number: u32) {
        self.wait_until(session, "turn", number.into()).await;
    }

    async fn wait_until(&self, session: &str, field: &str, value: Value) {
        let path = format!("/v1/sessions/{session}");
        let mut last = Value::Null;
        let deadline = Instant::now() + HANG;
        while Instant::now() < deadline {
            last = self.get(&path).await.1;
            if last[field] == value {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{field} of the session does not become {value}: {last}");
    }
}

/// Asserts the status and the code of an error.
#[track_caller]
pub fn refused(response: &(StatusCode, Value), status: u16, code: &str) {
    let (actual, body) = response;
    let error = &body["error"];
    assert_eq!(
        (actual.as_u16(), error["code"].as_str()),
        (status, Some(code)),
        "{body}"
    );
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
}

/// Checks a response against the document.
fn check(method: &str, path: &str, status: StatusCode, value: &Value) {
    let path = path.split('?').next().unwrap_or_default();
    let Some(operation) = operation(method, path) else {
        // An error of a path or method that the document does not have.
        assert!(status.is_client_error(), "{method} {path}: {status}");
        return;
    };
    let response = &operation["responses"][status.as_str()];
    let response = match response["$ref"].as_str() {
        Some(reference) => document().pointer(&reference[1..]).unwrap(),
        None => response,
    };
    assert!(
        response.is_object(),
        "{method} {path}: {status} is not documented: {value}"
    );
    let schema = &response["content"]["application/json"]["schema"];
    if !schema.is_object() {
        return;
    }
    let mut schema = schema.clone();
    schema["components"] = document()["components"].clone();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{method} {path}: {errors:#?}");
    known_fields(&schema, value, &format!("{method} {path}"));
}

/// Asserts that the document names every field of the object.
fn known_fields(schema: &Value, value: &Value, about: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document().pointer(&reference[1..]).unwrap(),
        None => schema,
    };
    let (Some(known), Some(object)) = (schema["properties"].as_object(), value.as_object()) else {
        return;
    };
    for (name, value) in object {
        let field = known.get(name);
        let field = field.unwrap_or_else(|| panic!("{about}: `{name}` is not documented"));
        match value.as_array() {
            Some(items) => items
                .iter()
                .for_each(|item| known_fields(&field["items"], item, about)),
            None => known_fields(field, value, about),
        }
    }
}

/// Returns the operation of a path.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let given: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        let is_open = template.ends_with("{path}");
        let long_enough = given.len() == parts.len() || (is_open && given.len() > parts.len());
        long_enough
            && parts
                .iter()
                .zip(&given)
                .all(|(part, given)| part.starts_with('{') || part == given)
    };
    let paths = document()["paths"].as_object()?;
    // A path without parameters has priority.
    let item = paths.get(path).or_else(|| {
        paths
            .iter()
            .find(|(template, _)| fits(template))
            .map(|(_, item)| item)
    })?;
    item.get(method.to_lowercase())
}
