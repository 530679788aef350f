//! Runs the examples of the book in `docs/`.
//!
//! A page's blocks decide how it is tested:
//!
//! - `console`: commands and their output. They run in a folder of the page, in order, with stdout and stderr in one
//!   stream. `[..]` matches the rest of a word or line; `? N` is an exit code.
//! - `LANGUAGE,file=NAME`: a file in that folder. It is executable if it begins with `#!`. Files that are not shown are
//!   in `docs/src/PAGE.in/`.
//! - `text,repl`: a transcript of `codeact repl`. Lines after a prompt are its input.
//!
//! `TRYCMD=overwrite cargo test --test book` writes the output of the console blocks into the pages.

#![cfg(unix)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const CODEACT: &str = env!("CARGO_BIN_EXE_codeact");

/// A command that takes longer is stopped.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// Variables that choose a model, a server or other folders. An empty one counts as not set.
const UNSET: [&str; 22] = [
    "ANTHROPIC_API_KEY",
    "CODEACT_MODEL",
    "DEEPSEEK_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GROQ_API_KEY",
    "HF_TOKEN",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "HUGGING_FACE_HUB_TOKEN",
    "LLAMACPP_BASE_URL",
    "LLAMA_API_KEY",
    "LMSTUDIO_BASE_URL",
    "MISTRAL_API_KEY",
    "OLLAMA_API_KEY",
    "OLLAMA_HOST",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENROUTER_API_KEY",
    "TOGETHER_API_KEY",
    "VLLM_API_KEY",
    "VLLM_BASE_URL",
];

#[test]
fn console_blocks_run_as_shown() {
    let work = Workspace::new();
    let cases = trycmd::TestCases::new();
    cases
        .register_bin("codeact", trycmd::schema::Bin::Path(CODEACT.into()))
        .timeout(TIME_LIMIT);
    for (name, value) in work.environment() {
        cases.env(name, value);
    }
    for page in &work.pages {
        for block in page.blocks().filter(|block| block.language() == "console") {
            check_commands(page, &block);
        }
    }
    cases.case(work.path("*.md"));
    cases.run();
    if std::env::var_os("TRYCMD").is_some_and(|mode| mode == "overwrite") {
        for page in &work.pages {
            fs::copy(work.path(&page.file_name()), &page.path).expect("the page can be written");
        }
    }
}

#[test]
fn repl_transcripts_run_as_shown() {
    let work = Workspace::new();
    for page in &work.pages {
        for block in page.blocks().filter(|block| block.has("repl")) {
            let transcript = Transcript::parse(&block.text);
            let output = work.repl(page, &transcript.input);
            assert_eq!(
                output,
                transcript.output,
                "{} line {}",
                page.path.display(),
                block.line
            );
        }
    }
}

#[test]
fn every_page_is_in_the_summary_and_links_resolve() {
    let pages = pages();
    let summary = pages.iter().find(|page| page.name() == "SUMMARY");
    let summary = summary.expect("the book has a summary");
    let listed: Vec<String> = links(&summary.text).collect();
    for page in pages.iter().filter(|page| page.name() != "SUMMARY") {
        let times = listed
            .iter()
            .filter(|link| **link == page.file_name())
            .count();
        assert_eq!(
            times,
            1,
            "{} is in SUMMARY.md {times} times",
            page.file_name()
        );
    }
    for page in &pages {
        for link in links(&page.text).filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let path = page.path.with_file_name(file);
            let target = match file {
                "" => Some(page),
                _ => pages.iter().find(|page| page.path == path),
            };
            let resolves = match target {
                Some(target) => anchor.is_empty() || target.anchors().any(|a| a == anchor),
                None => path.is_file(),
            };
            assert!(resolves, "{}: {link} leads nowhere", page.file_name());
        }
    }
}

/// Fails on a block that trycmd would pass over, or could not compare.
fn check_commands(page: &Page, block: &Block) {
    let place = format!("{} line {}", page.path.display(), block.line);
    for line in block.text.lines() {
        assert!(
            !line.contains('\\') || line.starts_with("$ "),
            "{place}: trycmd changes `\\`"
        );
        let Some(command) = line.strip_prefix("$ ") else {
            continue;
        };
        let mut words = command.split(' ').skip_while(|word| word.contains('='));
        assert_eq!(words.next(), Some("codeact"), "{place}: {line}");
    }
}

/// Copies of the pages, with the folders that their commands run in.
struct Workspace {
    folder: tempfile::TempDir,
    pages: Vec<Page>,
}

impl Workspace {
    fn new() -> Self {
        prepare_pack();
        let work = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            pages: pages(),
        };
        for page in &work.pages {
            fs::write(work.path(&page.file_name()), &page.text).expect("the page can be copied");
            let folder = work.folder(page);
            fs::create_dir_all(&folder).expect("a folder for the page");
            for file in fs::read_dir(page.path.with_extension("in"))
                .into_iter()
                .flatten()
            {
                let file = file.expect("an entry of the page's folder");
                fs::copy(file.path(), folder.join(file.file_name())).expect("a file of the page");
            }
            for block in page.blocks() {
                if let Some(name) = block.file() {
                    write_file(&folder.join(name), &block.text);
                }
            }
        }
        work
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn folder(&self, page: &Page) -> PathBuf {
        self.path(&format!("{}.in", page.name()))
    }

