//! Attempts to make a commit write outside of its mount, or over files of the host.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use codeact::sandbox::{MountMode, SandboxError, Session};

use crate::host_folder::{Folder, these};

/// Commits the changes of `session`.
fn commit(session: &mut Session) -> Result<(), SandboxError> {
    let changes = session.changes();
    session.commit(&changes)
}

fn session(folder: &Folder, code: &str) -> Session {
    folder.session(MountMode::Commit, &format!("import os, shutil\n{code}"))
}

/// Commits the changes of `code`. The commit must fail with `why`, and nothing is written.
#[track_caller]
fn refused(folder: &Folder, code: &str, why: &str) {
    let before = folder.shown();
    let mut session = session(folder, code);
    conflicts(folder, &mut session, why);
    assert_eq!(folder.shown(), before, "{code}");
}

/// Asserts that the commit fails as a whole with `why`, and that nothing outside is changed.
#[track_caller]
fn conflicts(folder: &Folder, session: &mut Session, why: &str) {
    match commit(session) {
        Err(SandboxError::Conflict { conflicts }) => {
            let text = conflicts.join("\n");
            assert!(text.contains(why), "expected {why:?} in {text:?}");
        }
        other => panic!("{other:?}"),
    }
    folder.assert_outside_untouched();
}

#[test]
fn links_that_could_lead_out_are_not_written_and_nothing_else_is() {
    let folder = Folder::new(&[("a.txt", "old"), ("d/e/x", "")]);
    folder.link("d", "shallow");
    let absolute = folder.outside().display().to_string();
    for (target, place) in [
        (&*absolute, "l"),
        ("/", "l"),
        ("/etc/passwd", "d/l"),
        ("..", "l"),
        ("../outside", "l"),
        ("../../outside/secret.txt", "d/l"),
        ("../../../outside", "d/e/l"),
        ("d/../../outside", "l"),
        ("shallow/e/../../../outside", "l"),
        ("./../outside", "l"),
        ("..", "d/e/../../l"),
    ] {
        let code =
            format!("os.symlink({target:?}, '/m/{place}'); open('/m/a.txt', 'w').write('new')");
        refused(&folder, &code, "lead out of the folder");
    }
}

#[test]
fn a_link_through_a_link_of_the_users_own_is_not_written() {
    let folder = Folder::new(&[("d/x", ""), ("f.txt", "inside")]);
    folder.link("/etc", "out");
    for code in [
        "os.symlink('out/passwd', '/m/l')",
        "os.symlink('../out', '/m/d/l')",
        "os.symlink('out', '/m/l')",
    ] {
        refused(&folder, code, "lead out of the folder");
    }
}

#[test]
fn a_link_that_is_moved_up_must_still_stay_inside() {
    let folder = Folder::new(&[("d/e/x", ""), ("f.txt", "inside")]);
    folder.link("../../f.txt", "d/e/l");
    refused(
        &folder,
        "os.rename('/m/d/e/l', '/m/l')",
        "lead out of the folder",
    );
    refused(
        &folder,
        "os.rename('/m/d/e', '/m/e')",
        "lead out of the folder",
    );
}

#[test]
fn links_that_stay_inside_are_written() {
    let folder = Folder::new(&[("d/e/x", "")]);
    let code = "os.symlink('x', '/m/d/e/same'); os.symlink('../../top', '/m/d/e/up')
os.symlink('d/e', '/m/down'); os.symlink('missing', '/m/dangling')";
    commit(&mut session(&folder, code)).unwrap();
    assert_eq!(
        folder.shown(),
        these(&[
            ("d", ""),
            ("d/e", ""),
            ("d/e/x", ""),
            ("d/e/same", "x"),
            ("d/e/up", "../../top"),
            ("down", "d/e"),
            ("dangling", "missing"),
        ])
    );
}

#[test]
fn writes_through_links_never_reach_outside() {
    let folder = Folder::new(&[("f.txt", "inside")]);
    folder.link(folder.outside(), "out");
    let code = "
for make in (lambda: open('/m/out/evil', 'w'), lambda: open('/m/out/secret.txt', 'r+'),
             lambda: os.mkdir('/m/out/evil'), lambda: os.remove('/m/out/secret.txt')):
    try:
        make()
        print('allowed')
    except OSError: pass
# In the link's place a folder of its own.
os.remove('/m/out'); os.mkdir('/m/out'); open('/m/out/secret.txt', 'w').write('mine')
os.symlink('/tmp', '/home/user/t'); open('/home/user/t/x', 'w').write('x')";
    commit(&mut session(&folder, code)).unwrap();
    let expected = [("f.txt", "inside"), ("out", ""), ("out/secret.txt", "mine")];
    assert_eq!(folder.shown(), these(&expected));
    folder.assert_outside_untouched();
}

#[test]
fn a_parent_folder_swapped_for_a_link_is_a_conflict() {
    for code in [
        "open('/m/d/f.txt', 'w').write('evil')",
        "open('/m/d/new.txt', 'w').write('evil')",
        "os.mkdir('/m/d/new'); open('/m/d/new/x', 'w').write('evil')",
        "os.symlink('f.txt', '/m/d/l')",
        "os.remove('/m/d/f.txt')",
        "shutil.rmtree('/m/d')",
        "os.rename('/m/d/f.txt', '/m/d/secret.txt')",
        "os.rename('/m/d', '/m/e')",
        "shutil.rmtree('/m/d'); open('/m/d', 'w').write('evil')",
    ] {
        let folder = Folder::new(&[("d/f.txt", "inside"), ("a.txt", "old")]);
        let code = format!("{code}\nopen('/m/a.txt', 'w').write('new')");
        let mut session = session(&folder, &code);
        let away = folder.path().join("away");
        fs::rename(folder.at("d"), &away).unwrap();
        symlink(folder.outside(), folder.at("d")).unwrap();
        let before = folder.shown();
        conflicts(&folder, &mut session, "/d");
        assert_eq!(folder.shown(), before, "{code}");
    }
}

