//! The session manager over a folder of sessions.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use codeact_sandbox::{Cancel, Outcome, Sandbox, Turn};
use codeact_sessions::manager::{
    Durability, ManagerError, ManagerOptions, OnExpiry, Quota, SandboxSource, SessionHandle,
    SessionManager, SessionSettings, SourceFuture, Tenant,
};
use codeact_sessions::{FinishedTurn, SessionError, SessionStore};

/// Returns the sandbox that all tests of the process share. The first one on a machine installs the pack.
fn sandbox() -> Sandbox {
    static SHARED: OnceLock<Sandbox> = OnceLock::new();
    let build = || Sandbox::builder().build_blocking().expect("a sandbox");
    // On a separate thread: the caller is inside an async runtime.
    SHARED
        .get_or_init(|| std::thread::spawn(build).join().unwrap())
        .clone()
}

/// Sandboxes without grants.
struct Plain(Sandbox);

impl SandboxSource for Plain {
    fn sandbox<'a>(&'a self, _settings: &'a SessionSettings) -> SourceFuture<'a> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

fn manager(options: impl FnOnce(&mut ManagerOptions)) -> SessionManager {
    let mut all = ManagerOptions::default();
    options(&mut all);
    SessionManager::new(all)
}

async fn tenant_with(manager: &SessionManager, folder: &std::path::Path, quota: Quota) -> Tenant {
    let store = Arc::new(SessionStore::at(folder));
    let source = Arc::new(Plain(sandbox()));
    manager
        .tenant("test", store, source, quota)
        .expect("a tenant")
}

async fn tenant(manager: &SessionManager, folder: &std::path::Path) -> Tenant {
    tenant_with(manager, folder, Quota::default()).await
}

async fn run(session: &SessionHandle, code: &str) -> Option<String> {
    let execution = session
        .run(Turn::new(code), &Cancel::new())
        .await
        .expect("a turn");
    assert_eq!(execution.outcome, Outcome::Completed, "{code}");
    execution.result
}

async fn create(tenant: &Tenant) -> SessionHandle {
    tenant
        .create(None, SessionSettings::default())
        .await
        .expect("a session")
}

/// Waits until `condition` holds.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 30 s: {what}");
}

#[tokio::test]
async fn a_session_that_is_written_out_goes_on_at_the_next_request() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    let session = create(&tenant).await;
    run(&session, "x = 41").await;
    assert!(session.status().live);
    session.pause().await.unwrap();
    assert!(!session.status().live);
    assert_eq!(session.status().memory, 0);
    assert_eq!(run(&session, "x + 1").await.as_deref(), Some("42"));
    let stats = manager.stats();
    assert_eq!((stats.evictions, stats.wakes, stats.turns), (1, 2, 2));
}

#[tokio::test]
async fn sessions_beyond_the_budget_are_written_out_the_least_recently_used_first() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|options| options.live = 2);
    let tenant = tenant(&manager, folder.path()).await;
    let mut sessions = Vec::new();
    for number in 0..4 {
        let session = create(&tenant).await;
        run(&session, &format!("x = {number}")).await;
        sessions.push(session);
    }
    until("two sessions are live", || manager.stats().live == 2).await;
    let live: Vec<_> = sessions
        .iter()
        .map(|session| session.status().live)
        .collect();
    assert_eq!(live, [false, false, true, true]);
    for (number, session) in sessions.iter().enumerate() {
        assert_eq!(run(session, "x").await, Some(number.to_string()));
    }
}

