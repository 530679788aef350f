//! What the caller cannot do to the files of a session: hostile paths, quotas, mounts, links and recordings.

use codeact::sandbox::{FileError, Mount, MountMode, Recorder};

use crate::host_folder::Folder;
use crate::session_files_support::{names, run, session, session_with, text};
use crate::support::sandbox;

#[tokio::test]
async fn attacks_by_path_reach_nothing_and_change_nothing() {
    let mut session = session();
    run(
        &mut session,
        "import os; os.symlink('l2', 'l1'); os.symlink('l1', 'l2'); os.symlink('/usr/x', 'out')",
    )
    .await;
    let long = "x".repeat(10_000);
    let wide = "x".repeat(256);
    let deep = "d/".repeat(500) + "f";
    let deep_path = "d/".repeat(2500);
    type Expected = fn(&FileError) -> bool;
    let invalid: Expected = |e| matches!(e, FileError::Invalid(_));
    let read_only: Expected = |e| matches!(e, FileError::ReadOnly(_));
    let cases: [(&str, Expected); 17] = [
        ("", invalid),
        ("a\0b", invalid),
        (&long, invalid),
        (&wide, invalid),
        (&deep, invalid),
        (&deep_path, invalid),
        ("../../../etc/passwd", read_only),
        ("/", |e| matches!(e, FileError::IsDir(_))),
        ("/usr/x", read_only),
        ("/usr/local/lib/x/y", read_only),
        ("/dev/x", read_only),
        ("/dev/null/x", |e| matches!(e, FileError::NotDir(_))),
        ("out", read_only),
        ("l1", |e| matches!(e, FileError::Loop(_))),
        ("l1/x", |e| matches!(e, FileError::Loop(_))),
        ("..", |e| matches!(e, FileError::IsDir(_))),
        ("/tmp/", |e| matches!(e, FileError::IsDir(_))),
    ];
    let before = names(&session, "/home/user");
    for (path, expected) in cases {
        let error = session.write_file(path, b"x").unwrap_err();
        assert!(expected(&error), "{path:.80}: {error:?}");
        assert!(error.to_string().len() < 1000, "{error}");
    }
    assert_eq!(names(&session, "/home/user"), before);
    session.write_file("/dev/null", &[1; 1000]).unwrap();
    assert!(session.read_file("/dev/null").unwrap().is_empty());
    for path in [
        "/usr",
        "/",
        "/home/user",
        "/home",
        "/tmp",
        "/usr/local/lib",
        "/dev/null",
        "/mnt/data",
    ] {
        assert!(session.remove_path(path).is_err(), "{path}");
        assert!(session.rename_path(path, "/tmp/taken").is_err(), "{path}");
    }
    for path in [".", "..", "l1/.."] {
        assert!(session.remove_path(path).is_err(), "{path}");
    }
    assert!(matches!(session.read_file("l1"), Err(FileError::Loop(_))));
    assert!(matches!(
        session.read_file("/home"),
        Err(FileError::IsDir(_))
    ));
    assert!(matches!(
        session.read_file("/etc/passwd"),
        Err(FileError::NotFound(_))
    ));
    assert!(matches!(
        session.list_dir("/dev/null"),
        Err(FileError::NotDir(_))
    ));
    assert_eq!(run(&mut session, "1 + 1").await, "2");
}

#[tokio::test]
async fn the_quota_of_bytes_and_files_applies_and_a_refused_write_leaves_nothing() {
    let mut session = session_with(|limits| (limits.file_bytes, limits.files) = (1000, 4));
    session.write_file("a", &[1; 600]).unwrap();
    let error = session.write_file("new/b", &[1; 600]).unwrap_err();
    assert!(matches!(error, FileError::NoSpace(_)), "{error}");
    // The folder was not made, and the old content is not lost.
    assert_eq!(names(&session, "/home/user"), ["a"]);
    assert!(session.write_file("a", &[2; 1001]).is_err());
    assert_eq!(session.read_file("a").unwrap().to_vec().unwrap(), [1; 600]);
    session.write_file("a", &[2; 1000]).unwrap();
    session.write_file("a", b"").unwrap();
    session.make_dir("1/2/3").unwrap();
    let error = session.write_file("one too many", b"").unwrap_err();
    assert!(matches!(error, FileError::NoSpace(_)), "{error}");
    session.remove_path("1").unwrap();
    session.write_file("b", &[1; 1000]).unwrap();
    let code = "
try:
    with open('c', 'w') as c: c.write('x')
except OSError as e: print(e.errno)";
    let execution = session.run(code).await.unwrap();
    assert_eq!(execution.stdout.text, "51\n");
}

