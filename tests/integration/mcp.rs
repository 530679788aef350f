//! MCP servers as tools in Python. `tests/servers/mcp_server.py` acts as every server.

use codeact::event::{EventSink, ServerState};
use codeact::tools::mcp::{Servers, load};
use codeact::tools::{Tool, Tools};
use serde_json::json;

use crate::mcp_support::{EventLog, is, run, script, spec, with};
use crate::support::{raised, result, sandbox_with_tools, shown};

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_functions_and_results_are_values() {
    let (sandbox, events) = with("plain").await;
    assert_eq!(events.all()[0].1, ServerState::Ready, "{:?}", events.all());
    for (code, expected) in [
        ("tools.s.echo('hællo')", "'hællo'"),
        ("tools.s.echo(text='a'), tools.s['echo']('b')", "('a', 'b')"),
        ("tools.s.add(2, 3)", "5"),
        ("tools.s.weather()", "{'city': 'Køge', 'degrees': 3.5}"),
        ("tools.s.nothing()", "None"),
        ("tools.s.texts()", "['one', 'two']"),
        (
            "tools.s.mixed()",
            "['a', b'\\x00\\x01\\x02', 'embedded', b'\\xff', {'uri': 'x:l', 'name': 'link', \
             'mimeType': 'text/plain', 'description': None}]",
        ),
        ("tools.s.import_()", "'imported'"),
        ("tools.s.files.read()", "'dotted'"),
        ("tools.s.get_user(user_id='x')", "'{\"user-id\": \"x\"}'"),
        ("tools.s.größe()", "'ünïcode ✓'"),
        ("tools.s.junk()", "'right'"),
        (
            "import asyncio\nasync def f():\n    return await asyncio.gather(tools.s.echo.aio('a'), \
             tools.s.add.aio(1, 1))\nasyncio.run(f())",
            "['a', 2]",
        ),
        (
            "tools.describe('s.echo').splitlines()[0]",
            "'tools.s.echo(text: str) -> Any'",
        ),
        (
            "tools.describe('s.add').splitlines()[0]",
            "'tools.s.add(a: int, b: int) -> int'",
        ),
        ("'s.echo' in tools", "True"),
    ] {
        let execution = run(&sandbox, code).await;
        is(&execution, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_shown() {
    let (sandbox, _) = with("plain").await;
    let execution = run(&sandbox, "tools.s.picture()").await;
    is(&execution, "'<picture image/png, 70 bytes, shown>'");
    let shown: Vec<_> = execution
        .displays
        .iter()
        .map(|d| (&*d.mime, d.bytes.len()))
        .collect();
    assert_eq!(shown, [("image/png", 70)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_listed_and_read() {
    for mode in ["plain", "resources-only"] {
        let (sandbox, events) = with(mode).await;
        let list = "[(r['uri'], r['mimeType']) for r in tools.s.list_resources()]";
        is(
            &run(&sandbox, list).await,
            "[('note:1', 'text/plain'), ('blob:1', None)]",
        );
        let read = "[tools.s.read_resource(u) for u in ('note:1', 'blob:1', 'both:1')]";
        is(
            &run(&sandbox, read).await,
            "['a note', b'\\x00\\xff', ['a note', b'\\x00\\xff']]",
        );
        let none = run(&sandbox, "tools.s.read_resource('x:y')").await;
        assert_eq!(raised(&none, "ToolError"), "s: no such resource");
        assert!(events.reasons(ServerState::Refused).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_exceptions_with_the_servers_message() {
    let (sandbox, _) = with("plain").await;
    let failed = run(&sandbox, "tools.s.fail()").await;
    let message = raised(&failed, "ToolError");
    assert!(message.starts_with("no such record: xxx"), "{message}");
    assert_eq!(message.chars().count(), 4000);
    let failed = run(&sandbox, "tools.s.rpc_error()").await;
    assert_eq!(
        raised(&failed, "ToolError"),
        "s: the moon is not in the right place"
    );
    let failed = run(&sandbox, "tools.s.odd_answer()").await;
    assert_eq!(
        raised(&failed, "ToolError"),
        "s: its response does not follow the MCP protocol"
    );
    let failed = run(&sandbox, "tools.s.add('a', 1)").await;
    raised(&failed, "ToolArgumentError");
    let failed = run(&sandbox, "tools.s.big()").await;
    assert!(raised(&failed, "ToolError").contains("at most 16777216"));
    // None of the failures ended the server.
    is(&run(&sandbox, "tools.s.add(1, 1)").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_connected_concurrently_and_independently() {
    let events = EventLog::default();
    let servers = Servers::connect(
        ["die-at-start", "plain", "plain"]
            .map(spec)
            .into_iter()
            .chain([
                format!("python3 '{}' plain", script().display())
                    .parse()
                    .unwrap(),
                format!("search=python3 '{}' plain", script().display())
                    .parse()
                    .unwrap(),
            ]),
        events.sink(),
    )
    .await;
    assert_eq!(
        servers.namespaces(),
        ["s", "s_", "s__", "scripted_server", "search_"]
    );
    let own = |name: &str| {
        let args = json!({ "type": "object" });
        Tool::with_schema(name, "", args, None, |_| async { Ok(json!("own")) }).unwrap()
    };
    // Tools of the host have precedence, in any order.
    let tools = Tools::new().tool(own("s_")).unwrap().servers(servers);
    assert!(tools.clone().tool(own("s.x")).is_err());
    let sandbox = sandbox_with_tools(tools);
    let code = "tools.s_(), tools.s__.add(1, 1), tools.s___.add(2, 2), tools.search_.add(3, 3)";
    is(&run(&sandbox, code).await, "('own', 2, 4, 6)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_too_long_is_truncated() {
    let (sandbox, events) = with("many").await;
    let refused = events.reasons(ServerState::Refused);
    assert_eq!(
        refused,
        ["its list is too long; the first 1000 tools are offered"]
    );
    // 1000 tools and two for resources.
    is(&run(&sandbox, "len(tools.s)").await, "1002");
    let (sandbox, events) = with("endless").await;
    assert_eq!(
        events.reasons(ServerState::Refused),
        ["its list has more than 100 pages"]
    );
    is(&run(&sandbox, "len(tools.s)").await, "102");
    let (_, events) = with("broken-list").await;
    assert_eq!(events.all()[0].1, ServerState::Disconnected);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_tools_are_omitted_and_the_others_are_offered() {
    let (sandbox, events) = with("odd").await;
    let names = run(&sandbox, "sorted(tools.s)").await;
    is(
        &names,
        "['a_b', 'circle', 'good', 'list_resources', 'read_resource', 'wordy']",
    );
    let refused = events.reasons(ServerState::Refused).join("\n");
    for name in [
        "no-schema",
        "list-schema",
        "bad-schema",
        "missing-schema",
        "?",
        "a_b",
        "nnn",
    ] {
        assert!(refused.contains(&format!("`{name}")), "{name}: {refused}");
    }
    assert_eq!(refused.lines().count(), 7, "{refused}");
    let text = run(&sandbox, "len(tools.describe('s.wordy')) < 10000").await;
    is(&text, "True");
    let circle = run(&sandbox, "tools.describe('s.circle')").await;
    assert!(result(&circle).contains("x: Any"), "{}", shown(&circle));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_list_is_fetched_again() {
    let (sandbox, events) = with("plain").await;
    let mut session = sandbox.session().unwrap();
    let execution = session.run("tools.s.grown()").await.unwrap();
    raised(&execution, "AttributeError");
    is(&session.run("tools.s.grow()").await.unwrap(), "'grown'");
    events.wait_for(ServerState::Changed).await;
    is(&session.run("tools.s.grown()").await.unwrap(), "'I am new'");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_a_server_to_the_client_are_declined() {
    let (sandbox, _) = with("plain").await;
    let code = "
import json
answers = json.loads(tools.s.ask())
(answers['ping'], answers['roots/list']['roots'], answers['sampling/createMessage']['code'],
 answers['elicitation/create']['action'])";
    is(&run(&sandbox, code).await, "({}, [], -32601, 'decline')");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_file_sets_names_and_variables() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = json!({ "mcpServers": {
        "my-server": {
            "command": "${PY}", "args": [script(), "plain"], "env": { "GIVEN": "<${PY}>" }
        },
        "search": { "command": "python3", "args": ["x"], "disabled": true },
    } });
    std::fs::write(file.path(), text.to_string()).unwrap();
    let lookup = |name: &str| (name == "PY").then(|| "python3".to_owned());
    let specs = load(file.path(), &lookup).unwrap();
    let servers = Servers::connect(specs, EventSink::none()).await;
    let sandbox = sandbox_with_tools(Tools::new().servers(servers));
    let code = "[tools.my_server.variable(n) for n in ('GIVEN', 'PATH')][0]";
    is(&run(&sandbox, code).await, "'<python3>'");
}
