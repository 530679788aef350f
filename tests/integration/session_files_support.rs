//! Short forms of the operations on the files of a session.

use codeact::sandbox::{Limits, Outcome, Session};

use crate::support::{limits, sandbox, shown};

/// Returns a new session of the shared sandbox.
pub(crate) fn session() -> Session {
    sandbox().session().unwrap()
}

/// Returns a new session with other limits.
pub(crate) fn session_with(change: impl FnOnce(&mut Limits)) -> Session {
    let sandbox = sandbox().derive().limits(limits(change)).build().unwrap();
    sandbox.session().unwrap()
}

/// Runs `code` and returns the `repr` of its value.
pub(crate) async fn run(session: &mut Session, code: &str) -> String {
    let execution = session.run(code).await.unwrap();
    assert_eq!(
        execution.outcome,
        Outcome::Completed,
        "{}",
        shown(&execution)
    );
    execution.result.unwrap_or_default()
}

/// Returns the content of a file, which must be text.
pub(crate) fn text(session: &Session, path: &str) -> String {
    String::from_utf8(session.read_file(path).unwrap().to_vec().unwrap()).unwrap()
}

/// Returns the names of a folder's entries, in order.
pub(crate) fn names(session: &Session, path: &str) -> Vec<String> {
    let entries = session.list_dir(path).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}