    fn environment(&self) -> impl Iterator<Item = (&'static str, String)> {
        let config = self.path("config").display().to_string();
        let folders = [
            ("CODEACT_HISTORY", String::new()),
            // In the page's folder, so that pages do not see each other's.
            ("CODEACT_SESSIONS", "sessions".to_owned()),
            ("XDG_CONFIG_HOME", config),
            ("COLUMNS", "100".to_owned()),
            ("NO_COLOR", "1".to_owned()),
        ];
        let unset = UNSET.iter().map(|name| (*name, String::new()));
        folders.into_iter().chain(unset)
    }

    /// Runs `codeact repl` with `input` and returns both streams as one.
    fn repl(&self, page: &Page, input: &str) -> String {
        let output = self.path("output");
        let file = || fs::File::options().create(true).append(true).open(&output);
        let mut child = Command::new(CODEACT)
            .args(["repl", "--no-mcp-config"])
            .current_dir(self.folder(page))
            .envs(self.environment())
            .stdin(Stdio::piped())
            .stdout(file().expect("a file for the output"))
            .stderr(file().expect("a file for the output"))
            .spawn()
            .expect("the command starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin
            .write_all(input.as_bytes())
            .expect("the command reads its input");
        drop(stdin);
        child.wait().expect("the command ends");
        let text = fs::read_to_string(&output).expect("the output is UTF-8");
        fs::remove_file(&output).expect("the file can be removed");
        text
    }
}

/// Installs and compiles the pack, if this is the first use on this machine: that takes longer than [`TIME_LIMIT`].
fn prepare_pack() {
    let run = Command::new(CODEACT).args(["exec", "-c", "pass"]).output();
    let run = run.expect("the command starts");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

fn write_file(path: &Path, text: &str) {
    let folder = path.parent().expect("the file is in a folder");
    fs::create_dir_all(folder).expect("the folder can be made");
    fs::write(path, text).expect("the file can be written");
    if text.starts_with("#!") {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(path, mode).expect("the file can be made executable");
    }
}

fn pages() -> Vec<Page> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src");
    let mut pages: Vec<Page> = fs::read_dir(folder)
        .expect("the book is there")
        .map(|entry| entry.expect("an entry of the book's folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| Page {
            text: fs::read_to_string(&path).expect("a page is UTF-8"),
            path,
        })
        .collect();
    pages.sort_by(|a, b| a.path.cmp(&b.path));
    pages
}

struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn name(&self) -> String {
        let name = self.path.file_stem().expect("a page has a name");
        name.to_string_lossy().into_owned()
    }

    fn file_name(&self) -> String {
        format!("{}.md", self.name())
    }

    fn blocks(&self) -> impl Iterator<Item = Block> {
        let mut lines = (1..).zip(self.text.lines());
        std::iter::from_fn(move || {
            let (line, info) = lines.find_map(|(n, l)| Some((n, l.strip_prefix("```")?)))?;
            let text: String = (lines.by_ref().map(|(_, l)| l))
                .take_while(|l| !l.starts_with("```"))
                .flat_map(|l| [l, "\n"])
                .collect();
            Some(Block {
                line,
                info: info.to_owned(),
                text,
            })
        })
    }

    /// The anchors that mdBook and GitHub make of the headings.
    fn anchors(&self) -> impl Iterator<Item = String> {
        let headings = self.text.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| {
            let text = line.trim_start_matches('#').trim().to_lowercase();
            let kept = text
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
    }
}

struct Block {
    line: usize,
    info: String,
    text: String,
}

impl Block {
    fn language(&self) -> &str {
        self.info.split(',').next().unwrap_or_default()
    }

    fn has(&self, tag: &str) -> bool {
        self.info.split(',').any(|part| part == tag)
    }

    fn file(&self) -> Option<&str> {
        self.info
            .split(',')
            .find_map(|part| part.strip_prefix("file="))
    }
}

/// What was typed at the prompts of a block, and the rest of its lines.
struct Transcript {
    input: String,
    output: String,
}

impl Transcript {
    fn parse(text: &str) -> Self {
        let (mut input, mut output) = (String::new(), String::new());
        // The command line, and the greeting that only a terminal gets.
        for line in text.lines().skip(2) {
            let (to, text) = match Self::typed(line) {
                Some(typed) => (&mut input, typed),
                None => (&mut output, line),
            };
            to.push_str(text);
            to.push('\n');
        }
        Self { input, output }
    }

    /// Returns the text after a prompt: `>>> `, `BRANCH >>> ` or `... `.
    fn typed(line: &str) -> Option<&str> {
        if let Some(typed) = line.strip_prefix("...") {
            return Some(typed.trim_start_matches(' '));
        }
        let (branch, typed) = line.split_once(">>> ")?;
        (!branch.trim_end().contains(' ')).then_some(typed)
    }
}

/// The targets of the links of `text`, without those in code blocks.
fn links(text: &str) -> impl Iterator<Item = String> {
    let mut in_block = false;
    let prose = text.lines().filter(move |line| {
        let fence = line.starts_with("```");
        in_block ^= fence;
        !in_block && !fence
    });
    prose.flat_map(|line| {
        let targets = line.split("](").skip(1);
        targets.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
    })
}
