//! A builder of command lines, and the sandbox that tests of the library share.

#![allow(clippy::unwrap_used, reason = "a panic is how a test helper fails")]

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use codeact::Sandbox;
use codeact::sandbox::{Execution, Limits, Toolbox};

/// A process that runs longer counts as hanging and is killed.
const HANG: Duration = Duration::from_secs(600);
/// Wall time of code whose test sets none. The default is too short on a busy machine.
const WALL: Duration = Duration::from_secs(300);
/// Time limit of the first run on a machine, which installs and compiles the pack.
const FIRST_USE: Duration = Duration::from_secs(15 * 60);

/// Prefixes of environment variables that configure a model or the command. Tests remove them.
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

/// Installs the pack if it is missing, once in a test process, so that [`HANG`] applies to later runs only.
pub fn ready() {
    static READY: OnceLock<()> = OnceLock::new();
    READY.get_or_init(|| {
        let done = Codeact::bare(["exec", "-c", "pass"]).finish(FIRST_USE);
        assert_eq!(done.exit, Some(0), "the first use failed: {done:?}");
    });
}

/// Returns `codeact exec`.
pub fn exec() -> Codeact {
    ready();
    Codeact::bare(["exec"])
}

/// Returns `codeact` with `args`. Does not need the pack.
pub fn codeact<'a>(args: impl IntoIterator<Item = &'a str>) -> Codeact {
    Codeact::bare(args)
}

/// Builds and runs a command line.
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

    /// Sets a variable in the environment of the command (not of the guest).
    pub fn host_env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    pub fn cwd(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub fn run(self) -> FinishedCommand {
        self.finish(HANG)
    }

    /// As [`Codeact::run`], with another limit of its run time.
    pub fn run_within(self, hang: Duration) -> FinishedCommand {
        self.finish(hang)
    }

    /// Runs it with `--json` and parses the output.
    pub fn json(self) -> serde_json::Value {
        let done = self.arg("--json").run();
        done.json()
    }

    fn finish(mut self, limit: Duration) -> FinishedCommand {
        let input = self.stdin.take();
        let command = self.spawn();
        if let (Some(bytes), Some(mut stdin)) = (input, command.stdin) {
            std::thread::spawn(move || {
                // The code may exit without reading everything.
                let _ = stdin.write_all(&bytes);
            });
        }
        let exit = wait(command.child, limit);
        let stdout = String::from_utf8(command.stdout_rest.join().unwrap()).unwrap();
        let stderr = command.stderr.join().unwrap();
        FinishedCommand {
            stdout,
            stderr,
            exit: exit.code(),
        }
    }

    /// Starts the process.
    pub fn spawn(mut self) -> RunningCommand {
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
        RunningCommand {
            child,
            stdin,
            lines: first_lines,
            stdout_rest,
            stderr,
        }
    }
}

/// A running process.
pub struct RunningCommand {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stdout_rest: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<String>,
}

impl RunningCommand {
    /// Waits for the next line of stdout. Returns it with its newline.
    pub fn line(&mut self) -> String {
        self.lines.recv_timeout(HANG).unwrap_or_else(|e| {
            let _ = self.child.kill();
            panic!("the process wrote no line: {e}")
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

    /// Waits for its exit, with stdin still open.
    pub fn end(self) -> FinishedCommand {
        let exit = wait(self.child, HANG);
        drop(self.stdin);
        FinishedCommand {
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
            panic!("the process was killed after {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The output and exit code of a process.
#[derive(Debug)]
pub struct FinishedCommand {
    pub stdout: String,
    pub stderr: String,
    pub exit: Option<i32>,
}

impl FinishedCommand {
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

/// Returns the folder `tests/cases`.
pub fn cases_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// Returns a sandbox with default settings. All tests of the process share it, so that its slots are reused.
pub fn sandbox() -> Sandbox {
    static SHARED: OnceLock<Sandbox> = OnceLock::new();
    SHARED.get_or_init(|| sandbox_with(|_| ())).clone()
}

/// Returns a sandbox that shares the engine of [`sandbox`] and has `tools`.
pub fn sandbox_with_tools(tools: impl Toolbox) -> Sandbox {
    sandbox().derive().tools(tools).build().expect("a sandbox")
}

/// Returns a separate sandbox with changed limits.
pub fn sandbox_with(change: impl FnOnce(&mut Limits)) -> Sandbox {
    ready();
    let builder = Sandbox::builder().limits(limits(change));
    // On a separate thread: the caller may be inside an async runtime.
    std::thread::spawn(move || builder.build_blocking())
        .join()
        .unwrap()
        .expect("a sandbox")
}

/// Returns the default limits with changes.
pub fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    // Far above the run time of any test, also on a busy machine.
    let mut limits = Limits::new().with_wall(WALL);
    change(&mut limits);
    limits
}

/// Runs `future` on a new runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Formats an execution for the message of a failed assertion.
pub fn shown(e: &Execution) -> String {
    let text: String = format!("{e:#?}").chars().take(4000).collect();
    text
}

/// Asserts that `e` completed, and returns its result.
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

/// Asserts that `e` ended with an exception of class `kind`, and returns its message.
#[track_caller]
pub fn raised<'a>(e: &'a Execution, kind: &str) -> &'a str {
    match &e.outcome {
        codeact::sandbox::Outcome::Raised(error) if error.kind == kind => &error.message,
        _ => panic!("expected {kind}: {}", shown(e)),
    }
}

/// Returns the path of a CPython 3.12 or later. Prefers 3.13, which made the `.out` files of `tests/cases`.
pub fn native_python() -> Option<PathBuf> {
    let mut names: Vec<PathBuf> = ["3.13", "3.14", "3.15", "3.12", "3"]
        .map(|version| format!("python{version}").into())
        .to_vec();
    let pyenv = std::env::home_dir()?.join(".pyenv/versions");
    let mut installed: Vec<_> = std::fs::read_dir(pyenv)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin/python3")))
        .collect();
    installed.sort();
    names.extend(installed);
    let mut found: Vec<_> = names.iter().filter_map(|name| probe(name)).collect();
    found.sort_by_key(|(version, _)| version.abs_diff(13));
    found.into_iter().next().map(|(_, path)| path)
}

/// Returns the minor version and the real path of `python`, as it reports them: it may be a shim without a target.
fn probe(python: &Path) -> Option<(u32, PathBuf)> {
    let script = "import sys
if sys.implementation.name == 'cpython' and sys.version_info >= (3, 12):
    print(sys.version_info.minor, sys.executable)";
    let output = Command::new(python).args(["-c", script]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (minor, path) = text.trim().split_once(' ')?;
    Some((minor.parse().ok()?, path.into()))
}
