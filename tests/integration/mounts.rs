//! `--mount`: syntax, guest paths, modes, and the report of changes.

use codeact::sandbox::{Mount, MountMode};

use crate::host_folder::{Folder, these};
use crate::support::{codeact, exec};

const LOOK: &str = "import os
for folder, folders, files in os.walk(PATH):
    folders.sort()
    for name in sorted(files):
        path = os.path.join(folder, name)
        print(path, open(path).read())";

fn look(path: &str) -> String {
    LOOK.replace("PATH", &format!("{path:?}"))
}

#[test]
fn a_folder_is_mounted_at_the_path_of_the_flag() {
    let folder = Folder::new(&[("a.txt", "one"), ("d/b.txt", "two")]);
    let host = folder.path().display().to_string();
    for (spec, guest) in [
        (host.clone(), "/mnt/inside"),
        (format!("{host}:ro"), "/mnt/inside"),
        (format!("{host}/:overlay"), "/mnt/inside"),
        (format!("{host}:/data"), "/data"),
        (format!("{host}:/data/deep/er/:ro"), "/data/deep/er"),
        (format!("{host}/../inside:/x y"), "/x y"),
        (format!("{host}:/home/user:overlay"), "/home/user"),
        (format!("{host}:/tmp/t"), "/tmp/t"),
    ] {
        let done = exec().arg("--mount").arg(&spec).code(&look(guest)).run();
        let expected = format!("{guest}/a.txt one\n{guest}/d/b.txt two\n");
        done.success().stdout(&expected).stderr("");
    }
}

#[test]
fn a_relative_host_path_is_resolved_in_the_current_folder() {
    let folder = Folder::new(&[("d/b.txt", "two")]);
    let run = exec().cwd(&folder.path()).args(["--mount", "d"]);
    let done = run.code(&look("/mnt/d")).run();
    done.success().stdout("/mnt/d/b.txt two\n");
    let run = exec().cwd(&folder.path()).args(["--mount", ".:/here"]);
    let done = run.code(&look("/here")).run();
    done.success().stdout("/here/d/b.txt two\n");
}

#[test]
fn several_folders_can_be_mounted() {
    let (one, two) = (Folder::new(&[("f", "1")]), Folder::new(&[("f", "2")]));
    let spec = |folder: &Folder, guest: &str| format!("{}:{guest}", folder.path().display());
    let run = exec().arg("--mount").arg(spec(&one, "/in/one"));
    let run = run.arg("--mount").arg(spec(&two, "/in/two:overlay"));
    let done = run.code(&look("/in")).run();
    done.success().stdout("/in/one/f 1\n/in/two/f 2\n");
}

#[test]
fn the_library_parses_path_and_mode() {
    let folder = Folder::new(&[("f", "")]);
    let host = folder.path().display().to_string();
    for (spec, guest, mode) in [
        (host.clone(), "/mnt/inside", MountMode::ReadOnly),
        (format!("{host}:commit"), "/mnt/inside", MountMode::Commit),
        (
            format!("{host}:/a//b/./c:overlay"),
            "/a/b/c",
            MountMode::Overlay,
        ),
        (format!("{host}:/ro:ro"), "/ro", MountMode::ReadOnly),
        // The last part is the mode, the one before it a path.
        (format!("{host}:/ro"), "/ro", MountMode::ReadOnly),
    ] {
        let mount = Mount::parse(&spec).unwrap();
        assert_eq!((mount.guest(), mount.access()), (guest, mode), "{spec}");
        assert!(!mount.is_file());
    }
}

#[test]
fn a_folder_whose_name_has_a_colon_can_be_mounted() {
    let folder = Folder::new(&[("a:b/f", "inside")]);
    let spec = format!("{}:/m", folder.at("a:b").display());
    let done = exec().arg("--mount").arg(spec).code(&look("/m")).run();
    done.success().stdout("/m/f inside\n");
}

