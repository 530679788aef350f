//! The files of a session between turns: read, written, listed and moved by the caller.

use std::time::{Duration, SystemTime};

use codeact::sandbox::{
    FileError, FileKind, Limits, Mount, MountMode, Outcome, Recorder, Session, Snapshot, Turn,
};

use crate::host_folder::Folder;
use crate::support::{limits, result, sandbox, shown};

fn session() -> Session {
    sandbox().session().unwrap()
}

fn session_with(change: impl FnOnce(&mut Limits)) -> Session {
    let sandbox = sandbox().derive().limits(limits(change)).build().unwrap();
    sandbox.session().unwrap()
}

/// Runs `code` and returns the `repr` of its value.
async fn run(session: &mut Session, code: &str) -> String {
    let execution = session.run(code).await.unwrap();
    assert_eq!(
        execution.outcome,
        Outcome::Completed,
        "{}",
        shown(&execution)
    );
    execution.result.unwrap_or_default()
}

fn text(session: &Session, path: &str) -> String {
    String::from_utf8(session.read_file(path).unwrap().to_vec().unwrap()).unwrap()
}

fn names(session: &Session, path: &str) -> Vec<String> {
    let entries = session.list_dir(path).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

#[tokio::test]
async fn files_pass_between_caller_and_code_in_both_directions() {
    let mut session = session();
    // Before the first turn, without an instance.
    session.write_file("in/data.csv", b"a,b\n1,2\n").unwrap();
    assert_eq!(text(&session, "/home/user/in/data.csv"), "a,b\n1,2\n");
    assert_eq!(
        run(&mut session, "open('in/data.csv').read()").await,
        r"'a,b\n1,2\n'"
    );
    // After a turn, with one.
    run(&mut session, "open('out.txt', 'w').write('made'); None").await;
    let made = session.read_file("out.txt").unwrap();
    assert_eq!((made.path.as_str(), made.len()), ("out.txt", 4));
    session.write_file("/tmp/a/b/c.txt", b"deep").unwrap();
    session.write_file("out.txt", b"replaced").unwrap();
    assert_eq!(
        run(
            &mut session,
            "open('/tmp/a/b/c.txt').read() + open('out.txt').read()"
        )
        .await,
        "'deepreplaced'"
    );
    assert_eq!(text(&session, "../../tmp/a/b/c.txt"), "deep");
    assert_eq!(
        session.read_file("/tmp/a/b/c.txt").unwrap().path,
        "/tmp/a/b/c.txt"
    );
    // The code can import a module that the caller has written after it was missing.
    run(
        &mut session,
        "import importlib\ntry: import late\nexcept ImportError: pass",
    )
    .await;
    session.write_file("late.py", b"value = 5").unwrap();
    assert_eq!(run(&mut session, "import late; late.value").await, "5");
}

#[tokio::test]
async fn folders_are_listed_with_their_attributes_and_without_following_links() {
    let mut session = session();
    let code = "import os; os.mkdir('d'); open('b', 'w').write('12'); os.symlink('b', 'a'); os.symlink('d', 'e')";
    run(&mut session, code).await;
    session.write_file("d/inside", b"").unwrap();
    assert_eq!(names(&session, "."), ["a", "b", "d", "e"]);
    let entries = session.list_dir("/home/user/").unwrap();
    let kinds: Vec<_> = entries.iter().map(|entry| entry.kind).collect();
    use FileKind::{Dir, File, Symlink};
    assert_eq!(kinds, [Symlink, File, Dir, Symlink]);
    assert_eq!(entries[1].bytes, 2);
    assert_eq!(entries[2].path, "/home/user/d");
    assert_eq!(entries[3].link_target.as_deref(), Some("d"));
    // The folder that is listed is followed, and its entries have their real path.
    assert_eq!(
        session.list_dir("e").unwrap()[0].path,
        "/home/user/d/inside"
    );
    assert_eq!(names(&session, "/mnt/data"), names(&session, "/home/user"));
    assert!(names(&session, "/").contains(&"tmp".to_owned()));
}

#[tokio::test]
async fn a_snapshot_and_a_fork_have_a_written_file_and_a_rollback_removes_it() {
    let mut session = session();
    let start = session.checkpoint().unwrap();
    session.write_file("x", b"1").unwrap();
    let before = session.checkpoint().unwrap();
    run(&mut session, "n = 1").await;
    // The checkpoint of the turn is current; the write must not be lost.
    let _ = session.checkpoint().unwrap();
    session.write_file("x", b"2").unwrap();
    let mut fork = session.fork().unwrap();
    assert_eq!(run(&mut fork, "open('x').read(), n").await, "('2', 1)");
    let stopped = Turn::new("while True: open('x', 'w').write('3')")
        .limits(limits(|limits| limits.fuel = Some(100_000_000)));
    assert!(session.run(stopped).await.unwrap().rolled_back);
    assert_eq!(text(&session, "x"), "2");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saved");
    session.checkpoint().unwrap().save(&path).unwrap();
    let loaded = Snapshot::load(&sandbox(), &path).unwrap().session();
    assert_eq!(text(&loaded, "x"), "2");
    session.rollback(&before);
    assert_eq!(text(&session, "x"), "1");
    session.rollback(&start);
    assert!(matches!(
        session.read_file("x"),
        Err(FileError::NotFound(_))
    ));
}

#[tokio::test]
async fn a_file_that_the_code_has_open_stays_consistent() {
    let mut session = session();
    run(
        &mut session,
        "f = open('log', 'w+'); f.write('one'); f.flush()",
    )
    .await;
    session.write_file("log", b"from outside").unwrap();
    assert_eq!(
        run(&mut session, "f.seek(0); f.read()").await,
        "'from outside'"
    );
    session.remove_path("log").unwrap();
    assert_eq!(
        run(
            &mut session,
            "import os; f.seek(0); f.read(), os.path.exists('log')"
        )
        .await,
        "('from outside', False)"
    );
    session.write_file("log", b"another").unwrap();
    session.rename_path("log", "moved").unwrap();
    assert_eq!(
        run(&mut session, "f.seek(0); f.read(), open('moved').read()").await,
        "('from outside', 'another')"
    );
    run(
        &mut session,
        "os.mkdir('w'); os.chdir('w'); fd = os.open('.', os.O_RDONLY)",
    )
    .await;
    session.remove_path("w").unwrap();
    let code = "
try: open('x', 'w')
except FileNotFoundError as e: print(type(e).__name__)
os.close(fd); os.chdir('/home/user'); open('x', 'w').close()";
    let execution = session.run(code).await.unwrap();
    assert_eq!(
        execution.stdout.text,
        "FileNotFoundError\n",
        "{}",
        shown(&execution)
    );
}

#[tokio::test]
async fn folders_are_made_removed_and_renamed() {
    let mut session = session();
    session.make_dir("a/b/c").unwrap();
    assert!(matches!(session.make_dir("a/b"), Err(FileError::Exists(_))));
    assert!(matches!(session.make_dir("/"), Err(FileError::Exists(_))));
    session.write_file("a/b/c/f", b"1").unwrap();
    run(
        &mut session,
        "import os; os.symlink('/home/user/a', 'link'); os.symlink('..', 'a/up')",
    )
    .await;
    session.rename_path("a/b", "a/d").unwrap();
    assert!(matches!(
        session.rename_path("a/none", "x"),
        Err(FileError::NotFound(_))
    ));
    assert!(matches!(
        session.rename_path("a", "a/d/e"),
        Err(FileError::Invalid(_))
    ));
    session.make_dir("full/of").unwrap();
    assert!(matches!(
        session.rename_path("a", "full"),
        Err(FileError::Exists(_))
    ));
    assert_eq!(text(&session, "link/d/c/f"), "1");
    // Removes the link, not the folder.
    session.remove_path("link/").unwrap();
    assert_eq!(names(&session, "a"), ["d", "up"]);
    session.remove_path("a").unwrap();
    assert_eq!(names(&session, "/home/user"), ["full"]);
    assert!(matches!(
        session.remove_path("a"),
        Err(FileError::NotFound(_))
    ));
    assert!(matches!(session.list_dir("a"), Err(FileError::NotFound(_))));
}

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

#[tokio::test]
async fn two_interpreters_take_turns_on_the_same_files() {
    let (mut one, mut two) = (session(), session());
    run(&mut one, "x = 'one'; open('f', 'w').write('1')").await;
    for round in 0..3 {
        assert!(two.adopt_files(&one).unwrap());
        let code = format!(
            "import os; text = open('f').read(); open('f', 'a').write('b'); open('b{round}', 'w').close(); text"
        );
        let expected = format!("'1{}'", "ba".repeat(round));
        assert_eq!(run(&mut two, &code).await, expected);
        assert!(one.adopt_files(&two).unwrap());
        let code = format!("import os; open('f', 'a').write('a'); os.remove('b{round}'); x");
        assert_eq!(run(&mut one, &code).await, "'one'");
        session_is_sound(&mut one).await;
    }
    assert_eq!(text(&one, "f"), "1bababa");
    assert_eq!(text(&two, "f"), "1babab");
    assert_eq!(names(&one, "/home/user"), ["f"]);
    // Their files do not affect each other otherwise.
    two.write_file("only", b"two").unwrap();
    assert!(one.read_file("only").is_err());
}

/// Uses what hangs on the preopened folders: the root, and the data folder of matplotlib.
async fn session_is_sound(session: &mut Session) {
    let code = "
import matplotlib.pyplot as plt, tempfile, os
plt.plot([1, 2]); plt.title('é'); plt.savefig('/tmp/p.png'); plt.close()
size = os.path.getsize('/tmp/p.png'); os.remove('/tmp/p.png'); size > 1000";
    assert_eq!(run(session, code).await, "True");
}

#[tokio::test]
async fn a_session_with_an_open_file_does_not_adopt_files() {
    let (mut one, mut two) = (session(), session());
    run(&mut one, "f = open('mine', 'w'); f.write('x'); f.flush()").await;
    run(&mut two, "open('theirs', 'w').close()").await;
    assert!(!one.adopt_files(&two).unwrap());
    assert_eq!(names(&one, "/home/user"), ["mine"]);
    // The other way round: the descriptors stay with their session.
    assert!(two.adopt_files(&one).unwrap());
    assert_eq!(run(&mut two, "open('mine').read()").await, "'x'");
    run(
        &mut one,
        "import os; os.remove('mine'); f.write('y'); f.flush()",
    )
    .await;
    assert!(two.adopt_files(&one).unwrap());
    assert_eq!(names(&two, "/home/user"), Vec::<String>::new());
    run(&mut one, "f.close()").await;
    assert!(one.adopt_files(&two).unwrap());
    run(&mut one, "g = os.open('/home/user', os.O_RDONLY)").await;
    assert!(!one.adopt_files(&two).unwrap());
}

#[tokio::test]
async fn bytes_of_a_removed_open_file_do_not_count_in_the_session_that_adopts() {
    let (mut one, mut two) = (
        session_with(|limits| limits.file_bytes = 1000),
        session_with(|limits| limits.file_bytes = 1000),
    );
    run(
        &mut one,
        "import os; f = open('big', 'wb'); f.write(bytes(900)); f.flush(); os.remove('big')",
    )
    .await;
    assert!(one.write_file("x", &[0; 900]).is_err());
    assert!(two.adopt_files(&one).unwrap());
    two.write_file("x", &[0; 900]).unwrap();
}

#[tokio::test]
async fn sessions_with_other_mounts_or_engines_are_refused() {
    let folder = Folder::new(&[("f.txt", "host")]);
    let mount = Mount::open(folder.path()).unwrap().at("/m").unwrap();
    let mounted = sandbox().derive().mount(mount).build().unwrap();
    let (mut plain, mut with_mount) = (session(), mounted.session().unwrap());
    for refused in [
        plain.adopt_files(&with_mount).map(drop),
        with_mount.adopt_files(&plain).map(drop),
        plain.use_sandbox(&mounted),
        with_mount.use_sandbox(&sandbox()),
    ] {
        assert!(refused.unwrap_err().to_string().contains("other mounts"));
    }
    let limited = mounted
        .derive()
        .limits(limits(|l| l.output = 3))
        .build()
        .unwrap();
    with_mount.use_sandbox(&limited).unwrap();
    let execution = with_mount
        .run("print(open('/m/f.txt').read())")
        .await
        .unwrap();
    assert_eq!(
        (
            execution.stdout.text.as_str(),
            execution.stdout.dropped_bytes
        ),
        ("hos", 2)
    );
    let other = crate::support::sandbox_with(|_| ());
    assert!(
        plain
            .use_sandbox(&other)
            .unwrap_err()
            .to_string()
            .contains("engine")
    );
    assert!(plain.adopt_files(&other.session().unwrap()).is_err());
}

#[tokio::test]
async fn a_running_session_gets_packages_that_were_added_to_its_sandbox() {
    let base = sandbox();
    let first = base
        .with_packages(&["rich==14.0.0".parse().unwrap()], true)
        .await
        .unwrap();
    let both = first
        .with_packages(&["python-slugify==8.0.4".parse().unwrap()], true)
        .await
        .unwrap();
    let mut session = base.session().unwrap();
    let missing = session.run("x = 1; import rich").await.unwrap();
    assert!(matches!(missing.outcome, Outcome::Raised(_)));
    session.use_sandbox(&first).unwrap();
    let version = "import importlib.metadata as m; m.version('rich'), x";
    assert_eq!(run(&mut session, version).await, "('14.0.0', 1)");
    let missing = session.run("import slugify").await.unwrap();
    assert!(matches!(missing.outcome, Outcome::Raised(_)));
    session.use_sandbox(&both).unwrap();
    assert_eq!(
        run(&mut session, "import slugify, rich.table, sys; slugify.slugify('Ä b'), sum('site' in p for p in sys.path)").await,
        "('a-b', 1)"
    );
    // A sandbox with fewer packages takes none away, also not from a fork and from a session that adopts the files.
    session.use_sandbox(&first).unwrap();
    let mut fork = session.fork().unwrap();
    assert_eq!(
        run(
            &mut fork,
            "import importlib; importlib.reload(slugify).slugify('x')"
        )
        .await,
        "'x'"
    );
    session.write_file("f", b"1").unwrap();
    let mut fresh = both.session().unwrap();
    assert!(fresh.adopt_files(&session).unwrap());
    assert_eq!(
        run(&mut fresh, "import slugify, rich; open('f').read()").await,
        "'1'"
    );
    let mut plain = base.session().unwrap();
    assert!(fresh.adopt_files(&plain).unwrap());
    assert_eq!(run(&mut fresh, "import text_unidecode; 1").await, "1");
    assert!(plain.adopt_files(&fresh).unwrap());
    assert!(matches!(
        plain.run("import rich").await.unwrap().outcome,
        Outcome::Raised(_)
    ));
    // Versions: a named package changes, the others stay.
    let newer = both
        .with_packages(&["rich==14.1.0".parse().unwrap()], true)
        .await
        .unwrap();
    let versions: Vec<_> = newer
        .packages()
        .iter()
        .map(|p| format!("{} {}", p.name, p.version))
        .collect();
    assert!(versions.contains(&"rich 14.1.0".to_owned()), "{versions:?}");
    assert!(
        versions.contains(&"python-slugify 8.0.4".to_owned()),
        "{versions:?}"
    );
    let mut moved = both.session().unwrap();
    run(&mut moved, "import slugify").await;
    moved.use_sandbox(&newer).unwrap();
    assert_eq!(
        run(
            &mut moved,
            "import importlib.metadata as m; m.version('rich')"
        )
        .await,
        "'14.1.0'"
    );
    let single = base
        .with_packages(&["rich==14.1.0".parse().unwrap()], true)
        .await
        .unwrap();
    let refused = both.session().unwrap().use_sandbox(&single).unwrap_err();
    assert!(refused.to_string().contains("rich 14.0.0"), "{refused}");
    // Without fetching, the cache is enough for what it has.
    let again = base
        .with_packages(&["rich==14.0.0".parse().unwrap()], false)
        .await
        .unwrap();
    assert_eq!(again.packages(), first.packages());
    assert!(
        base.with_packages(&["rich==13.0.1".parse().unwrap()], false)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn times_and_kinds_of_files_are_those_that_the_code_sees() {
    let mut session = session();
    let before = SystemTime::now() - Duration::from_secs(1);
    session.write_file("f", b"12345").unwrap();
    run(
        &mut session,
        "import os; os.symlink('f', 'l'); os.utime('f', (1, 2.5))",
    )
    .await;
    let info = session.file_info("l").unwrap();
    assert_eq!(
        (info.kind, info.link_target.as_deref()),
        (FileKind::Symlink, Some("f"))
    );
    assert_eq!(
        (info.name.as_str(), info.path.as_str(), info.bytes),
        ("l", "/home/user/l", 1)
    );
    let info = session.file_info("f").unwrap();
    assert_eq!(
        info.modified,
        SystemTime::UNIX_EPOCH + Duration::from_millis(2500)
    );
    assert!(info.writable && info.kind == FileKind::File && info.bytes == 5);
    let home = session.file_info("/mnt/data/").unwrap();
    assert_eq!(
        (home.path.as_str(), home.name.as_str()),
        ("/home/user", "user")
    );
    assert!(home.kind == FileKind::Dir && home.writable && home.modified > before);
    let root = session.file_info("/").unwrap();
    assert_eq!(
        (root.path.as_str(), root.name.as_str(), root.writable),
        ("/", "/", false)
    );
    assert_eq!(
        session.file_info("/dev/null").unwrap().kind,
        FileKind::Other
    );
    let stdlib = session.list_dir("/usr/local/lib").unwrap();
    assert!(!stdlib.is_empty() && stdlib.iter().all(|entry| !entry.writable));
    let archive = stdlib
        .iter()
        .find(|entry| entry.kind == FileKind::File)
        .unwrap();
    let bytes = session.read_file(&archive.path).unwrap().to_vec().unwrap();
    assert_eq!(bytes.len() as u64, archive.bytes);
    assert!(matches!(session.file_info("f/"), Err(FileError::NotDir(_))));
    assert!(matches!(
        session.file_info("f/x"),
        Err(FileError::NotDir(_))
    ));
    assert_eq!(result(&session.run("1").await.unwrap()), "1");
}
