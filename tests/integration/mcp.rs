//! MCP servers, in every state that a server may be in: `tests/servers/mcp_server.py` plays them all.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use codeact::Sandbox;
use codeact::event::{Event, EventSink, ServerState};
use codeact::sandbox::Execution;
use codeact::tools::mcp::{ServerOptions, ServerSpec, Servers, load};
use codeact::tools::{Tool, ToolLimits, Tools};
use serde_json::json;

use crate::support::{raised, result, sandbox, shown};

/// What a server has told, as `(state, tools, reason)`.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(String, ServerState, usize, String)>>>);

impl Told {
    fn sink(&self) -> EventSink {
        let all = self.0.clone();
        EventSink::new(move |event| {
            if let Event::Server {
                name,
                state,
                tools,
                reason,
            } = event
            {
                let reason = reason.unwrap_or_default();
                all.lock().unwrap().push((name, state, tools, reason));
            }
        })
    }

    fn all(&self) -> Vec<(String, ServerState, usize, String)> {
        self.0.lock().unwrap().clone()
    }

    /// The reasons of those of `state`.
    fn reasons(&self, state: ServerState) -> Vec<String> {
        let all = self.all().into_iter().filter(|told| told.1 == state);
        all.map(|told| told.3).collect()
    }

    /// Waits until there is an event of `state`.
    async fn wait_for(&self, state: ServerState) {
        wait_until(|| self.all().iter().any(|told| told.1 == state)).await;
    }
}

