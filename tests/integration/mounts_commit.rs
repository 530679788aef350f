//! `commit` mounts: changes that are written back, and conditions under which nothing is.

use std::fs;

use crate::host_folder::{Folder, these};
use crate::support::{codeact, ready};

const CHANGE: &str = "open('/m/f.txt', 'w').write('new')";

#[test]
fn changes_of_a_successful_run_are_reported_and_written_back() {
    let folder = Folder::new(&[
        ("f.txt", "old"),
        ("gone.txt", "bye"),
        ("d/same.txt", "same"),
    ]);
    let code = "import os
open('/m/f.txt', 'w').write('newer'); os.remove('/m/gone.txt')
os.mkdir('/m/e'); open('/m/e/n.txt', 'w').write('n'); os.symlink('n.txt', '/m/e/l')
print('done')";
    let done = folder.exec("commit").arg("--yes").code(code).run();
    let host = |name: &str| folder.at(name).display().to_string();
    let report = format!(
        "codeact: added {} (a folder)\ncodeact: added {} (a link to n.txt)\ncodeact: added {} (1 bytes)
codeact: changed {} (3 -> 5 bytes)\ncodeact: removed {} (3 bytes)\ncodeact: 5 changes written back\n",
        host("e"), host("e/l"), host("e/n.txt"), host("f.txt"), host("gone.txt")
    );
    done.success().stdout("done\n").stderr(&report);
    assert_eq!(
        folder.shown(),
        these(&[
            ("d", ""),
            ("d/same.txt", "same"),
            ("e", ""),
            ("e/l", "n.txt"),
            ("e/n.txt", "n"),
            ("f.txt", "newer"),
        ])
    );
}

#[test]
fn without_changes_nothing_is_reported() {
    let folder = Folder::new(&[("f.txt", "old")]);
    let run = folder.exec("commit").arg("--yes");
    run.code("open('/m/f.txt').read()")
        .run()
        .success()
        .stderr("");
}

#[test]
fn quiet_and_json_write_back_without_a_report() {
    let folder = Folder::new(&[("f.txt", "old")]);
    let run = folder.exec("commit").args(["--yes", "-q"]);
    run.code(CHANGE).run().success().stderr("");
    assert_eq!(folder.read("f.txt"), "new");
    let json = folder
        .exec("commit")
        .arg("--yes")
        .code("open('/m/g.txt', 'w').write('g')")
        .json();
    assert_eq!(json["written_back"], true);
    assert_eq!(json["changes"][0]["to_commit"], true);
    assert_eq!(folder.read("g.txt"), "g");
}

#[test]
fn without_a_terminal_and_yes_the_code_does_not_run() {
    let folder = Folder::new(&[("f.txt", "old")]);
    for json in [false, true] {
        let run = folder.exec("commit").code("print('ran')");
        let run = if json { run.arg("--json") } else { run };
        run.run()
            .code(2)
            .stdout("")
            .stderr_contains("--yes")
            .stderr_contains("`overlay`");
    }
    // With --diff nothing is written, so no confirmation is needed.
    folder
        .exec("commit")
        .arg("--diff")
        .code(CHANGE)
        .run()
        .success();
    assert_eq!(folder.read("f.txt"), "old");
}

#[test]
fn a_run_that_fails_writes_nothing_back() {
    let folder = Folder::new(&[("f.txt", "old")]);
    for (end, code) in [
        ("1 / 0", 1),
        ("import sys; sys.exit(3)", 3),
        ("while True: pass", 124),
        ("import os; os.abort()", 134),
        ("raise MemoryError", 137),
    ] {
        let run = folder.exec("commit").args(["--yes", "--timeout", "5s"]);
        let done = run.code(&format!("{CHANGE}\n{end}")).run();
        done.code(code).stderr_lacks(" written back\n");
        assert_eq!(folder.shown(), these(&[("f.txt", "old")]), "{end}");
    }
    let done = folder
        .exec("commit")
        .arg("--yes")
        .code(&format!("{CHANGE}\n1 / 0"))
        .run();
    done.stderr_contains("nothing was written back, since the run has not succeeded");
}

#[test]
fn an_overlay_next_to_a_commit_mount_is_not_written() {
    let (one, two) = (
        Folder::new(&[("f.txt", "old")]),
        Folder::new(&[("f.txt", "old")]),
    );
    let spec = format!("{}:/o:overlay", two.path().display());
    let run = one.exec("commit").arg("--mount").arg(spec).arg("--yes");
    let code = format!("{CHANGE}; open('/o/f.txt', 'w').write('new'); open('x', 'w').close()");
    let done = run.code(&code).run().success();
    done.stderr_contains("codeact: 1 change written back\n")
        .stderr_contains("in the overlay only");
    assert_eq!(
        (one.read("f.txt"), two.read("f.txt")),
        ("new".into(), "old".into())
    );
}

