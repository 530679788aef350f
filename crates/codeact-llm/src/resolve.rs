//! Chooses a model from options and environment variables.
//!
//! The name of the model is [`ModelOptions::model`] or `CODEACT_MODEL`. Empty values are ignored. The first matching
//! rule applies:
//!
//! 1. `recorded:FILE`: the recording.
//! 2. [`ModelOptions::base_url`]: the server there, with the complete name. The key is the given one, or that of the
//!    service with this host, or `OPENAI_API_KEY`.
//! 3. `PRESET` or `PRESET/NAME`: that preset. (`openai/NAME` with an `OPENAI_BASE_URL` of another host is handled by
//!    rule 4, because routers have such names.)
//! 4. `OPENAI_BASE_URL`: the server there, with the complete name.
//! 5. `OPENAI_API_KEY`, or a given key: OpenAI.
//! 6. A name that a local server lists: that server.
//! 7. The key of another preset, in the order of the presets: that service.
//! 8. A local server that responds: the given name, or its first model.
//!
//! If a server is chosen without a name and its preset has no default, the first model of its list is used.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::address::BaseUrl;
use crate::api_key::ApiKey;
use crate::error::ModelError;
use crate::model::Model;
use crate::model_options::ModelOptions;
use crate::openai::{DEFAULT_MAX_REPLY_BYTES, OpenAiModel, OpenAiOptions};
use crate::presets::{Preset, at, named, presets};
use crate::probe;
use crate::recorded::RecordedModel;
use crate::wire::Dialect;

/// Time limit of the list of models of a local server that is probed.
const PROBE_LIMIT: Duration = Duration::from_millis(300);
/// Time limit of the list of models of a server that was chosen.
const LIST_LIMIT: Duration = Duration::from_secs(5);

/// A model that was chosen by [`resolve`].
#[derive(Clone)]
#[non_exhaustive]
pub struct Resolved {
    /// The model.
    pub model: Arc<dyn Model>,
    /// Name, server and reason for the user: `gpt-5-mini at https://… (OPENAI_API_KEY)`.
    pub summary: String,
}

impl Resolved {
    /// Returns `model` with a summary for the user.
    pub fn new(model: Arc<dyn Model>, summary: impl Into<String>) -> Self {
        Self {
            model,
            summary: summary.into(),
        }
    }
}

impl std::fmt::Debug for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resolved({})", self.summary)
    }
}

/// Chooses a model from `options` and the variables that `env` returns. `env` is not used after the return of this
/// function. The returned future sends the requests that are needed to find a model's name, each with a limit of a
/// few seconds.
///
/// # Errors
///
/// Returns [`ModelError::NotConfigured`] if no rule matches, and another [`ModelError`] if a setting is invalid or
/// the server lists no model.
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
            Plan::Server(server) => server.connect(options).await,
            Plan::Search(search) => search.connect(options).await,
        }
    }
}

#[derive(Debug, PartialEq)]
enum Plan {
    Recorded(PathBuf),
    Server(ServerChoice),
    Search(LocalSearch),
}

/// A chosen server.
#[derive(Debug, Clone, PartialEq)]
struct ServerChoice {
    address: BaseUrl,
    key: Option<ApiKey>,
    dialect: Dialect,
    /// `None`: the first model of the server's list.
    model: Option<String>,
    /// The setting that chose the server, or the name of its preset.
    source: String,
}

