//! Unpacking of wheels.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::super::wheel::{
    Budget, DownloadedWheel, UnpackResult, has_pure_tags, name_problem, parse_file_name,
};
use super::wheel_with;
use crate::PackError;
use crate::tests::{names_in, zip_with};

const NAME: &str = "Some_Thing-1.0-py3-none-any.whl";

fn budget() -> Budget {
    Budget {
        bytes: 1000,
        files: 5,
    }
}

/// Unpacks a wheel with these bytes. Returns the files as `path=size`.
fn unpack_bytes(bytes: &[u8], budget: &mut Budget) -> Result<Option<Vec<String>>, PackError> {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(NAME);
    fs::write(&path, bytes).unwrap();
    let folder = home.path().join("in/site");
    fs::create_dir_all(&folder).unwrap();
    let wheel = DownloadedWheel::open(&path)?;
    assert_eq!(
        (wheel.name.as_str(), wheel.version.as_str()),
        ("some-thing", "1.0")
    );
    assert!(wheel.is_pure());
    let unpacked = wheel.unpack(&folder, budget)?;
    assert_eq!(names_in(&home.path().join("in")), ["site"]);
    Ok(match unpacked {
        UnpackResult::Compiled => None,
        UnpackResult::Pure(files) => {
            for (path, len) in &files {
                assert_eq!(fs::metadata(folder.join(path)).unwrap().len(), *len);
            }
            Some(
                files
                    .iter()
                    .map(|(path, len)| format!("{path}={len}"))
                    .collect(),
            )
        }
    })
}

fn unpack(members: &[(&str, &[u8])]) -> Result<Option<Vec<String>>, PackError> {
    unpack_bytes(&wheel_with("some_thing", "1.0", members), &mut budget())
}

#[test]
fn files_are_unpacked_and_data_files_go_to_site_packages_only() {
    let files = unpack(&[
        ("some/__init__.py", b"x = 1"),
        ("Some.Thing-1.0.data/purelib/some/pure.py", b"1"),
        ("some_thing-1.0.data/platlib/plat.py", b"12"),
        ("some_thing-1.0.data/scripts/run", b"123"),
        ("some_thing-1.0.data/data/etc/x", b"123"),
        ("other-1.0.data/x", b"1"),
    ]);
    let mut files = files.unwrap().unwrap();
    files.retain(|file| !file.contains("METADATA"));
    assert_eq!(
        files,
        [
            "other-1.0.data/x=1",
            "plat.py=2",
            "some/__init__.py=5",
            "some/pure.py=1"
        ]
    );
}

#[test]
fn a_wheel_with_a_shared_library_is_not_pure() {
    for name in [
        "a/_x.cpython-315-x86_64-linux-gnu.so",
        "x.PYD",
        "a.libs/libz.so.1",
        "b.dll",
    ] {
        assert_eq!(unpack(&[(name, b"")]).unwrap(), None, "{name}");
    }
    assert!(unpack(&[("a/also.so.py", b"")]).unwrap().is_none());
    assert!(unpack(&[("a/so.py", b"")]).unwrap().is_some());
}

