//! What a server answers, as Python gets it.
//!
//! A result that is structured is that value. Else each block of content is a value: text is `str`,
//! sound is `bytes`, a picture is shown and leaves a line that says so, a resource is `str` or `bytes`, a
//! link to one is a `dict`. One block is its value, several are a list of them, none is `None`: texts are
//! not joined, since nothing could take them apart again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{CallToolResult, ContentBlock, ReadResourceResult, Resource, ResourceContents};
use serde_json::{Value, json};

use super::super::ToolFailure;
use crate::sandbox::Payload;

/// The longest message of a failure, in characters.
const MAX_MESSAGE: usize = 4000;

/// The pictures that can be shown.
const SHOWN: [&str; 5] = [
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
    "image/svg+xml",
];

/// The value of a call; `wrapped` tells that its structure is an object with the value at `result`.
pub(super) fn result(result: CallToolResult, wrapped: bool) -> Result<Payload, ToolFailure> {
    if result.is_error == Some(true) {
        return Err(ToolFailure::new(failure(&result)));
    }
    let mut pictures = Vec::new();
    let mut values: Vec<_> = (result.content.into_iter())
        .map(|block| value(block, &mut pictures))
        .collect();
    let value = match result.structured_content {
        Some(structured) => unwrapped(structured, wrapped),
        None => one_or_all(&mut values),
    };
    let mut payload = Payload::new(value);
    for (mime, bytes) in pictures {
        payload.show(&mime, bytes);
    }
    Ok(payload)
}

/// The contents of a resource.
pub(super) fn resource(result: ReadResourceResult) -> Payload {
    let mut values: Vec<_> = result.contents.into_iter().map(contents).collect();
    Payload::new(one_or_all(&mut values))
}

/// What a resource is known by.
pub(super) fn link(resource: &Resource) -> Value {
    json!({
        "uri": resource.uri,
        "name": resource.name,
        "mimeType": resource.mime_type,
        "description": resource.description,
    })
}

/// `text`, shortened as a message.
pub(super) fn message(text: &str) -> String {
    text.trim().chars().take(MAX_MESSAGE).collect()
}

fn failure(result: &CallToolResult) -> String {
    let texts = (result.content.iter()).filter_map(|block| block.as_text());
    let texts: Vec<_> = texts.map(|text| &*text.text).collect();
    let text = match (&*texts, &result.structured_content) {
        ([], Some(structured)) => structured.to_string(),
        _ => texts.join("\n"),
    };
    match message(&text) {
        text if text.is_empty() => "the tool failed and does not say why".into(),
        text => text,
    }
}

fn unwrapped(mut structured: Value, wrapped: bool) -> Value {
    match structured.as_object_mut() {
        Some(map) if wrapped && map.len() == 1 => match map.get_mut("result") {
            Some(inner) => inner.take(),
            None => structured,
        },
        _ => structured,
    }
}

fn one_or_all(values: &mut Vec<Value>) -> Value {
    match values.len() {
        0 => Value::Null,
        1 => values.remove(0),
        _ => std::mem::take(values).into(),
    }
}

fn value(block: ContentBlock, pictures: &mut Vec<(String, Vec<u8>)>) -> Value {
    match block {
        ContentBlock::Text(text) => text.text.into(),
        ContentBlock::Image(image) => {
            // Media types may have parameters and capitals.
            let mime = image.mime_type.split(';').next().unwrap_or_default();
            let mime = mime.trim().to_ascii_lowercase();
            match STANDARD.decode(&image.data) {
                Ok(bytes) if SHOWN.contains(&&*mime) => {
                    let text = format!("<picture {mime}, {} bytes, shown>", bytes.len());
                    pictures.push((mime, bytes));
                    text.into()
                }
                _ => bytes(image.data),
            }
        }
        ContentBlock::Audio(audio) => bytes(audio.data),
        ContentBlock::Resource(embedded) => contents(embedded.resource),
        ContentBlock::ResourceLink(resource) => link(&resource),
        // What MCP may have one day.
        _ => "<content of a kind that is not known>".into(),
    }
}

