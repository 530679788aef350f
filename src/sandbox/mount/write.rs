//! Writing changes back to the host.
//!
//! Everything is looked at before anything is written, and again at the moment of writing: what
//! somebody else changed since the guest looked is a conflict and stays as it is. A file arrives
//! under a temporary name and is renamed when it is whole; additions come before removals, so that
//! a commit that is cut off has lost nothing.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Component, Path};

use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, OpenOptions, Permissions};

use super::changes::{Change, ChangeKind, New};
use crate::sandbox::error::SandboxError;
use crate::sandbox::vfs::{Content, HostFolder, HostKind, HostMeta};
use crate::text::one_line;

/// Writes `changes`, all of which have a folder of the host, in an order that works.
pub(super) fn write<'a>(changes: impl Iterator<Item = &'a Change>) -> Result<(), SandboxError> {
    let changes: Vec<_> = changes
        .filter_map(|change| Some((change, change.folder.as_deref()?)))
        .collect();
    let by_path: ByPath = (changes.iter())
        .map(|(change, _)| ((change.mount, &*change.path), *change))
        .collect();
    let conflicts: Vec<String> = (changes.iter())
        .filter_map(|(change, folder)| {
            let why = conflict(change, folder, &by_path)?;
            Some(format!("{}: {why}", shown(change)))
        })
        .collect();
    if !conflicts.is_empty() {
        return Err(SandboxError::Conflict { conflicts });
    }
    let steps = in_order(&changes);
    let mut held = hold(&steps)?;
    let mut written = Vec::new();
    for (at, (change, folder, step)) in steps.iter().enumerate() {
        if let Err(source) = step.take(change, folder, held.remove(&at)) {
            return Err(failed(change, written, source));
        }
        written.push(shown(change));
    }
    Ok(())
}

fn failed(change: &Change, written: Vec<String>, source: io::Error) -> SandboxError {
    SandboxError::Commit {
        path: shown(change),
        written,
        source,
    }
}

/// Opens, while they are there, the files whose bytes belong to another name now, and whose own name
/// has its turn before that one: by the number of the step that needs them.
fn hold(steps: &[(&Change, &HostFolder, Step)]) -> Result<BTreeMap<usize, Source>, SandboxError> {
    let mut turns = BTreeMap::new();
    for (at, (change, ..)) in steps.iter().enumerate() {
        turns.entry((change.mount, &*change.path)).or_insert(at);
    }
    let mut held = BTreeMap::new();
    for (at, (change, _, step)) in steps.iter().enumerate() {
        if let (Step::Put, Some(New::File(content))) = (step, &change.new)
            && let Some(base) = content.base()
            && base.path != change.path
            && (turns.get(&(change.mount, &*base.path))).is_some_and(|turn| *turn < at)
        {
            let source = Source::of(content).map_err(|e| failed(change, Vec::new(), e))?;
            held.insert(at, source);
        }
    }
    Ok(held)
}

/// What a file is written from.
struct Source {
    content: Content,
    /// Those of the host's file below: a script that was moved stays one.
    permissions: Option<Permissions>,
}

impl Source {
    fn of(content: &Content) -> io::Result<Self> {
        Ok(Self {
            permissions: (content.base())
                .map(|base| base.permissions())
                .transpose()?,
            content: content.apart()?,
        })
    }
}

fn shown(change: &Change) -> String {
    match &change.host {
        Some(host) => one_line(&host.display().to_string()),
        None => one_line(&change.guest),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Remove,
    Put,
}

/// First what must make room for something of another kind, then what is new, from the top down;
/// last what goes, from the bottom up.
fn in_order<'a>(
    changes: &[(&'a Change, &'a HostFolder)],
) -> Vec<(&'a Change, &'a HostFolder, Step)> {
    let replaced: Vec<_> = (changes.iter())
        .filter(|(change, _)| change.kind == ChangeKind::Changed && !same_kind(change))
        .map(|(change, _)| (change.mount, &*change.path))
        .collect();
    let makes_room = |change: &Change| {
        replaced.iter().any(|(mount, path)| {
            let rest = change.path.strip_prefix(path);
            *mount == change.mount && rest.is_some_and(|r| r.is_empty() || r.starts_with('/'))
        })
    };
    let step =
        |step| move |&(change, folder): &(&'a Change, &'a HostFolder)| (change, folder, step);
    let (mut first, mut last): (Vec<_>, Vec<_>) = (changes.iter())
        .filter(|(c, _)| c.new.is_none() || !same_kind(c) && c.old.is_some())
        .map(step(Step::Remove))
        .partition(|(change, ..)| makes_room(change));
    // Deeper paths sort behind the folders that they lie in.
    first.sort_by(|a, b| (b.0.mount, &b.0.path).cmp(&(a.0.mount, &a.0.path)));
    last.sort_by(|a, b| (b.0.mount, &b.0.path).cmp(&(a.0.mount, &a.0.path)));
    let mut puts: Vec<_> = (changes.iter())
        .filter(|(change, _)| change.new.is_some())
        .map(step(Step::Put))
        .collect();
    puts.sort_by(|a, b| (a.0.mount, &a.0.path).cmp(&(b.0.mount, &b.0.path)));
    first.into_iter().chain(puts).chain(last).collect()
}