#[tokio::test]
async fn mounts_behave_as_for_the_code() {
    let folder = Folder::new(&[("f.txt", "host"), ("d/g.txt", "two")]);
    let open = |at: &str, mode| {
        Mount::open(folder.path())
            .unwrap()
            .at(at)
            .unwrap()
            .mode(mode)
    };
    let sandbox = (sandbox().derive())
        .mount(open("/ro", MountMode::ReadOnly))
        .mount(open("/rw", MountMode::Commit))
        .build()
        .unwrap();
    let mut session = sandbox.session().unwrap();
    assert_eq!(text(&session, "/ro/f.txt"), "host");
    assert_eq!(names(&session, "/ro"), ["d", "f.txt"]);
    // What the caller lists is not fixed for the code.
    folder.write("late.txt", "late");
    assert_eq!(
        run(&mut session, "open('/ro/late.txt').read()").await,
        "'late'"
    );
    assert_eq!(text(&session, "/ro/late.txt"), "late");
    for path in ["/ro/f.txt", "/ro/new", "/ro/d/new/x"] {
        assert!(
            matches!(session.write_file(path, b"x"), Err(FileError::ReadOnly(_))),
            "{path}"
        );
    }
    assert!(matches!(
        session.remove_path("/ro/f.txt"),
        Err(FileError::ReadOnly(_))
    ));
    assert!(matches!(
        session.remove_path("/ro"),
        Err(FileError::ReadOnly(_))
    ));
    assert!(matches!(
        session.rename_path("/rw/f.txt", "f"),
        Err(FileError::Io(..))
    ));
    session.write_file("/rw/f.txt", b"changed").unwrap();
    session.write_file("/rw/new/n.txt", b"new").unwrap();
    session.remove_path("/rw/d").unwrap();
    assert_eq!(std::fs::read_to_string(folder.at("f.txt")).unwrap(), "host");
    assert_eq!(
        run(&mut session, "open('/rw/f.txt').read()").await,
        "'changed'"
    );
    let changes = session.changes();
    session.commit(&changes).unwrap();
    assert_eq!(
        std::fs::read_to_string(folder.at("f.txt")).unwrap(),
        "changed"
    );
    assert_eq!(
        std::fs::read_to_string(folder.at("new/n.txt")).unwrap(),
        "new"
    );
    assert!(!folder.at("d").exists());
}

#[tokio::test]
async fn links_of_the_host_and_of_the_code_do_not_lead_out_of_the_tree() {
    let folder = Folder::new(&[("f.txt", "host")]);
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.outside(), folder.at("escape")).unwrap();
    let mount = Mount::open(folder.path())
        .unwrap()
        .at("/m")
        .unwrap()
        .mode(MountMode::Overlay);
    let mut session = sandbox()
        .derive()
        .mount(mount)
        .build()
        .unwrap()
        .session()
        .unwrap();
    for path in [
        "/m/escape/secret.txt",
        "/m/../outside/secret.txt",
        "/m/escape",
    ] {
        assert!(session.read_file(path).is_err(), "{path}");
        assert!(session.list_dir(path).is_err(), "{path}");
    }
    assert!(session.write_file("/m/escape/new", b"x").is_err());
    assert!(!folder.outside().join("new").exists());
}

#[tokio::test]
async fn files_of_a_recorded_session_can_be_read_and_not_changed() {
    let mut session = session();
    session.write_file("before", b"1").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording");
    let recorder = Recorder::create(&path, &session, serde_json::Value::Null).unwrap();
    session.record(&recorder);
    assert_eq!(text(&session, "before"), "1");
    for changed in [
        session.write_file("x", b""),
        session.make_dir("x"),
        session.remove_path("before"),
        session.rename_path("before", "x"),
    ] {
        assert!(
            matches!(changed, Err(FileError::Journaled(_))),
            "{changed:?}"
        );
    }
    let other = self::session();
    assert!(session.adopt_files(&other).is_err());
    assert!(session.use_sandbox(&sandbox()).is_err());
}
