//! Sessions that adopt the files of another session.

use codeact::sandbox::{Mount, Session};

use crate::host_folder::Folder;
use crate::session_files_support::{names, run, session, session_with, text};
use crate::support::{limits, sandbox};

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