/// Whether what is there now is of the kind that was there.
fn same_kind(change: &Change) -> bool {
    matches!(
        (&change.new, change.old.as_ref().map(|meta| &meta.kind)),
        (Some(New::File(_)), Some(HostKind::File))
            | (Some(New::Dir), Some(HostKind::Dir))
            | (None, _)
            | (_, None)
    )
}

/// All changes by mount and path.
type ByPath<'a> = BTreeMap<(Option<usize>, &'a str), &'a Change>;

/// Why `change` cannot be written, if it cannot.
fn conflict(change: &Change, folder: &HostFolder, all: &ByPath) -> Option<String> {
    if let Some(New::Symlink(target)) = &change.new
        && (!stays_inside(&change.path, target) || leads_on(&change.path, target, folder))
    {
        return Some(format!("a link to {target:?} could lead out of the folder"));
    }
    if !has_a_name_everywhere(&change.path) {
        return Some("the name means something else to this system".into());
    }
    match (&change.old, folder.meta(&change.path)) {
        (Some(old), Ok(now)) if unchanged(old, &now) => {
            let goes = old.kind == HostKind::Dir && !matches!(change.new, Some(New::Dir));
            goes.then(|| holds_more(change, folder, all)).flatten()
        }
        (Some(_), Ok(_)) => Some("it was changed meanwhile".into()),
        (Some(_), Err(e)) if is_missing(&e) => Some("it was removed meanwhile".into()),
        (None, Ok(_)) => Some("it was made meanwhile".into()),
        (None, Err(e)) if is_missing(&e) => {
            let parent = change.path.rsplit_once('/')?.0;
            let made = (all.get(&(change.mount, parent)))
                .is_some_and(|parent| matches!(parent.new, Some(New::Dir)));
            let there = || {
                folder
                    .meta(parent)
                    .is_ok_and(|now| now.kind == HostKind::Dir)
            };
            (!made && !there()).then(|| "the folder it lies in was removed meanwhile".into())
        }
        (_, Err(e)) => Some(e.to_string()),
    }
}

/// Whether nothing is there, or no folder on the way.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// What else lies in a folder that goes: it would have to stay.
fn holds_more(change: &Change, folder: &HostFolder, all: &ByPath) -> Option<String> {
    let goes = |name: &str| {
        let path = format!("{}/{name}", change.path);
        all.get(&(change.mount, &*path))
            .is_some_and(|c| c.old.is_some())
    };
    match folder.other_name(&change.path, goes) {
        Ok(None) => None,
        Ok(Some(name)) => Some(format!("{name:?} is in it, which the code did not see")),
        Err(e) => Some(e.to_string()),
    }
}

fn unchanged(old: &HostMeta, now: &HostMeta) -> bool {
    match old.kind {
        // Its entries are changes of their own.
        HostKind::Dir => now.kind == HostKind::Dir,
        _ => old == now,
    }
}

/// Whether a link at `path` with `target` leads to somewhere in the mount, whatever other links
/// are there: `..` only at the beginning, and no more of them than there are folders above.
fn stays_inside(path: &str, target: &str) -> bool {
    if target.starts_with('/') || target.contains('\\') || Path::new(target).has_root() {
        return false;
    }
    let above = path.matches('/').count();
    let names = || target.split('/').filter(|n| !n.is_empty() && *n != ".");
    let ups = names().take_while(|name| *name == "..").count();
    ups <= above && !names().skip(ups).any(|name| name == "..")
}

