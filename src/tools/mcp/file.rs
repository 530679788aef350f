//! Servers as an `mcp.json` tells them, in the shape that most clients share.

use std::path::{Path, PathBuf};

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::config::{Reach, ServerSpec, url};

/// The largest file of servers, in bytes.
const MAX_FILE: u64 = 1 << 20;

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
    fn a_file_names_programs_and_urls() {
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
        let expected = Reach::Program {
            program: "npx".into(),
            args: vec!["-y".into(), "pkg".into()],
            env: vec![("KEY".into(), "xs3cret-tokeny".into())],
            cwd: Some("/tmp".into()),
        };
        assert!(files.reach == expected);
        let Reach::Http { url, headers } = &web.reach else {
            panic!("{web:?}");
        };
        assert_eq!(url.as_str(), "https://a.b/mcp");
        assert_eq!(headers[0].1, "Bearer s3cret-token");
        assert_eq!(web.redact("Bearer s3cret-token!"), "***!");
    }

    #[test]
    fn an_error_names_the_file_the_server_and_what_was_expected() {
        for (text, expected) in [
            ("{", "FILE is not as expected, {\"mcpServers\""),
            ("[]", "`mcpServers` is missing or no object"),
            (
                r#"{"mcpServers": {"a": 1}}"#,
                "the server `a` in FILE: expected an object",
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
