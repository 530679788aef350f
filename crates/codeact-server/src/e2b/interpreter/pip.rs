//! `!pip install` in code: packages are added to the sandbox before the code runs.

use std::collections::BTreeMap;

use codeact::event::{Event, EventSink, Stream};
use codeact::pack::Requirement;
use codeact_sessions::manager::{ManagerError, SandboxSource};

use super::source::statement_lines;
use crate::e2b::record::E2bSandbox;

/// Limit of the requirements of one cell.
const MAX_REQUIREMENTS: usize = 64;
/// Tools that an installation needs elsewhere, and not here.
const TOOLS: [&str; 4] = ["pip", "setuptools", "wheel", "uv"];
/// Options that change nothing here.
const IGNORED: [&str; 16] = [
    "-U",
    "--upgrade",
    "--pre",
    "--user",
    "--system",
    "--no-cache-dir",
    "--no-input",
    "--break-system-packages",
    "--disable-pip-version-check",
    "--no-python-version-warning",
    "--no-warn-script-location",
    "--no-warn-conflicts",
    "--prefer-binary",
    "--no-build-isolation",
    "--root-user-action=ignore",
    "--progress-bar=off",
];

/// A `pip install` of the code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PipInstall {
    requirements: Vec<String>,
    is_quiet: bool,
    /// An argument that is not supported.
    refused: Option<String>,
}

/// Removes the lines of `code` that install packages. Returns the rest, with the same line numbers, and the
/// installations in order.
pub(super) fn take_installs(code: &str) -> (String, Vec<PipInstall>) {
    let mut installs = Vec::new();
    if !code.contains("install") {
        return (code.to_owned(), installs);
    }
    let mut lines: Vec<_> = code.split('\n').map(str::to_owned).collect();
    for number in statement_lines(code) {
        let Some(line) = lines.get_mut(number) else {
            continue;
        };
        if let Some(install) = PipInstall::parse(line.trim()) {
            let indentation = line.len() - line.trim_start().len();
            line.truncate(indentation);
            line.push_str("pass");
            installs.push(install);
        }
    }
    (lines.join("\n"), installs)
}

/// Returns true if nothing is left to run.
pub(super) fn is_empty(code: &str) -> bool {
    let is_nothing = |line: &str| line.is_empty() || line == "pass" || line.starts_with('#');
    code.lines().all(|line| is_nothing(line.trim()))
}

impl PipInstall {
    /// Parses a line such as `!pip install -q tabulate`. Returns `None` if it is another line.
    fn parse(line: &str) -> Option<Self> {
        let command = line
            .trim_start_matches('!')
            .trim_start_matches('%')
            .trim_start();
        let mut words = shlex::split(command)?.into_iter();
        let mut program = words.next()?;
        let is_python = matches!(program.as_str(), "python" | "python3" | "{sys.executable}");
        if is_python {
            if words.next()? != "-m" {
                return None;
            }
            program = words.next()?;
        } else if program == "uv" {
            program = words.next()?;
        }
        if !matches!(program.as_str(), "pip" | "pip3") {
            return None;
        }
        let mut install = Self::default();
        // Options can be before the command.
        loop {
            let word = words.next()?;
            if word == "install" {
                break;
            }
            if !word.starts_with('-') {
                return None;
            }
            install.option(&word);
        }
        for word in words {
            if [";", "&&", "||", "&"].contains(&word.as_str())
                || word.ends_with(';')
                || word.contains('`')
            {
                // More than one command: the shell's.
                return None;
            }
            if word.starts_with(['>', '|']) || word.starts_with("2>") || word.starts_with("&>") {
                install.is_quiet |= !word.starts_with("2>");
                break;
            }
            if word.starts_with('#') {
                break;
            }
            match word.starts_with('-') {
                true => install.option(&word),
                false => install.requirements.push(word),
            }
        }
        Some(install)
    }

    fn option(&mut self, word: &str) {
        match word {
            "-q" | "-qq" | "-qqq" | "--quiet" => self.is_quiet = true,
            "-v" | "-vv" | "--verbose" => {}
            word if IGNORED.contains(&word) => {}
            word => {
                self.refused.get_or_insert(format!("the option {word}"));
            }
        }
    }
}

