//! Texts about the network and secrets.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::texts::Page;

const IMPORTS: &str = "import os, socket, urllib.request";

/// Returns Python code that requests `url`.
fn get(url: &str) -> String {
    format!("urllib.request.urlopen({url:?}, timeout=60).read()")
}

#[test]
fn invalid_secrets_and_hosts() {
    let mut page = Page::with_pack();
    page.set("SHORT_TOKEN", "x");
    page.set("LINES_TOKEN", "one-long-line\nanother-long-line");
    page.set("GOOD_TOKEN", "a-long-enough-value");
    page.set("TWO_TOKEN", "a-long-enough-value");
    for args in [
        &["--secret", "CODEACT_TEST_NOT_THERE@example.com"][..],
        &["--secret", "GOOD_TOKEN"],
        &[
            "--secret",
            "GOOD_TOKEN",
            "--allow-net",
            "a.example,b.example",
        ],
        &["--secret", "GOOD_TOKEN=missing.txt@example.com"],
        &["--secret", "SHORT_TOKEN@example.com"],
        &["--secret", "LINES_TOKEN@example.com"],
        &["--secret", "1TOKEN@example.com"],
        &["--secret", "A-B@example.com"],
        &[
            "--secret",
            "GOOD_TOKEN@example.com",
            "--secret",
            "GOOD_TOKEN@example.org",
        ],
    ] {
        page.run(&[&["exec", "-c", "print('ran')"], args].concat());
    }
    page.pinned("net_secrets");
}

#[test]
fn requests_that_are_not_made() {
    let mut page = Page::with_pack();
    page.set("GOOD_TOKEN", "a-long-enough-value");
    let lines = [
        get("http://127.0.0.1:1/"),
        get("http://localhost:9/"),
        get("http://[::1]:9/"),
        get("http://10.0.0.1/"),
        get("https://example.com/"),
        get("ftp://127.0.0.1/"),
        get("http://127.0.0.1:9/"),
        get("http://192.0.2.1/?key=CODEACT_SECRET_GOOD_TOKEN"),
        get("http://user:password@127.0.0.1:1/"),
        "urllib.request.Request('http://127.0.0.1:1/', method='TRACE')".into(),
        "socket.create_server(('127.0.0.1', 8000))".into(),
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))".into(),
        "socket.gethostbyname('example.com')".into(),
        "os.environ.get('GOOD_TOKEN')".into(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    page.tried(&[], IMPORTS, &lines);
    let granted = [
        "--allow-net",
        "127.0.0.1:1,192.0.2.1",
        "--secret",
        "GOOD_TOKEN@192.0.2.1",
    ];
    page.tried(&granted, IMPORTS, &lines);
    page.run(&[
        "exec",
        "-c",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:1/')",
    ]);
    page.pinned("net_requests");
}

/// A web server on a local port.
pub struct Web {
    child: Child,
    /// Stays open while the server runs, because it writes more than its port.
    _stdout: BufReader<ChildStdout>,
    pub origin: String,
}

impl Web {
    /// Starts `script`, a file of `tests/servers`, with `args`.
    pub fn start(script: &str, args: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers");
        let mut child = Command::new("python3")
            .arg(folder.join(script))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut port = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("its stdout is a pipe"));
        (stdout.read_line(&mut port)).expect("it tells its port");
        let origin = format!("http://127.0.0.1:{}", port.trim());
        Self {
            child,
            _stdout: stdout,
            origin,
        }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn requests_with_invalid_responses() {
    let mut page = Page::with_pack();
    let web = Web::start("http_server.py", &[]);
    page.hide_port(&web.origin);
    let paths = [
        "hello",
        "missing",
        "short",
        "nonsense",
        "injected",
        "switch",
        "redirect?http://localhost:9/",
    ];
    let lines = paths.map(|path| get(&format!("{}/{path}", web.origin)));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (_, allowed) = web
        .origin
        .split_once("//")
        .expect("an address has a scheme");
    page.tried(&["--allow-net", allowed], IMPORTS, &lines);
    page.pinned("net_answers");
}
