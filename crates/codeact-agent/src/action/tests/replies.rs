//! Replies in the forms of many models, as data: each has the code, the answer, or words of the refusal. `parsers.json` has
//! the formats that the tool parsers of public model servers read, and `lost.json` text that must neither be an answer nor
//! be lost.

use serde::Deserialize;

use super::super::{Action, Mode, parse};

#[derive(Clone, Deserialize)]
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
    let tables = [
        include_str!("replies.json"),
        include_str!("parsers.json"),
        include_str!("lost.json"),
    ];
    let tables = tables.map(|table| serde_json::from_str::<Vec<Case>>(table).unwrap());
    let cases = tables.concat();
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
