//! Replies in the forms of many models, as data: `replies.json` has for each the code, the answer, or words of the refusal.

use serde::Deserialize;

use super::super::{Action, Mode, parse};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    reply: String,
    code: Option<String>,
    answer: Option<String>,
    refused: Option<String>,
}

#[test]
fn replies_of_many_models_have_the_listed_meaning() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("replies.json")).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let got = parse(&case.reply, Mode::Agent);
        let holds = match &got {
            Action::Code { source, .. } => case.code.as_ref() == Some(source),
            Action::Answer(text) => case.answer.as_ref() == Some(text),
            Action::Unreadable { reason } => case
                .refused
                .as_ref()
                .is_some_and(|words| reason.contains(words)),
        };
        if !holds {
            wrong.push(format!("{}: {got:?}", case.name));
        }
        let crlf = case.reply.replace('\n', "\r\n");
        if parse(&crlf, Mode::Agent) != got {
            wrong.push(format!("{}, with CRLF", case.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}
