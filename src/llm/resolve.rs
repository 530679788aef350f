//! From what the user said and what the environment holds to a ready model.
//!
//! The first rule that fits decides (a model is named by [`ModelOptions::model`] or
//! `CODEACT_MODEL`; an empty value counts as none):
//!
//! 1. `recorded:FILE`: the recording.
//! 2. [`ModelOptions::base_url`]: the server there, the name sent whole. The key is the given
//!    one, else that of the service which the host belongs to, else `OPENAI_API_KEY`.
//! 3. `PRESET` or `PRESET/NAME`: that preset. (`openai/NAME` with `OPENAI_BASE_URL` at another
//!    host falls to rule 4: routers have such names.)
//! 4. `OPENAI_BASE_URL`: the server there, the name sent whole.
//! 5. `OPENAI_API_KEY`, or a key given without more: OpenAI.
//! 6. A named model that a local server lists: that server.
//! 7. The key of another preset, in their order: that service.
//! 8. A local server that answers: its first model, or the one named.
//!
//! A server without a named model is asked which it has, unless its preset has a default.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::task::JoinSet;

use super::address::BaseUrl;
use super::error::ModelError;
use super::model::Model;
use super::openai::{DEFAULT_MAX_REPLY_BYTES, OpenAiModel, OpenAiOptions};
use super::presets::{Preset, at, named, presets};
use super::probe;
use super::recorded::RecordedModel;
use super::retry::RetryPolicy;
use super::secret::Secret;
use super::wire::Dialect;

/// How long a local address may take to say which models it has.
const PROBE_LIMIT: Duration = Duration::from_millis(300);
/// How long a server that was named may take for the same.
const LIST_LIMIT: Duration = Duration::from_secs(5);

/// What the user said about the model. `Default` is: nothing.
#[derive(Debug, Clone, Default)]
pub struct ModelOptions {
    /// The model's name: `NAME`, `PRESET/NAME` or `recorded:FILE`.
    pub model: Option<String>,
    /// The base URL of a chat-completions server.
    pub base_url: Option<String>,
    /// The key to send, in place of one from the environment.
    pub api_key: Option<Secret>,
    /// Fields passed through into each request's body.
    pub extra: Map<String, Value>,
    /// Tries and time limits.
    pub retry: RetryPolicy,
    /// The most bytes of text that a reply may have. Default [`DEFAULT_MAX_REPLY_BYTES`].
    pub max_reply_bytes: Option<usize>,
}

/// A ready model.
#[derive(Clone)]
pub struct Resolved {
    /// The model.
    pub model: Arc<dyn Model>,
    /// Which one it is and why, for the user: `gpt-5-mini at https://… (OPENAI_API_KEY)`.
    pub summary: String,
}

impl std::fmt::Debug for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resolved({})", self.summary)
    }
}

/// Finds the model that `options` and the variables that `env` looks up ask for. `env` is not
/// used once this returns; the future it returns makes the requests that may be needed to learn a
/// model's name, each bounded to a few seconds.
///
/// # Errors
/// [`ModelError::NotConfigured`] when nothing says which model to use; else what is wrong with
/// what does.
pub fn resolve(
    options: ModelOptions,
    env: &dyn Fn(&str) -> Option<String>,
) -> impl Future<Output = Result<Resolved, ModelError>> + Send + use<> {
    let planned = plan(&options, env);
    async move {
        match planned? {
            Plan::Recorded(path) => {
                let model = RecordedModel::open(&path)?;
                Ok(Resolved {
                    summary: format!("the recording {}", path.display()),
                    model: Arc::new(model),
                })
            }
            Plan::Server(server) => server.ready(options).await,
            Plan::Search(search) => search.ready(options).await,
        }
    }
}

#[derive(Debug, PartialEq)]
enum Plan {
    Recorded(PathBuf),
    Server(Server),
    Search(Search),
}

/// One server, chosen.
#[derive(Debug, Clone, PartialEq)]
struct Server {
    address: BaseUrl,
    key: Option<Secret>,
    dialect: Dialect,
    /// None: ask it.
    model: Option<String>,
    /// What chose it.
    because: String,
}