/// Installs packages in the sandbox, and reports to `output` as pip does. A package that cannot be installed is reported
/// on stderr, and does not stop the code.
///
/// # Errors
///
/// Returns an error if the sandbox is gone or busy.
pub(super) async fn install(
    sandbox: &E2bSandbox,
    bundled: &BTreeMap<String, String>,
    install: &PipInstall,
    output: &EventSink,
) -> Result<(), ManagerError> {
    let say = |text: String| {
        if !install.is_quiet {
            emit(output, Stream::Stdout, text);
        }
    };
    let fail = |text: &str| emit(output, Stream::Stderr, format!("ERROR: {text}"));
    if let Some(refused) = &install.refused {
        fail(&format!(
            "{refused} is not supported here; expected names of packages, such as: pip install tabulate"
        ));
        return Ok(());
    }
    if install.requirements.is_empty() {
        fail("You must give at least one requirement to install (see \"pip help install\")");
        return Ok(());
    }
    if install.requirements.len() > MAX_REQUIREMENTS {
        fail(&format!(
            "there are more than {MAX_REQUIREMENTS} requirements"
        ));
        return Ok(());
    }
    let mut wanted = Vec::new();
    for text in &install.requirements {
        let requirement = match text.parse::<Requirement>() {
            Ok(requirement) => requirement,
            Err(error) => {
                fail(&format!("Invalid requirement: {text:?}: {error}"));
                return Ok(());
            }
        };
        let name = requirement.name();
        if TOOLS.contains(&name) {
            say(format!("Requirement already satisfied: {text}"));
            continue;
        }
        let has_version = text.contains(['=', '<', '>', '~', '!']);
        match bundled.get(name) {
            Some(version) if !has_version => {
                say(format!("Requirement already satisfied: {text} ({version})"));
            }
            _ => wanted.push(text.clone()),
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let before = packages(sandbox).await?;
    match sandbox.handle.install(wanted.clone()).await {
        Ok(()) => {}
        Err(error @ (ManagerError::Setting(_) | ManagerError::Sandbox(_))) => {
            fail(&error.to_string());
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    let mut added = packages(sandbox).await?;
    added.retain(|name, version| before.get(name) != Some(version));
    if added.is_empty() {
        for text in wanted {
            say(format!("Requirement already satisfied: {text}"));
        }
        return Ok(());
    }
    let added: Vec<_> = added
        .iter()
        .map(|(name, version)| format!("{name}-{version}"))
        .collect();
    say(format!("Successfully installed {}", added.join(" ")));
    Ok(())
}

/// Returns the versions of the packages that were added to the sandbox.
async fn packages(sandbox: &E2bSandbox) -> Result<BTreeMap<String, String>, ManagerError> {
    let settings = sandbox.handle.settings();
    let narrowed = SandboxSource::sandbox(&*sandbox.tenant.grants, &settings).await?;
    let pairs = narrowed.packages().iter();
    Ok(pairs
        .map(|package| (package.name.clone(), package.version.clone()))
        .collect())
}

/// Returns the versions of the packages of the pack, by normalised name.
pub(super) fn bundled(pack: &codeact::pack::Pack) -> BTreeMap<String, String> {
    let all = pack.manifest.packages.python.iter();
    all.map(|(name, version)| {
        (
            name.to_ascii_lowercase().replace(['_', '.'], "-"),
            version.clone(),
        )
    })
    .collect()
}

fn emit(output: &EventSink, stream: Stream, mut text: String) {
    text.push('\n');
    output.emit(Event::Output { stream, text });
}

#[cfg(test)]
mod tests {
    use super::{PipInstall, is_empty, take_installs};

    fn installs(code: &str) -> Vec<Vec<String>> {
        let installs = take_installs(code).1.into_iter();
        installs.map(|install| install.requirements).collect()
    }

    #[test]
    fn lines_that_install_are_found() {
        for line in [
            "!pip install a b",
            "%pip install a b",
            "! pip3 install -q a b",
            "!python -m pip install --upgrade a b",
            "!{sys.executable} -m pip -q install a b",
            "!uv pip install a b",
            "pip install a b",
            "!pip install a b > /dev/null 2>&1",
            "!pip install a b | tail -1",
            "  !pip install 'a' \"b\" # for later",
        ] {
            assert_eq!(installs(line), [["a", "b"]], "{line}");
        }
        assert_eq!(installs("!pip install 'a>=1,<2'"), [["a>=1,<2"]]);
        assert!(take_installs("!pip install -q a").1[0].is_quiet);
    }

    #[test]
    fn other_lines_stay() {
        for code in [
            "print('!pip install a')",
            "x = '''\n!pip install a\n'''",
            "!pip list",
            "!pip uninstall a",
            "!npm install a",
            "!pip install a && echo b",
            "pip = install",
            "!pip 'install",
            "!pip",
        ] {
            assert_eq!(take_installs(code), (code.to_owned(), Vec::new()), "{code}");
        }
    }

    #[test]
    fn the_rest_keeps_its_lines() {
        let (code, found) = take_installs("import os\nif x:\n    !pip install a\nprint(1)");
        assert_eq!(code, "import os\nif x:\n    pass\nprint(1)");
        assert_eq!(found.len(), 1);
        assert!(!is_empty(&code));
        assert!(is_empty("# a\npass\n\n"));
    }

    #[test]
    fn options_that_change_the_meaning_are_refused() {
        for line in [
            "!pip install -r a.txt",
            "!pip install -e .",
            "!pip install --index-url x a",
        ] {
            let refused = PipInstall::parse(line).and_then(|install| install.refused);
            assert!(refused.is_some(), "{line}");
        }
    }
}
