//! The servers of an `mcp.json`, in the format that most clients share.

use std::path::{Path, PathBuf};

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::config::{ServerSpec, Transport, url};

/// Largest size of a file of servers, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A file of servers cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServersError {
    /// The file cannot be read.
    #[error("cannot read the servers in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file does not have the expected form.
    #[error(
        "invalid file of servers {}: {why}; expected {{\"mcpServers\": {{NAME: {{\"command\": …}} or {{\"url\": …}}}}}}",
        path.display()
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// One of its servers is invalid.
    #[error("invalid server `{server}` in {}: {why}", path.display())]
    Server {
        /// The file.
        path: PathBuf,
        /// Name of the server in the file.
        server: String,
        /// The reason, and the expected form.
        why: String,
    },
}

/// Returns the servers of an `mcp.json`. In commands, arguments, variables, URLs and headers, `${VAR}` and
/// `${VAR:-DEFAULT}` are replaced by values of `lookup`. Disabled servers and unknown fields are ignored.
///
/// # Errors
///
/// Returns [`ServersError`] with the file, the server and the expected form.
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
        .ok_or_else(|| shape("`mcpServers` is missing or not an object".into()))?;
    let mut specs = Vec::new();
    for (name, entry) in servers {
        let transport = match entry.as_object() {
            Some(entry) => server(entry, lookup),
            None => Err("expected an object with `command` or `url`".into()),
        };
        let transport = transport.map_err(|why| ServersError::Server {
            path: path.to_owned(),
            server: name.chars().take(100).collect(),
            why,
        })?;
        specs.extend(transport.map(|transport| ServerSpec {
            name: Some(name.clone()),
            transport,
        }));
    }
    Ok(specs)
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;

    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        let why = format!("it has more than {MAX_FILE_BYTES} bytes");
        return Err(std::io::Error::other(why));
    }
    Ok(text)
}

