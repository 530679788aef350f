//! Addresses of servers, and their text form.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use codeact_base::redact::Redactor;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

/// Smallest size of a redacted text, in bytes.
const MIN_SECRET_BYTES: usize = 6;
/// Smallest size of a redacted part of a header, in bytes.
const MIN_TOKEN_BYTES: usize = 8;

/// Address of an MCP server, and optionally its namespace.
///
/// As text it is a URL (streamable HTTP), or the command line of a program that speaks MCP on stdin and stdout, split as
/// in a shell. A prefix `NAME=` sets the namespace. By default it is made of the name that the server reports.
///
/// `Debug` and `Display` omit everything that may be secret.
///
/// ```
/// use codeact_tools::mcp::ServerSpec;
///
/// let files: ServerSpec = "files=npx -y @modelcontextprotocol/server-filesystem '/my data'".parse()?;
/// let search: ServerSpec = "https://example.com/mcp".parse()?;
/// assert_eq!(search.to_string(), "https://example.com/mcp");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ServerSpec {
    pub(super) name: Option<String>,
    pub(super) transport: Transport,
}

/// Transport of a server.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Transport {
    Program {
        program: String,
        args: Vec<String>,
        /// In addition to the variables of the host.
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
        let (name, rest) = split_name(text.trim());
        let transport = match rest.starts_with("http://") || rest.starts_with("https://") {
            true => Transport::Http {
                url: url(rest)?,
                headers: Vec::new(),
            },
            false => {
                let mut words = shlex::split(rest)
                    .ok_or("a quote in the server's command line is not closed")?
                    .into_iter();
                Transport::Program {
                    program: (words.next().filter(|program| !program.is_empty())).ok_or(
                        "expected a command line or a URL, as in github=npx -y my-mcp-server",
                    )?,
                    args: words.collect(),
                    env: Vec::new(),
                    cwd: None,
                }
            }
        };
        Ok(Self { name, transport })
    }
}

/// Splits `NAME=` from the rest.
fn split_name(text: &str) -> (Option<String>, &str) {
    let word = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && (name.chars()).all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    match text.split_once('=') {
        Some((name, rest)) if word(name) => (Some(name.to_owned()), rest.trim_start()),
        _ => (None, text),
    }
}

/// Parses the URL of a server.
pub(super) fn url(text: &str) -> Result<Url, String> {
    // The text may contain a password, so it is not part of the error.
    let url = Url::parse(text).map_err(|e| format!("invalid URL: {e}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err("expected a URL that begins with http:// or https://".into()),
    }
}

impl ServerSpec {
    /// True for streamable HTTP.
    pub(super) fn is_http(&self) -> bool {
        matches!(self.transport, Transport::Http { .. })
    }

    /// Returns a name for a server that reports none.
    pub(super) fn default_name(&self) -> String {
        match &self.transport {
            Transport::Program { program, .. } => (Path::new(program).file_stem())
                .map_or_else(|| "server".into(), |stem| stem.to_string_lossy().into()),
            Transport::Http { url, .. } => url.host_str().unwrap_or("server").to_owned(),
        }
    }

    /// Returns `text` without the secrets in the address and the headers of the server.
    pub(super) fn redact(&self, text: &str) -> String {
        match self.redactor() {
            Some(redactor) => redactor.text(text).into_owned(),
            None => text.to_owned(),
        }
    }

    /// Returns a redactor of the secrets in the address and the headers of the server, which it can repeat; `None` for
    /// a program.
    pub(super) fn redactor(&self) -> Option<Redactor> {
        let Transport::Http { url, headers } = &self.transport else {
            return None;
        };
        let query = url.query().unwrap_or_default();
        let values = || headers.iter().filter_map(|(_, value)| value.to_str().ok());
        // A token without its scheme, as in `Bearer TOKEN`.
        let tokens = values().filter_map(|value| Some(value.rsplit_once(' ')?.1));
        let tokens = tokens.filter(|token| token.len() >= MIN_TOKEN_BYTES);
        let secrets = values().chain([query, url.password().unwrap_or_default()]);
        // Shorter texts occur by chance.
        let secrets = secrets.filter(|secret| secret.len() >= MIN_SECRET_BYTES);
        let secrets = secrets.chain(tokens);
        let secrets = secrets.map(|secret| (secret.to_owned(), "***".to_owned()));
        let whole = (url.as_str().to_owned(), public(url));
        Some(Redactor::new(std::iter::once(whole).chain(secrets)))
    }
}

/// Returns a URL without user, password, query and fragment, which may be secret.
fn public(url: &Url) -> String {
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    let host = url.host_str().unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

impl fmt::Display for ServerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}=")?;
        }
        match &self.transport {
            Transport::Program { program, .. } => f.write_str(program),
            Transport::Http { url, .. } => f.write_str(&public(url)),
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
        let Transport::Program { program, args, .. } = spec.transport else {
            panic!("{text} is not a program");
        };
        (spec.name, [vec![program], args].concat())
    }

    #[test]
    fn a_command_line_is_split_as_in_a_shell() {
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
    fn the_secrets_of_a_url_are_not_shown() {
        let spec: ServerSpec = "x=https://me:passw0rd@a.b:8/mcp?key=abcdefg"
            .parse()
            .unwrap();
        assert_eq!(
            format!("{spec} {spec:?}"),
            "x=https://a.b:8/mcp ServerSpec(x=https://a.b:8/mcp)"
        );
        let text = "error for https://me:passw0rd@a.b:8/mcp?key=abcdefg, key=abcdefg";
        assert_eq!(spec.redact(text), "error for https://a.b:8/mcp, ***");
        assert!("http://".parse::<ServerSpec>().is_err());
    }
}
