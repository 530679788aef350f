//! Replies of a model.

use codeact::agent::{Action, Mode, parse};

/// Parses a reply in both modes. Every action has a text that is not blank.
pub fn reply(data: &[u8]) {
    let reply = String::from_utf8_lossy(data);
    for mode in [Mode::Agent, Mode::Once] {
        let text = match parse(&reply, mode) {
            Action::Code { source, .. } => source,
            Action::Answer(text) => text,
            Action::Unreadable { reason } => reason,
            action => panic!("unknown action {action:?}"),
        };
        assert!(!text.trim().is_empty(), "{mode:?}: {reply:?}");
    }
}
