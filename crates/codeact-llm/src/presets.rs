//! The services and servers that have a name, from `presets.toml`.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::address::BaseUrl;
use crate::error::ModelError;
use crate::wire::Dialect;

/// A service or server that has a name. `presets.toml` describes the fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Preset {
    /// First segment of a model's name.
    pub name: String,
    /// Alternative names.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Base URL, if none of `base_url_variables` is set.
    pub base_url: String,
    /// Variables with a base URL, in order of priority.
    #[serde(default)]
    pub base_url_variables: Vec<String>,
    /// Variables with an API key, in order of priority.
    #[serde(default)]
    pub key_variables: Vec<String>,
    /// True if requests without a key always fail.
    #[serde(default)]
    pub key_needed: bool,
    /// True if the server runs on the user's machine and may be probed.
    #[serde(default)]
    pub local: bool,
    /// Default port of a local server.
    pub port: Option<u16>,
    /// Model for a service that was chosen because of its key only.
    pub default_model: Option<String>,
    /// Optional fields that the server supports.
    #[serde(default)]
    pub dialect: Dialect,
}

/// Returns all presets, in order of priority.
pub fn presets() -> &'static [Preset] {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        preset: Vec<Preset>,
    }
    static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
        // The file is part of the program and parsed by a test, so this does not depend on input.
        let file: File =
            toml::from_str(include_str!("presets.toml")).expect("presets.toml is well formed");
        file.preset
    });
    &PRESETS
}

/// Returns the preset with this name or alias.
pub(super) fn named(name: &str) -> Option<&'static Preset> {
    presets()
        .iter()
        .find(|preset| preset.name == name || preset.aliases.iter().any(|alias| alias == name))
}

/// Returns the hosted preset with the host of `address`.
pub(super) fn at(address: &BaseUrl) -> Option<&'static Preset> {
    presets().iter().filter(|preset| !preset.local).find(|p| {
        BaseUrl::parse(&p.base_url, &p.name).is_ok_and(|url| url.host() == address.host())
    })
}

impl Preset {
    /// Returns the base URL from the first variable that is set, or the preset's own.
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::BadAddress`] with the name of the variable.
    pub(super) fn address(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<BaseUrl, ModelError> {
        for variable in &self.base_url_variables {
            if let Some(text) = env(variable) {
                return match variable.as_str() {
                    "OLLAMA_HOST" => BaseUrl::parse_ollama_host(&text),
                    _ => BaseUrl::parse(&text, variable),
                };
            }
        }
        BaseUrl::parse(&self.base_url, &self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_preset_is_complete_and_its_names_are_unique() {
        let mut names = HashSet::new();
        for preset in presets() {
            for name in preset.aliases.iter().chain([&preset.name]) {
                assert!(names.insert(name), "{name} is there twice");
                assert!(!name.contains('/'));
            }
            let url = preset.address(&|_| None).unwrap();
            assert_eq!(url.to_string(), preset.base_url, "is written as it is used");
            assert_eq!(url.is_loopback(), preset.local);
            assert_eq!(preset.port.is_some(), preset.local);
            assert_eq!(preset.default_model.is_some(), !preset.local);
            assert_eq!(preset.key_needed, !preset.local);
            assert!(!preset.key_needed || !preset.key_variables.is_empty());
        }
        for name in ["openai", "hf", "llamacpp", "lmstudio", "vllm", "openrouter"] {
            assert!(names.contains(&name.to_owned()), "{name}");
        }
    }

    #[test]
    fn local_presets_come_last_and_have_their_usual_ports() {
        let ports: Vec<Option<u16>> = presets().iter().map(|p| p.port).collect();
        let hosted = ports.iter().filter(|p| p.is_none()).count();
        assert!(ports[..hosted].iter().all(Option::is_none));
        assert_eq!(ports[hosted..], [11434, 8080, 8000, 1234].map(Some));
    }

    #[test]
    fn a_hosted_address_is_recognised() {
        let at = |url| at(&BaseUrl::parse(url, "x").unwrap()).map(|p| p.name.as_str());
        assert_eq!(at("https://api.groq.com/openai/v1"), Some("groq"));
        assert_eq!(at("http://127.0.0.1:9/v1"), None);
    }
}
