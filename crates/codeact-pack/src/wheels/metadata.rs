//! `METADATA` of a wheel: its name, version and dependencies. This file is a security boundary.
//!
//! The format is "Core Metadata" of the PyPA: headers like those of an e-mail, and a description after them, which is
//! not read.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zip::ZipArchive;

use super::limits::{MAX_DEPENDENCIES, MAX_HEADER_BYTES};
use super::requirement::normalised;
use super::wheel::{has_pure_tags, is_own_folder, parse_file_name};
use crate::PackError;

/// The needed fields of a wheel's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    /// Normalised name of the package.
    pub(super) name: String,
    /// Version in the name of the file.
    pub(super) version: String,
    /// Dependencies as they are written.
    pub(super) requires: Vec<String>,
}

impl Metadata {
    /// Reads the metadata of the wheel `path`. No file is written and no code is run.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::BadWheel`] if `path` is not a pure wheel or its metadata is not valid.
    pub(super) fn read(path: &Path) -> Result<Self, PackError> {
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let bad = |problem: String| PackError::BadWheel {
            wheel: file_name.chars().filter(|c| !c.is_control()).collect(),
            problem,
        };
        let Some((name, version, tags)) = parse_file_name(path) else {
            return Err(bad("its name is not that of a wheel".to_owned()));
        };
        if !has_pure_tags(&tags) {
            return Err(bad("it is not for every platform".to_owned()));
        }
        let file = File::open(path).map_err(PackError::io("open", path))?;
        let mut archive = ZipArchive::new(file).map_err(|e| bad(e.to_string()))?;
        let own = |member: &&str| {
            let folder = member.strip_suffix("/METADATA");
            folder.is_some_and(|folder| is_own_folder(folder, ".dist-info", &name))
        };
        let Some(member) = archive.file_names().find(own).map(str::to_owned) else {
            return Err(bad("it contains no METADATA of its own".to_owned()));
        };
        let entry = archive.by_name(&member).map_err(|e| bad(e.to_string()))?;
        let mut bytes = Vec::new();
        let mut start = entry.take(MAX_HEADER_BYTES);
        start
            .read_to_end(&mut bytes)
            .map_err(|e| bad(format!("its METADATA cannot be read: {e}")))?;
        let headers = Headers::parse(&bytes).map_err(bad)?;
        match headers.name.as_deref().map(normalised) {
            Some(Ok(own)) if own == name => {}
            _ => return Err(bad("its METADATA has another name".to_owned())),
        }
        Ok(Self {
            name,
            version,
            requires: headers.requires,
        })
    }
}

#[derive(Debug, Default)]
struct Headers {
    name: Option<String>,
    requires: Vec<String>,
}

impl Headers {
    /// Parses the start of `METADATA`, up to the first blank line.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(bytes);
        let mut headers = Self::default();
        let mut unfolded: Vec<(&str, String)> = Vec::new();
        let mut dependencies = 0;
        let mut ended = (bytes.len() as u64) < MAX_HEADER_BYTES;
        for line in text.lines() {
            // A line of spaces continues a header, such as a licence with paragraphs.
            if line.is_empty() {
                ended = true;
                break;
            }
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = unfolded.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((key, value)) = line.split_once(':') {
                dependencies += usize::from(key.eq_ignore_ascii_case("Requires-Dist"));
                if dependencies > MAX_DEPENDENCIES {
                    return Err(format!("it has more than {MAX_DEPENDENCIES} dependencies"));
                }
                unfolded.push((key, value.trim().to_owned()));
            }
        }
        if !ended {
            return Err(format!(
                "its METADATA has more than {MAX_HEADER_BYTES} bytes of headers"
            ));
        }
        for (key, value) in unfolded {
            if key.eq_ignore_ascii_case("Name") {
                headers.name.get_or_insert(value);
            } else if key.eq_ignore_ascii_case("Requires-Dist") {
                headers.requires.push(value);
            }
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_unfolded_up_to_the_first_empty_line() {
        let text = b"Metadata-Version: 2.1\r\nName: A\r\nLicense: one\r\n        \r\n        two\r\n\
                     requires-dist: b\r\nRequires-Dist: c;\r\n  extra == 'x'\r\nnoise\r\nRequires-Dist: d\r\n\
                     \r\nRequires-Dist: e\r\n";
        let headers = Headers::parse(text).unwrap();
        assert_eq!(headers.name.as_deref(), Some("A"));
        assert_eq!(headers.requires, ["b", "c; extra == 'x'", "d"]);
    }

    #[test]
    fn too_many_dependencies_are_refused_while_they_are_read() {
        let headers = |count: usize| {
            let text = format!("Name: a\n{}\n", "Requires-Dist: b\n".repeat(count));
            Headers::parse(text.as_bytes()).map(|headers| headers.requires.len())
        };
        assert_eq!(headers(MAX_DEPENDENCIES), Ok(MAX_DEPENDENCIES));
        let error = headers(MAX_DEPENDENCIES + 1).unwrap_err();
        assert!(error.contains("more than 1000 dependencies"), "{error}");
    }
}