#[cfg(unix)]
#[test]
fn permissions_are_preserved_also_of_moved_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new(&[
        ("run.sh", "#!/bin/sh\n"),
        ("d/tool", "x"),
        ("key", "k"),
        ("e", "x"),
    ]);
    for (name, mode) in [
        ("run.sh", 0o755),
        ("d/tool", 0o750),
        ("key", 0o600),
        ("e", 0o700),
    ] {
        fs::set_permissions(folder.at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let code = "import os
open('/m/run.sh', 'a').write('echo hi\\n'); os.rename('/m/d', '/m/moved')
open('/m/key', 'w').write('new'); open('/m/e.tmp', 'w').write('y'); os.replace('/m/e.tmp', '/m/e')";
    folder
        .exec("commit")
        .arg("--yes")
        .code(code)
        .run()
        .success();
    for (name, mode, text) in [
        ("run.sh", 0o755, "#!/bin/sh\necho hi\n"),
        ("moved/tool", 0o750, "x"),
        ("key", 0o600, "new"),
        ("e", 0o700, "y"),
    ] {
        let now = fs::metadata(folder.at(name)).unwrap().permissions().mode();
        assert_eq!(
            (now & 0o777, folder.read(name)),
            (mode, text.to_owned()),
            "{name}"
        );
    }
}

#[test]
fn every_byte_value_and_changes_within_a_file_are_written() {
    let folder = Folder::new(&[]);
    let big: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    folder.write("big", &big);
    let code = "open('/m/all', 'wb').write(bytes(range(256)) * 1000)
f = open('/m/big', 'r+b'); f.seek(70_000); f.write(b'XYZ'); f.seek(299_999); f.write(b'END'); f.close()
f = open('/m/hole', 'wb'); f.seek(200_000); f.write(b'!'); f.close()";
    folder
        .exec("commit")
        .arg("--yes")
        .code(code)
        .run()
        .success();
    let read = |name: &str| fs::read(folder.at(name)).unwrap();
    let all: Vec<u8> = (0..=255).collect();
    assert!(read("all") == all.repeat(1000));
    let mut expected = big;
    expected[70_000..70_003].copy_from_slice(b"XYZ");
    expected.truncate(299_999);
    expected.extend(b"END");
    assert!(read("big") == expected);
    let hole = read("hole");
    assert!(
        hole.len() == 200_001 && hole[200_000] == b'!' && hole[..200_000].iter().all(|b| *b == 0)
    );
}

#[test]
fn folders_are_renamed_removed_and_replaced() {
    let folder = Folder::new(&[
        ("a/b/f.txt", "f"),
        ("a/g.txt", "g"),
        ("gone/x/y.txt", "y"),
        ("was-file", "w"),
        ("was-folder/z", "z"),
        ("empty/", ""),
    ]);
    let code = "import os, shutil
os.rename('/m/a', '/m/c'); os.rename('/m/c/b', '/m/c/bb'); shutil.rmtree('/m/gone'); os.rmdir('/m/empty')
os.remove('/m/was-file'); os.mkdir('/m/was-file'); open('/m/was-file/n', 'w').write('n')
shutil.rmtree('/m/was-folder'); open('/m/was-folder', 'w').write('now a file')";
    folder
        .exec("commit")
        .arg("--yes")
        .code(code)
        .run()
        .success();
    assert_eq!(
        folder.shown(),
        these(&[
            ("c", ""),
            ("c/bb", ""),
            ("c/bb/f.txt", "f"),
            ("c/g.txt", "g"),
            ("was-file", ""),
            ("was-file/n", "n"),
            ("was-folder", "now a file"),
        ])
    );
}

#[test]
fn swapped_and_rotated_names_have_the_right_content() {
    let folder = Folder::new(&[
        ("log", "today"),
        ("log.1", "yesterday"),
        ("p", "P"),
        ("q", "Q"),
        ("d/x", "D"),
        ("e/x", "E"),
        ("k", "K"),
    ]);
    let code = "import os
os.rename('/m/log.1', '/m/log.2'); os.rename('/m/log', '/m/log.1'); open('/m/log', 'w').write('new')
for a, b in (('p', 'q'), ('d', 'e')):
    os.rename('/m/' + a, '/m/t'); os.rename('/m/' + b, '/m/' + a); os.rename('/m/t', '/m/' + b)
# A file that moves into a folder of its own name, and is changed.
os.rename('/m/k', '/m/t'); os.mkdir('/m/k'); os.rename('/m/t', '/m/k/k'); open('/m/k/k', 'a').write('!')";
    folder
        .exec("commit")
        .arg("--yes")
        .code(code)
        .run()
        .success();
    assert_eq!(
        folder.shown(),
        these(&[
            ("log", "new"),
            ("log.1", "today"),
            ("log.2", "yesterday"),
            ("p", "Q"),
            ("q", "P"),
            ("d", ""),
            ("e", ""),
            ("d/x", "E"),
            ("e/x", "D"),
            ("k", ""),
            ("k/k", "K!"),
        ])
    );
}

#[test]
fn a_folder_of_many_files_is_renamed() {
    let names: Vec<String> = (0..1500).map(|n| format!("d/{n}")).collect();
    let files: Vec<_> = names.iter().map(|name| (&**name, "x")).collect();
    let folder = Folder::new(&files);
    let code = "import os; os.rename('/m/d', '/m/e')";
    folder
        .exec("commit")
        .args(["--yes", "-q"])
        .code(code)
        .run()
        .success();
    assert_eq!(folder.shown().len(), 1501);
    assert_eq!(folder.read("e/1499"), "x");
}

#[test]
fn a_single_file_is_written_back_under_its_own_name() {
    let folder = Folder::new(&[("f.txt", "old"), ("other", "stays")]);
    let spec = format!("{}:/data/x.txt:commit", folder.at("f.txt").display());
    let code = "import os
open('/data/x.txt', 'w').write('new')
for do in (lambda: os.remove('/data/x.txt'), lambda: open('/data/y', 'w'),
           lambda: os.rename('/data/x.txt', '/data/y')):
    try:
        do()
        print('allowed')
    except OSError: pass";
    let run = crate::support::exec().arg("--mount").arg(spec).arg("--yes");
    let done = run.code(code).run().success().stdout("");
    done.stderr_contains("changed ")
        .stderr_contains("f.txt (3 -> 3 bytes)");
    assert_eq!(
        folder.shown(),
        these(&[("f.txt", "new"), ("other", "stays")])
    );
}

#[test]
fn a_mount_at_the_home_folder_is_the_current_folder() {
    let folder = Folder::new(&[("in.txt", "2")]);
    let spec = format!("{}:/home/user:commit", folder.path().display());
    let code = "n = int(open('in.txt').read()); open('out.txt', 'w').write(str(n * n))";
    let run = crate::support::exec().arg("--mount").arg(spec).arg("--yes");
    let done = run.code(code).run().success();
    done.stderr_contains("1 change written back");
    assert_eq!(folder.shown(), these(&[("in.txt", "2"), ("out.txt", "4")]));
}

/// `codeact run` with a recorded reply that runs `code`, and a commit mount.
fn run_recorded(folder: &Folder, code: &str) -> crate::support::FinishedCommand {
    ready();
    let recording = serde_json::json!({
        "version": 1,
        "exchanges": [{ "expect": ["Fix it"], "reply": format!("```python\n{code}\n```") }],
    });
    let file = folder.outside().with_file_name("recording.json");
    fs::write(&file, recording.to_string()).unwrap();
    let spec = format!("{}:/m:commit", folder.path().display());
    let run = codeact(["run", "Fix it.", "--yes", "--max-steps", "1", "--mount"]).arg(spec);
    run.arg("--model")
        .arg(format!("recorded:{}", file.display()))
        .run()
}

#[test]
fn changes_of_an_agents_code_are_written_back_after_an_answer() {
    let folder = Folder::new(&[("f.txt", "old")]);
    let done = run_recorded(&folder, &format!("{CHANGE}\nfinal_answer('fixed')"));
    let done = done.success().stdout("fixed\n");
    done.stderr_contains("f.txt (3 -> 3 bytes)")
        .stderr_contains("1 change written back");
    assert_eq!(folder.read("f.txt"), "new");
}

#[test]
fn changes_of_an_agents_code_are_not_written_back_without_an_answer() {
    let folder = Folder::new(&[("f.txt", "old")]);
    let done = run_recorded(&folder, CHANGE);
    done.code(1).stderr_contains("nothing was written back");
    assert_eq!(folder.read("f.txt"), "old");
}
