//! Writing changes back to the host.
//!
//! This file is a security boundary: the guest chose the names, links and bytes that are written. A change is written
//! only inside the folder of its mount.
//!
//! All changes are checked before the first one is written, and each again when it is written. A file that another
//! process changed since the guest read it is a conflict and is not overwritten. A file is written under a temporary
//! name and renamed when it is complete. Additions come before removals, so that an interrupted commit loses no data.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Component, Path};

use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, OpenOptions, Permissions};

use crate::error::SandboxError;
use crate::fs::mount::change::{Change, ChangeKind, NewNode};
use crate::fs::vfs::{Content, HostFolder, HostKind, HostMeta};
use codeact_base::text::one_line;

/// Writes the `changes` that are in a mount, in a safe order.
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
            Some(format!("{}: {why}", display_path(change)))
        })
        .collect();
    if !conflicts.is_empty() {
        return Err(SandboxError::Conflict { conflicts });
    }
    let steps = ordered_steps(&changes);
    let mut sources = open_moved_sources(&steps)?;
    let mut written = Vec::new();
    for (at, (change, folder, step)) in steps.iter().enumerate() {
        if let Err(source) = step.run(change, folder, sources.remove(&at)) {
            return Err(commit_error(change, written, source));
        }
        written.push(display_path(change));
    }
    Ok(())
}

fn commit_error(change: &Change, written: Vec<String>, source: io::Error) -> SandboxError {
    SandboxError::Commit {
        path: display_path(change),
        written,
        source,
    }
}

/// Opens the files that the guest moved and whose old name is written or removed before the new one. Returns them by
/// the index of the step that reads them.
fn open_moved_sources(
    steps: &[(&Change, &HostFolder, Step)],
) -> Result<BTreeMap<usize, Source>, SandboxError> {
    let mut first_steps = BTreeMap::new();
    for (at, (change, ..)) in steps.iter().enumerate() {
        first_steps
            .entry((change.mount, &*change.path))
            .or_insert(at);
    }
    let mut sources = BTreeMap::new();
    for (at, (change, _, step)) in steps.iter().enumerate() {
        if let (Step::Put, Some(NewNode::File(content))) = (step, &change.new)
            && let Some(base) = content.base()
            && base.path != change.path
            && (first_steps.get(&(change.mount, &*base.path))).is_some_and(|step| *step < at)
        {
            let source = Source::open(content).map_err(|e| commit_error(change, Vec::new(), e))?;
            sources.insert(at, source);
        }
    }
    Ok(sources)
}

/// Content and permissions of a file to write.
struct Source {
    content: Content,
    /// Permissions of the host's file that the content is based on: a moved script stays executable.
    permissions: Option<Permissions>,
}

impl Source {
    fn open(content: &Content) -> io::Result<Self> {
        Ok(Self {
            permissions: (content.base())
                .map(|base| base.permissions())
                .transpose()?,
            content: content.with_own_handle()?,
        })
    }
}

/// Returns the path of a change for messages.
fn display_path(change: &Change) -> String {
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

/// Returns the steps in the order in which they are run: removals that make room for a node of another type, then
/// additions from the top down, then the other removals from the bottom up.
fn ordered_steps<'a>(
    changes: &[(&'a Change, &'a HostFolder)],
) -> Vec<(&'a Change, &'a HostFolder, Step)> {
    let replaced: Vec<_> = (changes.iter())
        .filter(|(change, _)| change.kind == ChangeKind::Changed && !has_same_type(change))
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
        .filter(|(c, _)| c.new.is_none() || !has_same_type(c) && c.old.is_some())
        .map(step(Step::Remove))
        .partition(|(change, ..)| makes_room(change));
    // Reverse order: a path sorts after its folder.
    first.sort_by(|a, b| (b.0.mount, &b.0.path).cmp(&(a.0.mount, &a.0.path)));
    last.sort_by(|a, b| (b.0.mount, &b.0.path).cmp(&(a.0.mount, &a.0.path)));
    let mut puts: Vec<_> = (changes.iter())
        .filter(|(change, _)| change.new.is_some())
        .map(step(Step::Put))
        .collect();
    puts.sort_by(|a, b| (a.0.mount, &a.0.path).cmp(&(b.0.mount, &b.0.path)));
    first.into_iter().chain(puts).chain(last).collect()
}

