//! The files of a session between turns: read, written, listed and moved by the caller.

use std::time::{Duration, SystemTime};

use codeact::sandbox::{FileError, FileKind, Snapshot, Turn};

use crate::session_files_support::{names, run, session, text};
use crate::support::{limits, result, sandbox, shown};

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
