//! Base URLs of servers: parsing, completion, and output without secrets.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::error::ModelError;

/// Base URL of a chat-completions server, such as `http://127.0.0.1:8000/v1`.
///
/// `Display` and `Debug` omit the user name, password, query and fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Parses a base URL. A URL without a path gets `/v1`, and a trailing `/chat/completions` is removed. `setting`
    /// names the source of `text` in error texts, for example a variable.
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::BadAddress`] if `text` is not an absolute `http` or `https` URL.
    pub fn parse(text: &str, setting: &str) -> Result<Self, ModelError> {
        let bad = |reason: &str| ModelError::BadAddress {
            setting: setting.to_owned(),
            reason: reason.to_owned(),
        };
        let mut url = Url::parse(text.trim()).map_err(|e| bad(&e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("it starts with neither http:// nor https://"));
        }
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/chat/completions").unwrap_or(path);
        let path = if path.is_empty() { "/v1" } else { path }.to_owned();
        url.set_path(&path);
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// Parses a value of `OLLAMA_HOST` like ollama: `host`, `host:port`, `:port`, `[v6]:port`, or a URL. The default
    /// port is 11434 without a scheme, 80 with `http` and 443 with `https`. An unspecified address such as `0.0.0.0`,
    /// on which a server listens on all interfaces, is replaced by the loopback address.
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::BadAddress`] if the result is not a valid URL.
    pub fn parse_ollama_host(text: &str) -> Result<Self, ModelError> {
        let text = text.trim().trim_matches(['"', '\'']).trim();
        let (scheme, rest, default_port) = match text.split_once("://") {
            Some(("http", rest)) => ("http", rest, 80),
            Some(("https", rest)) => ("https", rest, 443),
            Some((scheme, rest)) => (scheme, rest, 11434),
            None => ("http", text, 11434),
        };
        let (host_port, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = split_port(host_port);
        let port = match port {
            Some(port) => port.parse::<u16>().unwrap_or(default_port),
            None => default_port,
        };
        let host = host.trim_matches(['[', ']']);
        let host = match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) if ip.is_unspecified() => "127.0.0.1".to_owned(),
            Ok(IpAddr::V6(ip)) if ip.is_unspecified() => "[::1]".to_owned(),
            Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
            _ if host.is_empty() => "127.0.0.1".to_owned(),
            _ => host.to_owned(),
        };
        let path = path.trim_end_matches('/');
        let path = path.strip_suffix("v1").unwrap_or(path);
        let path = path.trim_end_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        Self::parse(
            &format!("{scheme}://{host}:{port}{slash}{path}/v1"),
            "OLLAMA_HOST",
        )
    }

    /// Returns the parts that may be secret, decoded and as they are sent.
    pub(super) fn secrets(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        for part in [self.0.password(), self.0.query()].into_iter().flatten() {
            secrets.push(part.to_owned());
        }
        for (_, value) in self.0.query_pairs() {
            secrets.push(value.into_owned());
        }
        secrets
    }

    /// Returns the URL of chat-completions requests.
    pub(super) fn chat(&self) -> Url {
        self.below("chat/completions")
    }

    /// Returns the URL of the list of models.
    pub(super) fn models(&self) -> Url {
        self.below("models")
    }

    /// Returns the host name in lower case.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or("")
    }

    /// Returns true if the host is this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.host().trim_matches(['[', ']']);
        host == "localhost"
            || host.ends_with(".localhost")
            || host
                .parse::<IpAddr>()
                .is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
    }

    /// Returns true for plain `http` to this machine, which needs neither a proxy nor certificates.
    pub(super) fn is_plain_local(&self) -> bool {
        self.0.scheme() == "http" && self.is_loopback()
    }

    fn below(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{path}", self.0.path()));
        url
    }
}

/// Splits `host:port`. An IPv6 address without brackets has no port.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if text.parse::<IpAddr>().is_ok() {
        return (text, None);
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.host())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> String {
        BaseUrl::parse(text, "the base URL").unwrap().to_string()
    }

    #[test]
    fn a_base_url_is_completed() {
        assert_eq!(base("http://localhost:8000"), "http://localhost:8000/v1");
        assert_eq!(base(" https://a.b/api/v1/ "), "https://a.b/api/v1");
        assert_eq!(base("https://a.b/v1/chat/completions"), "https://a.b/v1");
        let url = BaseUrl::parse("https://a.b/v1?api-version=2", "x").unwrap();
        assert_eq!(
            url.chat().as_str(),
            "https://a.b/v1/chat/completions?api-version=2"
        );
    }

    #[test]
    fn secrets_of_a_base_url_are_not_printed() {
        let url = BaseUrl::parse("https://me:pass@a.b/v1?key=k#f", "x").unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "https://a.b/v1 BaseUrl(https://a.b/v1)"
        );
        for text in ["localhost:8000", "ftp://a.b", "a b", "", "http://u:pw@:0"] {
            let error = BaseUrl::parse(text, "the base URL")
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("the base URL") && !error.contains("pw"),
                "{error}"
            );
        }
    }

    #[test]
    fn ollama_host_is_parsed_in_every_form() {
        for (text, expected) in [
            ("", "http://127.0.0.1:11434/v1"),
            ("gpu", "http://gpu:11434/v1"),
            ("gpu:1234", "http://gpu:1234/v1"),
            (":1234", "http://127.0.0.1:1234/v1"),
            ("0.0.0.0", "http://127.0.0.1:11434/v1"),
            ("0.0.0.0:99", "http://127.0.0.1:99/v1"),
            ("http://0.0.0.0:99", "http://127.0.0.1:99/v1"),
            ("[::]:99", "http://[::1]:99/v1"),
            ("::1", "http://[::1]:11434/v1"),
            ("[::1]", "http://[::1]:11434/v1"),
            ("http://gpu", "http://gpu/v1"),
            ("https://gpu", "https://gpu/v1"),
            ("https://gpu/ollama/", "https://gpu/ollama/v1"),
            ("http://gpu:11434/v1", "http://gpu:11434/v1"),
            ("\"gpu:70000\"", "http://gpu:11434/v1"),
        ] {
            let url = BaseUrl::parse_ollama_host(text).unwrap();
            assert_eq!(url.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn loopback_addresses_are_recognised() {
        for (text, local) in [
            ("http://localhost:1", true),
            ("http://127.0.0.9:1", true),
            ("http://[::1]:1", true),
            ("http://0.0.0.0:1", true),
            ("https://localhost.example.com", false),
        ] {
            assert_eq!(
                BaseUrl::parse(text, "x").unwrap().is_loopback(),
                local,
                "{text}"
            );
        }
    }
}