fn contents(contents: ResourceContents) -> Value {
    match contents {
        ResourceContents::TextResourceContents { text, .. } => text.into(),
        ResourceContents::BlobResourceContents { blob, .. } => bytes(blob),
        _ => Value::Null,
    }
}

/// What is no base64 stays the text that it is.
fn bytes(base64: String) -> Value {
    match STANDARD.decode(&base64).is_ok() {
        true => json!({ "$bytes": base64 }),
        false => base64.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(told: Value, wrapped: bool) -> Result<Payload, String> {
        let told: CallToolResult = serde_json::from_value(told).unwrap();
        result(told, wrapped).map_err(|e| e.message)
    }

    fn json_of(told: Value) -> Value {
        of(told, false).unwrap().into_json()
    }

    #[test]
    fn blocks_are_values() {
        let text = json!({ "type": "text", "text": "a\nb" });
        assert_eq!(json_of(json!({ "content": [] })), Value::Null);
        assert_eq!(json_of(json!({ "content": [text] })), json!("a\nb"));
        assert_eq!(
            json_of(json!({ "content": [text, text] })),
            json!(["a\nb", "a\nb"])
        );
        let sound = json!({ "type": "audio", "data": "AAE=", "mimeType": "audio/wav" });
        let payload = of(json!({ "content": [sound] }), false).unwrap();
        assert_eq!(payload.shown(), json!("<2 bytes>"));
        let blob = json!({ "type": "resource", "resource": { "uri": "a:b", "blob": "no base64" } });
        assert_eq!(json_of(json!({ "content": [blob] })), json!("no base64"));
        let link = json!({ "type": "resource_link", "uri": "a:b", "name": "n" });
        assert_eq!(
            json_of(json!({ "content": [link] })),
            json!({ "uri": "a:b", "name": "n", "mimeType": null, "description": null })
        );
    }

    #[test]
    fn pictures_are_shown_also_beside_a_structure() {
        let picture = json!({ "type": "image", "data": "AAE=", "mimeType": "Image/PNG; q=1" });
        let payload = of(json!({ "content": [picture] }), false).unwrap();
        assert_eq!(
            payload.displays().collect::<Vec<_>>(),
            [("image/png", &[0, 1][..])]
        );
        assert_eq!(
            payload.into_json(),
            json!("<picture image/png, 2 bytes, shown>")
        );
        let told = json!({ "content": [picture], "structuredContent": { "a": 1 } });
        let payload = of(told, false).unwrap();
        assert_eq!(payload.displays().count(), 1);
        assert_eq!(payload.into_json(), json!({ "a": 1 }));
        let odd = json!({ "type": "image", "data": "AAE=", "mimeType": "image/x-odd" });
        let payload = of(json!({ "content": [odd] }), false).unwrap();
        assert_eq!(
            (payload.displays().count(), payload.shown()),
            (0, json!("<2 bytes>"))
        );
    }

    #[test]
    fn a_structure_is_unwrapped_only_where_it_was_wrapped() {
        let told = |structure: Value| json!({ "structuredContent": structure });
        let wrapped = |structure| of(told(structure), true).unwrap().into_json();
        assert_eq!(wrapped(json!({ "result": [1] })), json!([1]));
        assert_eq!(
            wrapped(json!({ "result": 1, "b": 2 })),
            json!({ "result": 1, "b": 2 })
        );
        assert_eq!(wrapped(json!({ "other": 1 })), json!({ "other": 1 }));
        assert_eq!(
            json_of(told(json!({ "result": 1 }))),
            json!({ "result": 1 })
        );
    }

    #[test]
    fn a_failure_is_its_text_shortened() {
        let told = |content: Value| of(json!({ "content": content, "isError": true }), false);
        let text = |text: &str| json!({ "type": "text", "text": text });
        assert_eq!(told(json!([text("a"), text("b")])).unwrap_err(), "a\nb");
        assert_eq!(
            told(json!([])).unwrap_err(),
            "the tool failed and does not say why"
        );
        let long = "ö".repeat(10_000);
        assert_eq!(
            told(json!([text(&long)])).unwrap_err().chars().count(),
            MAX_MESSAGE
        );
    }
}
