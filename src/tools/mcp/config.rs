//! Which servers there are and how to reach each, as typed or as told by an `mcp.json`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

/// The largest file of servers, in bytes.
const MAX_FILE: u64 = 1 << 20;

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

/// Why a file of servers cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServersError {
    /// It cannot be read.
    #[error("cannot read the servers in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not of the expected shape.
    #[error(
        "{} is not as expected, {{\"mcpServers\": {{NAME: {{\"command\": …}} or {{\"url\": …}}}}}}: {why}",
        path.display()
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// One of its servers is not.
    #[error("the server `{server}` in {}: {why}", path.display())]
    Server {
        /// The file.
        path: PathBuf,
        /// The server's name there.
        server: String,
        /// What is wrong with it, and what was expected.
        why: String,
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

fn url(text: &str) -> Result<Url, String> {
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

/// The servers of an `mcp.json`. `${VAR}` and `${VAR:-DEFAULT}` are put in from `lookup` in commands,
/// arguments, variables, URLs and headers. Servers that are disabled are left out; fields that mean
/// nothing here are as if they were not there.
///
/// # Errors
///
/// [`ServersError`], with the file, the server and what was expected.
pub fn load(
    path: &Path,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<ServerSpec>, ServersError> {
    let shape = |why: String| ServersError::Shape {
        path: path.to_owned(),
        why,
    };
    let text = read(path).map_err(|source| ServersError::Read {
        path: path.to_owned(),
        source,
    })?;
    let file: Value = serde_json::from_str(&text).map_err(|e| shape(e.to_string()))?;
    let servers = (file.get("mcpServers").and_then(Value::as_object))
        .ok_or_else(|| shape("`mcpServers` is missing or no object".into()))?;
    let mut specs = Vec::new();
    for (name, told) in servers {
        let one = match told.as_object() {
            Some(told) => server(told, lookup),
            None => Err("expected an object with `command` or `url`".into()),
        };
        let reach = one.map_err(|why| ServersError::Server {
            path: path.to_owned(),
            server: name.chars().take(100).collect(),
            why,
        })?;
        specs.extend(reach.map(|reach| ServerSpec {
            name: Some(name.clone()),
            reach,
        }));
    }
    Ok(specs)
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;

    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        let why = format!("it has more than {MAX_FILE} bytes");
        return Err(std::io::Error::other(why));
    }
    Ok(text)
}

/// One server of a file; `None` where it is disabled.
fn server(
    told: &Map<String, Value>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Reach>, String> {
    let text = |key: &str| match told.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => expand(text, lookup).map(Some),
        Some(_) => Err(format!("expected text as `{key}`")),
    };
    let pairs = |key: &str| match told.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(map)) => (map.iter())
            .map(|(name, value)| match value {
                Value::String(value) => Ok((name.clone(), expand(value, lookup)?)),
                _ => Err(format!("expected text as `{name}` in `{key}`")),
            })
            .collect(),
        Some(_) => Err(format!("expected an object of texts as `{key}`")),
    };
    if told.get("disabled") == Some(&Value::Bool(true)) {
        return Ok(None);
    }
    let http = match told.get("type").and_then(Value::as_str) {
        None => None,
        Some("stdio") => Some(false),
        Some("http" | "streamable-http" | "streamableHttp" | "streamable_http") => Some(true),
        Some("sse") => {
            let why = "servers that speak only the SSE transport of 2024 are not supported; \
                       expected `command`, or the `url` of streamable HTTP with \"type\": \"http\"";
            return Err(why.into());
        }
        Some(kind) => {
            let kind: String = kind.chars().take(40).collect();
            return Err(format!(
                "expected `stdio` or `http` as `type`, not {kind:?}"
            ));
        }
    };
    let reach = match (text("command")?, text("url")?) {
        (Some(program), None) if http != Some(true) && !program.is_empty() => {
            let args = match told.get("args") {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(args)) => (args.iter())
                    .map(|arg| match arg {
                        Value::String(arg) => expand(arg, lookup),
                        _ => Err("expected a list of texts as `args`".to_owned()),
                    })
                    .collect::<Result<_, _>>()?,
                Some(_) => return Err("expected a list of texts as `args`".into()),
            };
            Reach::Program {
                program,
                args,
                env: pairs("env")?,
                cwd: text("cwd")?.map(PathBuf::from),
            }
        }
        (None, Some(address)) if http != Some(false) => {
            let header = |(name, value): (String, String)| {
                let bad = |_| format!("the header `{name}` has a name or value that HTTP forbids");
                let mut value = HeaderValue::try_from(value).map_err(|e| bad(e.to_string()))?;
                value.set_sensitive(true);
                let key = HeaderName::try_from(&name).map_err(|e| bad(e.to_string()))?;
                Ok::<_, String>((key, value))
            };
            let headers = pairs("headers")?.into_iter().map(header);
            Reach::Http {
                url: url(&address)?,
                headers: headers.collect::<Result<_, _>>()?,
            }
        }
        (Some(_), Some(_)) => return Err("it has both `command` and `url`; expected one".into()),
        _ if http == Some(true) => return Err("expected a `url`, as its type is http".into()),
        _ if http == Some(false) => return Err("expected a `command`, as its type is stdio".into()),
        _ => return Err("expected a `command` or a `url`".into()),
    };
    Ok(Some(reach))
}

/// Puts variables in. What they hold is not looked through again.
fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (inside, after) = (after.split_once('}'))
            .ok_or_else(|| "a `${` has no `}`; expected ${VAR} or ${VAR:-DEFAULT}".to_owned())?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        // As in a shell, the default is also for one that is empty.
        let value = match (lookup(name), default) {
            (Some(value), Some(default)) if value.is_empty() => default.to_owned(),
            (Some(value), _) => value,
            (None, Some(default)) => default.to_owned(),
            (None, None) => {
                return Err(format!(
                    "the variable `{name}` is not set; set it, or write ${{{name}:-DEFAULT}}"
                ));
            }
        };
        made += before;
        made += &value;
        rest = after;
    }
    Ok(made + rest)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
