//! Things that a rich turn shows, each in all its forms.

use serde_json::{Map, Value};

use crate::types::display::Display;

/// Maximum number of media types of a bundle.
const MAX_MEDIA_TYPES: usize = 64;
/// Maximum length of a media type, in bytes.
const MAX_MEDIA_TYPE_BYTES: usize = 255;

/// A value or picture that a rich turn showed, in all its forms: a MIME bundle of Jupyter. See
/// [`Turn::rich`](crate::Turn::rich). The code chose all of it, so a form such as HTML is untrusted.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Bundle {
    /// True if it is the value of the final expression. At most one bundle of a turn is.
    pub is_result: bool,
    /// Content by media type. Types that begin with `text/`, and `image/svg+xml` and `application/javascript`, are texts;
    /// other images and `application/pdf` are base64; any other type is JSON.
    pub data: Map<String, Value>,
    /// Metadata, by media type or for the whole bundle, such as the width of a picture.
    pub metadata: Map<String, Value>,
}

/// Returns true if the content of a media type is bytes, in base64.
fn is_binary(mime: &str) -> bool {
    mime == "application/pdf" || (mime.starts_with("image/") && mime != "image/svg+xml")
}

fn is_text(mime: &str) -> bool {
    mime.starts_with("text/") || mime == "image/svg+xml" || mime == "application/javascript"
}

impl Bundle {
    /// Returns the bundle of a display.
    pub(crate) fn of_display(display: &Display, encode: impl FnOnce(&[u8]) -> String) -> Self {
        let text = match is_binary(&display.mime) {
            true => encode(&display.bytes),
            false => String::from_utf8_lossy(&display.bytes).into_owned(),
        };
        let mut bundle = Self::default();
        bundle.data.insert(display.mime.clone(), text.into());
        bundle
    }

    /// Checks the media types and the kinds of their contents. The data is untrusted.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.data.is_empty() || self.data.len() > MAX_MEDIA_TYPES {
            return Err(format!(
                "a bundle needs one to {MAX_MEDIA_TYPES} media types, this one has {}",
                self.data.len()
            ));
        }
        for (mime, content) in &self.data {
            let is_valid = mime.len() <= MAX_MEDIA_TYPE_BYTES
                && mime.split_once('/').is_some_and(|(kind, name)| {
                    !kind.is_empty()
                        && !name.is_empty()
                        && mime.bytes().all(|b| b.is_ascii_graphic())
                });
            if !is_valid {
                let mime: String = mime.chars().take(80).collect();
                return Err(format!("{mime:?} is not a media type"));
            }
            if (is_text(mime) || is_binary(mime)) && !content.is_string() {
                return Err(format!("the content of {mime} is not a text"));
            }
        }
        Ok(())
    }

    /// Returns the forms that are displays too, in the order of displays: media type, content, true if it is base64.
    pub(crate) fn displays(&self) -> impl Iterator<Item = (&'static str, &str, bool)> {
        const ORDER: [&str; 6] = [
            "image/png",
            "image/jpeg",
            "image/webp",
            "image/gif",
            "image/svg+xml",
            "text/html",
        ];
        (ORDER.into_iter())
            .filter_map(|mime| Some((mime, self.data.get(mime)?.as_str()?, is_binary(mime))))
    }
}