/// Local servers to look for, and what to use if none has the model.
#[derive(Debug, PartialEq)]
struct Search {
    local: Vec<Server>,
    otherwise: Option<Server>,
    looked_for: Vec<String>,
    /// How long each may take to answer.
    limit: Duration,
}

fn plan(options: &ModelOptions, env: &dyn Fn(&str) -> Option<String>) -> Result<Plan, ModelError> {
    let filled = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let env = |name: &str| env(name).and_then(filled);
    let model = options.model.clone().and_then(filled);
    let model = model.or_else(|| env("CODEACT_MODEL"));
    let given_key = options.api_key.clone().filter(|key| !key.is_empty());

    if let Some(file) = model.as_deref().and_then(|m| m.strip_prefix("recorded:")) {
        return Ok(Plan::Recorded(PathBuf::from(file)));
    }
    let at_url = |address: BaseUrl, because: &str| {
        let preset = at(&address);
        let variables = match preset {
            Some(preset) => preset.key_variables.clone(),
            None => vec!["OPENAI_API_KEY".to_owned()],
        };
        let key = variables.iter().find_map(|name| env(name));
        Plan::Server(Server {
            key: given_key.clone().or(key.map(Secret::new)),
            dialect: preset.map_or_else(Dialect::default, |preset| preset.dialect),
            address,
            model: model.clone(),
            because: because.to_owned(),
        })
    };
    if let Some(text) = options.base_url.clone().and_then(filled) {
        return Ok(at_url(BaseUrl::parse(&text, "--base-url")?, "--base-url"));
    }

    let other_openai = match env("OPENAI_BASE_URL") {
        Some(text) => Some(BaseUrl::parse(&text, "OPENAI_BASE_URL")?),
        None => None,
    };
    if let Some(full) = &model {
        let (first, rest) = full.split_once('/').unwrap_or((full, ""));
        let elsewhere = other_openai
            .as_ref()
            .is_some_and(|url| at(url).is_none_or(|p| p.name != "openai"));
        if let Some(preset) = named(first).filter(|p| !(p.name == "openai" && elsewhere)) {
            let (key, because) = key_of(preset, given_key, &env);
            if preset.key_needed && key.is_none() {
                return Err(ModelError::MissingKey {
                    service: preset.name.clone(),
                    variables: preset.key_variables.clone(),
                });
            }
            let rest = filled(rest.to_owned());
            return Ok(Plan::Server(server(preset, rest, key, because, &env)?));
        }
    }
    if let Some(address) = other_openai {
        return Ok(at_url(address, "OPENAI_BASE_URL"));
    }

    let mut looked_for = vec!["CODEACT_MODEL".to_owned(), "OPENAI_BASE_URL".to_owned()];
    let mut otherwise = None;
    for preset in presets().iter().filter(|preset| !preset.local) {
        let given = given_key.clone().filter(|_| preset.name == "openai");
        looked_for.extend(preset.key_variables.iter().cloned());
        if let (Some(key), because) = key_of(preset, given, &env) {
            let found = server(preset, model.clone(), Some(key), because, &env)?;
            if preset.name == "openai" || model.is_none() {
                return Ok(Plan::Server(found));
            }
            otherwise.get_or_insert(found);
        }
    }
    let local = presets()
        .iter()
        .filter(|preset| preset.local)
        .map(|preset| {
            looked_for.extend(preset.base_url_variables.iter().cloned());
            let (key, _) = key_of(preset, None, &env);
            server(preset, model.clone(), key, &preset.name, &env)
        })
        .collect::<Result<_, _>>()?;
    Ok(Plan::Search(Search {
        local,
        otherwise,
        looked_for,
        limit: PROBE_LIMIT,
    }))
}

/// The key for `preset` and what it comes from.
fn key_of<'p>(
    preset: &'p Preset,
    given: Option<Secret>,
    env: &dyn Fn(&str) -> Option<String>,
) -> (Option<Secret>, &'p str) {
    if given.is_some() {
        return (given, "the given key");
    }
    let found = preset
        .key_variables
        .iter()
        .find_map(|name| Some((Secret::new(env(name)?), name.as_str())));
    match found {
        Some((key, name)) => (Some(key), name),
        None => (None, &preset.name),
    }
}

