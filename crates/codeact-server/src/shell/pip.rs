//! The command `pip`: packages of the session.

use bashkit::{Command, CommandContext, CommandStatus, Result, async_trait};
use codeact::sandbox::Turn;

use crate::shell::python::Interpreters;

/// Python source of `pip list`, `pip show` and the search for installed packages.
const QUERY: &str = include_str!("pip_query.py");
/// Limit of a file of requirements, in bytes.
const MAX_REQUIREMENTS_BYTES: usize = 1 << 20;

/// The command `pip`.
pub(super) struct Pip(pub(super) Interpreters);

#[async_trait]
impl Command for Pip {
    async fn execute(&self, context: CommandContext<'_>) -> Result<CommandStatus> {
        run(&self.0, context.args, &context).await
    }
}

/// Arguments of `pip install`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Install {
    requirements: Vec<String>,
    files: Vec<String>,
    quiet: bool,
    upgrade: bool,
}

impl Install {
    /// Parses the arguments. The error is a message for the user.
    fn parse(args: &[String]) -> std::result::Result<Self, String> {
        let mut install = Self::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            match arg.as_str() {
                "-q" | "-qq" | "-qqq" | "--quiet" => install.quiet = true,
                "-U" | "--upgrade" => install.upgrade = true,
                "-r" | "--requirement" => {
                    let file = rest.next().ok_or("-r expects a file")?;
                    install.files.push(file.clone());
                }
                // Without effect here: there is one environment, no cache, no questions and no progress bar.
                "--user"
                | "--no-cache-dir"
                | "--no-input"
                | "-y"
                | "--disable-pip-version-check"
                | "--break-system-packages"
                | "--no-color"
                | "--no-warn-script-location"
                | "-v"
                | "--verbose"
                | "--prefer-binary" => {}
                "--progress-bar" | "--root-user-action" | "--timeout" | "--retries" => {
                    rest.next();
                }
                option if option.starts_with("--root-user-action=") => {}
                option if option.starts_with('-') => {
                    return Err(format!(
                        "the option {option} is not supported here; expected requirements, -r FILE, -q or -U"
                    ));
                }
                requirement => install.requirements.push(requirement.to_owned()),
            }
        }
        Ok(install)
    }

    /// Adds the lines of a file of requirements. The error is a message for the user.
    fn add_lines(&mut self, text: &str) -> std::result::Result<(), String> {
        for line in text.lines() {
            // As pip: a comment begins at the start of a line or after white space.
            let end = line.match_indices('#').find(|(at, _)| {
                line.get(..*at)
                    .is_some_and(|s| s.trim_end().len() < s.len() || s.is_empty())
            });
            let line = end
                .map_or(line, |(at, _)| line.get(..at).unwrap_or_default())
                .trim();
            if line.starts_with('-') {
                return Err(format!(
                    "the line {line:?} is not supported here; expected requirements"
                ));
            }
            if !line.is_empty() {
                self.requirements.push(line.to_owned());
            }
        }
        Ok(())
    }
}

/// Runs `pip` with `args`.
pub(super) async fn run(
    interpreters: &Interpreters,
    args: &[String],
    context: &CommandContext<'_>,
) -> Result<CommandStatus> {
    let ran = match args.split_first() {
        Some((command, rest)) if command == "install" => {
            install(interpreters, rest, context).await?
        }
        Some((command, rest)) if ["list", "freeze", "show"].contains(&command.as_str()) => {
            let turn = Turn::new(QUERY)
                .name("<pip>")
                .argv(std::iter::once(command.as_str()).chain(rest.iter().map(String::as_str)));
            return interpreters
                .run(turn, &context.stdout, &context.stderr)
                .await;
        }
        Some((flag, _)) if flag == "--version" || flag == "-V" => {
            context
                .stdout
                .write_all(b"pip of codeact (installs pure Python packages)\n")
                .await?;
            Ok(())
        }
        Some((command, _)) => Err(format!(
            "the command {command:?} is not supported here; expected install, list, freeze or show"
        )),
        None => Err("expected a command: install, list, freeze or show".to_owned()),
    };
    match ran {
        Ok(()) => Ok(CommandStatus::success()),
        Err(message) => {
            context
                .stderr
                .write_all(format!("ERROR: {message}\n").as_bytes())
                .await?;
            Ok(CommandStatus::with_code(1))
        }
    }
}