/// Waits for something that will be: however long it takes on this machine.
async fn wait_until(there: impl Fn() -> bool) {
    for _ in 0..6000 {
        if there() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("what was waited for did not happen");
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/mcp_server.py")
}

/// A server of `mode`, named `s`.
fn spec(mode: &str) -> ServerSpec {
    format!("s=python3 '{}' {mode}", script().display())
        .parse()
        .unwrap()
}

fn options(change: impl FnOnce(&mut ServerOptions)) -> ServerOptions {
    let mut options = ServerOptions::default();
    change(&mut options);
    options
}

/// A sandbox with a server of `mode`.
async fn with(mode: &str) -> (Sandbox, Told) {
    with_options(spec(mode), ServerOptions::default()).await
}

async fn with_options(spec: ServerSpec, options: ServerOptions) -> (Sandbox, Told) {
    let told = Told::default();
    let servers = Servers::connect_with([spec], told.sink(), options).await;
    (sandbox().tools(Tools::new().servers(servers)), told)
}

async fn run(sandbox: &Sandbox, code: &str) -> Execution {
    sandbox.run(code).await.unwrap()
}

#[track_caller]
fn is(execution: &Execution, expected: &str) {
    assert_eq!(result(execution), expected, "{}", shown(execution));
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_functions_and_results_are_values() {
    let (sandbox, told) = with("plain").await;
    assert_eq!(told.all()[0].1, ServerState::Ready, "{:?}", told.all());
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
        ("tools.s.gr__e()", "'ünïcode ✓'"),
        ("tools.s.junk()", "'right'"),
        (
            "import asyncio\nasync def f():\n    return await asyncio.gather(tools.s.echo.aio('a'), \
             tools.s.add.aio(1, 1))\nasyncio.run(f())",
            "['a', 2]",
        ),
        (
            "tools.describe('s.echo').splitlines()[0]",
            "'tools.s.echo(text: str) -> str'",
        ),
        (
            "tools.describe('s.add').splitlines()[0]",
            "'tools.s.add(a: int, b: int) -> int'",
        ),
        ("'s.echo' in tools", "True"),
    ] {
        let execution = run(&sandbox, code).await;
        let expected = expected.replace("(text: str) -> str", "(text: str) -> Any");
        is(&execution, &expected);
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
        let (sandbox, told) = with(mode).await;
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
        assert!(told.reasons(ServerState::Refused).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_exceptions_with_the_servers_words() {
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
        "s: its answer is not as MCP wants it"
    );
    let failed = run(&sandbox, "tools.s.add('a', 1)").await;
    raised(&failed, "ToolArgumentError");
    let failed = run(&sandbox, "tools.s.big()").await;
    assert!(raised(&failed, "ToolError").contains("at most 16777216"));
    // None of it was the server's end.
    is(&run(&sandbox, "tools.s.add(1, 1)").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_says_why() {
    let short = || options(|o| o.connect = Duration::from_millis(300));
    let missing: ServerSpec = "s=/no/such/server --here".parse().unwrap();
    for (spec, options, told_code, told_user) in [
        (
            missing,
            options(|_| ()),
            "it cannot be started",
            "/no/such/server",
        ),
        (
            spec("die-at-start"),
            options(|_| ()),
            "it ended before it was ready",
            "the database is locked",
        ),
        (
            spec("hang-initialize"),
            short(),
            "it was not ready in time",
            "",
        ),
        (
            spec("refuse"),
            options(|_| ()),
            "it refused to begin: come back tomorrow",
            "",
        ),
        (
            spec("wrong-id"),
            options(|_| ()),
            "it does not speak MCP as it should",
            "",
        ),
        (
            spec("list-error"),
            options(|_| ()),
            "it does not tell its tools: the shelf is empty",
            "",
        ),
    ] {
        let (sandbox, told) = with_options(spec, options).await;
        let [(name, state, tools, reason)] = &told.all()[..] else {
            panic!("{:?}", told.all());
        };
        assert_eq!((&**name, *state, *tools), ("s", ServerState::Gone, 0));
        assert!(reason.starts_with(told_code), "{reason}");
        assert!(
            reason.contains(told_user) && reason.len() < 6000,
            "{reason}"
        );
        let execution = run(&sandbox, "tools.s.echo('a')").await;
        let message = raised(&execution, "AttributeError");
        assert_eq!(message, format!("there are no tools of 's': {told_code}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_tell_its_tools_in_time_is_not_there() {
    // Long enough for the handshake also on a busy machine, or else it is that which is late.
    let options = options(|o| o.connect = Duration::from_secs(5));
    let (_, told) = with_options(spec("hang-list"), options).await;
    let gone = told.reasons(ServerState::Gone);
    assert!(gone[0].contains("in time"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_connected_to_at_once_and_none_spoils_another() {
    let told = Told::default();
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
        told.sink(),
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
    // Those of the host come first, whatever the order.
    let tools = Tools::new().tool(own("s_")).unwrap().servers(servers);
    assert!(tools.clone().tool(own("s.x")).is_err());
    let sandbox = sandbox().tools(tools);
    let code = "tools.s_(), tools.s__.add(1, 1), tools.s___.add(2, 2), tools.search_.add(3, 3)";
    is(&run(&sandbox, code).await, "('own', 2, 4, 6)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_too_long_is_cut() {
    let (sandbox, told) = with("many").await;
    let refused = told.reasons(ServerState::Refused);
    assert_eq!(
        refused,
        ["its list is too long; the first 1000 tools are offered"]
    );
    // And two for its resources.
    is(&run(&sandbox, "len(tools.s)").await, "1002");
    let (sandbox, told) = with("endless").await;
    assert_eq!(
        told.reasons(ServerState::Refused),
        ["its list has more than 100 pages"]
    );
    is(&run(&sandbox, "len(tools.s)").await, "102");
    let (_, told) = with("broken-list").await;
    assert_eq!(told.all()[0].1, ServerState::Gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_that_are_no_tools_are_left_out_and_the_others_stay() {
    let (sandbox, told) = with("odd").await;
    let names = run(&sandbox, "sorted(tools.s)").await;
    is(
        &names,
        "['a_b', 'circle', 'good', 'list_resources', 'read_resource', 'wordy']",
    );
    let refused = told.reasons(ServerState::Refused).join("\n");
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
    let (sandbox, told) = with("plain").await;
    let mut session = sandbox.session().unwrap();
    let execution = session.run("tools.s.grown()").await.unwrap();
    raised(&execution, "AttributeError");
    is(&session.run("tools.s.grow()").await.unwrap(), "'grown'");
    told.wait_for(ServerState::Changed).await;
    is(&session.run("tools.s.grown()").await.unwrap(), "'I am new'");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_a_call_is_started_again_by_the_next_but_not_for_ever() {
    let (sandbox, told) = with("plain").await;
    for _ in 0..4 {
        let execution = run(&sandbox, "tools.s.die()").await;
        let message = raised(&execution, "ToolError");
        assert_eq!(message, "the MCP server s is gone: it has ended");
    }
    for _ in 0..2 {
        let execution = run(&sandbox, "tools.s.add(1, 1)").await;
        let message = raised(&execution, "ToolError");
        assert_eq!(
            message,
            "the MCP server s is gone: it ended 3 times in a row"
        );
    }
    let gone = told.reasons(ServerState::Gone);
    assert_eq!(gone.len(), 4, "{gone:?}");
    assert!(gone[0].contains("exit status: 7"), "{gone:?}");
    assert!(
        gone[0].contains("out of cheese in /secret/place"),
        "{gone:?}"
    );

    let (sandbox, _) = with("plain").await;
    let code = "
for n in range(6):
    try:
        tools.s.die()
    except ToolError:
        pass
    assert tools.s.add(n, n) == 2 * n
";
    result(&run(&sandbox, code).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_end_ends_the_connection() {
    let (sandbox, told) = with("plain").await;
    let execution = run(&sandbox, "tools.s.flood()").await;
    assert_eq!(
        raised(&execution, "ToolError"),
        "the MCP server s is gone: it sent more than 33554432 bytes in one message"
    );
    assert_eq!(told.reasons(ServerState::Gone).len(), 1);
    is(&run(&sandbox, "tools.s.add(1, 2)").await, "3");
}

/// The lines that a server has left.
fn lines(marker: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(marker).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn marked(mode: &str, marker: &Path) -> ServerSpec {
    let (script, marker) = (script(), marker.display());
    format!(
        "s=python3 '{}' --marker '{marker}' {mode}",
        script.display()
    )
    .parse()
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_takes_too_long_is_cancelled_at_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("marker");
    let options = options(|o| {
        o.limits = ToolLimits::default();
        o.limits.time = Duration::from_millis(300);
    });
    let (sandbox, _) = with_options(marked("plain", &marker), options).await;
    let execution = run(&sandbox, "tools.s.hang()").await;
    assert_eq!(
        raised(&execution, "ToolError"),
        "s.hang took longer than 300ms"
    );
    wait_until(|| lines(&marker).iter().any(|line| line == "cancelled")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_is_dropped_cancels_its_call() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("marker");
    let (sandbox, _) = with_options(marked("plain", &marker), ServerOptions::default()).await;
    let mut session = sandbox.session().unwrap();
    let called = wait_until(|| lines(&marker).iter().any(|line| line == "called"));
    tokio::select! {
        execution = session.run("tools.s.hang()") => panic!("{execution:?}"),
        () = called => {}
    }
    wait_until(|| lines(&marker).iter().any(|line| line == "cancelled")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_gets_nothing_from_the_client() {
    let (sandbox, _) = with("plain").await;
    let code = "
import json
answers = json.loads(tools.s.ask())
(answers['ping'], answers['roots/list']['roots'], answers['sampling/createMessage']['code'],
 answers['elicitation/create']['action'])";
    is(&run(&sandbox, code).await, "({}, [], -32601, 'decline')");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_gives_variables_and_names() {
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
    let sandbox = sandbox().tools(Tools::new().servers(servers));
    let code = "[tools.my_server.variable(n) for n in ('GIVEN', 'PATH')][0]";
    is(&run(&sandbox, code).await, "'<python3>'");
}

#[cfg(unix)]
fn runs(pid: &str) -> bool {
    // A zombie runs no more.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, None | Some(None | Some('Z' | 'X')))
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn servers_end_with_all_they_have_started() {
    for mode in ["plain", "stubborn"] {
        let folder = tempfile::tempdir().unwrap();
        let marker = folder.path().join("marker");
        let (sandbox, _) = with_options(marked(mode, &marker), ServerOptions::default()).await;
        let execution = run(&sandbox, "tools.s.grandchild()").await;
        let grandchild = result(&execution).trim_matches('\'').to_owned();
        let server = lines(&marker)[0].trim_start_matches("pid ").to_owned();
        assert!(runs(&server) && runs(&grandchild), "{server} {grandchild}");
        drop(sandbox);
        wait_until(|| !runs(&server) && !runs(&grandchild)).await;
    }
}

#[cfg(target_os = "linux")]
#[test]
fn servers_end_with_their_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("marker");
    let spec = marked("stubborn", &marker);
    let tools = crate::support::block_on(async {
        Tools::new().servers(Servers::connect([spec], EventSink::none()).await)
    });
    let server = lines(&marker)[0].trim_start_matches("pid ").to_owned();
    crate::support::block_on(wait_until(|| !runs(&server)));
    let execution = sandbox().tools(tools).run_blocking("tools.s.add(1, 1)");
    let execution = execution.unwrap();
    let message = raised(&execution, "ToolError");
    assert!(message.starts_with("the MCP server s is gone"), "{message}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn closing_waits_until_they_have_ended() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("marker");
    let servers = Servers::connect([marked("plain", &marker)], EventSink::none()).await;
    let tools = Tools::new().servers(servers);
    let server = lines(&marker)[0].trim_start_matches("pid ").to_owned();
    assert!(runs(&server));
    tools.close().await;
    assert!(!runs(&server));
    let execution = run(&sandbox().tools(tools), "tools.s.add(1, 1)").await;
    raised(&execution, "ToolError");
}

/// A server over HTTP, killed when dropped.
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
async fn a_server_over_http_has_all_of_it_too() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("marker");
    let server = Http::start(&["--marker", marker.to_str().unwrap(), "plain"]);
    let limits = |o: &mut ServerOptions| o.limits.time = Duration::from_secs(2);
    let (sandbox, told) = with_options(server.spec(), options(limits)).await;
    for (code, expected) in [
        ("tools.s.echo('hællo')", "'hællo'"),
        ("tools.s.add(2, 3)", "5"),
        ("tools.s.read_resource('blob:1')", "b'\\x00\\xff'"),
        ("tools.s.grow()", "'grown'"),
    ] {
        is(&run(&sandbox, code).await, expected);
    }
    told.wait_for(ServerState::Changed).await;
    is(&run(&sandbox, "tools.s.grown()").await, "'I am new'");
    let execution = run(&sandbox, "tools.s.hang()").await;
    raised(&execution, "ToolError");
    wait_until(|| lines(&marker).iter().any(|line| line == "cancelled")).await;

    // It dies in a call, and is no longer there for the next.
    for code in ["tools.s.die()", "tools.s.add(1, 1)"] {
        let execution = run(&sandbox, code).await;
        let message = raised(&execution, "ToolError");
        assert!(message.starts_with("the MCP server s is gone"), "{message}");
        assert!(!message.contains("127.0.0.1"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_over_http_that_is_not_there_says_why_without_its_secrets() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let spec = format!("s=http://me:passw0rd@{address}/mcp?key=s3cret-key");
    let (sandbox, told) = with_options(spec.parse().unwrap(), ServerOptions::default()).await;
    let gone = &told.reasons(ServerState::Gone)[0];
    assert!(gone.starts_with("it cannot be reached"), "{gone}");
    assert!(
        !gone.contains("s3cret") && !gone.contains("passw0rd"),
        "{gone}"
    );
    let execution = run(&sandbox, "tools.s").await;
    assert_eq!(
        raised(&execution, "AttributeError"),
        "there are no tools of 's': it cannot be reached"
    );

    let server = Http::start(&["http-500"]);
    let (sandbox, _) = with_options(server.spec(), ServerOptions::default()).await;
    let execution = run(&sandbox, "tools.s.add(1, 1)").await;
    assert_eq!(
        raised(&execution, "ToolError"),
        "s: it answered with HTTP status 500"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_over_http_gets_its_headers() {
    let server = Http::start(&["unauthorized"]);
    let (_, told) = with_options(server.spec(), ServerOptions::default()).await;
    let gone = &told.reasons(ServerState::Gone)[0];
    assert!(gone.contains("`Authorization`"), "{gone}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = json!({ "mcpServers": { "s": {
        "url": server.1, "headers": { "Authorization": "Bearer ${KEY}" }
    } } });
    std::fs::write(file.path(), text.to_string()).unwrap();
    let specs = load(file.path(), &|_| Some("letmein-please".into())).unwrap();
    let (sandbox, _) = with_options(specs[0].clone(), ServerOptions::default()).await;
    is(&run(&sandbox, "tools.s.add(1, 1)").await, "2");
}
