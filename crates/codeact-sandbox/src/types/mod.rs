//! Plain data and small traits, most of them public. The lowest layer: it imports no other.

pub(crate) mod bundle;
pub(crate) mod bytes;
pub(crate) mod cancellation;
pub(crate) mod display;
pub(crate) mod errno;
pub(crate) mod limits;
pub(crate) mod output;
pub(crate) mod payload;
pub(crate) mod stdin;
pub(crate) mod toolbox;
pub(crate) mod traceback;
pub(crate) mod user_input;
