use super::*;

fn program(text: &str) -> (Option<String>, Vec<String>) {
    let spec: ServerSpec = text.parse().unwrap();
    let Reach::Program { program, args, .. } = spec.reach else {
        panic!("{text} is no program");
    };
    (spec.name, [vec![program], args].concat())
}

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