/// Returns one server of a file, or `None` if it is disabled.
fn server(
    entry: &Map<String, Value>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Transport>, String> {
    let text = |key: &str| match entry.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => expand(text, lookup).map(Some),
        Some(_) => Err(format!("expected text as `{key}`")),
    };
    let pairs = |key: &str| match entry.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(map)) => (map.iter())
            .map(|(name, value)| match value {
                Value::String(value) => Ok((name.clone(), expand(value, lookup)?)),
                _ => Err(format!("expected text as `{name}` in `{key}`")),
            })
            .collect(),
        Some(_) => Err(format!("expected an object of texts as `{key}`")),
    };
    if entry.get("disabled") == Some(&Value::Bool(true)) {
        return Ok(None);
    }
    let http = match entry.get("type").and_then(Value::as_str) {
        None => None,
        Some("stdio") => Some(false),
        Some("http" | "streamable-http" | "streamableHttp" | "streamable_http") => Some(true),
        Some("sse") => {
            let why = "the SSE transport of 2024 is not supported; \
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
    let transport = match (text("command")?, text("url")?) {
        (Some(program), None) if http != Some(true) && !program.is_empty() => {
            let args = match entry.get("args") {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(args)) => (args.iter())
                    .map(|arg| match arg {
                        Value::String(arg) => expand(arg, lookup),
                        _ => Err("expected a list of texts as `args`".to_owned()),
                    })
                    .collect::<Result<_, _>>()?,
                Some(_) => return Err("expected a list of texts as `args`".into()),
            };
            Transport::Program {
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
            Transport::Http {
                url: url(&address)?,
                headers: headers.collect::<Result<_, _>>()?,
            }
        }
        (Some(_), Some(_)) => {
            return Err("it has both `command` and `url`; expected one of them".into());
        }
        _ if http == Some(true) => return Err("expected a `url`, as its type is http".into()),
        _ if http == Some(false) => return Err("expected a `command`, as its type is stdio".into()),
        _ => return Err("expected a `command` or a `url`".into()),
    };
    Ok(Some(transport))
}

/// Replaces variables. Their values are not expanded again.
fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (inside, after) = (after.split_once('}'))
            .ok_or_else(|| "a `${` has no `}`; expected ${VAR} or ${VAR:-DEFAULT}".to_owned())?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        // As in a shell, an empty value is replaced by the default too.
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
        expanded += before;
        expanded += &value;
        rest = after;
    }
    Ok(expanded + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> Result<Vec<ServerSpec>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let lookup = |name: &str| match name {
            "TOKEN" => Some("s3cret-token".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        load(file.path(), &lookup).map_err(|e| {
            let path = file.path().display().to_string();
            let error = e.to_string();
            assert!(error.contains(&path), "{error}");
            error.replace(&path, "FILE")
        })
    }

    #[test]
    fn a_file_has_programs_and_urls() {
        let specs = loaded(
            r#"{"mcpServers": {
                "files": {"command": "npx", "args": ["-y", "${EMPTY:-pkg}"], "cwd": "/tmp",
                          "env": {"KEY": "x${TOKEN}y"}, "autoApprove": []},
                "web": {"type": "http", "url": "https://a.b/${NONE:-mcp}",
                        "headers": {"Authorization": "Bearer ${TOKEN}"}},
                "off": {"disabled": true, "command": "${NONE}"}
            }, "other": 1}"#,
        )
        .unwrap();
        let [files, web] = &*specs else {
            panic!("{specs:?}");
        };
        assert_eq!(files.name.as_deref(), Some("files"));
        let expected = Transport::Program {
            program: "npx".into(),
            args: vec!["-y".into(), "pkg".into()],
            env: vec![("KEY".into(), "xs3cret-tokeny".into())],
            cwd: Some("/tmp".into()),
        };
        assert!(files.transport == expected);
        let Transport::Http { url, headers } = &web.transport else {
            panic!("{web:?}");
        };
        assert_eq!(url.as_str(), "https://a.b/mcp");
        assert_eq!(headers[0].1, "Bearer s3cret-token");
        assert_eq!(web.redact("Bearer s3cret-token!"), "***!");
    }

    #[test]
    fn an_error_names_the_file_the_server_and_what_was_expected() {
        for (text, expected) in [
            ("{", "invalid file of servers FILE: "),
            ("[]", "`mcpServers` is missing or not an object"),
            (
                r#"{"mcpServers": {"a": 1}}"#,
                "invalid server `a` in FILE: expected an object",
            ),
            (
                r#"{"mcpServers": {"a": {}}}"#,
                "expected a `command` or a `url`",
            ),
            (
                r#"{"mcpServers": {"a": {"command": "x", "url": "http://a"}}}"#,
                "both",
            ),
            (
                r#"{"mcpServers": {"a": {"command": 1}}}"#,
                "expected text as `command`",
            ),
            (
                r#"{"mcpServers": {"a": {"command": "x", "args": "y"}}}"#,
                "a list of texts as `args`",
            ),
            (
                r#"{"mcpServers": {"a": {"command": "x", "env": {"N": 1}}}}"#,
                "`N` in `env`",
            ),
            (
                r#"{"mcpServers": {"a": {"command": "${NONE}"}}}"#,
                "the variable `NONE` is not set",
            ),
            (
                r#"{"mcpServers": {"a": {"command": "${NONE"}}}"#,
                "has no `}`",
            ),
            (
                r#"{"mcpServers": {"a": {"type": "sse", "url": "http://a"}}}"#,
                "SSE",
            ),
            (
                r#"{"mcpServers": {"a": {"type": "http", "command": "x"}}}"#,
                "expected a `url`",
            ),
            (
                r#"{"mcpServers": {"a": {"url": "ftp://a"}}}"#,
                "http:// or https://",
            ),
            (
                r#"{"mcpServers": {"a": {"url": "http://a", "headers": {"a b": "c"}}}}"#,
                "header `a b`",
            ),
        ] {
            let error = loaded(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error = load(Path::new("/does/not/exist"), &|_| None).unwrap_err();
        assert!(error.to_string().contains("/does/not/exist"));
    }
}
