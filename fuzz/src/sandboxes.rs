//! The sandbox that all targets share, and temporary files.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use codeact::Sandbox;
use codeact::sandbox::{Limits, Session};

struct Shared {
    sandbox: Sandbox,
    folder: tempfile::TempDir,
}

static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let limits = Limits::new()
        .with_wall(Duration::from_secs(1))
        .with_memory(200 << 20);
    let builder = Sandbox::builder().limits(limits);
    Shared {
        sandbox: builder.build_blocking().expect("an installed pack"),
        folder: tempfile::tempdir().expect("a folder for temporary files"),
    }
});

/// Returns the sandbox: with a wall time of a second, and less memory than the default.
pub fn sandbox() -> &'static Sandbox {
    &SHARED.sandbox
}

/// Returns the folder for temporary files.
pub fn folder() -> &'static Path {
    SHARED.folder.path()
}

/// Runs `future` on a new runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Calls `use_file` with a temporary file that contains `bytes`.
pub fn with_file<T>(bytes: &[u8], use_file: impl FnOnce(&Path) -> T) -> T {
    let file = tempfile::NamedTempFile::new_in(folder()).expect("a file");
    std::fs::write(file.path(), bytes).expect("a written file");
    use_file(file.path())
}

/// Writes a file by `write` and returns its bytes.
pub fn written(write: impl FnOnce(&Path)) -> Vec<u8> {
    let folder = tempfile::tempdir_in(folder()).expect("a folder");
    let path = folder.path().join("file");
    write(&path);
    std::fs::read(&path).expect("a file")
}

/// Uses a session that came from untrusted data. Errors and all outcomes are allowed.
pub fn exercise(mut session: Session) {
    let _ = block_on(session.run("import os; os.listdir('.'); f.read(), x"));
    let _ = session.changes();
    if let Ok(snapshot) = session.checkpoint() {
        let _ = with_file(b"", |path| snapshot.save(path));
    }
}

/// Asserts that the sandbox works.
pub fn assert_works() {
    let execution = block_on(sandbox().run("6 * 7")).expect("a working sandbox");
    assert_eq!(execution.result.as_deref(), Some("42"), "{execution:?}");
}
