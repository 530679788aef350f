//! Characters of a text, as they are and as escapes, in several layers.

/// Largest number of bytes that spell a character.
pub(super) const MAX_SPELLING: usize = 24;
/// Largest number of layers of escapes.
const MAX_LAYERS: u8 = 3;
/// Largest length of the name of an entity.
const MAX_ENTITY: usize = 8;

/// Named entities of HTML for printable ASCII characters.
const ENTITIES: [(&[u8], char); 36] = [
    (b"amp", '&'),
    (b"apos", '\''),
    (b"ast", '*'),
    (b"bsol", '\\'),
    (b"colon", ':'),
    (b"comma", ','),
    (b"commat", '@'),
    (b"dollar", '$'),
    (b"equals", '='),
    (b"excl", '!'),
    (b"grave", '`'),
    (b"gt", '>'),
    (b"Hat", '^'),
    (b"lbrace", '{'),
    (b"lbrack", '['),
    (b"lcub", '{'),
    (b"lowbar", '_'),
    (b"lpar", '('),
    (b"lsqb", '['),
    (b"lt", '<'),
    (b"midast", '*'),
    (b"num", '#'),
    (b"percnt", '%'),
    (b"period", '.'),
    (b"plus", '+'),
    (b"quest", '?'),
    (b"quot", '"'),
    (b"rbrace", '}'),
    (b"rbrack", ']'),
    (b"rcub", '}'),
    (b"rpar", ')'),
    (b"rsqb", ']'),
    (b"semi", ';'),
    (b"sol", '/'),
    (b"verbar", '|'),
    (b"vert", '|'),
];

/// One reading of the text at a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reading {
    /// Up to four bytes.
    bytes: [u8; 4],
    len: u8,
    /// Number of bytes of the text.
    pub(super) size: usize,
}

impl Reading {
    fn byte(byte: u8, size: usize) -> Self {
        Self {
            bytes: [byte, 0, 0, 0],
            len: 1,
            size,
        }
    }

    fn char(c: char, size: usize) -> Self {
        let mut bytes = [0; 4];
        let len = c.encode_utf8(&mut bytes).len();
        Self {
            bytes,
            len: u8::try_from(len).unwrap_or(4),
            size,
        }
    }

    /// Returns the bytes that are spelled.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// Returns the character, if it is ASCII.
    fn ascii(&self) -> Option<u8> {
        (self.len == 1 && self.bytes[0].is_ascii()).then_some(self.bytes[0])
    }
}

/// True if a character with several bytes can begin with `byte`.
pub(super) fn is_introducer(byte: u8) -> bool {
    matches!(byte, b'\\' | b'%' | b'&')
}

/// Calls `each` for every reading of the beginning of `text`. The first one is the byte itself.
pub(super) fn readings(text: &[u8], mut each: impl FnMut(Reading)) {
    match text.first() {
        None => {}
        Some(byte) if is_introducer(*byte) => {
            let text = text.get(..MAX_SPELLING).unwrap_or(text);
            layered(text, 0, MAX_LAYERS).into_iter().for_each(each);
        }
        Some(byte) => {
            each(Reading::byte(*byte, 1));
            if *byte == b'+' {
                // A space in a form.
                each(Reading::byte(b' ', 1));
            }
        }
    }
}

/// Returns every reading of `text` at `at` with at most `layers` layers.
fn layered(text: &[u8], at: usize, layers: u8) -> Vec<Reading> {
    let Some(byte) = text.get(at) else {
        return Vec::new();
    };
    let mut known = vec![Reading::byte(*byte, 1)];
    if !is_introducer(*byte) {
        return known;
    }
    for inner in 0..layers {
        for index in 0..known.len() {
            let Some(introducer) = known.get(index).copied() else {
                break;
            };
            let escape = Escape {
                text,
                start: at,
                layers: inner,
            };
            escape.read(introducer, &mut |reading| {
                if !known.contains(&reading) {
                    known.push(reading);
                }
            });
        }
    }
    known
}

