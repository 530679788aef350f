//! Tests of the reply parser as tables of replies and expected actions.

mod blocks;
mod properties;
mod prose;
mod replies;
mod several_calls;

use super::{Action, Mode, parse};

/// Expected action of a row.
enum Want {
    Code(&'static str),
    CodeAndProse(&'static str, &'static str),
    Answer(&'static str),
    /// The reason must contain this text.
    Unreadable(&'static str),
}

fn check(mode: Mode, rows: &[(&str, &str, Want)]) {
    for (name, reply, want) in rows {
        let got = parse(reply, mode);
        let holds = match (&got, want) {
            (Action::Code { source, .. }, Want::Code(code)) => source == code,
            (Action::Code { source, said }, Want::CodeAndProse(code, prose)) => {
                source == code && said == prose
            }
            (Action::Answer(text), Want::Answer(answer)) => text == answer,
            (Action::Unreadable { reason }, Want::Unreadable(words)) => reason.contains(words),
            _ => false,
        };
        assert!(holds, "{name}: {got:?}");
        let crlf = reply.replace('\n', "\r\n");
        assert_eq!(parse(&crlf, mode), got, "{name}, with CRLF");
    }
}