/// Returns true if the file type has not changed, or one side does not exist.
fn has_same_type(change: &Change) -> bool {
    matches!(
        (&change.new, change.old.as_ref().map(|meta| &meta.kind)),
        (Some(NewNode::File(_)), Some(HostKind::File))
            | (Some(NewNode::Dir), Some(HostKind::Dir))
            | (None, _)
            | (_, None)
    )
}

/// All changes by mount and path.
type ByPath<'a> = BTreeMap<(Option<usize>, &'a str), &'a Change>;

/// Returns why `change` cannot be written, or `None` if it can.
fn conflict(change: &Change, folder: &HostFolder, all: &ByPath) -> Option<String> {
    if let Some(NewNode::Symlink(target)) = &change.new
        && (!is_inside_mount(&change.path, target)
            || passes_host_link(&change.path, target, folder))
    {
        return Some(format!("a link to {target:?} could lead out of the folder"));
    }
    if !is_valid_name(&change.path) {
        return Some("the name is not valid on this system".into());
    }
    match (&change.old, folder.meta(&change.path)) {
        (Some(old), Ok(now)) if unchanged(old, &now) => {
            let is_removed_dir =
                old.kind == HostKind::Dir && !matches!(change.new, Some(NewNode::Dir));
            is_removed_dir
                .then(|| unlisted_entry(change, folder, all))
                .flatten()
        }
        (Some(_), Ok(_)) => Some("it was changed meanwhile".into()),
        (Some(_), Err(e)) if is_missing(&e) => Some("it was removed meanwhile".into()),
        (None, Ok(_)) => Some("it was created meanwhile".into()),
        (None, Err(e)) if is_missing(&e) => {
            let parent = change.path.rsplit_once('/')?.0;
            let is_created = (all.get(&(change.mount, parent)))
                .is_some_and(|parent| matches!(parent.new, Some(NewNode::Dir)));
            let exists = || {
                folder
                    .meta(parent)
                    .is_ok_and(|now| now.kind == HostKind::Dir)
            };
            (!is_created && !exists()).then(|| "its folder was removed meanwhile".into())
        }
        (_, Err(e)) => Some(e.to_string()),
    }
}

/// Returns true if the file, or a folder on the way to it, does not exist.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Returns the conflict of a removed folder that has an entry which the guest has not listed.
fn unlisted_entry(change: &Change, folder: &HostFolder, all: &ByPath) -> Option<String> {
    let is_listed = |name: &str| {
        let path = format!("{}/{name}", change.path);
        all.get(&(change.mount, &*path))
            .is_some_and(|c| c.old.is_some())
    };
    match folder.other_name(&change.path, is_listed) {
        Ok(None) => None,
        Ok(Some(name)) => Some(format!("{name:?} is in it, which the code did not see")),
        Err(e) => Some(e.to_string()),
    }
}

/// Returns true if the host's file is the same as before.
fn unchanged(old: &HostMeta, now: &HostMeta) -> bool {
    match old.kind {
        // Each of its entries is checked as a change of its own.
        HostKind::Dir => now.kind == HostKind::Dir,
        _ => old == now,
    }
}

/// Returns true if a link at `path` with `target` resolves inside the mount, independent of other links: `..` occurs at
/// the beginning only, and not more often than there are parent folders.
fn is_inside_mount(path: &str, target: &str) -> bool {
    if target.starts_with('/') || target.contains('\\') || Path::new(target).has_root() {
        return false;
    }
    let above = path.matches('/').count();
    let names = || target.split('/').filter(|n| !n.is_empty() && *n != ".");
    let ups = names().take_while(|name| *name == "..").count();
    ups <= above && !names().skip(ups).any(|name| name == "..")
}

