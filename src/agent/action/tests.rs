mod blocks;
mod properties;
mod prose;

use super::{Action, Mode, parse};

/// What a row expects. A reason has to contain the given words.
enum Want {
    Code(&'static str),
    Said(&'static str, &'static str),
    Answer(&'static str),
    Unreadable(&'static str),
}

fn check(mode: Mode, rows: &[(&str, &str, Want)]) {
    for (name, reply, want) in rows {
        let got = parse(reply, mode);
        let holds = match (&got, want) {
            (Action::Code { source, .. }, Want::Code(code)) => source == code,
            (Action::Code { source, said }, Want::Said(code, prose)) => {
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
