//! Saves pictures that the code showed, and files that it left, to a folder of the host. The guest chooses their names:
//! this file keeps them inside the folder.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cap_fs_ext::DirExt;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

use codeact::sandbox::{Display, Execution, GuestFile};

/// Saves the pictures of all `executions`, and the files of the last one, to `dir`; see [`save_all`].
pub(super) fn save(
    dir: &Path,
    force: bool,
    executions: &[&Execution],
) -> anyhow::Result<Vec<PathBuf>> {
    let many = executions.len() > 1;
    let mut shown = Vec::new();
    for (i, execution) in executions.iter().enumerate() {
        for display in pictures(execution) {
            let name = match many {
                true => format!("step-{}-{}", i + 1, display.name),
                false => display.name.clone(),
            };
            shown.push((name, display.clone()));
        }
    }
    let files = executions.last().map(|last| &*last.files);
    save_all(dir, force, &shown, files.unwrap_or_default())
}

/// Saves named pictures, and files, to `dir`, and returns their paths. Creates `dir` only if there is something to
/// save. Existing files are an error unless `force` is true.
///
/// All names are checked before anything is written. Everything is written below `dir`: existing symbolic links are
/// not followed.
pub(super) fn save_all(
    dir: &Path,
    force: bool,
    pictures: &[(String, Display)],
    files: &[GuestFile],
) -> anyhow::Result<Vec<PathBuf>> {
    let mut names = Names::default();
    let pictures =
        (pictures.iter()).map(|(name, picture)| (&**name, Item::Picture(&picture.bytes)));
    let files = files.iter().map(|file| (&*file.path, Item::File(file)));
    let items: Vec<(String, Item)> = pictures
        .chain(files)
        .map(|(name, item)| (names.take(name), item))
        .collect();
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let exists = |name: &str| dir.join(name).symlink_metadata().is_ok();
    if !force && let Some((name, _)) = items.iter().find(|(name, _)| exists(name)) {
        bail!(
            "{} exists already, so nothing was saved; --force overwrites it",
            dir.join(name).display()
        );
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let root = Dir::open_ambient_dir(dir, ambient_authority())
        .with_context(|| format!("cannot open {}", dir.display()))?;
    for (name, item) in &items {
        let path = || dir.join(name);
        write(&root, name, item, force)
            .with_context(|| format!("cannot save {}", path().display()))?;
    }
    Ok(items.into_iter().map(|(name, _)| dir.join(name)).collect())
}

/// Returns the displays that are pictures.
pub(super) fn pictures(execution: &Execution) -> impl Iterator<Item = &Display> {
    execution.displays.iter().filter(|d| d.is_picture())
}

/// The content to save under a name.
enum Item<'a> {
    Picture(&'a [u8]),
    File(&'a GuestFile),
}

fn write(root: &Dir, name: &str, item: &Item, force: bool) -> std::io::Result<()> {
    let mut dir = root.try_clone()?;
    let (folders, name) = name.rsplit_once('/').unwrap_or(("", name));
    for folder in folders.split('/').filter(|f| !f.is_empty()) {
        match dir.create_dir(folder) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e),
            _ => dir = dir.open_dir_nofollow(folder)?,
        }
    }
    if force {
        // Removes a link, not its target.
        match dir.remove_file_or_symlink(name) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut file = dir.open_with(name, &options)?;
    match item {
        Item::Picture(bytes) => file.write_all(bytes),
        Item::File(guest) => guest.copy_to(&mut file),
    }
}

/// Names in use, in lower case, because some file systems ignore case.
#[derive(Default)]
struct Names {
    files: HashSet<String>,
    folders: HashSet<String>,
}

impl Names {
    /// Returns a safe and unused name for the guest's `name`.
    fn take(&mut self, name: &str) -> String {
        let safe = safe(name);
        let mut path = String::new();
        let mut parts = safe.split('/').peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            let is_free = |names: &Self, path: &str| {
                let path = path.to_lowercase();
                // Two paths can share a folder, but not a file.
                !(names.files.contains(&path) || last && names.folders.contains(&path))
            };
            let (stem, ending) = match part.rsplit_once('.') {
                Some((stem, ending)) if last && !stem.is_empty() => (stem, format!(".{ending}")),
                _ => (part, String::new()),
            };
            let candidates = std::iter::once(format!("{path}{part}"))
                .chain((2..).map(|n| format!("{path}{stem}-{n}{ending}")));
            let unused = candidates.into_iter().find(|path| is_free(self, path));
            // The candidates are infinite, so one is unused.
            path = unused.unwrap_or_default();
            let names = match last {
                true => &mut self.files,
                false => &mut self.folders,
            };
            names.insert(path.to_lowercase());
            if !last {
                path.push('/');
            }
        }
        path
    }
}

/// Converts a path of the guest to a relative path that is valid on every system and has no `..`.
fn safe(name: &str) -> String {
    let cleaned: Vec<String> = (name.split('/'))
        .map(|part| {
            let part: String = (part.chars())
                .map(|c| match c {
                    '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
                    c if c.is_control() => '_',
                    c => c,
                })
                .collect();
            part.trim_end_matches([' ', '.']).to_owned()
        })
        .map(|part| if part.is_empty() { "_".into() } else { part })
        .collect();
    cleaned.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_the_guest_stay_below_the_folder() {
        for (name, expected) in [
            ("plots/a.png", "plots/a.png"),
            ("../../etc/passwd", "_/_/etc/passwd"),
            ("/etc/passwd", "_/etc/passwd"),
            ("C:\\x\u{1b}.txt", "C__x_.txt"),
            ("con. ", "con"),
            ("", "_"),
        ] {
            assert_eq!(safe(name), expected, "{name:?}");
        }
    }

    #[test]
    fn two_files_never_get_the_same_name() {
        let mut names = Names::default();
        let taken: Vec<_> = ["a.png", "a.png", "A.PNG", "d:/x", "d_/x", "d_", "x", "x/y"]
            .iter()
            .map(|name| names.take(name))
            .collect();
        assert_eq!(
            taken,
            [
                "a.png", "a-2.png", "A-3.PNG", "d_/x", "d_/x-2", "d_-2", "x", "x-2/y"
            ]
        );
    }
}
