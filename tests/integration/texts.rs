//! Snapshot tests of all texts of the command. The modules `texts_*` have the tests.
//!
//! A test writes a [`Page`]: command lines, each with its exit code and its output. Parts that vary from run to
//! run or from machine to machine are redacted by `texts_redaction` and [`Page::hide`]; the rest is compared with
//! `snapshots/NAME.snap`. `INSTA_UPDATE=always` updates the snapshots.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::model_server::{Exchange, KEY, ModelServer, run};
use crate::support::{Codeact, FinishedCommand, codeact, ready};
use crate::texts_redaction as redaction;

/// Variables that would choose a model; an empty one counts as not set.
const CHOOSING: [&str; 16] = [
    "CODEACT_MODEL",
    "OPENAI_BASE_URL",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "OPENROUTER_API_KEY",
    "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",
    "GROQ_API_KEY",
    "TOGETHER_API_KEY",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "OLLAMA_API_KEY",
    "VLLM_API_KEY",
    "LLAMA_API_KEY",
];

/// Variables that would redirect requests to this machine.
const PROXIES: [&str; 6] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
];

/// Command lines and their outputs, in a temporary folder.
pub struct Page {
    text: String,
    home: tempfile::TempDir,
    /// Texts that depend on the machine, and their replacements, in order.
    hidden: Vec<(String, String)>,
    variables: Vec<(String, OsString)>,
}

