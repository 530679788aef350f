//! Packages that are added to the sandbox of a session between turns.

use codeact::sandbox::Outcome;

use crate::session_files_support::run;
use crate::support::sandbox;

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
