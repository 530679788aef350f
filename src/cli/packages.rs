//! Packages that a command adds to those of the pack, and the hint to add one.

use anyhow::Context;

use codeact::pack::{Manifest, Requirement, package_of_import};
use codeact::sandbox::{Execution, Outcome};

use super::args::FileArgs;
use super::{exit_code, input};

/// Pack of the command.
const PACK: &str = "science";
/// Part of the guest's hint about a module that a package could add. See `guest/hints.py`.
const GUEST_HINT: &str = "package can be added to the sandbox's packages";

/// Packages of fonts under the SIL Open Font License: Noto Sans of most scripts, Noto Emoji, and Noto Sans CJK.
const FONTS: [&str; 2] = [
    "manimgx-fonts==2026.9.26.post1",
    "manimgx-fonts-cjk==2026.9.26.post1",
];

/// Returns the packages of `--with`, of `--fonts`, of `--with-requirements`, and of the metadata of `script`.
pub(super) fn requested(
    files: &FileArgs,
    script: Option<&str>,
) -> anyhow::Result<Vec<Requirement>> {
    let mut wanted = files.packages.clone();
    if files.fonts {
        for name in FONTS {
            wanted.push(name.parse()?);
        }
    }
    if script.is_none() && files.with_requirements.is_empty() {
        return Ok(wanted);
    }
    let manifest = Manifest::known(PACK)?;
    for path in &files.with_requirements {
        let name = path.display().to_string();
        let open = std::fs::File::open(path).with_context(|| format!("cannot open {name}"))?;
        let text = input::text(&name, open)?;
        let listed = Requirement::of_file(&text, manifest).with_context(|| name);
        wanted.extend(listed.map_err(exit_code::usage_error)?);
    }
    if let Some(script) = script {
        wanted.extend(Requirement::of_script(script, manifest)?);
    }
    Ok(wanted)
}

/// Returns the flag that adds the missing module to the next run, if a package may have it.
pub(super) fn hint(execution: &Execution) -> Option<String> {
    let Outcome::Raised(exception) = &execution.outcome else {
        return None;
    };
    if exception.kind != "ModuleNotFoundError" || !exception.traceback.contains(GUEST_HINT) {
        return None;
    }
    let (_, rest) = exception.message.split_once("No module named '")?;
    let (module, _) = rest.split_once('\'')?;
    let module = module.split('.').next()?;
    // The guest chose the name.
    let package: Requirement = package_of_import(module).unwrap_or(module).parse().ok()?;
    let known = Manifest::known(PACK).ok()?;
    let is_compiled = known.instead.contains_key(package.name());
    let is_installer = ["pip", "ensurepip"].contains(&package.name());
    (!is_compiled && !is_installer).then(|| format!("--with {} adds it", package.name()))
}