#[tokio::test]
async fn an_unused_session_is_written_out_and_then_removed() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|options| {
        options.idle = Duration::ZERO;
        options.ttl = Some(Duration::from_secs(3));
    });
    let tenant = tenant(&manager, folder.path()).await;
    let session = create(&tenant).await;
    run(&session, "x = 1").await;
    until("it is idle", || !session.status().live).await;
    until("it is removed", || tenant.get(session.id()).is_err()).await;
    let error = session
        .run(Turn::new("x"), &Cancel::new())
        .await
        .expect_err("removed");
    assert!(matches!(error, ManagerError::Missing { .. }), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn at_its_expiry_a_session_is_removed_or_paused_also_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    let (removed, paused) = (create(&tenant).await, create(&tenant).await);
    run(&paused, "x = 1").await;
    let soon = Some(Duration::from_millis(50));
    removed.expire_after(soon, OnExpiry::Remove).await.unwrap();
    paused.expire_after(soon, OnExpiry::Pause).await.unwrap();
    let endless = || Turn::new("x = 2\nwhile True: pass");
    let (one, two) = (Cancel::new(), Cancel::new());
    let (first, second) = tokio::join!(removed.run(endless(), &one), paused.run(endless(), &two));
    for ended in [first, second] {
        assert_eq!(ended.expect("a stopped turn").outcome, Outcome::Cancelled);
    }
    until("it is removed", || tenant.get(removed.id()).is_err()).await;
    until("it is paused", || !paused.status().live).await;
    assert_eq!(run(&paused, "x").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn turns_of_a_session_run_one_at_a_time_and_the_queue_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|options| options.queue = 2);
    let tenant = tenant(&manager, folder.path()).await;
    let session = create(&tenant).await;
    run(&session, "log = []").await;
    let cancel = Cancel::new();
    let endless = session.run(Turn::new("while True: pass"), &cancel);
    let waiting = async {
        until("it runs", || session.status().running).await;
        let queued = |n: u32| {
            let session = session.clone();
            tokio::spawn(async move { run(&session, &format!("log.append({n})")).await })
        };
        let first = queued(1);
        until("one waits", || session.status().waiting == 2).await;
        let second = queued(2);
        until("two wait", || session.status().waiting == 3).await;
        let refused = session.run(Turn::new("1"), &Cancel::new()).await;
        assert!(
            matches!(refused, Err(ManagerError::Busy { .. })),
            "{refused:?}"
        );
        assert!(session.interrupt());
        first.await.unwrap();
        second.await.unwrap();
    };
    let (ended, ()) = tokio::join!(endless, waiting);
    assert_eq!(ended.unwrap().outcome, Outcome::Cancelled);
    assert_eq!(run(&session, "log").await.as_deref(), Some("[1, 2]"));
    assert!(!session.interrupt());
}

