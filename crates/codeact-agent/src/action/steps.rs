//! Counts the bytes that the parser reads, for the test that its work is proportional to the length of a reply.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Adds `bytes` to the count of this thread. It does nothing outside of tests.
#[inline]
pub(super) fn count(bytes: usize) {
    #[cfg(test)]
    STEPS.set(STEPS.get() + bytes);
    let _ = bytes;
}

/// Returns the count of this thread, and resets it.
#[cfg(test)]
pub(super) fn take() -> usize {
    STEPS.take()
}
