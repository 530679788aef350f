//! MCP servers over streamable HTTP.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use codeact::event::ServerState;
use codeact::tools::mcp::{ServerOptions, ServerSpec, load};
use serde_json::json;

use crate::mcp_support::{is, lines, options, run, script, wait_until, with_options};
use crate::support::raised;

/// An MCP server over HTTP that is killed when dropped.
struct Http(Child, String);

impl Http {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new("python3")
            .arg(script())
            .arg("--http")
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        Self(child, format!("http://127.0.0.1:{}/mcp", port.trim()))
    }

    fn spec(&self) -> ServerSpec {
        format!("s={}", self.1).parse().unwrap()
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_over_http_has_all_features() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("marker");
    let server = Http::start(&["--marker", marker.to_str().unwrap(), "plain"]);
    let (sandbox, events) = with_options(server.spec(), ServerOptions::default()).await;
    for (code, expected) in [
        ("tools.s.echo('hællo')", "'hællo'"),
        ("tools.s.add(2, 3)", "5"),
        ("tools.s.read_resource('blob:1')", "b'\\x00\\xff'"),
        ("tools.s.grow()", "'grown'"),
    ] {
        is(&run(&sandbox, code).await, expected);
    }
    events.wait_for(ServerState::Changed).await;
    is(&run(&sandbox, "tools.s.grown()").await, "'I am new'");
    let limits = |o: &mut ServerOptions| o.limits.time = Duration::from_millis(300);
    let (hanging, _) = with_options(server.spec(), options(limits)).await;
    let execution = run(&hanging, "tools.s.hang()").await;
    raised(&execution, "ToolError");
    wait_until(|| lines(&marker).iter().any(|line| line == "cancelled")).await;

    // It exits during a call, and is disconnected for the next one.
    for code in ["tools.s.die()", "tools.s.add(1, 1)"] {
        let execution = run(&sandbox, code).await;
        let message = raised(&execution, "ToolError");
        assert!(
            message.starts_with("the MCP server s is disconnected"),
            "{message}"
        );
        assert!(!message.contains("127.0.0.1"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_has_a_reason_without_its_secrets() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let spec = format!("s=http://me:passw0rd@{address}/mcp?key=s3cret-key");
    let (sandbox, events) = with_options(spec.parse().unwrap(), ServerOptions::default()).await;
    let reason = &events.reasons(ServerState::Disconnected)[0];
    assert!(reason.starts_with("it cannot be reached"), "{reason}");
    assert!(
        !reason.contains("s3cret") && !reason.contains("passw0rd"),
        "{reason}"
    );
    let execution = run(&sandbox, "tools.s").await;
    assert_eq!(
        raised(&execution, "AttributeError"),
        "the tools of 's' are not available: it cannot be reached"
    );

    let server = Http::start(&["http-500"]);
    let (sandbox, _) = with_options(server.spec(), ServerOptions::default()).await;
    let execution = run(&sandbox, "tools.s.add(1, 1)").await;
    assert_eq!(
        raised(&execution, "ToolError"),
        "s: it responded with HTTP status 500"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_over_http_receives_its_headers() {
    let server = Http::start(&["unauthorized"]);
    let (_, events) = with_options(server.spec(), ServerOptions::default()).await;
    let reason = &events.reasons(ServerState::Disconnected)[0];
    assert!(reason.contains("`Authorization`"), "{reason}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = json!({ "mcpServers": { "s": {
        "url": server.1, "headers": { "Authorization": "Bearer ${KEY}" }
    } } });
    std::fs::write(file.path(), text.to_string()).unwrap();
    let specs = load(file.path(), &|_| Some("letmein-please".into())).unwrap();
    let (sandbox, _) = with_options(specs[0].clone(), ServerOptions::default()).await;
    is(&run(&sandbox, "tools.s.add(1, 1)").await, "2");
}