#[test]
fn an_invalid_mount_is_a_usage_error() {
    let folder = Folder::new(&[("f.txt", "")]);
    let host = folder.path().display().to_string();
    for (spec, why) in [
        (String::new(), "expected HOST"),
        (":/m".into(), "expected HOST"),
        ("/no/such/folder".into(), "/no/such/folder: No such file"),
        (
            format!("{host}:rw"),
            "expected HOST[:GUEST][:ro|overlay|commit]",
        ),
        (
            format!("{host}:/m:rw"),
            "expected HOST[:GUEST][:ro|overlay|commit]",
        ),
        (format!("{host}:data"), "GUEST from /"),
        (format!("{host}:/"), "an absolute path such as /data"),
        (format!("{host}:/a/../b"), "an absolute path such as /data"),
        (format!("{host}:/usr/lib"), "its own files there"),
        (format!("{host}:/dev"), "its own files there"),
        (format!("{host}:/home"), "home folder"),
        ("/dev/null".into(), "neither a file nor a folder"),
    ] {
        let done = exec().arg("--mount").arg(&spec).code("print('ran')").run();
        done.code(2).stdout("").stderr_contains(why);
    }
    let twice = [format!("{host}:/m"), format!("{host}:/m/inner")];
    let run = twice
        .iter()
        .fold(exec(), |run, spec| run.arg("--mount").arg(spec));
    let done = run.code("print('ran')").run();
    done.code(2)
        .stdout("")
        .stderr_contains("mounts cannot be nested");
}

#[test]
fn a_single_file_can_be_mounted_and_is_read_in_place() {
    let folder = Folder::new(&[("f.csv", "a,b\n1,2\n"), ("other.csv", "hidden")]);
    let file = folder.at("f.csv").display().to_string();
    let code = "import os, pandas as pd
print(os.listdir('/mnt'), pd.read_csv('/mnt/f.csv').b.sum(), os.path.getsize('/mnt/f.csv'))
try:
    open('/mnt/f.csv', 'w')
except OSError as e: print(e.strerror)";
    let done = exec().arg("--mount").arg(&file).code(code).run();
    done.success()
        .stdout("['f.csv'] 2 8\nRead-only file system\n");
    let code = "open('/data/in.csv', 'a').write('3,4\\n'); print(open('/data/in.csv').read())";
    let spec = format!("{file}:/data/in.csv:overlay");
    let done = exec().arg("--mount").arg(spec).code(code).run();
    done.success().stdout("a,b\n1,2\n3,4\n\n");
    assert_eq!(folder.read("f.csv"), "a,b\n1,2\n");
}

#[test]
fn a_write_to_a_read_only_mount_is_an_error() {
    let folder = Folder::new(&[("f.txt", "inside")]);
    let done = folder.exec("ro").code("open('/m/f.txt', 'w')").run();
    done.code(1)
        .stderr_contains("Read-only file system: '/m/f.txt'");
}

#[test]
fn an_overlay_has_its_own_writes_and_the_host_is_unchanged() {
    let folder = Folder::new(&[("f.txt", "inside"), ("d/g.txt", "gone"), ("h.txt", "moved")]);
    let before = folder.shown();
    let code = "import os, shutil
open('/m/f.txt', 'a').write(' and more'); open('/m/new.txt', 'w').write('new')
shutil.rmtree('/m/d'); os.rename('/m/h.txt', '/m/i.txt')
"
    .to_owned()
        + &look("/m");
    let done = folder.exec("overlay").code(&code).run().success();
    let host = |name: &str| folder.at(name).display().to_string();
    assert_eq!(
        done.stdout,
        "/m/f.txt inside and more\n/m/i.txt moved\n/m/new.txt new\n"
    );
    let report = [
        format!("removed {} (a folder, in the overlay only)", host("d")),
        format!("removed {} (4 bytes, in the overlay only)", host("d/g.txt")),
        format!(
            "changed {} (6 -> 15 bytes, in the overlay only)",
            host("f.txt")
        ),
        format!("removed {} (5 bytes, in the overlay only)", host("h.txt")),
        format!("added {} (5 bytes, in the overlay only)", host("i.txt")),
        format!("added {} (3 bytes, in the overlay only)", host("new.txt")),
    ];
    let report: String = report
        .iter()
        .map(|line| format!("codeact: {line}\n"))
        .collect();
    assert_eq!(done.stderr, report);
    assert_eq!(folder.shown(), before);
}

#[test]
fn quiet_does_not_report_changes() {
    let folder = Folder::new(&[("f.txt", "inside")]);
    let run = folder.exec("overlay").arg("-q");
    run.code("open('/m/f.txt', 'w')").run().success().stderr("");
}

#[test]
fn rewriting_a_file_with_the_same_bytes_is_no_change() {
    let folder = Folder::new(&[("f.txt", "inside")]);
    let code = "text = open('/m/f.txt').read(); open('/m/f.txt', 'w').write(text)
open('/m/x', 'w').close(); import os; os.remove('/m/x')
os.rename('/m/f.txt', '/m/y'); os.rename('/m/y', '/m/f.txt')";
    folder.exec("overlay").code(code).run().success().stderr("");
}