/// Local servers to probe, and the server to use if none of them has the model.
#[derive(Debug, PartialEq)]
struct LocalSearch {
    local: Vec<ServerChoice>,
    fallback: Option<ServerChoice>,
    variables: Vec<String>,
    /// Time limit of each probe.
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
    let at_address = |address: BaseUrl, source: &str| {
        let preset = at(&address);
        let variables = match preset {
            Some(preset) => preset.key_variables.clone(),
            None => vec!["OPENAI_API_KEY".to_owned()],
        };
        let key = variables.iter().find_map(|name| env(name));
        Plan::Server(ServerChoice {
            key: given_key.clone().or(key.map(ApiKey::new)),
            dialect: preset.map_or_else(Dialect::default, |preset| preset.dialect),
            address,
            model: model.clone(),
            source: source.to_owned(),
        })
    };
    if let Some(text) = options.base_url.clone().and_then(filled) {
        let setting = options
            .base_url_setting
            .as_deref()
            .unwrap_or("the base URL");
        return Ok(at_address(BaseUrl::parse(&text, setting)?, setting));
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
            let (key, source) = key_of(preset, given_key, &env);
            if preset.key_needed && key.is_none() {
                return Err(ModelError::MissingKey {
                    service: preset.name.clone(),
                    variables: preset.key_variables.clone(),
                });
            }
            let rest = filled(rest.to_owned());
            return Ok(Plan::Server(server(preset, rest, key, source, &env)?));
        }
    }
    if let Some(address) = other_openai {
        return Ok(at_address(address, "OPENAI_BASE_URL"));
    }

    let mut variables = vec!["CODEACT_MODEL".to_owned(), "OPENAI_BASE_URL".to_owned()];
    let mut fallback = None;
    for preset in presets().iter().filter(|preset| !preset.local) {
        let given = given_key.clone().filter(|_| preset.name == "openai");
        variables.extend(preset.key_variables.iter().cloned());
        if let (Some(key), source) = key_of(preset, given, &env) {
            let found = server(preset, model.clone(), Some(key), source, &env)?;
            if preset.name == "openai" || model.is_none() {
                return Ok(Plan::Server(found));
            }
            fallback.get_or_insert(found);
        }
    }
    let local = presets()
        .iter()
        .filter(|preset| preset.local)
        .map(|preset| {
            variables.extend(preset.base_url_variables.iter().cloned());
            let (key, _) = key_of(preset, None, &env);
            server(preset, model.clone(), key, &preset.name, &env)
        })
        .collect::<Result<_, _>>()?;
    Ok(Plan::Search(LocalSearch {
        local,
        fallback,
        variables,
        limit: PROBE_LIMIT,
    }))
}

/// Returns the key for `preset` and the name of its setting.
fn key_of<'p>(
    preset: &'p Preset,
    given: Option<ApiKey>,
    env: &dyn Fn(&str) -> Option<String>,
) -> (Option<ApiKey>, &'p str) {
    if given.is_some() {
        return (given, "the given key");
    }
    let found = preset
        .key_variables
        .iter()
        .find_map(|name| Some((ApiKey::new(env(name)?), name.as_str())));
    match found {
        Some((key, name)) => (Some(key), name),
        None => (None, &preset.name),
    }
}

fn server(
    preset: &Preset,
    model: Option<String>,
    key: Option<ApiKey>,
    source: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<ServerChoice, ModelError> {
    Ok(ServerChoice {
        address: preset.address(env)?,
        key,
        dialect: preset.dialect,
        model: model.or_else(|| preset.default_model.clone()),
        source: source.to_owned(),
    })
}

impl ServerChoice {
    async fn connect(self, options: ModelOptions) -> Result<Resolved, ModelError> {
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
        let summary = format!("{model} at {} ({})", self.address, self.source);
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

impl LocalSearch {
    async fn connect(self, options: ModelOptions) -> Result<Resolved, ModelError> {
        let (mut answers, empty): (Vec<_>, Vec<_>) = probe_all(&self.local, self.limit)
            .await
            .into_iter()
            .partition(|(_, names)| !names.is_empty());
        let tried = |server: &ServerChoice| {
            let runs = empty
                .iter()
                .any(|(other, _)| other.address == server.address);
            let note = if runs {
                " (which runs, but has no model)"
            } else {
                ""
            };
            format!("{}{note}", server.address)
        };
        // A server that lists the model has priority over another preset's key. A server that only responds has not.
        let lists = |(server, names): &(ServerChoice, Vec<String>)| {
            server
                .model
                .as_ref()
                .is_none_or(|m| names.iter().any(|name| is_same_model(name, m)))
        };
        let chosen = match (answers.iter().position(lists), self.fallback) {
            (Some(at), _) => answers.swap_remove(at),
            (None, Some(other)) => return other.connect(options).await,
            (None, None) if !answers.is_empty() => answers.swap_remove(0),
            (None, None) => {
                return Err(ModelError::NotConfigured {
                    variables: self.variables,
                    addresses: self.local.iter().map(tried).collect(),
                });
            }
        };
        let (mut server, names) = chosen;
        if server.model.is_none() {
            server.model = probe::first(&names).cloned();
        }
        server.source = format!("{} responds there", server.source);
        server.connect(options).await
    }
}

/// Returns true if a listed name matches the requested one, which may omit ollama's `:latest`.
fn is_same_model(listed: &str, requested: &str) -> bool {
    listed == requested || listed.strip_suffix(":latest") == Some(requested)
}

/// Probes all servers concurrently. Returns those that responded, in the order of `servers`, with their models.
async fn probe_all(servers: &[ServerChoice], limit: Duration) -> Vec<(ServerChoice, Vec<String>)> {
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
