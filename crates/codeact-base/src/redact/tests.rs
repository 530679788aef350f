use base64::Engine as _;
use proptest::prelude::*;

use super::spelling::MAX_SPELLING;
use super::*;

fn redactor(values: &[&str]) -> Redactor {
    let values = values.iter().enumerate();
    Redactor::new(values.map(|(n, value)| ((*value).to_owned(), format!("<{n}>"))))
}

/// An encoding of text that servers use. Returns `text` with each character that it escapes.
type Encoding = fn(&str) -> String;

fn escape(text: &str, escapes: impl Fn(char) -> Option<String>) -> String {
    let escaped = text.chars().map(|c| escapes(c).unwrap_or_else(|| c.into()));
    escaped.collect()
}

fn utf16(c: char) -> String {
    let units = c.encode_utf16(&mut [0; 2]).to_vec();
    units.iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

fn json(text: &str) -> String {
    escape(text, |c| matches!(c, '"' | '\\').then(|| format!("\\{c}")))
}

fn ascii_json(text: &str) -> String {
    escape(&json(text), |c| (!c.is_ascii()).then(|| utf16(c)))
}

/// As PHP writes it.
fn slashed_json(text: &str) -> String {
    ascii_json(text).replace('/', "\\/")
}

/// As Go writes it.
fn html_safe_json(text: &str) -> String {
    escape(&json(text), |c| {
        matches!(c, '<' | '>' | '&').then(|| utf16(c))
    })
}

fn upper_percent(text: &str) -> String {
    forms::encode_query(text)
}

fn lower_percent(text: &str) -> String {
    let hex = |b: u8| match b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b) {
        true => char::from(b).into(),
        false => format!("%{b:02x}"),
    };
    text.bytes().map(hex).collect()
}

fn form(text: &str) -> String {
    upper_percent(text).replace("%20", "+")
}

