//! Lists the models of a server (`GET /models`), with a short time limit.

use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use serde_json::Value;
use tokio::time::timeout;

use crate::address::BaseUrl;
use crate::api_key::{ApiKey, redact, secrets};
use crate::openai::{cause, client};

/// Maximum number of bytes of a list.
const MAX_LIST_BYTES: usize = 1 << 20;

/// Returns the names of the models at `address`, in the server's order. `limit` is the time limit.
///
/// # Errors
///
/// Returns a description of the failure for an error text, without the key.
pub(super) async fn models(
    address: &BaseUrl,
    key: Option<&ApiKey>,
    limit: Duration,
) -> Result<Vec<String>, String> {
    match timeout(limit, ask(address, key)).await {
        Ok(result) => result.map_err(|reason| redact(&reason, key, 200)),
        Err(_) => Err(format!("no response within {limit:?}")),
    }
}

async fn ask(address: &BaseUrl, key: Option<&ApiKey>) -> Result<Vec<String>, String> {
    let client = client(address).map_err(|e| e.to_string())?;
    let mut request = client.get(address.models());
    if let Some(key) = key {
        request = request.header(AUTHORIZATION, key.bearer().map_err(|e| e.to_string())?);
    }
    let mut response = request.send().await.map_err(cause)?;
    if !response.status().is_success() {
        return Err(format!("status {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(cause)? {
        if body.len() + bytes.len() > MAX_LIST_BYTES {
            return Err(format!("a list larger than {MAX_LIST_BYTES} bytes"));
        }
        body.extend_from_slice(&bytes);
    }
    let list: Value =
        serde_json::from_slice(&body).map_err(|_| "the response is not JSON".to_owned())?;
    let names = names(&list).ok_or_else(|| "the response is not a list of models".to_owned())?;
    let redactor = secrets(key, Some(address));
    let redacted = names.iter().map(|name| redactor.text(name).into_owned());
    Ok(redacted.collect())
}

/// Returns the names in `{"data": [{"id"}]}`, `{"models": [{"id" or "name"}]}`, or an array of either.
fn names(list: &Value) -> Option<Vec<String>> {
    let entries = ["data", "models"]
        .iter()
        .find_map(|name| list.get(name)?.as_array())
        .or_else(|| list.as_array())?;
    let name = |entry: &Value| {
        let name = entry.get("id").or_else(|| entry.get("name"))?;
        Some(name.as_str()?.to_owned())
    };
    entries.iter().map(name).collect()
}

/// Returns the default model of a list: the first one that is not an embedding model according to its name.
pub(super) fn first(names: &[String]) -> Option<&String> {
    let chats = |name: &&String| !name.to_lowercase().contains("embed");
    names.iter().find(chats).or_else(|| names.first())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_format_of_a_list_is_parsed() {
        for list in [
            json!({"object": "list", "data": [{"id": "a"}, {"id": "b"}]}),
            json!({"models": [{"name": "a"}, {"name": "b"}]}),
            json!([{"id": "a"}, {"id": "b"}]),
        ] {
            assert_eq!(names(&list).unwrap(), ["a", "b"]);
        }
        assert_eq!(names(&json!({"jobs": []})), None);
        assert_eq!(names(&json!([1])), None);
    }

    #[test]
    fn an_embedding_model_is_the_last_choice() {
        let names = ["Nomic-Embed-Text", "llama"].map(String::from);
        assert_eq!(first(&names).unwrap(), "llama");
        assert_eq!(first(&names[..1]).unwrap(), "Nomic-Embed-Text");
    }
}
