//! Frames of bundles: everything that a rich turn shows. Untrusted; sizes are checked before a value is parsed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::hostcall::state::HostCalls;
use crate::types::bundle::Bundle;
use crate::types::display::Display;
use crate::types::payload::is_deeper;
use codeact_base::event::Event;

/// Prefix of the frames.
pub(super) const BUNDLE: &[u8] = br#"{"op":"bundle""#;
/// Maximum number of bundles of a turn.
pub(super) const MAX_BUNDLES: usize = 100;
/// Maximum number of JSON values in all bundles of a turn. A parsed value takes far more memory than its text.
const MAX_VALUES: usize = 2_000_000;
/// Maximum nesting of lists and objects in a bundle.
const MAX_DEPTH: usize = 100;

#[derive(Deserialize)]
struct BundleFrame<'a> {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    #[serde(default)]
    result: bool,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

impl HostCalls {
    /// Adds the bundle of a frame, and its pictures and HTML as displays.
    pub(super) fn take_bundle(&mut self, frame: &[u8]) -> Result<(), String> {
        let unreadable = |e| format!("this is not a bundle: {e}");
        let frame: BundleFrame = serde_json::from_slice(frame).map_err(unreadable)?;
        let metadata = frame.metadata.map_or("{}", RawValue::get);
        let values = values_in(frame.data.get()) + values_in(metadata);
        if self.bundle_values.saturating_add(values) > MAX_VALUES {
            return Err(format!(
                "the bundles of a turn have at most {MAX_VALUES} values"
            ));
        }
        let bundle = Bundle {
            is_result: frame.result,
            data: serde_json::from_str(frame.data.get()).map_err(unreadable)?,
            metadata: serde_json::from_str(metadata).map_err(unreadable)?,
        };
        bundle.check()?;
        let maps = [&bundle.data, &bundle.metadata];
        if (maps.iter()).any(|map| map.values().any(|value| is_deeper(value, MAX_DEPTH))) {
            return Err("the bundle is nested too deeply".into());
        }
        if frame.result && self.bundles.iter().any(|bundle| bundle.is_result) {
            return Err("a turn has one result".into());
        }
        if self.bundles.len() >= MAX_BUNDLES {
            return Err(too_many());
        }
        let mut shown = Vec::new();
        for (mime, content, is_base64) in bundle.displays() {
            let bytes = match is_base64 {
                true => (STANDARD.decode(content))
                    .map_err(|e| format!("the content of {mime} is not base64: {e}"))?,
                false => content.as_bytes().to_vec(),
            };
            shown.push((mime, bytes));
        }
        self.bundle_values += values;
        for (mime, bytes) in shown {
            let display = Display::new(&self.displays, mime, bytes)?;
            self.displays.push(display);
        }
        self.push_bundle(bundle);
        Ok(())
    }

    /// Adds the bundle of a display that was not shown as one: a picture of a tool.
    pub(super) fn bundle_display(&mut self, display: &Display) -> Result<(), String> {
        if self.bundles.len() >= MAX_BUNDLES {
            return Err(too_many());
        }
        self.push_bundle(Bundle::of_display(display, |bytes| STANDARD.encode(bytes)));
        Ok(())
    }

    fn push_bundle(&mut self, bundle: Bundle) {
        if self.services.events.is_listening() {
            self.services.events.emit(Event::Bundle {
                is_result: bundle.is_result,
                data: bundle.data.clone(),
                metadata: bundle.metadata.clone(),
            });
        }
        self.bundles.push(bundle);
    }
}

fn too_many() -> String {
    format!("a turn can show at most {MAX_BUNDLES} things")
}

/// Returns an upper bound of the number of values and keys in `json`, which is valid. Texts, such as HTML, are skipped.
fn values_in(json: &str) -> usize {
    let mut count = 1;
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b',' | b'[' | b'{' | b':' => count += 1,
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(frame: &str) -> (HostCalls, Result<(), String>) {
        let mut calls = HostCalls::default();
        let taken = calls.take_bundle(frame.as_bytes());
        (calls, taken)
    }

    #[test]
    fn values_are_counted_without_the_texts_between_them() {
        assert_eq!(values_in(r#""a,b,[{:\",,""#), 1);
        assert_eq!(values_in("[1,2,[3]]"), 5);
        assert_eq!(values_in(r#"{"a":",","b":[]}"#), 6);
    }

    #[test]
    fn pictures_and_html_of_a_bundle_are_displays_too() {
        let (calls, taken) = take(
            r#"{"op":"bundle","result":true,"data":{"text/plain":"x","text/html":"<b>","image/png":"YQ=="}}"#,
        );
        taken.unwrap();
        let shown: Vec<_> = calls
            .displays
            .iter()
            .map(|d| (&*d.name, &*d.bytes))
            .collect();
        assert_eq!(
            shown,
            [("figure-1.png", &b"a"[..]), ("value-1.html", b"<b>")]
        );
        assert!(calls.bundles[0].is_result && calls.bundles[0].data.len() == 3);
    }

    #[test]
    fn a_refused_bundle_leaves_nothing() {
        let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
        for data in [
            "{}".to_owned(),
            "[]".to_owned(),
            r#"{"html":"x"}"#.to_owned(),
            r#"{"text/html":1}"#.to_owned(),
            r#"{"image/png":"not base64"}"#.to_owned(),
            r#"{"a/ b":"x"}"#.to_owned(),
            format!(r#"{{"application/json":{deep}}}"#),
        ] {
            let (calls, taken) = take(&format!(r#"{{"op":"bundle","data":{data}}}"#));
            assert!(taken.is_err(), "{data}");
            assert!(calls.bundles.is_empty() && calls.displays.is_empty());
        }
    }

    #[test]
    fn the_number_of_bundles_and_of_their_values_is_bounded() {
        let mut calls = HostCalls::default();
        let one = br#"{"op":"bundle","data":{"text/plain":"x"}}"#;
        for _ in 0..MAX_BUNDLES {
            calls.take_bundle(one).unwrap();
        }
        assert!(calls.take_bundle(one).unwrap_err().contains("at most 100"));
        let many = "0,".repeat(MAX_VALUES);
        let (_, taken) = take(&format!(
            r#"{{"op":"bundle","data":{{"application/json":[{many}0]}}}}"#
        ));
        assert!(taken.unwrap_err().contains("values"));
    }
}
