//! Mounts over the turns of a session.

use std::time::Duration;

use codeact::sandbox::MountMode::{Commit, Overlay, ReadOnly};
use codeact::sandbox::{Mount, Outcome, Session, Turn};

use crate::host_folder::{Folder, these, turn};
use crate::support::{block_on, limits, result, sandbox_with, shown};

/// Runs `code` and returns the value of its last expression.
#[track_caller]
fn value(session: &mut Session, code: &str) -> String {
    result(&turn(session, code)).to_owned()
}

fn commit(session: &mut Session) {
    let changes = session.changes();
    session.commit(&changes).unwrap();
}

const LOOK: &str = "{n: open('/m/' + n).read() for n in sorted(os.listdir('/m'))}";

#[test]
fn each_turn_sees_the_current_state_of_an_unchanged_mount() {
    for mode in [ReadOnly, Overlay, Commit] {
        let folder = Folder::new(&[("f.txt", "one"), ("old.txt", "")]);
        let mut session = folder.session(mode, "import os");
        assert_eq!(value(&mut session, LOOK), "{'f.txt': 'one', 'old.txt': ''}");
        folder.write("f.txt", "changed");
        folder.write("new.txt", "new");
        std::fs::remove_file(folder.at("old.txt")).unwrap();
        assert_eq!(
            value(&mut session, LOOK),
            "{'f.txt': 'changed', 'new.txt': 'new'}"
        );
        assert!(session.changes().is_empty());
    }
}

#[test]
fn an_overlays_changes_last_over_turns() {
    let folder = Folder::new(&[("f.txt", "one"), ("g.txt", "two")]);
    let mut session = folder.session(Overlay, "import os\n_ = open('/m/f.txt', 'a').write('!')");
    turn(&mut session, "os.remove('/m/g.txt')");
    turn(&mut session, "_ = open('/m/h.txt', 'w').write('three')");
    assert_eq!(
        value(&mut session, LOOK),
        "{'f.txt': 'one!', 'h.txt': 'three'}"
    );
    assert_eq!(session.changes().list().len(), 3);
    assert_eq!(session.changes().to_commit().count(), 0);
    assert_eq!(folder.shown(), these(&[("f.txt", "one"), ("g.txt", "two")]));
}

#[test]
fn changes_of_a_stopped_turn_are_rolled_back() {
    let folder = Folder::new(&[("f.txt", "one")]);
    let mut session = folder.session(Commit, "import os\n_ = open('/m/f.txt', 'a').write('!')");
    let code =
        "open('/m/f.txt', 'w').write('lost'); open('/m/new', 'w').close(); os.remove('/m/f.txt')";
    for end in ["while True: pass", "os.abort()", "os._exit(0)"] {
        let limits = limits(|l| l.wall = Duration::from_secs(1));
        let e = turn(
            &mut session,
            Turn::new(format!("{code}\n{end}")).limits(limits),
        );
        assert!(e.rolled_back, "{}", shown(&e));
        assert_eq!(value(&mut session, LOOK), "{'f.txt': 'one!'}", "{end}");
    }
    // An exception causes no rollback.
    let e = turn(&mut session, "open('/m/new', 'w').close(); 1 / 0");
    assert!(matches!(e.outcome, Outcome::Raised(_)));
    commit(&mut session);
    assert_eq!(folder.shown(), these(&[("f.txt", "one!"), ("new", "")]));
}

