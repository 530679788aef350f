//! Servers for tests: in this process, or the command.

#![allow(clippy::unwrap_used, reason = "a panic is how a test helper fails")]
#![allow(dead_code, reason = "not every module of the tests uses all of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use codeact::sandbox::{Limits, Sandbox};
use codeact_server::{Server, ServerConfig, TenantConfig};
use tokio::sync::{OnceCell, oneshot};

/// Token of the tenant of [`config`].
pub const TOKEN: &str = "e2b_00112233445566778899aabbccddeeff00112233";
/// Limit of everything that a test waits for.
pub const HANG: Duration = Duration::from_secs(300);
/// Prefixes of environment variables that configure a model or the command. Tests remove them.
const FOREIGN: [&str; 10] = [
    "OPENAI_",
    "OLLAMA_",
    "ANTHROPIC_",
    "GEMINI_",
    "GROQ_",
    "MISTRAL_",
    "OPENROUTER_",
    "OTEL_",
    "CODEACT_",
    "RUST_LOG",
];

/// Returns the sandbox that all servers of this process share.
pub async fn sandbox() -> Sandbox {
    static SANDBOX: OnceCell<Sandbox> = OnceCell::const_new();
    let sandbox = SANDBOX.get_or_init(async || Sandbox::new().await.unwrap());
    sandbox.await.clone()
}

/// Returns a tenant with the token `token` and limits that a busy machine does not reach.
pub fn tenant(name: &str, token: &str) -> TenantConfig {
    let mut tenant = TenantConfig::new(name).with_token(token);
    tenant.limits = Limits::new().with_wall(HANG);
    tenant.is_operator = true;
    tenant
}

/// Returns the configuration of a server with the tenant `local`, whose token is [`TOKEN`], and a temporary state
/// folder.
pub fn config() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.tenants = vec![tenant("local", TOKEN)];
    config
}

/// A running server. It stops when it is dropped.
pub struct Served {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    pub address: SocketAddr,
    /// Token of the first tenant; empty if the server prints none.
    pub token: String,
    /// For requests that the methods do not build.
    pub client: reqwest::Client,
    running: Running,
}

enum Running {
    Task {
        stop: Option<oneshot::Sender<()>>,
        ended: Option<tokio::task::JoinHandle<()>>,
    },
    Process(Process),
}

struct Process {
    child: Child,
    /// Text that it printed at the start.
    banner: String,
    stderr: Option<std::thread::JoinHandle<String>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    /// Starts a server in this process, in the runtime of the test.
    pub async fn start(config: ServerConfig) -> Self {
        let listener = tokio::net::TcpListener::bind(config.listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::start(config, sandbox().await).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            server.serve(listener, stopped).await.unwrap();
        });
        Self::new(
            address,
            TOKEN.to_owned(),
            Running::Task {
                stop: Some(stop),
                ended: Some(ended),
            },
        )
    }

    /// Starts `codeact serve` with `args`, on a free port of 127.0.0.1 unless they say otherwise. Blocks until it
    /// listens.
    pub fn command(args: &[&str]) -> Self {
        Self::spawn(&mut command(args))
    }

    /// As [`Served::command`], for a command that [`command`] has built.
    pub fn spawn(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = String::new();
        // The last line of the text. If the process fails, its output ends.
        for line in lines.by_ref().map_while(Result::ok) {
            banner += &line;
            banner.push('\n');
            if line.starts_with("All routes") {
                break;
            }
        }
        let Some(url) = banner
            .lines()
            .next()
            .and_then(|line| line.rsplit(' ').next())
        else {
            let status = child.wait().unwrap();
            panic!(
                "the server did not start: {status}: {}",
                stderr.join().unwrap()
            );
        };
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        let token = banner
            .lines()
            .find_map(|line| line.trim().strip_prefix("token  "));
        let token = token
            .filter(|token| !token.contains(' '))
            .unwrap_or_default();
        // Later lines must not block the process.
        std::thread::spawn(move || lines.for_each(drop));
        let token = token.to_owned();
        let process = Process {
            child,
            banner,
            stderr: Some(stderr),
        };
        Self::new(address, token, Running::Process(process))
    }

    fn new(address: SocketAddr, token: String, running: Running) -> Self {
        Self {
            url: format!("http://{address}"),
            address,
            token,
            client: reqwest::Client::builder()
                .no_proxy()
                .timeout(HANG)
                .build()
                .unwrap(),
            running,
        }
    }

    /// Returns a request with the token.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        let request = self.client.request(method, format!("{}{path}", self.url));
        request.bearer_auth(&self.token)
    }

    /// Returns a GET request with the token.
    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.request("GET", path)
    }

    /// Returns a POST request with the token and a JSON body.
    pub fn post(&self, path: &str, body: &serde_json::Value) -> reqwest::RequestBuilder {
        self.request("POST", path).json(body)
    }

    /// Sends the bytes `request` on a connection of their own, and returns the bytes until the server closes it. The
    /// request should ask for that. Blocks.
    pub fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        // The server may answer, and close the connection, before it has read everything.
        let _ = stream.write_all(request.as_ref());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Stops the server as SIGTERM does, and waits for its end.
    pub async fn stop(mut self) -> Option<ExitStatus> {
        match &mut self.running {
            Running::Task { stop, ended } => {
                let _ = stop.take().unwrap().send(());
                ended.take().unwrap().await.unwrap();
                None
            }
            Running::Process(process) => {
                signal(&process.child, "TERM");
                Some(ended(&mut process.child))
            }
        }
    }

    /// Returns the process, if it is one.
    pub fn child(&mut self) -> Option<&mut Child> {
        match &mut self.running {
            Running::Task { .. } => None,
            Running::Process(process) => Some(&mut process.child),
        }
    }

    /// Returns the text that the command printed at the start.
    pub fn banner(&self) -> &str {
        match &self.running {
            Running::Task { .. } => "",
            Running::Process(process) => &process.banner,
        }
    }

    /// Kills the process as SIGKILL does, and returns its stderr.
    pub fn kill(mut self) -> String {
        let Running::Process(process) = &mut self.running else {
            panic!("the server runs in this process");
        };
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        process.stderr.take().unwrap().join().unwrap()
    }
}

/// Returns `codeact serve` with `args`, without the settings of the developer. It listens on a free port of 127.0.0.1
/// unless `args` say otherwise.
pub fn command(args: &[&str]) -> Command {
    let mut command = bare_command(args);
    let has = |name: &str| args.iter().any(|arg| arg.starts_with(name));
    if !has("--listen") && !has("--config") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command
}

/// As [`command`], with no further arguments.
pub fn bare_command(args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text != "CODEACT_HOME" && FOREIGN.iter().any(|f| text.starts_with(f)) {
            command.env_remove(&name);
        }
    }
    command.arg("serve").args(args).stdin(Stdio::null());
    command
}

/// Sends a signal to a process.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success(), "{sent}");
}

/// Waits for the end of a process.
pub fn ended(child: &mut Child) -> ExitStatus {
    until("the process ends", || child.try_wait().unwrap())
}

/// Returns the first value of `look`, which is tried until then. Blocks.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + HANG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns the command `codeact`, which is built once if it is missing or old.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // TARGET/PROFILE/deps/server-HASH
        let test = std::env::current_exe().unwrap();
        let folder = test.ancestors().nth(2).unwrap();
        let mut build = Command::new(env!("CARGO"));
        build
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .args(["build", "--quiet", "--bin", "codeact"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let built = build.status().unwrap();
        assert!(built.success(), "cannot build the command: {built}");
        folder.join(format!("codeact{}", std::env::consts::EXE_SUFFIX))
    })
}
