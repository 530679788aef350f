//! Pictures that a turn shows, and rich forms of its final value.

/// A picture, or a rich form of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Display {
    /// Media type: `image/png`, `image/svg+xml` or `text/html`; from a tool also `image/jpeg`, `image/webp` or
    /// `image/gif`.
    pub mime: String,
    /// File name, unique within the turn, such as `figure-1.png`.
    pub name: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// Media types that can be shown, with the stem and the extension of their file names.
const KINDS: [(&str, &str, &str); 6] = [
    ("image/png", "figure", "png"),
    ("image/jpeg", "figure", "jpg"),
    ("image/webp", "figure", "webp"),
    ("image/gif", "figure", "gif"),
    ("image/svg+xml", "figure", "svg"),
    ("text/html", "value", "html"),
];

impl Display {
    /// Returns true if it is a picture, and not a rich form of a value.
    pub fn is_picture(&self) -> bool {
        self.mime.starts_with("image/")
    }

    /// Returns the next display of a turn whose displays so far are `before`. `mime` and `bytes` are untrusted.
    pub(crate) fn new(before: &[Self], mime: &str, bytes: Vec<u8>) -> Result<Self, String> {
        let Some((mime, stem, extension)) = KINDS.iter().find(|kind| kind.0 == mime) else {
            return Err("only pictures and HTML can be shown".into());
        };
        let number = 1 + before.iter().filter(|d| d.name.starts_with(stem)).count();
        Ok(Self {
            mime: (*mime).to_owned(),
            name: format!("{stem}-{number}.{extension}"),
            bytes,
        })
    }
}
