//! Advice of library errors, as flags and subcommands of this command.
//!
//! The libraries do not know the command line: their errors return a neutral [`Hint`].

use std::error::Error;

use codeact::agent::AgentError;
use codeact::llm::ModelError;
use codeact::pack::PackError;
use codeact::sandbox::SandboxError;
use codeact::sessions::SessionError;
use codeact::{Hint, LimitName};

/// Returns the advice for `error` or for the first of its causes that has one.
pub(super) fn of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(hint).and_then(|hint| render(&hint))
}

fn hint(error: &(dyn Error + 'static)) -> Option<Hint> {
    if let Some(error) = error.downcast_ref::<AgentError>() {
        error.hint()
    } else if let Some(error) = error.downcast_ref::<SandboxError>() {
        error.hint()
    } else if let Some(error) = error.downcast_ref::<SessionError>() {
        error.hint()
    } else if let Some(error) = error.downcast_ref::<PackError>() {
        error.hint()
    } else {
        error.downcast_ref::<ModelError>()?.hint()
    }
}

fn render(hint: &Hint) -> Option<String> {
    Some(match hint {
        Hint::InstallPackFromFile { pack, wheel } => format!(
            "`codeact pack install {pack}` installs it while online, `codeact pack install {pack} --from {wheel}` from \
             a local file"
        ),
        Hint::ListPackages => "`codeact pack list` shows the packages of each pack".into(),
        Hint::ReinstallPack => {
            "`codeact pack remove` removes the pack, `codeact pack install` installs it again".into()
        }
        Hint::ListSessions => "`codeact session list` shows the sessions".into(),
        Hint::ListTurns { session } => format!("`codeact session log {session}` shows its turns"),
        Hint::ChooseModel => {
            "--model NAME and --base-url URL set them; `codeact demo` and `codeact exec` need no model"
                .into()
        }
        Hint::NameModel => "--model NAME names it".into(),
        Hint::GiveModelAddress => "--base-url URL sets the base URL".into(),
        Hint::RaiseLimits { limits } => {
            let flags: Vec<_> = (limits.iter())
                .filter_map(|(limit, needed)| raise(*limit, *needed))
                .collect();
            format!("{} allows it", flags.join(" "))
        }
        _ => return None,
    })
}

/// Returns the flag that raises `limit` to `needed`.
fn raise(limit: LimitName, needed: Option<u64>) -> Option<String> {
    let (flag, is_size) = match limit {
        LimitName::Wall => ("--timeout", false),
        LimitName::Fuel => ("--fuel", false),
        LimitName::Memory => ("--max-memory", true),
        LimitName::Output => ("--max-output", true),
        LimitName::HostCalls => ("--max-host-calls", false),
        LimitName::HostCallBytes => ("--max-host-call-bytes", true),
        LimitName::FileBytes => ("--max-file-bytes", true),
        LimitName::Files => ("--max-files", false),
        LimitName::OpenFiles => ("--max-open-files", false),
        _ => return None,
    };
    Some(match needed {
        None => format!("a larger {flag}"),
        Some(needed) if is_size && needed % (1 << 20) == 0 => format!("{flag} {}M", needed >> 20),
        Some(needed) => format!("{flag} {needed}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_of_a_cause_is_rendered() {
        let missing = SessionError::Missing { name: "s".into() };
        let error = anyhow::Error::new(missing).context("cannot resume");
        assert_eq!(
            of(&error).as_deref(),
            Some("`codeact session list` shows the sessions")
        );
        assert_eq!(of(&anyhow::anyhow!("no advice")), None);
    }
}