#[tokio::test]
async fn a_dropped_request_stops_its_turn_and_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    let session = create(&tenant).await;
    run(&session, "x = 1").await;
    let turn = Turn::new("x = 2\nwhile True: pass");
    let request = tokio::spawn({
        let session = session.clone();
        async move { session.run(turn, &Cancel::new()).await }
    });
    until("it runs", || session.status().running).await;
    request.abort();
    assert_eq!(run(&session, "x").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_request_that_waits_can_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    let session = create(&tenant).await;
    let (first, second) = (Cancel::new(), Cancel::new());
    let endless = session.run(Turn::new("while True: pass"), &first);
    let waiting = async {
        until("it runs", || session.status().running).await;
        second.cancel();
        let error = session
            .run(Turn::new("1"), &second)
            .await
            .expect_err("cancelled");
        assert!(matches!(error, ManagerError::Cancelled), "{error}");
        first.cancel();
    };
    let (ended, ()) = tokio::join!(endless, waiting);
    assert_eq!(ended.unwrap().outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_turn_is_on_disk_before_its_result_is_returned() {
    let folder = tempfile::tempdir().unwrap();
    let id = {
        let manager = manager(|_| {});
        let tenant = tenant(&manager, folder.path()).await;
        let session = create(&tenant).await;
        run(&session, "x = 7").await;
        session
            .change(|session| Ok(session.write_file("notes.txt", b"kept")?))
            .await
            .unwrap();
        session.id().to_owned()
        // Dropped without a shutdown, as a killed process would.
    };
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    let session = tenant.get(&id).expect("the session");
    assert_eq!(
        run(&session, "x, open('notes.txt').read()")
            .await
            .as_deref(),
        Some("(7, 'kept')")
    );
    let turns = session.turns().await.unwrap();
    let codes: Vec<_> = turns.iter().map(|turn| turn.code.as_str()).collect();
    assert_eq!(codes, ["x = 7", "", "x, open('notes.txt').read()"]);
}

#[tokio::test]
async fn with_durability_idle_a_shutdown_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let first = manager(|options| options.durability = Durability::Idle);
    let tenant_ = tenant(&first, folder.path()).await;
    let session = create(&tenant_).await;
    for n in 0..3 {
        run(&session, &format!("x = {n}")).await;
    }
    assert_eq!(session.turns().await.unwrap().len(), 3);
    assert!(first.shutdown(Duration::from_secs(30)).await.is_empty());
    let refused = session.run(Turn::new("x"), &Cancel::new()).await;
    assert!(
        matches!(refused, Err(ManagerError::ShuttingDown)),
        "{refused:?}"
    );
    let second = manager(|_| {});
    let tenant = tenant(&second, folder.path()).await;
    let again = tenant.get(session.id()).unwrap();
    assert_eq!(run(&again, "x").await.as_deref(), Some("2"));
    let turns: Vec<_> = again
        .turns()
        .await
        .unwrap()
        .iter()
        .map(|turn| turn.turn)
        .collect();
    assert_eq!(turns, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_shutdown_stops_turns_that_do_not_end() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    let session = create(&tenant).await;
    let cancel = Cancel::new();
    let endless = session.run(Turn::new("while True: pass"), &cancel);
    let shutdown = async {
        until("it runs", || session.status().running).await;
        manager.shutdown(Duration::ZERO).await
    };
    let (ended, failed) = tokio::join!(endless, shutdown);
    assert_eq!(ended.unwrap().outcome, Outcome::Cancelled);
    assert!(failed.is_empty());
}

#[tokio::test]
async fn forks_and_undo_do_not_touch_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    let session = create(&tenant).await;
    run(&session, "x = 1").await;
    run(&session, "x = 2").await;
    let now = session.fork(None, None, None).await.unwrap();
    let earlier = session
        .fork(Some(1), Some("earlier".into()), None)
        .await
        .unwrap();
    assert_eq!(session.undo(1).await.unwrap(), 1);
    for (session, x) in [(&session, "1"), (&now, "2"), (&earlier, "1")] {
        assert_eq!(
            run(session, "x").await.as_deref(),
            Some(x),
            "{}",
            session.id()
        );
    }
    let error = session.undo(9).await.expect_err("too many");
    let ManagerError::Session(SessionError::NoTurn { .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(run(&session, "x").await.as_deref(), Some("1"));
    assert_eq!(tenant.list().len(), 3);
}

#[tokio::test]
async fn contexts_have_variables_of_their_own_and_the_files_of_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    let session = create(&tenant).await;
    run(
        &session,
        "x = 1\nopen('a.txt', 'w').write('from the session')",
    )
    .await;
    session
        .create_context("other", Default::default())
        .await
        .unwrap();
    let in_context = async |code: &str| {
        let ran = session
            .run_context("other", Turn::new(code), &Cancel::new())
            .await;
        ran.expect("a turn").result
    };
    let seen = in_context("'x' in globals(), open('a.txt').read()").await;
    assert_eq!(seen.as_deref(), Some("(False, 'from the session')"));
    in_context("y = 5; f = open('b.txt', 'w'); f.write('from the context'); f.close()").await;
    assert_eq!(
        run(&session, "open('b.txt').read()").await.as_deref(),
        Some("'from the context'")
    );
    run(&session, "open('a.txt', 'w').write('again')").await;
    session.pause().await.unwrap();
    assert_eq!(
        in_context("y, open('a.txt').read()").await.as_deref(),
        Some("(5, 'again')")
    );
    let context = session.context("other").unwrap();
    assert!(
        tenant.get(context.id()).is_err(),
        "a context is not a session"
    );
    session.remove_context("other").await.unwrap();
    let gone = session
        .run_context("other", Turn::new("1"), &Cancel::new())
        .await;
    assert!(
        matches!(gone, Err(ManagerError::MissingContext { .. })),
        "{gone:?}"
    );
    session
        .create_context("third", Default::default())
        .await
        .unwrap();
    session.remove().await.unwrap();
    assert_eq!(tenant.usage().sessions, 0);
}

#[tokio::test]
async fn a_process_has_the_files_of_the_session_and_no_variables() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    let session = create(&tenant).await;
    run(&session, "x = 1\nopen('a.txt', 'w').write('a')").await;
    let code = "print('x' in globals())\nopen('b.txt', 'w').write(open('a.txt').read() * 2)";
    let process = session
        .run_process(Turn::new(code), &Cancel::new())
        .await
        .unwrap();
    assert_eq!(process.stdout.text, "False\n");
    assert_eq!(
        run(&session, "x, open('b.txt').read()").await.as_deref(),
        Some("(1, 'aa')")
    );
    run(&session, "f = open('a.txt')").await;
    let refused = session.run_process(Turn::new("1"), &Cancel::new()).await;
    assert!(
        matches!(refused, Err(ManagerError::Setting(_))),
        "{refused:?}"
    );
    session.restart().await.unwrap();
    let seen = run(&session, "'x' in globals(), open('b.txt').read()").await;
    assert_eq!(seen.as_deref(), Some("(False, 'aa')"));
}

#[tokio::test]
async fn quotas_are_those_of_one_tenant_and_ids_of_others_are_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let mut quota = Quota::default();
    quota.sessions = 1;
    let small = tenant_with(&manager, &folder.path().join("small"), quota).await;
    let other = tenant(&manager, &folder.path().join("other")).await;
    let session = create(&small).await;
    let refused = small.create(None, SessionSettings::default()).await;
    assert!(matches!(refused, Err(ManagerError::Quota { .. })));
    create(&other).await;
    assert!(matches!(
        other.get(session.id()),
        Err(ManagerError::Missing { .. })
    ));
    session.remove().await.unwrap();
    create(&small).await;
}

