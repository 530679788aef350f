//! Decodes fuzz data into numbers, bytes and edits.

/// Maximum number of edits of one input.
const MAX_EDITS: usize = 16;

/// Reads from fuzz data. After the end it reads zeros.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// Returns the rest of the data if it is a complete file: if it starts with `=`.
    pub fn as_whole_file(&self) -> Option<&'a [u8]> {
        self.0.strip_prefix(b"=")
    }

    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// Returns a number below `count`, or 0 if `count` is 0.
    pub fn choice(&mut self, count: usize) -> usize {
        let bytes = [self.byte(), self.byte(), self.byte()];
        let number = bytes.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
        number % count.max(1)
    }

    /// Returns up to 31 bytes.
    fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()) % 32;
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Applies the edits in the rest of the data to `text`.
    pub fn edit(&mut self, text: &mut Vec<u8>) {
        for _ in 0..MAX_EDITS {
            if self.0.is_empty() {
                break;
            }
            let kind = self.byte() % 5;
            let at = self.choice(text.len());
            match kind {
                0 => {
                    let byte = self.byte();
                    if let Some(old) = text.get_mut(at) {
                        *old = byte;
                    }
                }
                1 => {
                    text.splice(at..at, self.bytes().iter().copied());
                }
                2 => {
                    let end = text.len().min(at + 1 + self.choice(300));
                    text.drain(at..end);
                }
                3 => text.truncate(at),
                _ => self.replace_number(text, at),
            }
        }
    }

    /// Replaces the first number after `at` in a text.
    fn replace_number(&mut self, text: &mut Vec<u8>, at: usize) {
        let mut number = [0; 8];
        number.fill_with(|| self.byte());
        // Small and large ones.
        let number = u64::from_le_bytes(number) >> (self.byte() % 64);
        let is_digit = |byte: &u8| byte.is_ascii_digit();
        if let Some(begin) = text[at..].iter().position(is_digit).map(|n| at + n) {
            let len = text[begin..].iter().take_while(|b| is_digit(b)).count();
            text.splice(begin..begin + len, number.to_string().into_bytes());
        }
    }
}