fn server(
    preset: &Preset,
    model: Option<String>,
    key: Option<Secret>,
    because: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Server, ModelError> {
    Ok(Server {
        address: preset.address(env)?,
        key,
        dialect: preset.dialect,
        model: model.or_else(|| preset.default_model.clone()),
        because: because.to_owned(),
    })
}

impl Server {
    async fn ready(self, options: ModelOptions) -> Result<Resolved, ModelError> {
        let model = match self.model {
            Some(model) => model,
            None => {
                let unlisted = |reason| ModelError::NoModelListed {
                    address: self.address.to_string(),
                    reason,
                };
                let names = probe::models(&self.address, self.key.as_ref(), LIST_LIMIT)
                    .await
                    .map_err(unlisted)?;
                match probe::first(&names) {
                    Some(name) => name.clone(),
                    None => return Err(unlisted("it has none".to_owned())),
                }
            }
        };
        let summary = format!("{model} at {} ({})", self.address, self.because);
        let model = OpenAiModel::new(OpenAiOptions {
            model,
            base_url: self.address,
            key: self.key,
            dialect: self.dialect,
            extra: options.extra,
            retry: options.retry,
            max_reply_bytes: options.max_reply_bytes.unwrap_or(DEFAULT_MAX_REPLY_BYTES),
        })?;
        Ok(Resolved {
            model: Arc::new(model),
            summary,
        })
    }
}

impl Search {
    async fn ready(self, options: ModelOptions) -> Result<Resolved, ModelError> {
        let (mut answers, empty): (Vec<_>, Vec<_>) = probe_all(&self.local, self.limit)
            .await
            .into_iter()
            .partition(|(_, names)| !names.is_empty());
        let tried = |server: &Server| {
            let runs = empty
                .iter()
                .any(|(other, _)| other.address == server.address);
            let note = if runs {
                " (which runs, but has no model yet)"
            } else {
                ""
            };
            format!("{}{note}", server.address)
        };
        // A server that lists the model goes before another preset's key; one that merely
        // answers comes after.
        let lists = |(server, names): &(Server, Vec<String>)| {
            server
                .model
                .as_ref()
                .is_none_or(|m| names.iter().any(|name| same(name, m)))
        };
        let chosen = match (answers.iter().position(lists), self.otherwise) {
            (Some(at), _) => answers.swap_remove(at),
            (None, Some(other)) => return other.ready(options).await,
            (None, None) if !answers.is_empty() => answers.swap_remove(0),
            (None, None) => {
                return Err(ModelError::NotConfigured {
                    variables: self.looked_for,
                    addresses: self.local.iter().map(tried).collect(),
                });
            }
        };
        let (mut server, names) = chosen;
        if server.model.is_none() {
            server.model = probe::first(&names).cloned();
        }
        server.because = format!("{} answers there", server.because);
        server.ready(options).await
    }
}

/// Whether a listed name is the one asked for: ollama's `:latest` may be left out.
fn same(listed: &str, asked: &str) -> bool {
    listed == asked || listed.strip_suffix(":latest") == Some(asked)
}

/// Asks all at once; those that answer, in the order of `servers`.
async fn probe_all(servers: &[Server], limit: Duration) -> Vec<(Server, Vec<String>)> {
    let mut probes = JoinSet::new();
    for (place, server) in servers.iter().cloned().enumerate() {
        probes.spawn(async move {
            let names = probe::models(&server.address, server.key.as_ref(), limit).await;
            (place, server, names)
        });
    }
    let mut answers = Vec::new();
    while let Some(probed) = probes.join_next().await {
        match probed {
            Ok((place, server, Ok(names))) => answers.push((place, server, names)),
            Ok((_, server, Err(reason))) => {
                tracing::debug!(address = %server.address, reason, "no model server");
            }
            Err(_) => {}
        }
    }
    answers.sort_by_key(|(place, ..)| *place);
    answers
        .into_iter()
        .map(|(_, s, names)| (s, names))
        .collect()
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
