//! What a turn shows beside text: pictures, and rich forms of its final value.

/// One thing shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Display {
    /// `image/png`, `image/svg+xml` or `text/html`, and of a tool `image/jpeg`, `image/webp` or
    /// `image/gif`.
    pub mime: String,
    /// A file name for it, unique within the turn, e.g. `figure-1.png`.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The kinds that there are, with the stem and the ending of their file names.
const KINDS: [(&str, &str, &str); 6] = [
    ("image/png", "figure", "png"),
    ("image/jpeg", "figure", "jpg"),
    ("image/webp", "figure", "webp"),
    ("image/gif", "figure", "gif"),
    ("image/svg+xml", "figure", "svg"),
    ("text/html", "value", "html"),
];

impl Display {
    /// Whether it is a picture, not a rich form of a value.
    pub fn is_picture(&self) -> bool {
        self.mime.starts_with("image/")
    }

    /// The next display of a turn that has shown `before`, which the guest or a tool has sent.
    pub(crate) fn new(before: &[Self], mime: &str, bytes: Vec<u8>) -> Result<Self, String> {
        let Some((mime, stem, ending)) = KINDS.iter().find(|kind| kind.0 == mime) else {
            return Err("only pictures and HTML can be shown".into());
        };
        let number = 1 + before.iter().filter(|d| d.name.starts_with(stem)).count();
        Ok(Self {
            mime: (*mime).to_owned(),
            name: format!("{stem}-{number}.{ending}"),
            bytes,
        })
    }
}
