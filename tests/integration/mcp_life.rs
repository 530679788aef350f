//! MCP servers that are missing, exit, hang, flood or must be terminated.

use std::time::Duration;

use codeact::event::{EventSink, ServerState};
use codeact::tools::mcp::{ServerOptions, ServerSpec, Servers};
use codeact::tools::{ToolLimits, Tools};

use crate::mcp_support::{is, lines, marked, options, run, spec, wait_until, with, with_options};
use crate::support::{raised, result, sandbox_with_tools};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_start_has_a_reason() {
    let short = || options(|o| o.connect = Duration::from_millis(300));
    let missing: ServerSpec = "s=/no/such/server --here".parse().unwrap();
    for (spec, options, code_reason, user_reason) in [
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
            "it refused the connection: come back tomorrow",
            "",
        ),
        (
            spec("wrong-id"),
            options(|_| ()),
            "it does not follow the MCP protocol",
            "",
        ),
        (
            spec("list-error"),
            options(|_| ()),
            "it does not list its tools: the shelf is empty",
            "",
        ),
    ] {
        let (sandbox, events) = with_options(spec, options).await;
        let [(name, state, tools, reason)] = &events.all()[..] else {
            panic!("{:?}", events.all());
        };
        assert_eq!(
            (&**name, *state, *tools),
            ("s", ServerState::Disconnected, 0)
        );
        assert!(reason.starts_with(code_reason), "{reason}");
        assert!(
            reason.contains(user_reason) && reason.len() < 6000,
            "{reason}"
        );
        let execution = run(&sandbox, "tools.s.echo('a')").await;
        let message = raised(&execution, "AttributeError");
        assert_eq!(
            message,
            format!("the tools of 's' are not available: {code_reason}")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_list_its_tools_in_time_is_disconnected() {
    // Long enough for the handshake on a busy machine: only the list of tools is late.
    let options = options(|o| o.connect = Duration::from_secs(5));
    let (_, events) = with_options(spec("hang-list"), options).await;
    let reasons = events.reasons(ServerState::Disconnected);
    assert!(reasons[0].contains("in time"), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_exits_in_a_call_is_restarted_a_limited_number_of_times() {
    let (sandbox, events) = with("plain").await;
    for _ in 0..4 {
        let execution = run(&sandbox, "tools.s.die()").await;
        let message = raised(&execution, "ToolError");
        assert_eq!(message, "the MCP server s is disconnected: it has ended");
    }
    for _ in 0..2 {
        let execution = run(&sandbox, "tools.s.add(1, 1)").await;
        let message = raised(&execution, "ToolError");
        assert_eq!(
            message,
            "the MCP server s is disconnected: it ended again after each of 3 reconnections"
        );
    }
    let reasons = events.reasons(ServerState::Disconnected);
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert!(reasons[0].contains("exit status: 7"), "{reasons:?}");
    assert!(
        reasons[0].contains("out of cheese in /secret/place"),
        "{reasons:?}"
    );

    let (sandbox, _) = with("plain").await;
    let code = "
for n in range(6):
    try:
        tools.s.die()
    except ToolError:
        pass
    assert tools.s.add(n, n) == 2 * n
for n in range(6):
    for _ in range(3):
        try:
            tools.s.die()
        except ToolError:
            pass
    assert tools.s.add(n, n) == 2 * n
";
    result(&run(&sandbox, code).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_the_size_limit_ends_the_connection() {
    let (sandbox, events) = with("plain").await;
    let execution = run(&sandbox, "tools.s.flood()").await;
    assert_eq!(
        raised(&execution, "ToolError"),
        "the MCP server s is disconnected: it sent more than 33554432 bytes in one message"
    );
    assert_eq!(events.reasons(ServerState::Disconnected).len(), 1);
    is(&run(&sandbox, "tools.s.add(1, 2)").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_times_out_is_cancelled_at_the_server() {
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
async fn dropping_a_turn_cancels_its_call() {
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

#[cfg(unix)]
fn is_running(pid: &str) -> bool {
    // A zombie counts as exited.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, None | Some(None | Some('Z' | 'X')))
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn servers_are_terminated_with_their_child_processes() {
    for mode in ["plain", "stubborn"] {
        let folder = tempfile::tempdir().unwrap();
        let marker = folder.path().join("marker");
        let (sandbox, _) = with_options(marked(mode, &marker), ServerOptions::default()).await;
        let execution = run(&sandbox, "tools.s.grandchild()").await;
        let grandchild = result(&execution).trim_matches('\'').to_owned();
        let server = lines(&marker)[0].trim_start_matches("pid ").to_owned();
        assert!(
            is_running(&server) && is_running(&grandchild),
            "{server} {grandchild}"
        );
        drop(sandbox);
        wait_until(|| !is_running(&server) && !is_running(&grandchild)).await;
    }
}

#[cfg(target_os = "linux")]
#[test]
fn servers_are_terminated_with_their_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("marker");
    let spec = marked("stubborn", &marker);
    let tools = crate::support::block_on(async {
        Tools::new().servers(Servers::connect([spec], EventSink::none()).await)
    });
    let server = lines(&marker)[0].trim_start_matches("pid ").to_owned();
    crate::support::block_on(wait_until(|| !is_running(&server)));
    let execution = sandbox_with_tools(tools).run_blocking("tools.s.add(1, 1)");
    let execution = execution.unwrap();
    let message = raised(&execution, "ToolError");
    assert!(
        message.starts_with("the MCP server s is disconnected"),
        "{message}"
    );
}

/// The command uses a single-threaded runtime.
#[tokio::test]
async fn a_single_threaded_runtime_suffices() {
    let (sandbox, _) = with("plain").await;
    let execution = run(&sandbox, "tools.s.die()").await;
    raised(&execution, "ToolError");
    is(&run(&sandbox, "tools.s.add(1, 1)").await, "2");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn closing_waits_until_the_servers_have_exited() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("marker");
    let servers = Servers::connect([marked("plain", &marker)], EventSink::none()).await;
    let tools = Tools::new().servers(servers);
    let server = lines(&marker)[0].trim_start_matches("pid ").to_owned();
    assert!(is_running(&server));
    tools.close().await;
    assert!(!is_running(&server));
    let execution = run(&sandbox_with_tools(tools), "tools.s.add(1, 1)").await;
    raised(&execution, "ToolError");
}
