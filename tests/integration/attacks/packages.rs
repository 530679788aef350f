//! Packages of a hostile index: `--with` and `replay` run none of their code on the host, and fetch nothing unasked.

use std::fs;
use std::path::Path;

use crate::support::{Codeact, codeact, exec, ready};

/// Makes an index in `folder`, with the sandbox's own Python: a wheel `innocent-NAME` that requires `dependency`, and a
/// source archive whose build backend writes a file `MARK`.
fn make_index(folder: &Path, name: &str, dependency: &str) {
    let code = format!(
        r#"
import io, tarfile, zipfile
folder, name, dependency = "/w", {name:?}, {dependency:?}
wheel = f"{{folder}}/{{name}}-1.0-py3-none-any.whl"
with zipfile.ZipFile(wheel, "w") as z:
    info = f"{{name}}-1.0.dist-info/"
    z.writestr(f"{{name}}.py", "x = 1\n")
    z.writestr(info + "METADATA", f"Metadata-Version: 2.1\nName: {{name}}\nVersion: 1.0\nRequires-Dist: {{dependency}}\n")
    z.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr(info + "RECORD", "")
backend = """
def mark():
    open({mark:?}, "w").close()
mark()
def get_requires_for_build_wheel(config=None): return []
"""
with tarfile.open(f"{{folder}}/evilsrc-1.0.tar.gz", "w:gz") as t:
    for path, text in [
        ("pyproject.toml", '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'),
        ("backend.py", backend),
        ("PKG-INFO", "Metadata-Version: 2.1\nName: evilsrc\nVersion: 1.0\n"),
    ]:
        member = tarfile.TarInfo(f"evilsrc-1.0/{{path}}")
        member.size = len(text)
        t.addfile(member, io.BytesIO(text.encode()))
"#,
        mark = folder.join("MARK").display().to_string(),
    );
    let mount = format!("{}:/w:commit", folder.display());
    exec()
        .args(["--yes", "--mount", &mount])
        .code(&code)
        .run()
        .success();
}

fn from_index(command: Codeact, folder: &Path) -> Codeact {
    command
        .host_env("PIP_NO_INDEX", "1")
        .host_env("PIP_FIND_LINKS", folder)
}

#[test]
fn a_direct_reference_to_a_source_archive_is_not_built() {
    let index = tempfile::tempdir().unwrap();
    let address = format!("file://{}/evilsrc-1.0.tar.gz", index.path().display());
    make_index(index.path(), "innocent", &format!("evilsrc @ {address}"));
    let done = from_index(exec().args(["--with", "innocent"]), index.path())
        .code("pass")
        .run()
        .code(125);
    for part in ["innocent -> evilsrc", &address] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
    assert!(!index.path().join("MARK").exists());
}

#[test]
fn a_dependency_that_has_only_a_source_archive_is_not_built() {
    let index = tempfile::tempdir().unwrap();
    make_index(index.path(), "innocent2", "evilsrc");
    let done = from_index(exec().args(["--with", "innocent2"]), index.path())
        .code("pass")
        .run()
        .code(125);
    assert!(
        done.stderr.contains("only source archives"),
        "{}",
        done.stderr
    );
    assert!(!index.path().join("MARK").exists());
}

#[test]
fn a_recording_fetches_no_packages_unless_the_user_asks_for_it() {
    ready();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording");
    let path = file.display().to_string();
    exec()
        .args(["--record", &path])
        .code("pass")
        .run()
        .success();
    let text = fs::read_to_string(&file).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let mut header: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    header["packages"] = serde_json::json!(["innocent3==1.0"]);
    lines[0] = header.to_string();
    fs::write(&file, lines.join("\n") + "\n").unwrap();

    // A client that is never run would not be missed.
    let replay = |args: &[&str]| codeact(["replay", &path]).args(args.iter().copied());
    let done = replay(&[]).host_env("PATH", folder.path()).run().code(125);
    for part in ["innocent3==1.0", "--fetch", "nothing is downloaded"] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
    let done = from_index(replay(&["--fetch"]), folder.path())
        .run()
        .code(125);
    assert!(
        done.stderr.contains("there is no package `innocent3`"),
        "{}",
        done.stderr
    );
}