#[test]
fn a_parent_folder_swapped_while_it_is_written_never_leads_outside() {
    let folder = Folder::new(&[("d/f.txt", "inside")]);
    let (away, dir) = (folder.path().join("away"), folder.at("d"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::rename(&dir, &away).unwrap();
                symlink(folder.outside(), &dir).unwrap();
                fs::remove_file(&dir).unwrap();
                fs::rename(&away, &dir).unwrap();
            }
        });
        let code = "import os
try:
    open('/m/d/f.txt', 'w').write('evil'); open('/m/d/secret.txt', 'w').write('evil')
    os.mkdir('/m/d/x')
except OSError: pass";
        let attempt = || {
            let mut session = folder.sandbox(MountMode::Commit).session()?;
            crate::host_folder::turn(&mut session, code);
            // Whether it succeeds depends on the moment.
            let _ = commit(&mut session);
            Ok::<_, SandboxError>(())
        };
        let attempts: Result<Vec<_>, _> = (0..40).map(|_| attempt()).collect();
        done.store(true, Ordering::Relaxed);
        attempts.unwrap();
    });
    folder.assert_outside_untouched();
}

#[test]
fn a_file_swapped_for_a_link_or_a_pipe_before_the_commit_is_a_conflict() {
    for pipe in [false, true] {
        let folder = Folder::new(&[("f.txt", "inside")]);
        let mut session = session(&folder, "open('/m/f.txt', 'w').write('evil')");
        fs::remove_file(folder.at("f.txt")).unwrap();
        match pipe {
            true => assert!(
                std::process::Command::new("mkfifo")
                    .arg(folder.at("f.txt"))
                    .status()
                    .unwrap()
                    .success()
            ),
            false => folder.link(folder.outside().join("secret.txt"), "f.txt"),
        }
        conflicts(&folder, &mut session, "changed meanwhile");
    }
}

#[test]
fn names_like_temporary_ones_are_plain_names() {
    let folder = Folder::new(&[(".codeact-0000000000000000.tmp", "the host's"), ("f", "")]);
    let code =
        "for name in ('.codeact-0000000000000001.tmp', '.codeact-.tmp', '.tmp', 'f.tmp', 'f~'):
    open('/m/' + name, 'w').write('mine')
for i in range(200): open(f'/m/.codeact-{i:016x}.tmp', 'a').write('!')
os.symlink('f', '/m/.codeact-ffffffffffffffff.tmp')";
    commit(&mut session(&folder, code)).unwrap();
    let shown = folder.shown();
    assert_eq!(shown[".codeact-0000000000000000.tmp"], "the host's!");
    assert_eq!(shown[".codeact-0000000000000001.tmp"], "mine!");
    // Only files of the guest exist.
    assert_eq!(shown.len(), 200 + 4 + 1 + 1);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_differ_in_case_are_different_files() {
    let folder = Folder::new(&[("README", "the host's"), (".git/config", "the host's")]);
    let code = "open('/m/readme', 'w').write('mine'); os.mkdir('/m/.GIT')
open('/m/.GIT/config', 'w').write('mine'); os.rename('/m/readme', '/m/Readme')";
    commit(&mut session(&folder, code)).unwrap();
    assert_eq!(
        folder.shown(),
        these(&[
            ("README", "the host's"),
            ("Readme", "mine"),
            (".git", ""),
            (".git/config", "the host's"),
            (".GIT", ""),
            (".GIT/config", "mine"),
        ])
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_with_names_that_the_guest_cannot_see_is_not_removed() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new(&[("d/f.txt", "inside"), ("a.txt", "old")]);
    let odd = folder.at("d").join(std::ffi::OsStr::from_bytes(b"\xff"));
    fs::write(&odd, "the host's").unwrap();
    for code in ["shutil.rmtree('/m/d')", "os.rename('/m/d', '/m/e')"] {
        let code = format!("{code}\nopen('/m/a.txt', 'w').write('new')");
        refused(&folder, &code, "did not see");
        assert!(odd.exists());
    }
}

#[test]
fn pipes_of_the_host_are_neither_lost_nor_moved() {
    let folder = Folder::new(&[("d/f.txt", "inside")]);
    let made = std::process::Command::new("mkfifo")
        .arg(folder.at("d/pipe"))
        .status();
    assert!(made.unwrap().success());
    let code = "
for do in (lambda: os.rename('/m/d', '/m/e'), lambda: os.rename('/m/d/pipe', '/m/pipe')):
    try:
        do()
        print('allowed')
    except OSError: pass
open('/m/d/f.txt', 'w').write('new')";
    commit(&mut session(&folder, code)).unwrap();
    assert_eq!(folder.read("d/f.txt"), "new");
    assert!(folder.at("d/pipe").exists());
}

#[test]
fn a_changed_file_does_not_keep_the_right_to_run_as_its_owner() {
    let folder = Folder::new(&[("tool", "#!/bin/sh\n"), ("moved", "#!/bin/sh\n")]);
    for name in ["tool", "moved"] {
        fs::set_permissions(folder.at(name), fs::Permissions::from_mode(0o6755)).unwrap();
    }
    let code = "open('/m/tool', 'a').write('evil'); os.rename('/m/moved', '/m/there')";
    commit(&mut session(&folder, code)).unwrap();
    for name in ["tool", "there"] {
        let mode = fs::metadata(folder.at(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "{name}");
    }
}
