//! Texts about MCP servers and their configuration files.

use std::path::Path;

use crate::texts::Page;
use crate::texts_net::Web;

/// Returns a page with a copy of the scripted server, so that command lines contain no path of this machine.
fn with_server() -> Page {
    let page = Page::with_pack();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/mcp_server.py");
    let text = std::fs::read(&script).unwrap_or_else(|e| panic!("{}: {e}", script.display()));
    page.write("server.py", text);
    page
}

#[test]
fn invalid_configuration_files() {
    let mut page = Page::new();
    page.run(&["tools", "--no-mcp-config", "--mcp-config", "missing.json"]);
    for text in [
        "{",
        "[]",
        "{\"mcpServers\": []}",
        r#"{"mcpServers": {"a": 5}}"#,
        r#"{"mcpServers": {"a": {}}}"#,
        r#"{"mcpServers": {"a": {"command": 5}}}"#,
        r#"{"mcpServers": {"a": {"command": "x", "args": "y"}}}"#,
        r#"{"mcpServers": {"a": {"command": "x", "args": [5]}}}"#,
        r#"{"mcpServers": {"a": {"command": "x", "env": {"K": 5}}}}"#,
        r#"{"mcpServers": {"a": {"command": "x", "env": []}}}"#,
        r#"{"mcpServers": {"a": {"command": "x", "url": "http://y"}}}"#,
        r#"{"mcpServers": {"a": {"command": "${CODEACT_TEST_NOT_THERE}"}}}"#,
        r#"{"mcpServers": {"a": {"command": "${UNCLOSED"}}}"#,
        r#"{"mcpServers": {"a": {"url": "ftp://y"}}}"#,
        r#"{"mcpServers": {"a": {"url": "not a url"}}}"#,
        r#"{"mcpServers": {"a": {"type": "sse", "url": "http://y"}}}"#,
        r#"{"mcpServers": {"a": {"type": "frob", "url": "http://y"}}}"#,
        r#"{"mcpServers": {"a": {"type": "http"}}}"#,
        r#"{"mcpServers": {"a": {"type": "stdio"}}}"#,
        r#"{"mcpServers": {"a": {"url": "http://y", "headers": {"a b": "c"}}}}"#,
    ] {
        page.write("servers.json", text);
        page.part("servers.json", text);
        page.run(&["tools", "--no-mcp-config", "--mcp-config", "servers.json"]);
    }
    page.pinned("mcp_files");
}

#[test]
fn servers_that_fail() {
    let mut page = with_server();
    for server in [
        "s=/no/such/server --here",
        "s=python3 server.py die-at-start",
        "s=python3 server.py refuse",
        "s=python3 server.py wrong-id",
        "s=python3 server.py list-error",
        "s=python3 server.py broken-list",
        "s=http://127.0.0.1:1/mcp",
    ] {
        page.run(&["tools", "--no-mcp-config", "--mcp", server]);
    }
    let gone = ["--mcp", "s=/no/such/server --here"];
    page.tried(
        &gone,
        "",
        &["tools.s.echo('a')", "tools.s", "sorted(tools)"],
    );
    page.run(&[
        "exec",
        "--quiet",
        "-c",
        "tools.s.echo('a')",
        "--mcp",
        "s=/no/such/server",
    ]);
    page.pinned("mcp_gone");
}

#[test]
fn servers_that_work() {
    let mut page = with_server();
    page.run(&[
        "tools",
        "--no-mcp-config",
        "--mcp",
        "s=python3 server.py plain",
    ]);
    page.run(&[
        "tools",
        "--no-mcp-config",
        "--mcp",
        "s=python3 server.py odd",
    ]);
    let lines = [
        "tools.s.echo('a')",
        "tools.s.echo(5)",
        "tools.s.mixed()",
        "str(tools.s.fail())[:60]",
        "tools.s.rpc_error()",
        "tools.s.odd_answer()",
        "tools.s.import_()",
        "tools.s.read_resource('no:1')",
        "tools.s.read_resource('note:1')",
        "tools.s.eco('a')",
        "tools.s.picture()",
        "tools.s.big()",
        "tools.s.die()",
        "tools.s.echo('again')",
    ];
    page.tried(
        &["--quiet", "--mcp", "s=python3 server.py plain"],
        "",
        &lines,
    );
    page.run(&[
        "exec",
        "-c",
        "print(tools.s.add(1, 2))",
        "--mcp",
        "s=python3 server.py plain",
    ]);
    page.run(&[
        "exec",
        "-c",
        "len(tools.s)",
        "--mcp",
        "s=python3 server.py many",
    ]);
    page.pinned("mcp_there");
}

#[test]
fn servers_over_http() {
    let mut page = Page::with_pack();
    for mode in ["unauthorized", "http-500", "refuse", "plain"] {
        let web = Web::start("mcp_server.py", &["--http", mode]);
        page.hide_port(&web.origin);
        let server = format!("s={}/mcp", web.origin);
        page.part("the server is", mode);
        page.tried(
            &["--mcp", &server],
            "",
            &["tools.s.echo('a')", "tools.s.nothing()"],
        );
    }
    page.pinned("mcp_http");
}
