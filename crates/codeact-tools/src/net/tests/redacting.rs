use super::super::Secret;
use super::super::context;
use super::rule;
use crate::redact::Redactor;

fn redactor(values: &[(&str, &str)]) -> Redactor {
    let secrets: Vec<Secret> = values
        .iter()
        .map(|(name, value)| Secret::new(name, (*value).into(), rule("a.test")).unwrap())
        .collect();
    context::redactor(&secrets)
}

#[test]
fn a_secret_is_redacted_in_each_encoding() {
    let redactor = redactor(&[("K", "p\"ä ss/w+1")]);
    for text in [
        "p\"ä ss/w+1",
        "p%22%C3%A4%20ss%2Fw%2B1",
        "p%22%c3%a4%20ss%2fw%2b1",
        "p%22%C3%A4+ss%2Fw%2B1",
        "p%22%C3%A4%20ss%2Fw+1",
        r#"p\"ä ss/w+1"#,
        r#"p\"\u00e4 ss/w+1"#,
        r#"p\"\u00e4 ss\/w+1"#,
    ] {
        let redacted = redactor.text(text);
        assert_eq!(redacted, "CODEACT_SECRET_K", "{text}");
        let around = format!("<{text}>{text}é");
        assert_eq!(
            redactor.text(&around),
            "<CODEACT_SECRET_K>CODEACT_SECRET_Ké"
        );
        assert_eq!(
            redactor.bytes(text.as_bytes().to_vec()),
            b"CODEACT_SECRET_K"
        );
    }
    let harmless = "p\"ä ss/w+2 and CODEACT_SECRET_K";
    assert!(matches!(redactor.text(harmless), std::borrow::Cow::Borrowed(t) if t == harmless));
}

#[test]
fn a_secret_is_redacted_in_base64_at_every_offset() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    let value = "s3cr?t>value~~";
    let redactor = redactor(&[("K", value)]);
    for before in ["", "u", "us", "use", "user:"] {
        for after in ["", "x", "xy", "xyz"] {
            let text = format!("{before}{value}{after}");
            for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                let redacted = redactor.text(&encoded);
                assert!(redacted.contains("CODEACT_SECRET_K"), "{text}: {redacted}");
            }
        }
    }
}

#[test]
fn a_stream_gives_the_same_result_for_every_split() {
    // One is a prefix of another, and one ends with the beginning of another.
    let redactor = redactor(&[
        ("A", "aaaaaaaab"),
        ("B", "aaaaaaaabcdefgh"),
        ("C", "ghijklmn"),
    ]);
    let texts = [
        "aaaaaaaab|aaaaaaaabcdefg|aaaaaaaabcdefgh|ghijklm|ghijklmn|",
        "aaaaaaaaaaaaaaaaaaab aaaaaaaabcdefghijklmn ghghijklmn aaaaaaa",
        "aaaaaaaabcdefg",
        "",
    ];
    for text in texts {
        let whole = redactor.bytes(text.as_bytes().to_vec());
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut stream = redactor.stream();
                let mut out = Vec::new();
                stream.push(&text.as_bytes()[..first], &mut out);
                stream.push(&text.as_bytes()[first..second], &mut out);
                stream.push(&text.as_bytes()[second..], &mut out);
                stream.finish(&mut out);
                assert_eq!(out, whole, "{text} {first} {second}");
            }
        }
        let mut stream = redactor.stream();
        let mut out = Vec::new();
        for byte in text.as_bytes() {
            stream.push(&[*byte], &mut out);
        }
        stream.finish(&mut out);
        assert_eq!(out, whole, "{text}");
    }
    assert_eq!(
        redactor.text(texts[0]),
        "CODEACT_SECRET_A|CODEACT_SECRET_Acdefg|CODEACT_SECRET_B|ghijklm|CODEACT_SECRET_C|"
    );
}

#[test]
fn only_the_possible_beginning_of_a_secret_is_held_back() {
    let mut stream = redactor(&[("K", "secret-value")]).stream();
    let mut out = Vec::new();
    stream.push(b"data: 1\n\nsecre", &mut out);
    assert_eq!(out, b"data: 1\n\n");
    stream.push(b"ts", &mut out);
    assert_eq!(out, b"data: 1\n\nsecret");
}