/// Reader of one escape, whose characters have at most `layers` layers.
struct Escape<'t> {
    text: &'t [u8],
    start: usize,
    layers: u8,
}

impl Escape<'_> {
    /// Calls `each` for every escape that begins with `introducer`.
    fn read(&self, introducer: Reading, each: &mut dyn FnMut(Reading)) {
        let at = self.start + introducer.size;
        match introducer.ascii() {
            Some(b'\\') => self.backslash(at, each),
            Some(b'%') => self.percent(at, each),
            Some(b'&') => self.entity(at, each),
            // A space in a form.
            Some(b'+') => each(Reading::byte(b' ', introducer.size)),
            _ => {}
        }
    }

    /// Reads after a backslash, as JSON, JavaScript, Python and C do.
    fn backslash(&self, at: usize, each: &mut dyn FnMut(Reading)) {
        for next in layered(self.text, at, self.layers) {
            let end = at + next.size;
            match next.ascii() {
                Some(b'u') => self.utf16(end, each),
                Some(b'U') => {
                    if let Some((code, end)) = self.digits(end, 8, 16) {
                        self.emit(code, end, each);
                    }
                }
                Some(b'x') => {
                    if let Some((code, end)) = self.digits(end, 2, 16) {
                        self.emit_byte(code, end, each);
                    }
                }
                Some(b'0'..=b'3') => {
                    if let Some((code, end)) = self.digits(at, 3, 8) {
                        self.emit_byte(code, end, each);
                    }
                }
                Some(c) if c.is_ascii_punctuation() || c == b' ' => {
                    each(Reading::byte(c, end - self.start));
                }
                _ => {}
            }
        }
    }

    /// Reads four digits of UTF-16, and a second half if the first one needs it.
    fn utf16(&self, at: usize, each: &mut dyn FnMut(Reading)) {
        let Some((first, end)) = self.digits(at, 4, 16) else {
            return;
        };
        if !(0xd800..0xdc00).contains(&first) {
            self.emit(first, end, each);
            return;
        }
        // A backslash can have several readings.
        for backslash in layered(self.text, end, self.layers) {
            if backslash.ascii() != Some(b'\\') {
                continue;
            }
            let letter = self.next(end + backslash.size, |c| c == b'u');
            let second = letter.and_then(|(_, end)| self.digits(end, 4, 16));
            if let Some((second @ 0xdc00..0xe000, end)) = second {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                self.emit(code, end, each);
            }
        }
    }

    fn percent(&self, at: usize, each: &mut dyn FnMut(Reading)) {
        if let Some((code, end)) = self.digits(at, 2, 16) {
            self.emit_byte(code, end, each);
        } else if let Some((_, end)) = self.next(at, |c| c == b'u') {
            // The function `escape` of JavaScript.
            self.utf16_of_escape(end, each);
        }
    }

    fn utf16_of_escape(&self, at: usize, each: &mut dyn FnMut(Reading)) {
        if let Some((code, end)) = self.digits(at, 4, 16) {
            self.emit(code, end, each);
        }
    }

    fn entity(&self, at: usize, each: &mut dyn FnMut(Reading)) {
        let mut name = Vec::new();
        let mut end = at;
        loop {
            let class = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'#' | b';');
            let Some((c, after)) = self.next(end, class) else {
                return;
            };
            end = after;
            if c == b';' {
                break;
            }
            name.push(c);
            if name.len() > MAX_ENTITY {
                return;
            }
        }
        let number = match &*name {
            [b'#', b'x' | b'X', digits @ ..] => parse(digits, 16),
            [b'#', digits @ ..] => parse(digits, 10),
            name => {
                let entity = ENTITIES.iter().find(|(entity, _)| *entity == name);
                entity.map(|(_, c)| u32::from(*c))
            }
        };
        if let Some(code) = number {
            self.emit(code, end, each);
        }
    }

    /// Returns the number of `count` digits of `radix` from `at`, and the position after them.
    fn digits(&self, at: usize, count: usize, radix: u32) -> Option<(u32, usize)> {
        let (mut code, mut end) = (0_u32, at);
        for _ in 0..count {
            let (digit, after) = self.next(end, |c| char::from(c).is_digit(radix))?;
            let digit = char::from(digit).to_digit(radix)?;
            code = code.checked_mul(radix)?.checked_add(digit)?;
            end = after;
        }
        Some((code, end))
    }

    /// Returns the character at `at` that is in `class`, and the position after it.
    fn next(&self, at: usize, class: impl Fn(u8) -> bool) -> Option<(u8, usize)> {
        let readings = layered(self.text, at, self.layers).into_iter();
        let mut ascii = readings.filter_map(|one| Some((one.ascii()?, at + one.size)));
        ascii.find(|(c, _)| class(*c))
    }

    fn emit(&self, code: u32, end: usize, each: &mut dyn FnMut(Reading)) {
        if let Some(c) = char::from_u32(code) {
            each(Reading::char(c, end - self.start));
        }
    }

    /// Emits a number that some languages read as a byte and some as a character.
    fn emit_byte(&self, code: u32, end: usize, each: &mut dyn FnMut(Reading)) {
        if let Ok(byte) = u8::try_from(code) {
            each(Reading::byte(byte, end - self.start));
            if !byte.is_ascii() {
                self.emit(code, end, each);
            }
        }
    }
}