#[tokio::test]
async fn an_exported_session_can_be_imported() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, &folder.path().join("sessions")).await;
    let session = create(&tenant).await;
    run(&session, "x = 'exported'").await;
    let archive = folder.path().join("session.zip");
    session.export(archive.clone()).await.unwrap();
    let settings = SessionSettings::default();
    let copy = tenant
        .import(archive, Some("copy".into()), settings)
        .await
        .unwrap();
    assert_eq!(run(&copy, "x").await.as_deref(), Some("'exported'"));
}

#[tokio::test]
async fn a_lease_that_is_not_committed_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|options| options.durability = Durability::Idle);
    let tenant = tenant(&manager, folder.path()).await;
    let session = create(&tenant).await;
    run(&session, "x = 1").await;
    let mut lease = session.lease(&Cancel::new()).await.unwrap();
    lease.session().unwrap().run("x = 2").await.unwrap();
    drop(lease);
    assert_eq!(run(&session, "x").await.as_deref(), Some("1"));
    let mut lease = session.lease(&Cancel::new()).await.unwrap();
    let execution = lease.session().unwrap().run("x = 3").await.unwrap();
    let code = "x = 3".to_owned();
    lease
        .commit(vec![FinishedTurn { code, execution }])
        .await
        .unwrap();
    assert_eq!(run(&session, "x").await.as_deref(), Some("3"));
    assert_eq!(session.turns().await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_change_that_fails_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    let session = create(&tenant).await;
    run(&session, "x = 1").await;
    let change = session.change(|session| {
        session.write_file("a.txt", b"a")?;
        Ok(session.write_file("/usr/a.txt", b"a")?)
    });
    assert!(matches!(change.await, Err(ManagerError::File(_))));
    let seen = run(&session, "x, __import__('os').listdir('.')").await;
    assert_eq!(seen.as_deref(), Some("(1, [])"));
    assert_eq!(session.status().turn, 2);
}

#[tokio::test]
async fn a_turn_in_a_copy_does_not_change_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    let session = create(&tenant).await;
    run(&session, "x = 1").await;
    let turn = Turn::new("x = 2").variables(true);
    let copy = session.run_fork(turn, &Cancel::new()).await.unwrap();
    assert_eq!(copy.variables[0].name, "x");
    assert_eq!(run(&session, "x").await.as_deref(), Some("1"));
    let last = session.turns_in(2..=9, 1).await.unwrap();
    assert_eq!(last[0].code, "x");
}

#[tokio::test]
async fn a_damaged_session_does_not_keep_the_others_from_being_served() {
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<_> = {
        let manager = manager(|_| {});
        let tenant = tenant(&manager, folder.path()).await;
        let sessions = [
            create(&tenant).await,
            create(&tenant).await,
            create(&tenant).await,
        ];
        for session in &sessions {
            run(session, "x = 1").await;
        }
        sessions
            .iter()
            .map(|session| session.id().to_owned())
            .collect()
    };
    std::fs::write(folder.path().join(&ids[0]).join("settings"), "{").unwrap();
    std::fs::write(folder.path().join(&ids[1]).join("000001.snapshot"), "no").unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    assert!(matches!(
        tenant.get(&ids[0]),
        Err(ManagerError::Missing { .. })
    ));
    let damaged = tenant.get(&ids[1]).unwrap();
    for _ in 0..2 {
        let error = damaged
            .run(Turn::new("x"), &Cancel::new())
            .await
            .expect_err("damaged");
        assert!(
            matches!(error, ManagerError::Session(SessionError::Sandbox(_))),
            "{error}"
        );
    }
    assert_eq!(
        run(&tenant.get(&ids[2]).unwrap(), "x").await.as_deref(),
        Some("1")
    );
}

