//! A fluent builder around the real binary, and one sandbox that the library's tests share.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use codeact::Sandbox;
use codeact::sandbox::{Execution, Limits};

/// After this a run is a hang, and is killed.
const HANG: Duration = Duration::from_secs(600);
/// The wall time of code whose test gives none: on a machine that is busy, the default is too short for some.
const WALL: Duration = Duration::from_secs(300);
/// The first use of a machine installs the pack and compiles it.
const FIRST_USE: Duration = Duration::from_secs(15 * 60);

/// Variables that would send a test to somebody's model or change what the binary does.
const FOREIGN: [&str; 9] = [
    "OPENAI_",
    "OLLAMA_",
    "ANTHROPIC_",
    "GEMINI_",
    "GROQ_",
    "MISTRAL_",
    "OPENROUTER_",
    "CODEACT_",
    "RUST_LOG",
];

/// Makes sure the pack is there, once per test process, before anything is measured by [`HANG`].
pub fn ready() {
    static READY: OnceLock<()> = OnceLock::new();
    READY.get_or_init(|| {
        let done = Codeact::bare(["exec", "-c", "pass"]).finish(FIRST_USE);
        assert_eq!(done.exit, Some(0), "the first use failed: {done:?}");
    });
}

/// `codeact exec`.
pub fn exec() -> Codeact {
    ready();
    Codeact::bare(["exec"])
}

/// `codeact` with `args` and nothing else; does not need the pack.
pub fn codeact<'a>(args: impl IntoIterator<Item = &'a str>) -> Codeact {
    Codeact::bare(args)
}

/// A command line being put together.
pub struct Codeact {
    command: Command,
    args: Vec<OsString>,
    stdin: Option<Vec<u8>>,
}

impl Codeact {
    fn bare<'a>(args: impl IntoIterator<Item = &'a str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_codeact"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text != "CODEACT_HOME" && FOREIGN.iter().any(|f| text.starts_with(f)) {
                command.env_remove(&name);
            }
        }
        Self {
            command,
            args: args.into_iter().map(OsString::from).collect(),
            stdin: None,
        }
    }

    pub fn code(self, code: &str) -> Self {
        self.arg("-c").arg(code)
    }

    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.args.extend(args.into_iter().map(OsString::from));
        self
    }

    pub fn stdin(mut self, text: impl AsRef<[u8]>) -> Self {
        self.stdin = Some(text.as_ref().to_vec());
        self
    }

    /// A variable of the *host's* environment.
    pub fn host_env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    pub fn cwd(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub fn run(self) -> Done {
        self.finish(HANG)
    }

    /// As [`Codeact::run`], with another time after which it counts as a hang.
    pub fn run_within(self, hang: Duration) -> Done {
        self.finish(hang)
    }

    /// Runs it with `--json` and reads the object.
    pub fn json(self) -> serde_json::Value {
        let done = self.arg("--json").run();
        done.json()
    }

    fn finish(mut self, limit: Duration) -> Done {
        let input = self.stdin.take();
        let live = self.spawn();
        if let (Some(bytes), Some(mut stdin)) = (input, live.stdin) {
            std::thread::spawn(move || {
                // The code may end without reading it all.
                let _ = stdin.write_all(&bytes);
            });
        }
        let exit = wait(live.child, limit);
        let stdout = String::from_utf8(live.stdout_rest.join().unwrap()).unwrap();
        let stderr = live.stderr.join().unwrap();
        Done {
            stdout,
            stderr,
            exit: exit.code(),
        }
    }

    /// Starts it and hands out its streams.
    pub fn spawn(mut self) -> Live {
        let timed = self.args.iter().any(|arg| arg == "--timeout");
        if self.args.first().is_some_and(|arg| arg == "exec") && !timed {
            let wall = format!("--timeout={}s", WALL.as_secs());
            self.args.insert(1, wall.into());
        }
        self.command
            .args(self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the binary starts");
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let (send, first_lines) = channel();
        let stdout_rest = std::thread::spawn(move || {
            let mut all = Vec::new();
            loop {
                let start = all.len();
                match stdout.read_until(b'\n', &mut all) {
                    Ok(0) | Err(_) => return all,
                    Ok(_) => {
                        let _ = send.send(String::from_utf8_lossy(&all[start..]).into_owned());
                    }
                }
            }
        });
        let stderr = std::thread::spawn(move || {
            let mut all = Vec::new();
            let _ = stderr.read_to_end(&mut all);
            String::from_utf8_lossy(&all).into_owned()
        });
        Live {
            child,
            stdin,
            lines: first_lines,
            stdout_rest,
            stderr,
        }
    }
}

/// A running child.
pub struct Live {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stdout_rest: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<String>,
}

impl Live {
    /// The next line it writes to stdout, with its newline.
    pub fn line(&mut self) -> String {
        self.lines.recv_timeout(HANG).unwrap_or_else(|e| {
            let _ = self.child.kill();
            panic!("no line from the child: {e}")
        })
    }

    pub fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Closes its stdin.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    #[cfg(unix)]
    pub fn interrupt(&self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end with stdin still open.
    pub fn end(self) -> Done {
        let exit = wait(self.child, HANG);
        drop(self.stdin);
        Done {
            stdout: String::from_utf8(self.stdout_rest.join().unwrap()).unwrap(),
            stderr: self.stderr.join().unwrap(),
            exit: exit.code(),
        }
    }
}

fn wait(mut child: Child, limit: Duration) -> ExitStatus {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the binary hung and was killed after {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A child that ended.
#[derive(Debug)]
pub struct Done {
    pub stdout: String,
    pub stderr: String,
    pub exit: Option<i32>,
}

impl Done {
    #[track_caller]
    pub fn success(self) -> Self {
        self.code(0)
    }

    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.exit, Some(code), "{}", self.shown());
        self
    }

    #[track_caller]
    pub fn stdout(self, text: &str) -> Self {
        assert!(
            self.stdout == text,
            "expected {text:?} on stdout: {}",
            self.shown()
        );
        self
    }

    #[track_caller]
    pub fn stderr(self, text: &str) -> Self {
        assert!(
            self.stderr == text,
            "expected {text:?} on stderr: {}",
            self.shown()
        );
        self
    }

    #[track_caller]
    pub fn stdout_contains(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text),
            "expected {text:?}: {}",
            self.shown()
        );
        self
    }

    #[track_caller]
    pub fn stderr_contains(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "expected {text:?}: {}",
            self.shown()
        );
        self
    }

    #[track_caller]
    pub fn stdout_lacks(self, text: &str) -> Self {
        assert!(!self.stdout.contains(text), "{text:?}: {}", self.shown());
        self
    }

    #[track_caller]
    pub fn stderr_lacks(self, text: &str) -> Self {
        assert!(
            !self.stderr.contains(text),
            "did not expect {text:?}: {}",
            self.shown()
        );
        self
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("no JSON ({e}): {}", self.shown()))
    }

    fn shown(&self) -> String {
        let cut = |text: &str| text.chars().take(3000).collect::<String>();
        format!(
            "exit {:?}\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.exit,
            cut(&self.stdout),
            cut(&self.stderr)
        )
    }
}