fn parse(digits: &[u8], radix: u32) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the readings of the whole text as one character.
    fn whole(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        readings(text.as_bytes(), |reading| {
            if reading.size == text.len() {
                all.push(String::from_utf8_lossy(reading.bytes()).into_owned());
            }
        });
        all
    }

    #[test]
    fn a_character_is_read_in_each_spelling() {
        for (text, expected) in [
            ("a", "a"),
            ("+", "+"),
            (r#"\""#, "\""),
            (r#"\\\""#, "\""),
            (r#"\\\\\\\""#, "\""),
            (r"\/", "/"),
            (r"\u0041", "A"),
            (r"\\u0041", "A"),
            (r"\ud83e\udd80", "🦀"),
            (r"\\ud83e\\udd80", "🦀"),
            (r"\U0001f980", "🦀"),
            (r"\x41", "A"),
            (r"\101", "A"),
            ("%41", "A"),
            ("%2541", "A"),
            ("%252541", "A"),
            ("%u0041", "A"),
            ("%5Cu0041", "A"),
            ("%5c%22", "\""),
            ("%5C%5C%5C%22", "\""),
            ("&quot;", "\""),
            ("&#34;", "\""),
            ("&#x22;", "\""),
            ("&amp;quot;", "\""),
            ("&amp;amp;quot;", "\""),
            (r"\u0026quot;", "\""),
            ("%26%23x22%3B", "\""),
            ("%2526%2523x22%253B", "\""),
            ("&bsol;&quot;", "\""),
        ] {
            assert!(
                whole(text).contains(&expected.to_owned()),
                "{text}: {:?}",
                whole(text)
            );
        }
        assert!(whole("+").contains(&" ".to_owned()));
    }

    #[test]
    fn incomplete_and_invalid_escapes_are_only_themselves() {
        for text in [
            r"\",
            "%",
            "&",
            r"\u004",
            "%4",
            "%zz",
            "&quot",
            "&nothing;",
            "&#x;",
            r"\ud800",
        ] {
            let mut sizes = Vec::new();
            readings(text.as_bytes(), |reading| sizes.push(reading.size));
            assert_eq!(sizes, [1], "{text}");
        }
    }

    #[test]
    fn a_text_of_introducers_has_few_readings() {
        for text in [
            r"\".repeat(100),
            "%25".repeat(50),
            "&amp;".repeat(50),
            r"\&%".repeat(50),
        ] {
            let mut count = 0;
            readings(text.as_bytes(), |reading| {
                assert!(reading.size <= MAX_SPELLING);
                count += 1;
            });
            assert!(count <= 16, "{count}");
        }
    }
}
