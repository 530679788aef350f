//! Conflicts: concurrent changes on the host are never overwritten.

use std::fs;

use codeact::sandbox::{MountMode, SandboxError};

use crate::host_folder::{Folder, these};
use crate::support::RunningCommand;

const CHANGE: &str = "open('/m/f.txt', 'w').write('new')";

/// Starts a run that reads and changes files and then waits for a line of input.
fn start(folder: &Folder, code: &str) -> RunningCommand {
    let code = format!(
        "import os\nopen('/m/f.txt').read()\n{code}\nprint('changed', flush=True)\ninput()"
    );
    let mut command = folder.exec("commit").arg("--yes").code(&code).spawn();
    assert_eq!(command.line(), "changed\n");
    command
}

#[test]
fn a_concurrent_change_is_a_conflict_and_nothing_is_written() {
    type Meanwhile = fn(&Folder);
    let cases: [(&str, Meanwhile, &str); 7] = [
        (
            CHANGE,
            |f| f.write("f.txt", "theirs"),
            "f.txt: it was changed meanwhile",
        ),
        (
            CHANGE,
            |f| fs::remove_file(f.at("f.txt")).unwrap(),
            "f.txt: it was removed meanwhile",
        ),
        (
            "os.remove('/m/f.txt')",
            |f| f.write("f.txt", "theirs"),
            "f.txt: it was changed meanwhile",
        ),
        (
            "open('/m/n.txt', 'w')",
            |f| f.write("n.txt", "theirs"),
            "n.txt: it was created meanwhile",
        ),
        (
            "os.mkdir('/m/n')",
            |f| f.write("n/x", "theirs"),
            "n: it was created meanwhile",
        ),
        (
            "open('/m/d/n', 'w')",
            |f| fs::remove_dir_all(f.at("d")).unwrap(),
            "was removed meanwhile",
        ),
        (
            "os.remove('/m/d/x'); os.rmdir('/m/d')",
            |f| f.write("d/theirs", "theirs"),
            "\"theirs\" is in it, which the code did not see",
        ),
    ];
    for (code, meanwhile, why) in cases {
        let folder = Folder::new(&[("f.txt", "old"), ("d/x", ""), ("a.txt", "old")]);
        let mut command = start(
            &folder,
            &format!("open('/m/a.txt', 'w').write('new')\n{code}"),
        );
        meanwhile(&folder);
        let theirs = folder.shown();
        command.write("go\n");
        let done = command.end();
        done.code(125)
            .stderr_contains("nothing was written back")
            .stderr_contains(why);
        assert_eq!(folder.shown(), theirs, "{code}");
    }
}

#[test]
fn a_concurrent_change_of_other_files_is_no_conflict() {
    let folder = Folder::new(&[("f.txt", "old"), ("d/x", "")]);
    let mut command = start(&folder, CHANGE);
    folder.write("d/x", "theirs");
    folder.write("g.txt", "theirs");
    command.write("go\n");
    command.end().success();
    let expected = [
        ("f.txt", "new"),
        ("d", ""),
        ("d/x", "theirs"),
        ("g.txt", "theirs"),
    ];
    assert_eq!(folder.shown(), these(&expected));
}

#[test]
fn a_conflict_error_has_the_paths() {
    let folder = Folder::new(&[("f.txt", "old"), ("g.txt", "old")]);
    let code = "for name in 'fg': open(f'/m/{name}.txt', 'w').write('new')";
    let mut session = folder.session(MountMode::Commit, code);
    folder.write("f.txt", "theirs");
    let changes = session.changes();
    match session.commit(&changes) {
        Err(SandboxError::Conflict { conflicts }) => {
            let path = folder.at("f.txt").display().to_string();
            assert_eq!(conflicts, [format!("{path}: it was changed meanwhile")]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        folder.shown(),
        these(&[("f.txt", "theirs"), ("g.txt", "old")])
    );
}

#[test]
fn a_change_between_reading_and_writing_is_a_conflict() {
    let folder = Folder::new(&[("f.txt", "one")]);
    let code = "
text = open('/m/f.txt').read()
print('read', flush=True); input()
for mode in ('w', 'a', 'r+'):
    try: open('/m/f.txt', mode).write(text + ' and mine')
    except OSError: pass";
    let mut command = folder.exec("commit").arg("--yes").code(code).spawn();
    assert_eq!(command.line(), "read\n");
    folder.write("f.txt", "theirs, longer than it was");
    command.write("\n");
    let done = command.end();
    assert_eq!(done.exit, Some(125), "{done:?}");
    assert!(done.stderr.contains("changed meanwhile"), "{done:?}");
    assert_eq!(folder.read("f.txt"), "theirs, longer than it was");
}

#[test]
fn a_change_with_a_restored_modification_time_is_a_conflict() {
    let folder = Folder::new(&[("f.txt", "one")]);
    let before = fs::metadata(folder.at("f.txt"))
        .unwrap()
        .modified()
        .unwrap();
    let mut command = start(&folder, CHANGE);
    folder.write("f.txt", "two");
    let file = fs::File::options()
        .write(true)
        .open(folder.at("f.txt"))
        .unwrap();
    file.set_modified(before).unwrap();
    command.write("\n");
    let done = command.end();
    assert_eq!(done.exit, Some(125), "{done:?}");
    assert_eq!(folder.read("f.txt"), "two");
}
