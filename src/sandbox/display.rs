//! What a turn shows beside text: pictures, and rich forms of its final value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One thing shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Display {
    /// `image/png`, `image/svg+xml` or `text/html`.
    pub mime: String,
    /// A file name for it, unique within the turn, e.g. `figure-1.png`.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The kinds the guest's runner sends, with the stem and the ending of their file names.
const KINDS: [(&str, &str, &str); 3] = [
    ("image/png", "figure", "png"),
    ("image/svg+xml", "figure", "svg"),
    ("text/html", "value", "html"),
];

impl Display {
    /// Whether it is a picture, not a rich form of a value.
    pub fn is_picture(&self) -> bool {
        self.mime.starts_with("image/")
    }

    /// The next display of a turn that has shown `before`, from what the guest sent.
    pub(crate) fn new(before: &[Self], mime: &str, base64: &str) -> Result<Self, String> {
        let Some((mime, stem, ending)) = KINDS.iter().find(|kind| kind.0 == mime) else {
            return Err("only PNG, SVG and HTML can be shown".into());
        };
        let number = 1 + before.iter().filter(|d| d.name.starts_with(stem)).count();
        let bytes = STANDARD
            .decode(base64)
            .map_err(|e| format!("the data is no base64: {e}"))?;
        Ok(Self {
            mime: (*mime).to_owned(),
            name: format!("{stem}-{number}.{ending}"),
            bytes,
        })
    }
}