/// Whether `target`, of a link at `path` that stays inside, passes a link that the host has there:
/// where that leads is not ours to know.
fn leads_on(path: &str, target: &str, folder: &HostFolder) -> bool {
    let mut here: Vec<&str> = path.split('/').collect();
    here.pop();
    for name in target.split('/').filter(|n| !n.is_empty() && *n != ".") {
        if name == ".." {
            here.pop();
            continue;
        }
        here.push(name);
        let now = folder.meta(&here.join("/"));
        if now.is_ok_and(|meta| matches!(meta.kind, HostKind::Symlink(_))) {
            return true;
        }
    }
    false
}

/// Whether the guest's name is a plain name on this system too.
fn has_a_name_everywhere(path: &str) -> bool {
    path.split('/').all(|name| {
        let mut components = Path::new(name).components();
        let plain = matches!(components.next(), Some(Component::Normal(n)) if n == name);
        let odd = name.contains([':', '*', '?', '"', '<', '>', '|', '\\'])
            || name.ends_with([' ', '.'])
            || name.chars().any(char::is_control);
        plain && components.next().is_none() && !(cfg!(windows) && odd)
    })
}

impl Step {
    fn take(self, change: &Change, folder: &HostFolder, held: Option<Source>) -> io::Result<()> {
        let (dir, name) = folder.parent(&change.path)?;
        if let Some(old) = &change.old {
            let now = folder.meta(&change.path);
            // What made room for something of another kind is gone.
            let gone = self == Step::Put && !same_kind(change);
            if !gone && !unchanged(old, &now?) {
                return Err(io::Error::other("it was changed meanwhile"));
            }
        }
        match (
            self,
            &change.new,
            change.old.as_ref().map(|meta| &meta.kind),
        ) {
            (Step::Remove, _, Some(HostKind::Dir)) => dir.remove_dir(name),
            (Step::Remove, ..) => dir.remove_file_or_symlink(name),
            (Step::Put, Some(New::Dir), _) => dir.create_dir(name),
            (Step::Put, Some(New::Symlink(target)), _) => DirExt::symlink(&dir, &**target, name),
            (Step::Put, Some(New::File(content)), _) => {
                let replace = change.old.is_some() && same_kind(change);
                let source = held.map_or_else(|| Source::of(content), Ok)?;
                put_file(&dir, name, source, replace)
            }
            (Step::Put, None, _) => Ok(()),
        }
    }
}

/// Writes a file whole, under a temporary name, and renames it.
fn put_file(dir: &Dir, name: &str, source: Source, replace: bool) -> io::Result<()> {
    let temporary = format!(".codeact-{:016x}.tmp", random()?);
    let put = || {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let permissions = match replace {
            true => Some(dir.symlink_metadata(name)?.permissions()),
            false => source.permissions,
        };
        if permissions.is_some() {
            // Nobody reads what is on its way to a file that they may not read.
            private(&mut options);
        }
        let mut file = dir.open_with(&temporary, &options)?;
        source.content.write_to(&mut file)?;
        file.flush()?;
        // As it was: a script stays one.
        if let Some(permissions) = permissions {
            file.set_permissions(plain(permissions))?;
        }
        file.sync_all()?;
        drop(file);
        if !replace {
            // Unlike a rename, this never takes the place of what somebody has just made.
            match dir.hard_link(&temporary, dir, name) {
                Ok(()) => return dir.remove_file(&temporary),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(e),
                // A file system without hard links.
                Err(_) if dir.symlink_metadata(name).is_ok() => {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                Err(_) => {}
            }
        }
        dir.rename(&temporary, dir, name)
    };
    let done = put();
    if done.is_err() {
        // It may never have been made.
        let _ = dir.remove_file(&temporary);
    }
    done
}

/// Without what would let the file run as its owner: that was given to other bytes.
#[cfg(unix)]
fn plain(mut permissions: Permissions) -> Permissions {
    use cap_std::fs::PermissionsExt;
    permissions.set_mode(permissions.mode() & 0o777);
    permissions
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use cap_std::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

#[cfg(not(unix))]
fn plain(permissions: Permissions) -> Permissions {
    permissions
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_that_stay_inside_are_written() {
        for (path, target, stays) in [
            ("a", "b", true),
            ("a", "b/c", true),
            ("a", "..", false),
            ("d/a", "../b", true),
            ("d/a", "../../b", false),
            ("d/e/a", "../../b/./c", true),
            // Through a link to a shallower folder this would lead out.
            ("d/e/a", "x/../../b", false),
            ("a", "/etc/passwd", false),
            ("a", "C:\\x", false),
        ] {
            assert_eq!(stays_inside(path, target), stays, "{path} -> {target}");
        }
    }
}