#[test]
fn a_session_continues_from_its_commit() {
    let folder = Folder::new(&[("f.txt", "one"), ("gone.txt", ""), ("d/x.txt", "x")]);
    let code = "import os, shutil
_ = open('/m/f.txt', 'a').write('!'); os.remove('/m/gone.txt'); os.mkdir('/m/e')
_ = open('/m/e/n.txt', 'w').write('n'); os.rename('/m/d', '/m/dd'); os.symlink('f.txt', '/m/l')";
    let mut session = folder.session(Commit, code);
    commit(&mut session);
    assert!(session.changes().is_empty());
    // Nothing is left to write: later changes on the host are no conflict.
    folder.write("e/n.txt", "theirs");
    commit(&mut session);
    assert_eq!(value(&mut session, "open('/m/e/n.txt').read()"), "'theirs'");

    let code = "_ = open('/m/f.txt', 'a').write('?'); shutil.rmtree('/m/e'); os.rename('/m/dd/x.txt', '/m/x.txt')
os.rmdir('/m/dd'); os.remove('/m/l'); sorted(os.listdir('/m'))";
    assert_eq!(value(&mut session, code), "['f.txt', 'x.txt']");
    let kinds: Vec<_> = (session.changes().list().iter())
        .map(|c| format!("{:?} {}", c.kind, c.guest))
        .collect();
    let expected = [
        "Removed /m/dd",
        "Removed /m/dd/x.txt",
        "Removed /m/e",
        "Removed /m/e/n.txt",
        "Changed /m/f.txt",
        "Removed /m/l",
        "Added /m/x.txt",
    ];
    assert_eq!(kinds, expected);
    commit(&mut session);
    assert_eq!(folder.shown(), these(&[("f.txt", "one!?"), ("x.txt", "x")]));
    assert_eq!(
        value(&mut session, LOOK),
        "{'f.txt': 'one!?', 'x.txt': 'x'}"
    );
}

#[test]
fn a_commit_frees_the_quota() {
    let folder = Folder::new(&[("f.txt", "one")]);
    let mut session = folder.session(Commit, "import os");
    for round in 0..5 {
        let write = format!(
            "_ = open('/m/{round}', 'wb').write(bytes(700)); _ = open('/m/f.txt', 'a').write('!')"
        );
        let limits = limits(|l| (l.file_bytes, l.files) = (1000, 2));
        result(&turn(&mut session, Turn::new(write).limits(limits)));
        commit(&mut session);
    }
    assert_eq!(folder.read("f.txt"), "one!!!!!");
    assert_eq!(folder.shown().len(), 6);
}

#[test]
fn a_file_that_is_open_during_a_commit_stays_writable() {
    let folder = Folder::new(&[("f.txt", "one")]);
    let code =
        "import os\nf = open('/m/f.txt', 'r+'); _ = f.seek(0, 2); _ = f.write('!'); f.flush()";
    let mut session = folder.session(Commit, code);
    commit(&mut session);
    assert_eq!(folder.read("f.txt"), "one!");
    turn(&mut session, "f.write('?'); f.flush()");
    commit(&mut session);
    assert_eq!(folder.read("f.txt"), "one!?");
}

#[test]
fn sessions_of_one_sandbox_do_not_see_each_others_changes() {
    let folder = Folder::new(&[("f.txt", "one")]);
    let sandbox = folder.sandbox(Overlay);
    let (mut a, mut b) = (sandbox.session().unwrap(), sandbox.session().unwrap());
    turn(
        &mut a,
        "import os\n_ = open('/m/f.txt', 'w').write('a'); open('/m/a', 'w').close()",
    );
    turn(&mut b, "import os\nos.remove('/m/f.txt')");
    assert_eq!(value(&mut a, LOOK), "{'a': '', 'f.txt': 'a'}");
    assert_eq!(value(&mut b, LOOK), "{}");
    let mut fresh = sandbox.session().unwrap();
    turn(&mut fresh, "import os");
    assert_eq!(value(&mut fresh, LOOK), "{'f.txt': 'one'}");
    assert_eq!(folder.shown(), these(&[("f.txt", "one")]));
}

#[test]
fn a_sandbox_that_was_cloned_before_a_mount_does_not_see_it() {
    let folder = Folder::new(&[("f.txt", "one")]);
    let mounted = folder.sandbox(ReadOnly);
    let plain = crate::support::sandbox();
    let look = "import os; os.path.exists('/m')";
    assert_eq!(result(&mounted.run_blocking(look).unwrap()), "True");
    assert_eq!(result(&plain.run_blocking(look).unwrap()), "False");
    assert_eq!((mounted.mounts().len(), plain.mounts().len()), (1, 0));
}

