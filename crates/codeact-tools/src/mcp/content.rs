//! Converts the results of a server to values of Python.
//!
//! A structured result is that value. Otherwise each block of content is a value: text is `str`, audio is `bytes`, a
//! resource is `str` or `bytes`, a resource link is a `dict`. A picture is displayed, and its value is a line about it.
//! The value of one block is that of the result, several blocks are a list, and none is `None`. Texts are not joined,
//! because code could not separate them again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{CallToolResult, ContentBlock, ReadResourceResult, Resource, ResourceContents};
use serde_json::{Value, json};

use crate::tool::ToolFailure;
use codeact_sandbox::Payload;

/// Largest length of the message of a failure, in characters.
const MAX_MESSAGE: usize = 4000;

/// Media types of pictures that can be displayed.
const SHOWN: [&str; 5] = [
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
    "image/svg+xml",
];

/// Returns the value of a call. If `wrapped`, its structured content is an object with the value at `result`.
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

/// Returns the contents of a resource.
pub(super) fn resource(result: ReadResourceResult) -> Payload {
    let mut values: Vec<_> = result.contents.into_iter().map(contents).collect();
    Payload::new(one_or_all(&mut values))
}

/// Returns the identification of a resource.
pub(super) fn link(resource: &Resource) -> Value {
    json!({
        "uri": resource.uri,
        "name": resource.name,
        "mimeType": resource.mime_type,
        "description": resource.description,
    })
}

/// Returns `text`, shortened to a message.
pub(super) fn message(text: &str) -> String {
    text.trim().chars().take(MAX_MESSAGE).collect()
}

/// Returns the message of a failed call.
fn failure(result: &CallToolResult) -> String {
    let texts = (result.content.iter()).filter_map(|block| block.as_text());
    let texts: Vec<_> = texts.map(|text| &*text.text).collect();
    let text = match (&*texts, &result.structured_content) {
        ([], Some(structured)) => structured.to_string(),
        _ => texts.join("\n"),
    };
    match message(&text) {
        text if text.is_empty() => "the tool failed without a message".into(),
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
        // Later versions of MCP may have more kinds.
        _ => "<content of an unknown kind>".into(),
    }
}

fn contents(contents: ResourceContents) -> Value {
    match contents {
        ResourceContents::TextResourceContents { text, .. } => text.into(),
        ResourceContents::BlobResourceContents { blob, .. } => bytes(blob),
        _ => Value::Null,
    }
}

/// Returns bytes, or the text itself if it is not base64.
fn bytes(base64: String) -> Value {
    match STANDARD.decode(&base64).is_ok() {
        true => json!({ "$bytes": base64 }),
        false => base64.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload_of(response: Value, wrapped: bool) -> Result<Payload, String> {
        let response: CallToolResult = serde_json::from_value(response).unwrap();
        result(response, wrapped).map_err(|e| e.message)
    }

    fn json_of(response: Value) -> Value {
        payload_of(response, false).unwrap().into_json()
    }

    #[test]
    fn blocks_become_values() {
        let text = json!({ "type": "text", "text": "a\nb" });
        assert_eq!(json_of(json!({ "content": [] })), Value::Null);
        assert_eq!(json_of(json!({ "content": [text] })), json!("a\nb"));
        assert_eq!(
            json_of(json!({ "content": [text, text] })),
            json!(["a\nb", "a\nb"])
        );
        let audio = json!({ "type": "audio", "data": "AAE=", "mimeType": "audio/wav" });
        let payload = payload_of(json!({ "content": [audio] }), false).unwrap();
        assert_eq!(payload.summary(), json!("<2 bytes>"));
        let blob = json!({ "type": "resource", "resource": { "uri": "a:b", "blob": "no base64" } });
        assert_eq!(json_of(json!({ "content": [blob] })), json!("no base64"));
        let link = json!({ "type": "resource_link", "uri": "a:b", "name": "n" });
        assert_eq!(
            json_of(json!({ "content": [link] })),
            json!({ "uri": "a:b", "name": "n", "mimeType": null, "description": null })
        );
    }

    #[test]
    fn pictures_are_displayed_also_with_structured_content() {
        let picture = json!({ "type": "image", "data": "AAE=", "mimeType": "Image/PNG; q=1" });
        let payload = payload_of(json!({ "content": [picture] }), false).unwrap();
        assert_eq!(
            payload.displays().collect::<Vec<_>>(),
            [("image/png", &[0, 1][..])]
        );
        assert_eq!(
            payload.into_json(),
            json!("<picture image/png, 2 bytes, shown>")
        );
        let both = json!({ "content": [picture], "structuredContent": { "a": 1 } });
        let payload = payload_of(both, false).unwrap();
        assert_eq!(payload.displays().count(), 1);
        assert_eq!(payload.into_json(), json!({ "a": 1 }));
        let odd = json!({ "type": "image", "data": "AAE=", "mimeType": "image/x-odd" });
        let payload = payload_of(json!({ "content": [odd] }), false).unwrap();
        assert_eq!(
            (payload.displays().count(), payload.summary()),
            (0, json!("<2 bytes>"))
        );
    }

    #[test]
    fn structured_content_is_unwrapped_only_if_it_is_wrapped() {
        let response = |structure: Value| json!({ "structuredContent": structure });
        let wrapped = |structure| payload_of(response(structure), true).unwrap().into_json();
        assert_eq!(wrapped(json!({ "result": [1] })), json!([1]));
        assert_eq!(
            wrapped(json!({ "result": 1, "b": 2 })),
            json!({ "result": 1, "b": 2 })
        );
        assert_eq!(wrapped(json!({ "other": 1 })), json!({ "other": 1 }));
        assert_eq!(
            json_of(response(json!({ "result": 1 }))),
            json!({ "result": 1 })
        );
    }

    #[test]
    fn the_message_of_a_failure_is_its_text_shortened() {
        let failed =
            |content: Value| payload_of(json!({ "content": content, "isError": true }), false);
        let text = |text: &str| json!({ "type": "text", "text": text });
        assert_eq!(failed(json!([text("a"), text("b")])).unwrap_err(), "a\nb");
        assert_eq!(
            failed(json!([])).unwrap_err(),
            "the tool failed without a message"
        );
        let long = "ö".repeat(10_000);
        assert_eq!(
            failed(json!([text(&long)])).unwrap_err().chars().count(),
            MAX_MESSAGE
        );
    }
}
