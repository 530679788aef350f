//! MCP servers that are not there, die, hang, flood or have to be ended.

use std::time::Duration;

use codeact::event::{EventSink, ServerState};
use codeact::tools::mcp::{ServerOptions, ServerSpec, Servers};
use codeact::tools::{ToolLimits, Tools};

use crate::mcp_support::{is, lines, marked, options, run, spec, wait_until, with, with_options};
use crate::support::{raised, result, sandbox};

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
            "the MCP server s is gone: it ended again after each of 3 new starts"
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

/// As the command runs.
#[tokio::test]
async fn one_thread_is_enough() {
    let (sandbox, _) = with("plain").await;
    let execution = run(&sandbox, "tools.s.die()").await;
    raised(&execution, "ToolError");
    is(&run(&sandbox, "tools.s.add(1, 1)").await, "2");
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
