//! Two reference servers from npm, run by node: "everything" and "filesystem". They are installed once, in the
//! target folder.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use codeact::Sandbox;
use codeact::event::EventSink;
use codeact::sandbox::{Execution, Outcome, Turn};
use codeact::tools::Tools;
use codeact::tools::mcp::{ServerSpec, Servers};

use crate::support::{codeact, limits, raised, ready, result, sandbox_with_tools, shown};

const SERVERS: [&str; 2] = [
    "@modelcontextprotocol/server-everything@2026.8.31",
    "@modelcontextprotocol/server-filesystem@2026.8.31",
];

/// Returns the folder of the servers; `None`, with a notice, if npm is not installed.
fn installed() -> Option<&'static Path> {
    static INSTALLED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = INSTALLED.get_or_init(|| {
        let version = Command::new("npm")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if version.is_err() {
            eprintln!("npm is not installed: its MCP servers are not tested");
            return None;
        }
        let name = format!("mcp-{}", SERVERS.join(" ").replace(['@', '/', ' '], "_"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if !folder.exists() {
            // Atomic, also if two test runs install concurrently.
            let new = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let done = Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
                .args(["--prefix".as_ref(), new.path().as_os_str()])
                .args(SERVERS)
                .output()
                .unwrap();
            assert!(
                done.status.success(),
                "npm cannot install the servers: {done:?}"
            );
            if let Err(e) = std::fs::rename(new.keep(), &folder) {
                assert!(folder.exists(), "{e}");
            }
        }
        Some(folder)
    });
    folder.as_deref()
}

/// Returns a sandbox with one of the servers, named `s`.
async fn with(server: &str, rest: &str) -> Option<Sandbox> {
    let folder = installed()?.join("node_modules/@modelcontextprotocol");
    let script = folder.join(server).join("dist/index.js");
    let spec: ServerSpec = format!("s=node '{}' {rest}", script.display())
        .parse()
        .unwrap();
    // Shown if a test fails.
    let events = EventSink::new(|event| eprintln!("{event:?}"));
    let servers = Servers::connect([spec], events).await;
    Some(sandbox_with_tools(Tools::new().servers(servers)))
}

async fn run(sandbox: &Sandbox, code: &str) -> Execution {
    sandbox.run(code).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_everything_server() {
    let Some(sandbox) = with("server-everything", "").await else {
        return;
    };
    everything(&sandbox).await;
}

/// Checks that apply to stdio and HTTP.
async fn everything(sandbox: &Sandbox) {
    for (code, expected) in [
        ("tools.s.echo('hællo')", "'Echo: hællo'"),
        ("'42' in tools.s.get_sum(a=40, b=2)", "True"),
        (
            "w = tools.s.get_structured_content('Chicago'); sorted(w), type(w['temperature'])",
            "(['conditions', 'humidity', 'temperature'], <class 'int'>)",
        ),
        (
            "[type(v).__name__ for v in tools.s.get_resource_links(count=2)]",
            "['str', 'dict', 'dict']",
        ),
        (
            "[type(v).__name__ for v in tools.s.get_resource_reference('Blob', 2)]",
            "['str', 'bytes', 'str']",
        ),
        (
            "'completed' in tools.s.trigger_long_running_operation(duration=0.2, steps=2)",
            "True",
        ),
        (
            "r = tools.s.list_resources(); tools.s.read_resource(r[0]['uri'])[:2]",
            "'# '",
        ),
    ] {
        let execution = run(sandbox, code).await;
        assert_eq!(
            result(&execution),
            expected,
            "{code}: {}",
            shown(&execution)
        );
    }
    let execution = run(sandbox, "tools.s.get_tiny_image()").await;
    assert!(result(&execution).contains("<picture image/png, "));
    assert_eq!(execution.displays.len(), 1);
    let execution = run(sandbox, "tools.s.get_structured_content('Paris')").await;
    raised(&execution, "ToolArgumentError");
    let execution = run(sandbox, "tools.s.read_resource('no://such')").await;
    assert!(raised(&execution, "ToolError").starts_with("s: "));
    // A tool that can only run as a task, which is not supported.
    let execution = run(sandbox, "tools.s.simulate_research_query('x')").await;
    raised(&execution, "ToolError");
}

/// The "everything" server over HTTP. It is killed when dropped.
struct Http(std::process::Child, String);

impl Http {
    /// Starts it on a port that was free a moment ago. Retries if another process has taken the port.
    fn start(script: &Path) -> Self {
        for _ in 0..10 {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let mut child = Command::new("node")
                .arg(script)
                .arg("streamableHttp")
                .env("PORT", port.to_string())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let lines = BufReader::new(child.stderr.take().unwrap()).lines();
            let mut lines = lines.map_while(Result::ok);
            if lines.any(|line| line.contains("listening on port")) {
                std::thread::spawn(move || lines.for_each(drop));
                return Self(child, format!("http://127.0.0.1:{port}/mcp"));
            }
            let _ = child.wait();
        }
        panic!("the server does not start");
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_everything_server_over_http() {
    let Some(folder) = installed() else {
        return;
    };
    let script = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let server = Http::start(&folder.join(script));
    let spec = format!("s={}", server.1).parse::<ServerSpec>().unwrap();
    let servers = Servers::connect([spec], EventSink::none()).await;
    everything(&sandbox_with_tools(Tools::new().servers(servers))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_operation_is_cancelled_and_the_server_continues() {
    let Some(sandbox) = with("server-everything", "").await else {
        return;
    };
    let code = "tools.s.trigger_long_running_operation(duration=600, steps=600)";
    let turn = Turn::new(code).limits(limits(|l| l.wall = Duration::from_secs(1)));
    let execution = sandbox.run(turn).await.unwrap();
    let timed_out = matches!(execution.outcome, Outcome::TimedOut { .. });
    assert!(timed_out, "{}", shown(&execution));
    let execution = run(&sandbox, "tools.s.echo('still here')").await;
    assert_eq!(result(&execution), "'Echo: still here'");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filesystem_server() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let inside = root.join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(root.join("secret.txt"), "secret").unwrap();
    let argument = format!("'{}'", inside.display());
    let Some(sandbox) = with("server-filesystem", &argument).await else {
        return;
    };
    let code = format!(
        "d = {inside:?}
tools.s.write_file(d + '/a.txt', 'hællo\\n')
tools.s.create_directory(d + '/b')
listed = tools.s.list_directory(d)['content']
(tools.s.read_text_file(d + '/a.txt')['content'], '[FILE] a.txt' in listed, '[DIR] b' in listed)"
    );
    let execution = run(&sandbox, &code).await;
    assert_eq!(result(&execution), "('hællo\\n', True, True)");
    assert_eq!(
        std::fs::read_to_string(inside.join("a.txt")).unwrap(),
        "hællo\n"
    );
    for path in ["/secret.txt", "/inside/../secret.txt"] {
        let code = format!("tools.s.read_text_file('{}{path}')", root.display());
        let execution = run(&sandbox, &code).await;
        let message = raised(&execution, "ToolError");
        assert!(message.contains("outside allowed directories"), "{message}");
    }
}

/// Runs an agent through the binary. Its code uses four tools of both servers in a loop.
#[test]
fn an_agent_uses_both_servers_in_one_step() {
    let Some(folder) = installed() else {
        return;
    };
    let servers = folder.join("node_modules/@modelcontextprotocol");
    let script = |server: &str| servers.join(server).join("dist/index.js");
    let numbers = tempfile::tempdir().unwrap();
    for (name, number) in [("a.txt", "1"), ("b.txt", "20"), ("c.txt", "300")] {
        std::fs::write(numbers.path().join(name), number).unwrap();
    }
    let path = std::fs::canonicalize(numbers.path()).unwrap();
    let path = path.display();
    ready();
    let model = concat!(
        "recorded:",
        env!("CARGO_MANIFEST_DIR"),
        "/tests/cassettes/mcp.json"
    );
    let files = script("server-filesystem");
    codeact([
        "run",
        "Write the sum of the numbers in the folder's files to sum.txt.",
    ])
    .args(["--no-mcp-config", "--model", model])
    .args([
        "--mcp",
        &format!("files=node '{}' '{path}'", files.display()),
    ])
    .args([
        "--mcp",
        &format!("every=node '{}'", script("server-everything").display()),
    ])
    .stdin(path.to_string())
    .run()
    .success()
    .stdout("321\n")
    .stderr_contains("mcp files ready")
    .stderr_contains("c.txt The sum of 21 and 300 is 321.")
    .stderr_contains("> every.get_sum {\"a\":21,\"b\":300} (");
    let sum = std::fs::read_to_string(numbers.path().join("sum.txt")).unwrap();
    assert_eq!(sum, "321");
}
