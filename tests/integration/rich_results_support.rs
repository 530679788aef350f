//! Rich turns, and what they show.

use codeact::sandbox::{Bundle, Execution, Outcome, Turn};

use crate::support::{block_on, limits, sandbox, shown};

/// Runs a rich turn in a new session.
pub(crate) fn rich(code: &str) -> Execution {
    block_on(sandbox().run(Turn::new(code).limits(limits(|_| ())).rich(true))).unwrap()
}

/// Returns the bundles of code that completes without warnings.
#[track_caller]
pub(crate) fn bundles(code: &str) -> Vec<Bundle> {
    let execution = rich(code);
    assert_eq!(
        execution.outcome,
        Outcome::Completed,
        "{}",
        shown(&execution)
    );
    assert_eq!(execution.stderr.text, "", "{}", shown(&execution));
    execution.bundles
}

/// Returns the only bundle of such code.
#[track_caller]
pub(crate) fn only(code: &str) -> Bundle {
    let mut all = bundles(code);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// Returns the media types of a bundle, in order.
pub(crate) fn types(bundle: &Bundle) -> Vec<&str> {
    let mut types: Vec<_> = bundle.data.keys().map(String::as_str).collect();
    types.sort_unstable();
    types
}
