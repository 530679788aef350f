use codeact_base::redact::Redactor;

use super::super::Secret;
use super::super::context;
use super::rule;

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
fn the_headers_and_the_credentials_of_a_request_are_redacted() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let redactor = redactor(&[("K", "s3cr?t>value~~")]);
    let basic = STANDARD.encode("user:s3cr?t>value~~");
    let redacted = redactor.text(&basic);
    assert!(redacted.contains("CODEACT_SECRET_K"), "{redacted}");
    // As an echo of the request in a string of an echo.
    let json = serde_json::json!({ "Authorization": basic }).to_string();
    let echo = serde_json::json!({ "headers": json }).to_string();
    let redacted = redactor.text(&echo);
    assert!(redacted.contains("CODEACT_SECRET_K"), "{redacted}");
}
