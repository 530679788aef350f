//! Network rules of a sandbox: which of the tenant's hosts it can reach.
//!
//! Security boundary: what a client asks for only narrows. A rule that cannot be kept is refused, not ignored.

use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;

use super::body::{Fields, Team};
use crate::e2b::error::E2bError;

/// The ranges that stand for all addresses.
const ALL: [&str; 2] = ["0.0.0.0/0", "::/0"];
/// Limit of the entries of a list.
const MAX_ENTRIES: usize = 256;

/// `PUT /sandboxes/{id}/network`: replaces the rules.
pub(super) async fn update(
    Path(id): Path<String>,
    team: Team,
    Fields(rules): Fields<Value>,
) -> Result<StatusCode, E2bError> {
    let sandbox = team.sandbox(&id)?;
    let allow = rules.get("allow_internet_access").and_then(Value::as_bool);
    let hosts = hosts(allow, Some(&rules))?;
    sandbox
        .change(move |settings, record| {
            settings.hosts = hosts;
            record.allow_internet = allow;
            record.network = Some(rules);
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns the hosts that a sandbox can reach of those of its tenant; `None`: all of them.
pub(super) fn hosts(
    allow: Option<bool>,
    network: Option<&Value>,
) -> Result<Option<Vec<String>>, E2bError> {
    let empty = Value::Null;
    let network = network.unwrap_or(&empty);
    if !network.is_null() && !network.is_object() {
        return Err(E2bError::bad_request("network is not an object"));
    }
    for (field, why) in [
        (
            "rules",
            "it does not change requests of the code; its operator grants secrets instead",
        ),
        ("egressProxy", "its operator sets the proxy"),
    ] {
        let is_set = match network.get(field) {
            None | Some(Value::Null) => false,
            Some(Value::Object(rules)) => !rules.is_empty(),
            Some(_) => true,
        };
        if is_set {
            return Err(E2bError::bad_request(format!(
                "this server does not have network.{field}: {why}"
            )));
        }
    }
    let allowed = list(network, "allowOut")?;
    let denied = list(network, "denyOut")?;
    let denies_all =
        allow == Some(false) || denied.iter().any(|range| ALL.contains(&range.as_str()));
    if let Some(range) = denied.iter().find(|range| !ALL.contains(&range.as_str())) {
        return Err(E2bError::bad_request(format!(
            "network.denyOut has {range:?}, and this server can only deny all addresses ({}); \
             name the hosts that are allowed in network.allowOut",
            ALL[0]
        )));
    }
    // As at E2B, an allowed host means nothing while all are allowed.
    if !denies_all || allowed.iter().any(|range| ALL.contains(&range.as_str())) {
        return Ok(None);
    }
    Ok(Some(allowed))
}

fn list(network: &Value, field: &str) -> Result<Vec<String>, E2bError> {
    let invalid = || {
        E2bError::bad_request(format!(
            "network.{field} is not a list of at most {MAX_ENTRIES} texts"
        ))
    };
    let values = match network.get(field) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(values)) if values.len() <= MAX_ENTRIES => values,
        Some(_) => return Err(invalid()),
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    values
        .iter()
        .map(text)
        .collect::<Option<_>>()
        .ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::hosts;

    #[test]
    fn rules_narrow_to_the_allowed_hosts() {
        let all = json!(["0.0.0.0/0"]);
        assert_eq!(hosts(None, None), Ok(None));
        assert_eq!(hosts(Some(true), None), Ok(None));
        assert_eq!(hosts(Some(false), None), Ok(Some(vec![])));
        assert_eq!(
            hosts(None, Some(&json!({"denyOut": all}))),
            Ok(Some(vec![]))
        );
        assert_eq!(
            hosts(
                None,
                Some(&json!({"denyOut": all, "allowOut": ["a.example"]}))
            ),
            Ok(Some(vec!["a.example".to_owned()]))
        );
        assert_eq!(
            hosts(None, Some(&json!({"allowOut": ["a.example"]}))),
            Ok(None)
        );
    }

    #[test]
    fn rules_that_cannot_be_kept_are_refused() {
        for network in [
            json!([]),
            json!({"denyOut": ["10.0.0.0/8"]}),
            json!({"denyOut": "0.0.0.0/0"}),
            json!({"allowOut": [1]}),
            json!({"rules": {"a.example": []}}),
            json!({"egressProxy": {"address": "a:1"}}),
        ] {
            assert!(hosts(None, Some(&network)).is_err(), "{network}");
        }
    }
}