#[test]
fn files_of_an_execution_do_not_include_files_that_were_only_read() {
    let folder = Folder::new(&[("in.txt", "one"), ("edited.txt", "two")]);
    let mount = folder.mount(Overlay).at("/home/user/data").unwrap();
    let sandbox = crate::support::sandbox()
        .derive()
        .mount(mount)
        .build()
        .unwrap();
    let code = "open('data/in.txt').read(); open('data/edited.txt', 'a').write('!'); open('own', 'w').close()";
    let e = sandbox
        .run_blocking(Turn::new(code).keep_files(true))
        .unwrap();
    let files: Vec<_> = e
        .files
        .iter()
        .map(|f| (f.path.as_str(), f.to_vec().unwrap()))
        .collect();
    assert_eq!(
        files,
        [("data/edited.txt", b"two!".to_vec()), ("own", Vec::new())]
    );
}

/// Returns the paths in `folder` that this process has open.
#[cfg(target_os = "linux")]
fn open_handles(folder: &Folder) -> Vec<std::path::PathBuf> {
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    // Another test may close a descriptor meanwhile.
    let targets = all.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
    targets
        .filter(|target| target.starts_with(folder.path()))
        .collect()
}

#[cfg(target_os = "linux")]
#[test]
fn no_host_descriptor_is_left_open() {
    let names: Vec<String> = (0..50).map(|n| format!("d/{n}")).collect();
    let files: Vec<_> = names.iter().map(|name| (&**name, "text")).collect();
    let folder = Folder::new(&files);
    let code = "import os, shutil
for n in range(50): open(f'/m/d/{n}').read()
held = [open(f'/m/d/{n}') for n in range(10)]
for f in held: f.close()
for n in range(5): open(f'/m/d/{n}', 'a').write('!')
_ = open('/m/d/6', 'w').write('text'); os.rename('/m/d/7', '/m/7')";
    let mut session = folder.session(Commit, code);
    // The mounted folder itself is open.
    assert_eq!(open_handles(&folder), [folder.path()]);
    for change in session.changes().list() {
        change.diff().unwrap();
    }
    assert_eq!(open_handles(&folder), [folder.path()]);
    commit(&mut session);
    assert_eq!(open_handles(&folder), [folder.path()]);
    turn(&mut session, "keep = open('/m/d/1'); keep.read(1)");
    assert_eq!(open_handles(&folder).len(), 2);
    turn(
        &mut session,
        "held = open('/m/d/2'); held.read(1); os._exit(0)",
    );
    drop(session);
    assert_eq!(open_handles(&folder), Vec::<std::path::PathBuf>::new());
}

#[test]
fn rewriting_the_same_bytes_does_not_use_the_quota_after_a_commit() {
    let folder = Folder::new(&[("f.txt", "the same"), ("g.txt", "too")]);
    let mount = Mount::open(folder.path()).unwrap().at("/m").unwrap();
    let sandbox = sandbox_with(|limits| limits.file_bytes = 64)
        .derive()
        .mount(mount.mode(Commit))
        .build()
        .unwrap();
    let mut session = sandbox.session().unwrap();
    for turn in 0..20 {
        let code = format!(
            "import os
for name in ('f.txt', 'g.txt'):
    text = open('/m/' + name).read()
    open('/m/tmp', 'w').write(text); os.replace('/m/tmp', '/m/' + name)
open('/m/new', 'w').write('{turn}'); len(os.listdir('/m'))"
        );
        let execution = block_on(session.run(&*code)).unwrap();
        assert_eq!(
            execution.result.as_deref(),
            Some("3"),
            "turn {turn}: {execution:?}"
        );
        let changes = session.changes();
        session.commit(&changes).unwrap();
    }
    assert_eq!(folder.read("f.txt"), "the same");
}