#[test]
fn diff_shows_what_changed_and_writes_nothing() {
    let folder = Folder::new(&[
        ("f.txt", "one\ntwo\n"),
        ("gone.txt", "bye\n"),
        ("b.bin", "\0"),
    ]);
    let before = folder.shown();
    let code = "import os
open('/m/f.txt', 'a').write('three\\n'); os.remove('/m/gone.txt')
open('/m/b.bin', 'wb').write(b'\\0\\1'); os.mkdir('/m/d'); open('/m/d/n.txt', 'w').write('new\\n')
os.symlink('n.txt', '/m/d/l'); open('own.txt', 'w').write('mine\\n')";
    for mode in ["overlay", "commit"] {
        let done = folder.exec(mode).arg("--diff").code(code).run().success();
        let done = done
            .stderr_contains("(8 -> 14 bytes")
            .stderr_contains("--- a/m/f.txt\n+++ b/m/f.txt\n@@ -1,2 +1,3 @@\n one\n two\n+three\n")
            .stderr_contains("--- a/m/gone.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-bye\n")
            .stderr_contains("--- /dev/null\n+++ b/m/d/n.txt\n@@ -0,0 +1 @@\n+new\n")
            .stderr_contains("added /home/user/own.txt (5 bytes)\n")
            .stderr_contains("+++ b/home/user/own.txt\n@@ -0,0 +1 @@\n+mine\n")
            .stderr_contains("d (a folder")
            .stderr_contains("l (a link to n.txt")
            .stderr_contains("b.bin (1 -> 2 bytes");
        done.stderr_lacks("b/m/b.bin").stderr_lacks("written back");
        assert_eq!(folder.shown(), before, "{mode}");
    }
}

#[test]
fn diff_needs_no_mount_and_omits_large_and_binary_files() {
    let code = "open('big.txt', 'w').write('x' * 300_000); open('odd', 'wb').write(b'\\xff')
open('esc.txt', 'w').write('\\x1b]0;title\\x07\\n')";
    let done = exec().arg("--diff").code(code).run().success();
    done.stderr_contains("added /home/user/big.txt (300000 bytes)")
        .stderr_contains("added /home/user/odd (1 bytes)")
        .stderr_lacks("xxxx")
        .stderr_lacks("\x1b");
}

#[test]
fn json_has_the_changes() {
    let folder = Folder::new(&[("f.txt", "one\n"), ("gone.txt", "bye\n")]);
    let code = "import os\nopen('/m/f.txt', 'a').write('two\\n'); os.remove('/m/gone.txt'); os.mkdir('/m/d')";
    let json = folder.exec("overlay").code(code).json();
    assert_eq!(json["written_back"], false);
    let changes = json["changes"].as_array().unwrap();
    let listed: Vec<_> = changes
        .iter()
        .map(|c| (c["change"].as_str(), c["what"].as_str(), c["path"].as_str()))
        .collect();
    let expected = [
        (Some("added"), Some("folder"), Some("/m/d")),
        (Some("changed"), Some("file"), Some("/m/f.txt")),
        (Some("removed"), Some("file"), Some("/m/gone.txt")),
    ];
    assert_eq!(listed, expected);
    assert_eq!(
        (&changes[1]["before_bytes"], &changes[1]["after_bytes"]),
        (&4.into(), &8.into())
    );
    assert_eq!(changes[1]["host"], folder.at("f.txt").display().to_string());
    assert_eq!(
        (&changes[1]["to_commit"], &changes[1]["diff"]),
        (&false.into(), &().into())
    );
    let json = folder.exec("overlay").arg("--diff").code(code).json();
    let diff = json["changes"][1]["diff"].as_str().unwrap();
    assert!(diff.ends_with("@@ -1 +1,2 @@\n one\n+two\n"), "{diff}");
    let json = exec().code("1").json();
    assert_eq!(json["changes"], serde_json::json!([]));
}

#[test]
fn without_a_mount_the_mount_folder_is_empty() {
    exec()
        .code("import os; print(os.listdir('/mnt'))")
        .run()
        .success()
        .stdout("[]\n");
    let folder = Folder::new(&[]);
    assert_eq!(folder.shown(), these(&[]));
    codeact(["exec", "--mount"]).run().code(2);
}