/// The folder `tests/cases`.
pub fn cases_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// One sandbox with every default, shared by the whole process: so that its slots are used again
/// by whoever comes next.
pub fn sandbox() -> Sandbox {
    static SHARED: OnceLock<Sandbox> = OnceLock::new();
    SHARED.get_or_init(|| sandbox_with(|_| ())).clone()
}

/// A sandbox of its own, with other limits.
pub fn sandbox_with(change: impl FnOnce(&mut Limits)) -> Sandbox {
    ready();
    let builder = Sandbox::builder().limits(limits(change));
    // On a thread of its own: the caller may be inside an async runtime.
    std::thread::spawn(move || block_on(builder.build()))
        .join()
        .unwrap()
        .expect("a sandbox")
}

/// The default limits, changed.
pub fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    // Far above what any test takes, also on a busy machine.
    limits.wall = WALL;
    change(&mut limits);
    limits
}

/// Drives `future` on a runtime of its own.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// What an execution left, for a failing assertion.
pub fn shown(e: &Execution) -> String {
    let text: String = format!("{e:#?}").chars().take(4000).collect();
    text
}

/// Asserts that `e` completed and tells its result.
#[track_caller]
pub fn result(e: &Execution) -> &str {
    assert_eq!(
        e.outcome,
        codeact::sandbox::Outcome::Completed,
        "{}",
        shown(e)
    );
    e.result.as_deref().unwrap_or("None")
}

/// Asserts that `e` ended with an exception of class `kind` and tells its message.
#[track_caller]
pub fn raised<'a>(e: &'a Execution, kind: &str) -> &'a str {
    match &e.outcome {
        codeact::sandbox::Outcome::Raised(error) if error.kind == kind => &error.message,
        _ => panic!("expected {kind}: {}", shown(e)),
    }
}
