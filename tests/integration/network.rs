//! HTTP(S) from the sandbox to real servers on loopback ports, through the binary. The scripts in
//! `tests/network` run in the sandbox; each exits with an error if one of its cases fails.
//!
//! Only on systems where `SSL_CERT_FILE` selects the trusted authorities: other systems have a global
//! store, which tests must not change.
#![cfg(all(unix, not(target_vendor = "apple")))]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{Codeact, FinishedCommand, codeact, exec};

/// Pinned, so that all tests share the same cached wheels.
const PACKAGES: [&str; 4] = ["--with", "requests==2.32.5", "--with", "httpx==0.28.1"];

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// A process of `tests/servers/http_server.py`. It is killed when dropped; if the test process is killed, the
/// server exits at the end of its stdin.
struct Server {
    child: Child,
    port: u16,
    /// A reserved port without a listener.
    closed: u16,
}

impl Server {
    fn http() -> Self {
        Self::start(&[])
    }

    fn https() -> Self {
        let tls = tests().join("servers/tls");
        Self::start(&["--tls".into(), tls.join("cert.pem"), tls.join("key.pem")])
    }

    fn start(args: &[PathBuf]) -> Self {
        let mut child = Command::new("python3")
            .arg(tests().join("servers/http_server.py"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a python3 on PATH");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut port = || lines.next()?.ok()?.parse().ok();
        let (port, closed) = (port(), port());
        // Created first, so that a server without output is killed as well.
        let mut server = Self {
            child,
            port: 0,
            closed: 0,
        };
        server.port = port.expect("the server prints its port");
        server.closed = closed.expect("the server prints a port without a listener");
        server
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the argument of `--allow-net` for the server.
    fn rule(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both servers, as the scripts use them.
struct Servers {
    http: Server,
    https: Server,
}

impl Servers {
    fn start() -> Self {
        Self {
            http: Server::http(),
            https: Server::https(),
        }
    }

    /// Returns the `--allow-net` rules that `checks.py` expects.
    fn rules(&self) -> String {
        let (http, https) = (self.http.port, self.https.port);
        let closed = self.http.closed;
        let nameless = "n".repeat(64);
        [
            format!("127.0.0.1:{http}"),
            format!("127.0.0.1:{https}"),
            format!("127.0.0.1:{closed}"),
            format!("localhost:{http}"),
            format!("localhost:{https}"),
            format!("wrong.localhost:{https}"),
            format!("{nameless}.test:{http}"),
        ]
        .join(",")
    }

    /// Adds `script` with the ports and `cases` as its arguments.
    fn script(&self, exec: Codeact, script: &str, cases: &[&str]) -> Codeact {
        let folder = tests().join("network");
        let ports = [self.http.port, self.https.port, self.http.closed];
        let mut exec = exec
            .arg("--mount")
            .arg(folder.join("checks.py"))
            .arg(folder.join(script))
            .arg("--");
        for port in ports {
            exec = exec.arg(port.to_string());
        }
        exec.args(cases.iter().copied())
    }

    /// As [`Servers::script`], with all cases and network access.
    fn run(&self, exec: Codeact, script: &str) -> FinishedCommand {
        let exec = exec
            .host_env("SSL_CERT_FILE", tests().join("servers/tls/ca.pem"))
            .args(["--allow-net", &self.rules()]);
        self.script(exec, script, &[]).run()
    }
}

#[test]
fn the_standard_library_makes_requests_and_nothing_else() {
    Servers::start()
        .run(exec(), "standard_library.py")
        .success()
        .stdout_contains("ok urllib_gets_a_page_over_https\n");
}

#[test]
fn requests_and_urllib3_work_unmodified() {
    Servers::start()
        .run(exec().args(PACKAGES), "with_requests.py")
        .success()
        .stdout_contains("ok urllib3_makes_requests\n");
}

#[test]
fn httpx_works_unmodified_and_requests_are_concurrent() {
    Servers::start()
        .run(exec().args(PACKAGES), "with_httpx.py")
        .success()
        .stdout_contains("ok requests_are_under_way_at_once\n");
}

#[test]
fn asyncio_has_connections_that_speak_http() {
    Servers::start()
        .run(exec(), "asyncio_streams.py")
        .success()
        .stdout_contains("ok streams_speak_http_and_https\n");
}

#[test]
fn hostile_code_does_not_bypass_the_network_rules() {
    Servers::start()
        .run(exec(), "hostile.py")
        .success()
        .stdout_contains("ok a_response_without_end_is_bounded\n");
}

#[test]
fn without_allow_net_there_is_no_network() {
    let servers = Servers::start();
    for case in ["urllib_gets_a_page", "urllib_gets_a_page_over_https"] {
        servers
            .script(exec(), "standard_library.py", &[case])
            .run()
            .code(1)
            .stdout(&format!("FAILED {case}\n"))
            .stderr_contains("the sandbox has no network; use the data and tools you were given");
    }
}

#[test]
fn a_certificate_of_an_untrusted_authority_is_rejected() {
    let server = Server::https();
    let code = format!(
        "
import ssl, urllib.error, urllib.request
try:
    urllib.request.urlopen('https://127.0.0.1:{}/')
except urllib.error.URLError as e:
    print(type(e.reason) is ssl.SSLCertVerificationError, e.reason)",
        server.port
    );
    // Trusted authorities without the test authority.
    let others = tests().join("servers/tls/cert.pem");
    exec()
        .host_env("SSL_CERT_FILE", others)
        .args(["--allow-net", &server.rule()])
        .code(&code)
        .run()
        .success()
        .stdout_contains("True ")
        .stdout_contains("certificate");
}

/// A response has its own limit. The default limit of host call bytes is lower, so the test raises it.
#[test]
fn a_response_without_end_has_its_own_limit() {
    let server = Server::http();
    let code = format!(
        "
import urllib.request
response, received = urllib.request.urlopen('{}/huge'), 0
try:
    while data := response.read(1 << 16):
        received += len(data)
except OSError as e:
    print(received <= 64 << 20, e.strerror)",
        server.url()
    );
    exec()
        .args([
            "--allow-net",
            &server.rule(),
            "--max-host-call-bytes",
            "256M",
        ])
        .code(&code)
        .run()
        .success()
        .stdout("True the response in bytes is more than the limit of 67108864; make it smaller\n");
}

#[test]
fn a_server_that_never_responds_does_not_outlast_the_turn() {
    let server = Server::http();
    for path in ["hang", "drip"] {
        let code = format!(
            "import urllib.request; urllib.request.urlopen('{}/{path}').read()",
            server.url()
        );
        exec()
            .args(["--allow-net", &server.rule(), "--timeout", "1s"])
            .code(&code)
            .run()
            .code(124);
    }
}

#[test]
fn a_response_ends_with_its_turn_and_does_not_affect_later_ones() {
    let server = Server::http();
    let sessions = tempfile::tempdir().unwrap();
    let turn = |code: &str| {
        exec()
            .host_env("CODEACT_SESSIONS", sessions.path())
            .args(["--session", "s", "--allow-net", &server.rule()])
            .code(code)
            .run()
            .success()
    };
    let code = format!(
        "
from urllib.request import urlopen
url = '{}'
old = again = None
old, again = urlopen(url + '/big'), urlopen(url + '/big')
print(len(old.read(3)))",
        server.url()
    );
    turn(&code).stdout("3\n");
    let code = "
new = urlopen(url + '/stream')
try:
    print(len(old.read()))
except ConnectionResetError as e:
    print(e.strerror)
print(new.read()[:6])
# The previous response is closed only now, after the new request.
again = urlopen(url)
print(again.read())";
    turn(code).stdout("the turn that requested this response has ended\nb'part 0'\nb'hello'\n");
    // A connection whose response was read to its end stays usable.
    let code = "
import http.client
kept = http.client.HTTPConnection(url.removeprefix('http://'))
kept.request('GET', '/')
print(kept.getresponse().read())";
    turn(code).stdout("b'hello'\n");
    turn("kept.request('GET', '/'); print(kept.getresponse().read())").stdout("b'hello'\n");
}

#[test]
fn a_recording_replays_without_the_server() {
    let server = Server::http();
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("run.recording");
    let code = format!(
        "
import urllib.request
print(urllib.request.urlopen('{}/stream').read().decode().split())",
        server.url()
    );
    let done = exec()
        .args(["--allow-net", &server.rule(), "--record"])
        .arg(&recording)
        .code(&code)
        .run()
        .success();
    drop(server);
    codeact(["replay"])
        .arg(&recording)
        .run()
        .success()
        .stdout_contains(&done.stdout);
    codeact(["replay", "--check"])
        .arg(&recording)
        .run()
        .success()
        .stdout_contains("the same output, the same memory");
}
