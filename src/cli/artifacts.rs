//! What the code made: pictures it showed and files it left, saved to a folder of the user's.

use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail};

use crate::sandbox::{Display, Execution, GuestFile};

/// Saves the pictures and files of `executions`, in their order, to `dir`. With nothing to save,
/// makes nothing. Files that are there are left alone unless `force`.
///
/// All names are looked at before anything is written.
pub(super) fn save(
    dir: &Path,
    force: bool,
    executions: &[&Execution],
) -> anyhow::Result<Vec<PathBuf>> {
    let mut items: Vec<(PathBuf, Item)> = Vec::new();
    let many = executions.len() > 1;
    for (i, execution) in executions.iter().enumerate() {
        for display in pictures(execution) {
            let name = match many {
                true => format!("step-{}-{}", i + 1, display.name),
                false => display.name.clone(),
            };
            items.push((dir.join(name), Item::Picture(&display.bytes)));
        }
    }
    if let Some(last) = executions.last() {
        for file in &last.files {
            items.push((dir.join(safe(&file.path)), Item::File(file)));
        }
    }
    if !force && let Some((path, _)) = items.iter().find(|(path, _)| path.exists()) {
        bail!(
            "{} is there already, so nothing was saved; --force overwrites",
            path.display()
        );
    }
    for (path, item) in &items {
        write(path, item, force).with_context(|| format!("cannot save {}", path.display()))?;
    }
    Ok(items.into_iter().map(|(path, _)| path).collect())
}

/// What was shown as a picture.
pub(super) fn pictures(execution: &Execution) -> impl Iterator<Item = &Display> {
    execution.displays.iter().filter(|d| d.is_picture())
}

/// What is saved under one name.
enum Item<'a> {
    Picture(&'a [u8]),
    File(&'a GuestFile),
}

fn write(path: &Path, item: &Item, force: bool) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = options.open(path)?;
    match item {
        Item::Picture(bytes) => file.write_all(bytes),
        Item::File(guest) => guest.copy_to(&mut file),
    }
}

/// A guest's relative path as one that every system takes and that leads nowhere else.
fn safe(name: &str) -> PathBuf {
    let cleaned: PathBuf = (name.split('/'))
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
    debug_assert!(
        cleaned
            .components()
            .all(|c| matches!(c, Component::Normal(_)))
    );
    cleaned
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
            assert_eq!(safe(name), Path::new(expected), "{name:?}");
        }
    }
}