impl Page {
    /// Returns a page for commands that need no pack.
    pub fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder for the test");
        let mut page = Self {
            text: String::new(),
            home,
            hidden: Vec::new(),
            variables: Vec::new(),
        };
        let dir = page.dir();
        let real = dir.canonicalize().expect("the test's folder is there");
        page.hide(&real.display().to_string(), "<dir>");
        page.hide(&dir.display().to_string(), "<dir>");
        page.hide(env!("CARGO_MANIFEST_DIR"), "<repository>");
        for name in CHOOSING {
            page.set(name, "");
        }
        for name in PROXIES {
            page.set(name, "");
        }
        page.set("COLUMNS", "100");
        page.set("NO_COLOR", "1");
        page.set("CLICOLOR_FORCE", "0");
        let (config, sessions) = (page.path("config"), page.path("sessions"));
        page.set("XDG_CONFIG_HOME", config);
        page.set("CODEACT_SESSIONS", sessions);
        page
    }

    /// Returns a page for commands that run code.
    pub fn with_pack() -> Self {
        ready();
        Self::new()
    }

    /// Returns the folder in which every command runs.
    pub fn dir(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file, and creates its folder.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        let folder = path.parent().expect("a file lies in a folder");
        std::fs::create_dir_all(folder).expect("the folder can be made");
        std::fs::write(&path, bytes).expect("the file can be written");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Writes an executable shell script.
    pub fn script(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        self.write(name, format!("#!/bin/sh\n{text}"));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.path(name), mode).expect("the script can be made executable");
    }

    /// Replaces `text` by `name` in the page.
    pub fn hide(&mut self, text: &str, name: &str) {
        self.hidden.push((text.to_owned(), name.to_owned()));
    }

    /// Sets an environment variable of all later commands.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    /// Runs a command line.
    pub fn run(&mut self, args: &[&str]) -> FinishedCommand {
        self.run_with(args, |command| command)
    }

    /// Runs several command lines.
    pub fn run_all(&mut self, lines: &[&[&str]]) {
        for args in lines {
            self.run(args);
        }
    }

    /// Runs a command line with `input` on stdin.
    pub fn typed(&mut self, args: &[&str], input: &str) -> FinishedCommand {
        let command = self.command(codeact(args.iter().copied())).stdin(input);
        self.run_and_add(&line(args), Some(input), command)
    }

    /// Runs a command line with `change`, which the page does not show.
    pub fn run_with(
        &mut self,
        args: &[&str],
        change: impl FnOnce(Codeact) -> Codeact,
    ) -> FinishedCommand {
        let command = change(self.command(codeact(args.iter().copied())));
        self.run_and_add(&line(args), None, command)
    }

    /// Runs a command line and interrupts it once it has written `line`.
    pub fn interrupted(&mut self, args: &[&str], line: &str) -> FinishedCommand {
        let mut command = self.command(codeact(args.iter().copied())).spawn();
        assert_eq!(command.line(), line);
        command.interrupt();
        let done = command.end();
        self.done(&self::line(args), None, &done);
        done
    }

    /// Runs `codeact exec` with code that tries each of `lines`, after the line `before`, and prints the
    /// results.
    pub fn tried(&mut self, args: &[&str], before: &str, lines: &[&str]) -> FinishedCommand {
        self.write("tries.py", tries(before, lines));
        self.run(&[&["exec", "tries.py"], args].concat())
    }

    /// Runs `codeact exec --json`, and shows the formatted object.
    pub fn run_json(&mut self, args: &[&str]) -> FinishedCommand {
        let mut done = self.command(codeact(args.iter().copied())).run();
        done.stdout = format!("{:#}\n", done.json());
        self.done(&line(args), None, &done);
        done
    }

    /// Runs `codeact run TASK ARGS` with the model of `script`.
    pub fn solve(
        &mut self,
        task: &str,
        args: &[&str],
        script: impl IntoIterator<Item = Exchange>,
    ) -> FinishedCommand {
        let server = ModelServer::start(script);
        self.hide_port(&server.origin);
        let command = self.command(run(&server, task).args(args.iter().copied()));
        let shown: Vec<&str> = ["run", task].iter().chain(args).copied().collect();
        let done = self.run_and_add(&line(&shown), None, command.host_env("OPENAI_API_KEY", KEY));
        server.done();
        done
    }

    /// Hides the port of a server of the test.
    pub fn hide_port(&mut self, origin: &str) {
        let (_, port) = origin.rsplit_once(':').expect("an address has a port");
        self.hide(&format!(":{port}"), ":<port>");
    }

    /// Adds a part that is not the output of a command, e.g. a request to the model.
    pub fn part(&mut self, title: &str, text: &str) {
        self.text += &format!("## {title}\n{}\n\n", text.trim_end_matches('\n'));
    }

    /// Returns `command` with the page's folder and variables.
    pub fn command(&self, command: Codeact) -> Codeact {
        let command = command.cwd(self.home.path());
        (self.variables.iter()).fold(command, |command, (name, value)| {
            command.host_env(name, value.clone())
        })
    }

    fn run_and_add(
        &mut self,
        line: &str,
        input: Option<&str>,
        command: Codeact,
    ) -> FinishedCommand {
        let done = command.run();
        self.done(line, input, &done);
        done
    }

    fn done(&mut self, line: &str, input: Option<&str>, done: &FinishedCommand) {
        let exit = done.exit.map_or("none".to_owned(), |code| code.to_string());
        self.text += &format!("$ codeact {line}\n");
        self.section("stdin", input.unwrap_or_default());
        self.text += &format!("exit: {exit}\n");
        self.section("stdout", &done.stdout);
        self.section("stderr", &done.stderr);
        self.text.push('\n');
    }

    fn section(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.text += &format!("{name}:\n{}\n", text.trim_end_matches('\n'));
        }
    }

    /// Compares the page with the snapshot `name`.
    #[track_caller]
    pub fn pinned(self, name: &str) {
        let mut text = self.text;
        for (varying, shown) in &self.hidden {
            text = text.replace(varying, shown);
        }
        let text = redaction::without_package_versions(&text);
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.set_filters(redaction::VARYING);
        settings.bind(|| insta::assert_snapshot!(name, text));
    }
}

/// Returns the command line as a user types it.
fn line(args: &[&str]) -> String {
    let quoted = shlex::try_join(args.iter().copied());
    quoted.unwrap_or_else(|e| panic!("{args:?} cannot be typed: {e}"))
}

/// Returns code that tries each of `lines` and prints the results.
fn tries(before: &str, lines: &[&str]) -> String {
    let mut code = format!(
        "{before}\ndef told(e):\n    notes = getattr(e, '__notes__', [])\n    \
         return ' / '.join([f'{{type(e).__name__}}: {{e}}', *notes])[:300]\n"
    );
    for line in lines {
        code += &format!(
            "try:\n    value = {line}\n    print({line:?}, '->', repr(value))\n\
             except BaseException as e:\n    print({line:?}, '!!', told(e))\n"
        );
    }
    code
}