#[test]
fn escaping_and_colliding_names_are_rejected() {
    let cases = [
        ("../x.py", "a part"),
        ("a/../../x.py", "a part"),
        ("/etc/x", "an empty part"),
        ("a//x", "an empty part"),
        ("./x.py", "a part"),
        ("c:x.py", "forbidden characters"),
        ("a\\..\\x.py", "forbidden characters"),
        ("a/\u{1}.py", "forbidden characters"),
        ("a/NUL.txt", "a device"),
        ("com1", "a device"),
        ("a /x.py", "a part"),
        ("some_thing-1.0.data/purelib/../../x.py", "a part"),
    ];
    for (name, reason) in cases {
        let error = unpack(&[(name, b"x")]).unwrap_err();
        assert!(
            matches!(error, PackError::BadWheel { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(reason), "{name}: {error}");
    }
    assert_eq!(name_problem("a/.hidden/b (c)+d@e.py"), None);
    assert_eq!(name_problem("a/Ünï.py"), None);
    let twice: [&[(&str, &[u8])]; 2] = [
        &[("a/X.py", b"1"), ("a/x.py", b"2")],
        &[("x.py", b"1"), ("some_thing-1.0.data/purelib/x.py", b"2")],
    ];
    for members in twice {
        let error = unpack(members).unwrap_err();
        assert!(error.to_string().contains("twice"), "{error}");
    }
    // One path is a file and a folder.
    unpack(&[("a", b"1"), ("a/b.py", b"2")]).unwrap_err();
}

#[test]
fn symbolic_links_are_rejected() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    zip.add_symlink("a/link", "/etc/passwd", options).unwrap();
    zip.start_file("some_thing-1.0.dist-info/METADATA", options)
        .unwrap();
    zip.write_all(b"Name: some_thing").unwrap();
    let bytes = zip.finish().unwrap().into_inner();
    let error = unpack_bytes(&bytes, &mut budget()).unwrap_err();
    assert!(error.to_string().contains("`a/link` is a link"), "{error}");
}

#[test]
fn archives_that_are_not_wheels_are_rejected() {
    let error = unpack_bytes(b"not an archive", &mut budget()).unwrap_err();
    assert!(matches!(error, PackError::BadWheel { .. }), "{error}");
    let error = unpack_bytes(&zip_with(&[("a.py", b"")]), &mut budget()).unwrap_err();
    assert!(error.to_string().contains("no METADATA"), "{error}");
    let other = wheel_with("other", "1.0", &[]);
    unpack_bytes(&other, &mut budget()).unwrap_err();
    let mut cut = wheel_with("some_thing", "1.0", &[("a.py", &[7; 500])]);
    let middle = cut.len() / 3;
    cut[middle] ^= 0xff;
    unpack_bytes(&cut, &mut budget()).unwrap_err();
}

#[test]
fn unpacked_files_never_exceed_the_budget() {
    let bomb = vec![0; 100_000];
    let error = unpack(&[("a.bin", &bomb)]).unwrap_err();
    assert!(
        matches!(error, PackError::PackagesTooLarge { .. }),
        "{error}"
    );
    let many: [(&str, &[u8]); 5] = [("a", b""), ("b", b""), ("c", b""), ("d", b""), ("e", b"")];
    let error = unpack(&many).unwrap_err();
    assert!(
        matches!(error, PackError::PackagesTooLarge { .. }),
        "{error}"
    );

    let mut left = budget();
    let bytes = wheel_with("some_thing", "1.0", &[("a.bin", &[0; 400])]);
    unpack_bytes(&bytes, &mut left).unwrap();
    assert_eq!(left.files, 3);
    assert!(left.bytes < 600);
    unpack_bytes(
        &wheel_with("some_thing", "1.0", &[("b.bin", &[0; 590])]),
        &mut left,
    )
    .unwrap_err();
}

#[test]
fn a_wheels_file_name_is_parsed() {
    let name = |text: &str| parse_file_name(Path::new(text));
    let parts = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(name(NAME), parts("some-thing", "1.0", "py3-none-any"));
    assert_eq!(
        name("/x/a-1.0+l-2b-cp315-abi3-win32.whl"),
        parts("a", "1.0+l", "cp315-abi3-win32")
    );
    for bad in [
        "a-1.0.tar.gz",
        "a-py3-none-any.whl",
        "a-x-py3-none-any.whl",
        "a.whl",
    ] {
        assert_eq!(name(bad), None, "{bad}");
    }
    for pure in ["py3-none-any", "py2.py3-none-any", "py38-none-any"] {
        assert!(has_pure_tags(pure), "{pure}");
    }
    for other in [
        "py2-none-any",
        "py3-none-win32",
        "cp315-abi3-any",
        "py3-none-any-x",
    ] {
        assert!(!has_pure_tags(other), "{other}");
    }
}
