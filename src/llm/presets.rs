//! The services and servers known by name: `presets.toml`, read.

use std::sync::LazyLock;

use serde::Deserialize;

use super::address::BaseUrl;
use super::error::ModelError;
use super::wire::Dialect;

/// A service or server known by name. What each field means is told in `presets.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Preset {
    /// The first segment of a model's name.
    pub name: String,
    /// Other names for it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Where it is, unless a variable says otherwise.
    pub base_url: String,
    /// Variables that may say where it is, in order.
    #[serde(default)]
    pub base_url_variables: Vec<String>,
    /// Variables that may hold its key, in order.
    #[serde(default)]
    pub key_variables: Vec<String>,
    /// Whether a call without a key is hopeless.
    #[serde(default)]
    pub key_needed: bool,
    /// Whether it runs on the user's machine and may be probed.
    #[serde(default)]
    pub local: bool,
    /// The port that it listens on by default, if it is local.
    pub port: Option<u16>,
    /// The model used when only a key says which service to use.
    pub default_model: Option<String>,
    /// What it accepts.
    #[serde(default)]
    pub dialect: Dialect,
}

/// Every preset, in the order in which they are looked for.
pub fn presets() -> &'static [Preset] {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        preset: Vec<Preset>,
    }
    static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
        // Part of the program, not of its input: a fault in it is ours, and a test finds it.
        let file: File =
            toml::from_str(include_str!("presets.toml")).expect("presets.toml is well formed");
        file.preset
    });
    &PRESETS
}

/// The preset of this name or alias.
pub(super) fn named(name: &str) -> Option<&'static Preset> {
    presets()
        .iter()
        .find(|preset| preset.name == name || preset.aliases.iter().any(|alias| alias == name))
}

/// The hosted preset that this address belongs to.
pub(super) fn at(address: &BaseUrl) -> Option<&'static Preset> {
    presets().iter().filter(|preset| !preset.local).find(|p| {
        BaseUrl::parse(&p.base_url, &p.name).is_ok_and(|url| url.host() == address.host())
    })
}

impl Preset {
    /// Where it is: the first variable that is set, or its base URL.
    ///
    /// # Errors
    /// [`ModelError::BadAddress`], naming the variable.
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
    fn every_preset_is_whole_and_its_names_are_its_own() {
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
