//! Turns that cannot be written to the store.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use codeact_sandbox::{Cancel, Sandbox, Session, Turn};
use codeact_sessions::manager::{
    Durability, ManagerError, ManagerOptions, Quota, SandboxSource, SessionHandle, SessionManager,
    SessionSettings, SourceFuture,
};
use codeact_sessions::{
    FinishedTurn, SessionBackend, SessionError, SessionLog, SessionStore, TurnRecord,
};

struct Plain(Sandbox);

impl SandboxSource for Plain {
    fn sandbox<'a>(&'a self, _settings: &'a SessionSettings) -> SourceFuture<'a> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// A store whose commits fail while the disk is full.
struct Full {
    store: SessionStore,
    is_full: Arc<AtomicBool>,
}

struct FullLog {
    log: Box<dyn SessionLog>,
    is_full: Arc<AtomicBool>,
}

impl SessionLog for FullLog {
    fn last(&self) -> u32 {
        self.log.last()
    }

    fn commit(&mut self, session: &Session, turns: &[FinishedTurn]) -> Result<(), SessionError> {
        match self.is_full.load(Ordering::SeqCst) {
            true => Err(SessionError::Missing {
                name: "space".into(),
            }),
            false => self.log.commit(session, turns),
        }
    }

    fn undo(&mut self, count: u32, sandbox: &Sandbox) -> Result<Session, SessionError> {
        self.log.undo(count, sandbox)
    }
}

impl SessionBackend for Full {
    fn ids(&self) -> Result<Vec<String>, SessionError> {
        self.store.ids()
    }

    fn create(&self, id: &str, settings: &[u8]) -> Result<(), SessionError> {
        self.store.create(id, settings)
    }

    fn settings(&self, id: &str) -> Result<Vec<u8>, SessionError> {
        self.store.settings(id)
    }

    fn set_settings(&self, id: &str, settings: &[u8]) -> Result<(), SessionError> {
        self.store.set_settings(id, settings)
    }

    fn open(
        &self,
        id: &str,
        sandbox: &Sandbox,
    ) -> Result<(Session, Box<dyn SessionLog>), SessionError> {
        let (session, log) = SessionBackend::open(&self.store, id, sandbox)?;
        let is_full = self.is_full.clone();
        Ok((session, Box::new(FullLog { log, is_full })))
    }

    fn last(&self, id: &str) -> Result<u32, SessionError> {
        self.store.last(id)
    }

    fn turns(
        &self,
        id: &str,
        turns: RangeInclusive<u32>,
        max: usize,
    ) -> Result<Vec<TurnRecord>, SessionError> {
        SessionBackend::turns(&self.store, id, turns, max)
    }

    fn fork(
        &self,
        id: &str,
        turn: Option<u32>,
        new: &str,
        settings: &[u8],
    ) -> Result<(), SessionError> {
        SessionBackend::fork(&self.store, id, turn, new, settings)
    }

    fn export(&self, id: &str, to: &Path) -> Result<(), SessionError> {
        SessionBackend::export(&self.store, id, to)
    }

    fn import(&self, from: &Path, id: &str, settings: &[u8]) -> Result<(), SessionError> {
        SessionBackend::import(&self.store, from, id, settings)
    }

    fn remove(&self, id: &str) -> Result<(), SessionError> {
        SessionBackend::remove(&self.store, id)
    }

    fn bytes(&self, id: &str) -> u64 {
        self.store.bytes(id)
    }
}

async fn run(session: &SessionHandle, code: &str) -> Result<Option<String>, ManagerError> {
    let execution = session.run(Turn::new(code), &Cancel::new()).await?;
    Ok(execution.result)
}

async fn session(folder: &Path, durability: Durability) -> (SessionHandle, Arc<AtomicBool>) {
    let mut options = ManagerOptions::default();
    options.durability = durability;
    let manager = SessionManager::new(options);
    let is_full = Arc::new(AtomicBool::new(false));
    let store = Full {
        store: SessionStore::at(folder),
        is_full: is_full.clone(),
    };
    let sandbox = Sandbox::builder().build().await.unwrap();
    let source = Arc::new(Plain(sandbox));
    let quota = Quota::default();
    let tenant = manager
        .tenant("test", Arc::new(store), source, quota)
        .unwrap();
    let session = tenant
        .create(None, SessionSettings::default())
        .await
        .unwrap();
    (session, is_full)
}

#[tokio::test]
async fn a_turn_that_cannot_be_committed_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (session, is_full) = session(folder.path(), Durability::Turn).await;
    run(&session, "x = 1").await.unwrap();
    is_full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let refused = run(&session, "x += 1").await;
        assert!(
            matches!(refused, Err(ManagerError::NotCommitted { .. })),
            "{refused:?}"
        );
    }
    let change = session.change(|session| Ok(session.write_file("a.txt", b"a")?));
    assert!(change.await.is_err());
    is_full.store(false, Ordering::SeqCst);
    let seen = run(&session, "x, __import__('os').listdir('.')")
        .await
        .unwrap();
    assert_eq!(seen.as_deref(), Some("(1, [])"));
    assert_eq!(session.status().turn, 2);
    assert_eq!(session.turns().await.unwrap().len(), 2);
}

#[tokio::test]
async fn with_durability_idle_turns_are_committed_when_there_is_space_again() {
    let folder = tempfile::tempdir().unwrap();
    let (session, is_full) = session(folder.path(), Durability::Idle).await;
    run(&session, "x = 1").await.unwrap();
    is_full.store(true, Ordering::SeqCst);
    assert!(session.pause().await.is_err());
    assert!(session.status().live);
    run(&session, "x += 1").await.unwrap();
    is_full.store(false, Ordering::SeqCst);
    session.pause().await.unwrap();
    assert_eq!(run(&session, "x").await.unwrap().as_deref(), Some("2"));
}
