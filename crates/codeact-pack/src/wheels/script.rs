//! Requirements in files: metadata of scripts (PEP 723) and `requirements.txt`.

use serde::Deserialize;

use super::Requirement;
use super::syntax::{Dependency, Environment, Source, Specifiers, Version};
use crate::{Manifest, PackError};

/// Maximum size of the metadata of a script, in bytes.
const MAX_SCRIPT_BYTES: usize = 64 << 10;
/// Maximum number of requirements in a file.
const MAX_REQUIREMENTS: usize = 400;

/// The TOML of a script's metadata. Tables of tools are ignored.
#[derive(Deserialize)]
struct ScriptMetadata {
    #[serde(default)]
    dependencies: Vec<String>,
    #[serde(rename = "requires-python")]
    requires_python: Option<String>,
}

impl Requirement {
    /// Parses a requirement that may have an environment marker, such as `tomli; python_version < "3.11"`. Returns
    /// `None` if the marker does not hold in the sandbox.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::BadRequirement`] with a description of the fault.
    pub fn with_marker(text: &str, manifest: &Manifest) -> Result<Option<Self>, PackError> {
        let bad = |problem: String| PackError::BadRequirement {
            text: text.chars().filter(|c| !c.is_control()).take(80).collect(),
            problem,
        };
        let Some((plain, _)) = text.split_once(';') else {
            return text.parse().map(Some);
        };
        let environment = Environment::new(&manifest.python);
        let dependency = Dependency::parse(text, &environment).map_err(bad)?;
        if let Source::Address(_) = dependency.source {
            return Err(bad(
                "addresses are not allowed, only names on the package index".to_owned(),
            ));
        }
        let requirement = plain.trim().parse()?;
        let applies = dependency.applies(&environment, &Default::default());
        Ok(applies.then_some(requirement))
    }

    /// Returns the requirements in the metadata of a script, the comment block `# /// script` (PEP 723). Empty if the
    /// script has none.
    ///
    /// ```
    /// use codeact_pack::{Manifest, Requirement};
    ///
    /// let script = "# /// script\n# dependencies = [\"rich>=13\"]\n# ///\nimport rich\n";
    /// let wanted = Requirement::of_script(script, Manifest::known("science")?)?;
    /// assert_eq!(wanted, ["rich>=13".parse()?]);
    /// # Ok::<(), codeact_pack::PackError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`PackError::BadScript`] if the block is not valid or asks for another version of Python, and
    /// [`PackError::BadRequirement`].
    pub fn of_script(source: &str, manifest: &Manifest) -> Result<Vec<Self>, PackError> {
        let bad = |problem: String| PackError::BadScript { problem };
        let Some(text) = script_block(source).map_err(bad)? else {
            return Ok(Vec::new());
        };
        let metadata: ScriptMetadata =
            toml::from_str(&text).map_err(|e| bad(e.message().to_owned()))?;
        if let Some(wanted) = metadata.requires_python {
            let accepted = Specifiers::parse(&wanted).map_err(bad)?;
            if !Version::parse(&manifest.python).is_some_and(|own| accepted.contains(&own)) {
                let python = &manifest.python;
                let problem =
                    format!("it requires Python {accepted}, and the sandbox has Python {python}");
                return Err(bad(problem));
            }
        }
        if metadata.dependencies.len() > MAX_REQUIREMENTS {
            return Err(bad(format!(
                "it has more than {MAX_REQUIREMENTS} dependencies"
            )));
        }
        let requirements = metadata.dependencies.iter();
        let requirements = requirements.filter_map(|t| Self::with_marker(t, manifest).transpose());
        requirements.collect()
    }

    /// Returns the requirements of a `requirements.txt`: one in a line, with comments and environment markers. Options,
    /// other files, hashes, addresses and paths are not accepted.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::BadRequirement`] for the first line that is not accepted.
    pub fn of_file(text: &str, manifest: &Manifest) -> Result<Vec<Self>, PackError> {
        let mut found = Vec::new();
        let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
        for line in joined.lines() {
            // A comment starts at the beginning of a line or after a space.
            let comment = line.match_indices('#').map(|(at, _)| at);
            let comment = comment
                .into_iter()
                .find(|&at| at == 0 || line[..at].ends_with([' ', '\t']));
            let line = line[..comment.unwrap_or(line.len())].trim();
            if line.is_empty() {
                continue;
            }
            let option = line.starts_with('-') || line.contains(" --");
            if option || found.len() == MAX_REQUIREMENTS {
                return Err(PackError::BadRequirement {
                    text: line.chars().filter(|c| !c.is_control()).take(80).collect(),
                    problem: match option {
                        true => "options, other files and hashes are not supported".to_owned(),
                        false => format!("the file has more than {MAX_REQUIREMENTS} requirements"),
                    },
                });
            }
            found.extend(Self::with_marker(line, manifest)?);
        }
        Ok(found)
    }
}

/// Returns the content of the block `# /// script`, without the comment signs.
fn script_block(source: &str) -> Result<Option<String>, String> {
    let mut block: Option<String> = None;
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if line.trim_end() != "# /// script" {
            continue;
        }
        if block.is_some() {
            return Err("there are two blocks `# /// script`".to_owned());
        }
        // The last line `# ///` among the comments ends the block.
        let comments = lines.clone().take_while(|line| line.starts_with('#'));
        let comments: Vec<_> = comments.map(str::trim_end).collect();
        let Some(end) = comments.iter().rposition(|line| *line == "# ///") else {
            return Err("the block `# /// script` has no end, a line `# ///`".to_owned());
        };
        let mut text = String::new();
        for line in comments.iter().take(end) {
            let content = line.strip_prefix("# ").or_else(|| line.strip_prefix('#'));
            text.push_str(content.unwrap_or(""));
            text.push('\n');
            if text.len() > MAX_SCRIPT_BYTES {
                return Err(format!("it is longer than {MAX_SCRIPT_BYTES} bytes"));
            }
        }
        block = Some(text);
        lines.nth(end);
    }
    Ok(block)
}