/// The inner error is a message for the user.
async fn install(
    interpreters: &Interpreters,
    args: &[String],
    context: &CommandContext<'_>,
) -> Result<std::result::Result<(), String>> {
    let mut install = match Install::parse(args) {
        Ok(install) => install,
        Err(message) => return Ok(Err(message)),
    };
    for file in std::mem::take(&mut install.files) {
        let path = context.cwd.join(&file);
        let text = match interpreters.copy.read(&path.to_string_lossy()) {
            Ok(bytes) if bytes.len() > MAX_REQUIREMENTS_BYTES => {
                return Ok(Err(format!(
                    "the file {file} has more than {MAX_REQUIREMENTS_BYTES} bytes"
                )));
            }
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                return Ok(Err(format!(
                    "Could not open requirements file {file}: {error}"
                )));
            }
        };
        if let Err(message) = install.add_lines(&text) {
            return Ok(Err(message));
        }
    }
    if install.requirements.is_empty() {
        return Ok(Err(
            "You must give at least one requirement to install".to_owned()
        ));
    }
    if let Err(error) = interpreters.copy.apply().await {
        return Ok(Err(error.to_string()));
    }
    let missing = match missing(interpreters, &install).await {
        Ok(missing) => missing,
        Err(message) => return Ok(Err(message)),
    };
    let mut said = String::new();
    for requirement in install
        .requirements
        .iter()
        .filter(|name| !missing.contains(name))
    {
        said.push_str(&format!("Requirement already satisfied: {requirement}\n"));
    }
    if !missing.is_empty() {
        let handle = interpreters.copy.handle();
        if let Err(error) = handle.install(missing.clone()).await {
            return Ok(Err(error.to_string()));
        }
        said.push_str(&format!("Successfully installed {}\n", missing.join(" ")));
    }
    if let Err(error) = interpreters.copy.refresh().await {
        return Ok(Err(error.to_string()));
    }
    if !install.quiet {
        context.stdout.write_all(said.as_bytes()).await?;
    }
    Ok(Ok(()))
}

/// Returns the requirements that the session does not have yet. The error is a message for the user.
async fn missing(
    interpreters: &Interpreters,
    install: &Install,
) -> std::result::Result<Vec<String>, String> {
    let turn = Turn::new(QUERY)
        .name("<pip>")
        .argv(std::iter::once("missing").chain(install.requirements.iter().map(String::as_str)));
    let handle = interpreters.copy.handle();
    let execution = handle
        .run_process(turn, &interpreters.cancel)
        .await
        .map_err(|error| error.to_string())?;
    serde_json::from_str(execution.stdout.text.trim()).map_err(|_| {
        format!(
            "cannot list the installed packages: {}",
            execution.outcome.status()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::Install;

    fn parse(line: &str) -> Result<Install, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Install::parse(&args)
    }

    #[test]
    fn options_without_effect_are_accepted_and_others_refused() {
        let install = parse("-q --no-cache-dir -U tabulate==0.9.0 -r r.txt").unwrap();
        assert_eq!(install.requirements, ["tabulate==0.9.0"]);
        assert_eq!(install.files, ["r.txt"]);
        assert!(install.quiet && install.upgrade);
        for line in ["--index-url http://x y", "-e .", "-t /x y", "-r"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn requirements_files_have_comments() {
        let mut install = Install::default();
        install
            .add_lines("# all\ntabulate  # tables\n\nx#y\n")
            .unwrap();
        assert_eq!(install.requirements, ["tabulate", "x#y"]);
        assert!(install.add_lines("--index-url x").is_err());
    }
}