/// Returns true if `target`, of a link at `path`, passes a symbolic link of the host. Its destination is unknown here,
/// so the link could lead out of the mount.
fn passes_host_link(path: &str, target: &str, folder: &HostFolder) -> bool {
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

/// Returns true if each name of the guest's path is a plain file name on this system.
fn is_valid_name(path: &str) -> bool {
    path.split('/').all(|name| {
        let mut components = Path::new(name).components();
        let plain = matches!(components.next(), Some(Component::Normal(n)) if n == name);
        let is_reserved = name.contains([':', '*', '?', '"', '<', '>', '|', '\\'])
            || name.ends_with([' ', '.'])
            || name.chars().any(char::is_control);
        plain && components.next().is_none() && !(cfg!(windows) && is_reserved)
    })
}

impl Step {
    /// Runs the step. `source` has the content if it was opened before.
    fn run(self, change: &Change, folder: &HostFolder, source: Option<Source>) -> io::Result<()> {
        let (dir, name) = folder.parent(&change.path)?;
        if let Some(old) = &change.old {
            let now = folder.meta(&change.path);
            // A node of another type was removed by an earlier step.
            let was_removed = self == Step::Put && !has_same_type(change);
            if !was_removed && !unchanged(old, &now?) {
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
            (Step::Put, Some(NewNode::Dir), _) => dir.create_dir(name),
            (Step::Put, Some(NewNode::Symlink(target)), _) => {
                DirExt::symlink(&dir, &**target, name)
            }
            (Step::Put, Some(NewNode::File(content)), _) => {
                let replace = change.old.is_some() && has_same_type(change);
                let source = source.map_or_else(|| Source::open(content), Ok)?;
                put_file(&dir, name, source, replace)
            }
            (Step::Put, None, _) => Ok(()),
        }
    }
}

/// Writes a file under a temporary name, and renames it when it is complete.
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
            // The temporary file must not be readable by users who may not read the file itself.
            set_owner_only(&mut options);
        }
        let mut file = dir.open_with(&temporary, &options)?;
        source.content.write_to(&mut file)?;
        file.flush()?;
        // A script stays executable.
        if let Some(permissions) = permissions {
            file.set_permissions(without_special_bits(permissions))?;
        }
        file.sync_all()?;
        drop(file);
        if !replace {
            // Unlike a rename, this never replaces a file that another process has just created.
            match dir.hard_link(&temporary, dir, name) {
                Ok(()) => return dir.remove_file(&temporary),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(e),
                // The file system has no hard links.
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
        // It may not exist.
        let _ = dir.remove_file(&temporary);
    }
    done
}

/// Removes the set-user-ID, set-group-ID and sticky bits: they were granted to the old content.
#[cfg(unix)]
fn without_special_bits(mut permissions: Permissions) -> Permissions {
    use cap_std::fs::PermissionsExt;
    permissions.set_mode(permissions.mode() & 0o777);
    permissions
}

#[cfg(unix)]
fn set_owner_only(options: &mut OpenOptions) {
    use cap_std::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn set_owner_only(_: &mut OpenOptions) {}

#[cfg(not(unix))]
fn without_special_bits(permissions: Permissions) -> Permissions {
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
    fn links_inside_the_mount_are_recognised() {
        for (path, target, expected) in [
            ("a", "b", true),
            ("a", "b/c", true),
            ("a", "..", false),
            ("d/a", "../b", true),
            ("d/a", "../../b", false),
            ("d/e/a", "../../b/./c", true),
            // If `x` is a link to a folder higher up, this leads out.
            ("d/e/a", "x/../../b", false),
            ("a", "/etc/passwd", false),
            ("a", "C:\\x", false),
        ] {
            assert_eq!(
                is_inside_mount(path, target),
                expected,
                "{path} -> {target}"
            );
        }
    }
}
