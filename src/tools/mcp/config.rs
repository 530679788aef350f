//! How to reach a server, as typed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

/// A server: how to reach it, and what its tools are found under.
///
/// As typed it is a URL (streamable HTTP) or a command line, split as a shell would, of a program that
/// speaks MCP on stdin and stdout; `NAME=` in front gives its namespace, which is else made of the name
/// that the server has for itself.
///
/// ```
/// use codeact::tools::mcp::ServerSpec;
///
/// let files: ServerSpec = "files=npx -y @modelcontextprotocol/server-filesystem '/my data'".parse()?;
/// let search: ServerSpec = "https://example.com/mcp".parse()?;
/// # Ok::<(), String>(())
/// ```
///
/// `Debug` and `Display` tell nothing that may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerSpec {
    pub(super) name: Option<String>,
    pub(super) reach: Reach,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Reach {
    Program {
        program: String,
        args: Vec<String>,
        /// Beside the user's own variables.
        env: Vec<(String, String)>,
        cwd: Option<PathBuf>,
    },
    Http {
        url: Url,
        headers: Vec<(HeaderName, HeaderValue)>,
    },
}

impl FromStr for ServerSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = named(text.trim());
        let reach = match rest.starts_with("http://") || rest.starts_with("https://") {
            true => Reach::Http {
                url: url(rest)?,
                headers: Vec::new(),
            },
            false => {
                let mut words = shlex::split(rest)
                    .ok_or("a quote in the server's command line is not closed")?
                    .into_iter();
                Reach::Program {
                    program: (words.next().filter(|program| !program.is_empty())).ok_or(
                        "expected a command line or a URL, as in github=npx -y my-mcp-server",
                    )?,
                    args: words.collect(),
                    env: Vec::new(),
                    cwd: None,
                }
            }
        };
        Ok(Self { name, reach })
    }
}

/// `NAME=` in front of what follows it.
fn named(text: &str) -> (Option<String>, &str) {
    let word = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && (name.chars()).all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    match text.split_once('=') {
        Some((name, rest)) if word(name) => (Some(name.to_owned()), rest.trim_start()),
        _ => (None, text),
    }
}

pub(super) fn url(text: &str) -> Result<Url, String> {
    // The text may hold a password, so it is not told.
    let url = Url::parse(text).map_err(|e| format!("its URL is none: {e}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err("its URL must begin with http:// or https://".into()),
    }
}

impl ServerSpec {
    pub(super) fn is_http(&self) -> bool {
        matches!(self.reach, Reach::Http { .. })
    }

    /// A name for it where it has not told one.
    pub(super) fn guess(&self) -> String {
        match &self.reach {
            Reach::Program { program, .. } => (Path::new(program).file_stem())
                .map_or_else(|| "server".into(), |stem| stem.to_string_lossy().into()),
            Reach::Http { url, .. } => url.host_str().unwrap_or("server").to_owned(),
        }
    }

    /// `text` without what only the host should know of how the server is reached.
    pub(super) fn redact(&self, text: &str) -> String {
        let Reach::Http { url, headers } = &self.reach else {
            return text.to_owned();
        };
        let mut text = text.replace(url.as_str(), &shown(url));
        let query = url.query().unwrap_or_default();
        let values = headers.iter().filter_map(|(_, value)| value.to_str().ok());
        let secrets = values.chain([query, url.password().unwrap_or_default()]);
        // A short one is in many a text by chance.
        for secret in secrets.filter(|secret| secret.len() >= 6) {
            text = text.replace(secret, "***");
        }
        text
    }
}

/// A URL without what may be secret.
fn shown(url: &Url) -> String {
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    let host = url.host_str().unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

impl fmt::Display for ServerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}=")?;
        }
        match &self.reach {
            Reach::Program { program, .. } => f.write_str(program),
            Reach::Http { url, .. } => f.write_str(&shown(url)),
        }
    }
}

impl fmt::Debug for ServerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerSpec({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(text: &str) -> (Option<String>, Vec<String>) {
        let spec: ServerSpec = text.parse().unwrap();
        let Reach::Program { program, args, .. } = spec.reach else {
            panic!("{text} is no program");
        };
        (spec.name, [vec![program], args].concat())
    }

    #[test]
    fn a_command_line_is_split_as_a_shell_would() {
        for (text, name, words) in [
            ("npx -y @x/server", None, vec!["npx", "-y", "@x/server"]),
            ("git-hub=npx a", Some("git-hub"), vec!["npx", "a"]),
            (
                "a='my server' \"x y\" z\\ w",
                Some("a"),
                vec!["my server", "x y", "z w"],
            ),
            ("run --key=value", None, vec!["run", "--key=value"]),
            ("./a=b", None, vec!["./a=b"]),
            ("x '' é", None, vec!["x", "", "é"]),
        ] {
            let (found, split) = program(text);
            assert_eq!(
                (found.as_deref(), split),
                (name, words.iter().map(|w| (*w).to_owned()).collect())
            );
        }
        for text in ["", "a=", "'open", "''", "a= ''"] {
            assert!(text.parse::<ServerSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_url_is_one_and_its_secrets_are_not_shown() {
        let spec: ServerSpec = "x=https://me:passw0rd@a.b:8/mcp?key=abcdefg"
            .parse()
            .unwrap();
        assert_eq!(
            format!("{spec} {spec:?}"),
            "x=https://a.b:8/mcp ServerSpec(x=https://a.b:8/mcp)"
        );
        let told = "error for https://me:passw0rd@a.b:8/mcp?key=abcdefg, key=abcdefg";
        assert_eq!(spec.redact(told), "error for https://a.b:8/mcp, ***");
        assert!("http://".parse::<ServerSpec>().is_err());
    }
}