#[tokio::test]
async fn of_two_changes_of_the_settings_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    let session = create(&tenant).await;
    let changes = (0..20).map(|number| {
        let session = session.clone();
        tokio::spawn(async move {
            let add = move |settings: &mut SessionSettings| {
                settings.env.push((format!("V{number}"), String::new()));
            };
            session.update(add).await
        })
    });
    for change in changes.collect::<Vec<_>>() {
        change.await.unwrap().unwrap();
    }
    assert_eq!(session.settings().env.len(), 20);
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_before_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    let settings = |value: String| {
        let mut settings = SessionSettings::default();
        settings.env.push(("A".into(), value));
        settings
    };
    // Each character takes six bytes in JSON.
    let control = "\x01".repeat(400_000);
    let refused = tenant
        .create(None, settings(control.clone()))
        .await
        .map(drop);
    let Err(ManagerError::Session(SessionError::TooLarge { what, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(what, "settings");
    assert_eq!(tenant.usage().sessions, 0);
    let session = create(&tenant).await;
    run(&session, "x = 1").await;
    let update = move |settings: &mut SessionSettings| settings.env.push(("A".into(), control));
    assert!(session.update(update).await.is_err());
    for code in [
        format!("x = 2 #{}", "a".repeat(9 << 20)),
        format!("x = 2 #{}", "\x01".repeat(2 << 20)),
    ] {
        let refused = session.run(Turn::new(code), &Cancel::new()).await;
        let Err(ManagerError::Session(SessionError::TooLarge { what, .. })) = refused else {
            panic!("another result");
        };
        assert_eq!(what, "code");
    }
    session.pause().await.unwrap();
    assert_eq!(run(&session, "x").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn removal_does_not_wait_for_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    let session = create(&tenant).await;
    let endless = (0..10).map(|_| {
        let session = session.clone();
        tokio::spawn(async move {
            let turn = Turn::new("while True: pass");
            session
                .run(turn, &Cancel::new())
                .await
                .map(|ran| ran.outcome)
        })
    });
    let endless: Vec<_> = endless.collect();
    until("all wait", || session.status().waiting == 10).await;
    until("one runs", || session.status().running).await;
    session.remove().await.unwrap();
    let mut stopped = 0;
    for ended in endless {
        match ended.await.unwrap() {
            Ok(Outcome::Cancelled) => stopped += 1,
            Err(ManagerError::Missing { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stopped, 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn limits_hold_for_requests_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(|_| {});
    let mut quota = Quota::default();
    quota.sessions = 41;
    let tenant = tenant_with(&manager, folder.path(), quota).await;
    let session = create(&tenant).await;
    let contexts = (0..60).map(|number| {
        let session = session.clone();
        let name = format!("c{number}");
        tokio::spawn(async move {
            session
                .create_context(&name, Default::default())
                .await
                .is_ok()
        })
    });
    let mut made = 0;
    for context in contexts.collect::<Vec<_>>() {
        made += usize::from(context.await.unwrap());
    }
    assert_eq!((made, session.contexts().len()), (32, 32));
    let sessions = (0..30).map(|_| {
        let tenant = tenant.clone();
        tokio::spawn(async move {
            tenant
                .create(None, SessionSettings::default())
                .await
                .is_ok()
        })
    });
    let mut made = 0;
    for session in sessions.collect::<Vec<_>>() {
        made += usize::from(session.await.unwrap());
    }
    assert_eq!(made, 8);
    session.remove().await.unwrap();
    assert_eq!(tenant.usage().sessions, 8);
}

#[tokio::test]
async fn contexts_without_their_session_are_removed_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let id = {
        let manager = manager(|_| {});
        let tenant = tenant(&manager, folder.path()).await;
        let session = create(&tenant).await;
        session
            .create_context("kept", Default::default())
            .await
            .unwrap();
        let orphan = session
            .create_context("orphan", Default::default())
            .await
            .unwrap();
        // As if the process had been killed before the session knew of it.
        let orphan = orphan.id().to_owned();
        let forget =
            move |settings: &mut SessionSettings| settings.contexts.retain(|c| *c != orphan);
        session.update(forget).await.unwrap();
        session.id().to_owned()
    };
    let manager = manager(|_| {});
    let tenant = tenant(&manager, folder.path()).await;
    assert_eq!(tenant.usage().sessions, 2);
    assert!(tenant.get(&id).unwrap().context("kept").is_ok());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}
