//! Tools with unusual schemas, arguments and results: what a server means arrives as it is meant, or is an error at once.

use std::path::Path;

use crate::support::{Codeact, exec};
use crate::texts_net::Web;

/// Adds the server `odd` over stdio.
fn odd(exec: Codeact) -> Codeact {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/odd_mcp_server.py");
    let server = format!("odd=python3 '{}'", script.display());
    exec.args(["--no-mcp-config", "--mcp", &server])
}

fn run(code: &str) -> crate::support::FinishedCommand {
    odd(exec()).code(code).run()
}

#[test]
fn null_omitted_and_default_are_three_arguments() {
    let code = "
import inspect
patch = tools.odd.patch
print(patch(id=1))
print(patch(id=1, assignee=None, state=None))
print(patch(id=1, assignee='a', limit=10, state='open'))
# Without null in the schema, None omits the argument, as the signature says.
print(patch(1, note=None))
print(await patch.aio(1, None))
print(inspect.signature(patch))
try:
    patch(1, limit=None)
except ToolArgumentError as e:
    print(e)";
    run(code).success().stdout(
        r#"{"id": 1}
{"id": 1, "assignee": null, "state": null}
{"id": 1, "assignee": "a", "limit": 10, "state": "open"}
{"id": 1}
{"id": 1, "assignee": null}
(id: int, assignee: str | None = None, limit: int = 10, state: str | None = 'open', note: str | None = None) -> Any
odd.patch: argument `limit`: null is not of type "integer"
"#,
    );
}

#[test]
fn names_of_parameters_may_be_unicode() {
    let code = "print(tools.odd.unicode(größe=2, 名前='x', café=1))";
    let sent = "{\"größe\": 2, \"名前\": \"x\", \"cafe\u{301}\": 1}\n";
    run(code).success().stdout(sent);
}

#[test]
fn integers_in_results_are_exact() {
    run("print(tools.odd.long())")
        .success()
        .stdout("{'x': [123456789012345678901234567890, -1]}\n");
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("t");
    let lines = "#!/bin/sh\ncat > /dev/null\necho '{\"a\": [-18446744073709551616, 18446744073709551615, 1.5]}'\n";
    std::fs::write(&program, lines).unwrap();
    std::fs::write(folder.path().join("t.json"), "{}").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    exec()
        .args([
            "--no-mcp-config",
            "--tool",
            &format!("t={}", program.display()),
        ])
        .code("assert tools.t() == await tools.t.aio()\nprint(tools.t())")
        .run()
        .success()
        .stdout("{'a': [-18446744073709551616, 18446744073709551615, 1.5]}\n");
}

#[test]
fn a_response_that_cannot_be_read_is_an_error_at_once() {
    let web = Web::start("odd_mcp_server.py", &["--http"]);
    let over_http = format!("odd={}/mcp", web.origin);
    let code = "
for call in [lambda: tools.odd.deep(levels=100_000), lambda: tools.odd.deep(levels=200), tools.odd.cut, tools.odd.range]:
    try:
        print(call())
    except ToolError as e:
        print(str(e).partition(': ')[2].partition(' at line')[0])
print(tools.odd.deep(levels=3))";
    let expected = "its response cannot be read: recursion limit exceeded
its response cannot be read: recursion limit exceeded
its response cannot be read: EOF while parsing a value
its response cannot be read: number out of range
{'x': [[[]]]}
";
    run(code).success().stdout(expected);
    exec()
        .args(["--no-mcp-config", "--mcp", &over_http])
        .code(code)
        .run()
        .success()
        .stdout(expected);
}

#[test]
fn a_result_that_repeats_the_headers_of_its_server_is_redacted() {
    let web = Web::start("odd_mcp_server.py", &["--http"]);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("mcp.json");
    let servers = format!(
        r#"{{"mcpServers": {{"odd": {{"url": "{}/mcp", "headers": {{"Authorization": "Bearer ${{THE_KEY}}"}}}}}}}}"#,
        web.origin
    );
    std::fs::write(&config, servers).unwrap();
    let code = "print(tools.odd.key())";
    exec()
        .host_env("THE_KEY", "a-secret-of-the-server")
        .args(["--no-mcp-config", "--mcp-config", config.to_str().unwrap()])
        .code(code)
        .run()
        .success()
        .stdout("{'***': ['***']}\n");
}

/// Attacks of a server and of the code together: schemas whose validation would take years.
#[test]
fn the_validation_of_arguments_is_bounded() {
    let code = "
def nested(levels):
    value = 1
    for _ in range(levels):
        value = {'next': value}
    return value
for call in [
    lambda: tools.odd.doubling(x='a'),
    lambda: tools.odd.tree(x=nested(60)),
    lambda: tools.odd.unique(x=[[[]]] * 40_000),
    lambda: tools.odd.pattern(x='a' * 100_000 + '!'),
    lambda: tools.odd.doubling(x=1),
    lambda: tools.odd.endless(x=1),
]:
    try:
        call()
        print('called')
    except ToolError as e:
        print(type(e).__name__, str(e)[:31])
print(len(tools.odd.tree(x=nested(3))))";
    run(code).success().stdout(
        "called
called
ToolError the arguments cannot be checked
ToolArgumentError odd.pattern: argument `x`: \"aaa
ToolArgumentError odd.doubling: the arguments do 
ToolError the arguments cannot be checked
38
",
    );
}