fn html(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

fn numeric_html(text: &str) -> String {
    let odd = |c: char| !c.is_alphanumeric();
    escape(text, |c| odd(c).then(|| format!("&#x{:X};", u32::from(c))))
}

fn backslashes(text: &str) -> String {
    escape(text, |c| c.is_ascii_punctuation().then(|| format!("\\{c}")))
}

fn bytes_literal(text: &str) -> String {
    let byte = |b: u8| match b {
        b'\\' | b'\'' => format!("\\{}", char::from(b)),
        b if b.is_ascii() => char::from(b).into(),
        b => format!("\\x{b:02x}"),
    };
    text.bytes().map(byte).collect()
}

const ENCODINGS: [Encoding; 11] = [
    json,
    ascii_json,
    slashed_json,
    html_safe_json,
    upper_percent,
    lower_percent,
    form,
    html,
    numeric_html,
    backslashes,
    bytes_literal,
];

/// Printable characters, those that are escaped more often than others.
fn value() -> impl Strategy<Value = String> {
    let c = prop_oneof![
        4 => prop::char::range('a', 'z'),
        4 => prop::char::range('0', '9'),
        4 => prop::sample::select(vec!['"', '\\', '/', '%', '&', '+', ' ', '<', '\'', '=', 'n', 'u', ';', '#']),
        1 => prop::char::range('!', '~'),
        1 => prop::sample::select(vec!['ä', '€', '🦀']),
    ];
    prop::collection::vec(c, 8..40).prop_map(|chars| chars.into_iter().collect())
}

/// Up to `max` encodings, one after the other.
fn layers(max: usize) -> impl Strategy<Value = Vec<Encoding>> {
    prop::collection::vec(prop::sample::select(ENCODINGS.to_vec()), 0..=max)
}

fn encode(value: &str, layers: &[Encoding]) -> String {
    (layers.iter()).fold(value.to_owned(), |text, encoding| encoding(&text))
}

/// True if each character is spelled in few enough bytes.
fn is_covered(value: &str, layers: &[Encoding]) -> bool {
    let size = |c: char| encode(&c.to_string(), layers).len();
    value.chars().all(|c| size(c) <= MAX_SPELLING)
}

/// Returns what a stream emits for `chunks`, after each of them and at the end.
fn streamed(mut stream: RedactorStream, chunks: &[&[u8]]) -> (Vec<usize>, Vec<u8>) {
    let mut out = Vec::new();
    let mut sizes = Vec::new();
    for chunk in chunks {
        stream.push(chunk, &mut out);
        sizes.push(out.len());
    }
    stream.finish(&mut out);
    (sizes, out)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_is_replaced_in_every_composition_of_encodings(
        value in value(),
        layers in layers(3),
        before in "[a-zA-Z0-9\\\\%&\"{ ]{0,8}",
        after in "[a-zA-Z0-9\\\\%&\"} ]{0,8}",
    ) {
        prop_assume!(is_covered(&value, &layers));
        let encoded = encode(&value, &layers);
        let text = format!("{before}{encoded}{after}");
        let redacted = redactor(&[&value]).text(&text).into_owned();
        prop_assert!(redacted.contains("<0>"), "{} {}", text, redacted);
        prop_assert!(!redacted.contains(&encoded), "{} {}", text, redacted);
        // More than the value can be replaced if its surroundings can be read as a part of it.
        prop_assert!(redacted.len() <= before.len() + after.len() + 3);
    }

    #[test]
    fn a_value_is_replaced_in_base64_at_every_offset_and_escaped_again(
        value in value(),
        inner in prop::sample::select(vec![json as Encoding, ascii_json, upper_percent, form, html, |t| t.to_owned()]),
        outer in layers(2),
        before in "[a-z:]{0,4}",
        after in "[a-z]{0,4}",
        url in any::<bool>(),
    ) {
        let text = format!("{before}{}{after}", inner(&value));
        let engine = match url {
            true => base64::engine::general_purpose::URL_SAFE,
            false => base64::engine::general_purpose::STANDARD,
        };
        let redacted = redactor(&[&value]).text(&encode(&engine.encode(text), &outer)).into_owned();
        prop_assert!(redacted.contains("<0>"), "{}", redacted);
    }

    // Few letters, so that values overlap each other, and escapes with parts of other ones.
    #[test]
    fn the_result_does_not_depend_on_the_chunks(
        values in prop::collection::vec("[ab\\\\]{1,7}", 0..4),
        pieces in prop::collection::vec(
            prop::sample::select(vec!["a", "b", "-", "\\", "\\\\", "%61", "%2561", "&#x61;", "\\u0061", "%5", "\u{fc}"]), 0..60),
        sizes in prop::collection::vec(0_usize..6, 1..60),
        prompt in any::<bool>(),
    ) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let redactor = redactor(&values);
        let text = pieces.concat();
        let (mut chunks, mut rest) = (Vec::new(), text.as_bytes());
        for size in sizes {
            let (chunk, after) = rest.split_at(size.min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        chunks.push(rest);
        let stream = if prompt { redactor.prompt_stream() } else { redactor.stream() };
        let (_, out) = streamed(stream, &chunks);
        prop_assert_eq!(out, redactor.bytes(text.into_bytes()));
    }

    #[test]
    fn what_is_held_back_does_not_depend_on_how_much_of_a_value_is_repeated(
        value in "[a-zA-Z0-9_]{8,100}",
        part in any::<prop::sample::Index>(),
        before in "[a-z{}: \"\\\\%]{0,300}",
        size in 1_usize..50,
    ) {
        let part = &value[..part.index(value.len())];
        let guess = format!("{before}{part}");
        let other = format!("{before}{}", "~".repeat(part.len()));
        let chunks = |text: &str| -> Vec<Vec<u8>> { text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect() };
        let sizes = |text: &str| {
            let chunks = chunks(text);
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            streamed(redactor(&[&value]).stream(), &chunks).0
        };
        prop_assume!(!before.contains(&value));
        prop_assert_eq!(sizes(&guess), sizes(&other));
    }
}

#[test]
fn a_plain_text_is_held_back_by_the_rounded_length() {
    let (sizes, _) = streamed(redactor(&["0123456789"]).stream(), &[&[b'x'; 1000]]);
    // The longest form has 20 bytes, and the length is not shown exactly.
    assert_eq!(sizes, [1000 - 63]);
    let (sizes, _) = streamed(
        redactor(&["0123456789"]).prompt_stream(),
        &[b"x = 01234", b"56"],
    );
    assert_eq!(sizes, [4, 4]);
    let (sizes, out) = streamed(redactor(&[]).stream(), &[b"abc"]);
    assert_eq!((sizes, out), (vec![3], b"abc".to_vec()));
}

#[test]
fn overlapping_values_are_replaced_together() {
    let redactor = redactor(&["aaaaaaaab", "aaaaaaaabcdefgh", "ghijklmn"]);
    for (text, expected) in [
        ("aaaaaaaab|aaaaaaaabcdefg|ghijklm", "<0>|<0>cdefg|ghijklm"),
        ("aaaaaaaabcdefgh|ghijklmn|", "<1>|<2>|"),
        ("aaaaaaaabcdefghijklmn!", "<1>!"),
        ("aaaaaaaaab", "a<0>"),
    ] {
        assert_eq!(redactor.text(text), expected);
    }
}

#[test]
fn a_text_without_a_value_is_unchanged() {
    let text = "another-token and \\u0041 %41 \u{fc}";
    let redacted = redactor(&["the-token"]);
    assert!(matches!(redacted.text(text), Cow::Borrowed(same) if same == text));
    assert_eq!(
        redacted.bytes(b"\xff\xfe the-token\xff".to_vec()),
        b"\xff\xfe <0>\xff"
    );
    assert!(!format!("{redacted:?} {:?}", redacted.stream()).contains("the-token"));
}
