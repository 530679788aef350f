//! Parser of server-sent events (the HTML standard's `text/event-stream`, section 9.2.6).
//!
//! It differs from the standard in two ways: an event at the end of the stream needs no blank line, and the lengths of
//! lines and events are limited. The crates `sse-stream` and `eventsource-stream` do neither, and fail on invalid
//! UTF-8. `sse-stream` also fails on fields without a colon and on unknown fields.

/// An event: its type, empty for the default `message`, and its data lines joined by newlines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SseEvent {
    pub event: String,
    pub data: String,
}

/// A line, or the data of one event, exceeds the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// Incremental parser with the current line and event.
#[derive(Debug)]
pub(super) struct SseParser {
    limit: usize,
    line: Vec<u8>,
    event: String,
    data: Option<String>,
    /// True if the last byte was a CR that ended a line. An LF after it belongs to the same line ending.
    after_cr: bool,
    at_start: bool,
}

impl SseParser {
    /// Returns a parser with a limit of `limit` bytes for each line and for the data of each event.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            event: String::new(),
            data: None,
            after_cr: false,
            at_start: true,
        }
    }

    /// Parses the next bytes. Returns the events that are now complete. If a line is too long, the events before it
    /// are lost as well.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<SseEvent>, TooLong> {
        let mut events = Vec::new();
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r'));
            let piece = &bytes[..end.unwrap_or(bytes.len())];
            if piece.len() > self.limit.saturating_sub(self.line.len()) {
                return Err(TooLong);
            }
            self.line.extend_from_slice(piece);
            let Some(end) = end else { break };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            events.extend(self.end_line()?);
        }
        Ok(events)
    }

    /// Ends the stream. Returns the last event if it has no blank line.
    pub fn finish(mut self) -> Result<Option<SseEvent>, TooLong> {
        if !self.line.is_empty() {
            self.end_line()?;
        }
        Ok(self.dispatch())
    }

    fn end_line(&mut self) -> Result<Option<SseEvent>, TooLong> {
        let bytes = std::mem::take(&mut self.line);
        let decoded = String::from_utf8_lossy(&bytes);
        let mut line = decoded.as_ref();
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                let held = self.data.as_ref().map_or(0, |data| data.len() + 1);
                if held + value.len() > self.limit {
                    return Err(TooLong);
                }
                match &mut self.data {
                    None => self.data = Some(value.to_owned()),
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                }
            }
            // Comments, which have an empty field name, and all other fields are ignored.
            _ => {}
        }
        Ok(None)
    }

    fn dispatch(&mut self) -> Option<SseEvent> {
        let event = std::mem::take(&mut self.event);
        let data = self.data.take()?;
        Some(SseEvent { event, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<SseEvent> {
        let mut parser = SseParser::new(1 << 20);
        let mut all = Vec::new();
        for piece in pieces {
            all.extend(parser.push(piece).unwrap());
        }
        all.extend(parser.finish().unwrap());
        all
    }

    fn data(bytes: &[u8]) -> Vec<String> {
        events(&[bytes]).into_iter().map(|e| e.data).collect()
    }

    #[test]
    fn every_line_ending_ends_a_line() {
        for end in ["\n", "\r\n", "\r"] {
            let text = "data: a|data:b||data: c||".replace('|', end);
            assert_eq!(data(text.as_bytes()), ["a\nb", "c"], "{end:?}");
        }
    }

    #[test]
    fn comments_unknown_fields_and_empty_events_are_ignored() {
        assert_eq!(
            data(b"\xef\xbb\xbf: hello\n\nid: 1\nretry: 5\n\ndata\n\n\ndata: x\n\n"),
            ["", "x"]
        );
    }

    #[test]
    fn an_event_has_its_type() {
        let all = events(&[b"event: error\ndata: {}\n\ndata: 1\n\n"]);
        assert_eq!(
            (all[0].event.as_str(), all[1].event.as_str()),
            ("error", "")
        );
    }

    #[test]
    fn an_event_at_the_end_needs_no_blank_line() {
        assert_eq!(data(b"data: a\n\ndata: [DONE]"), ["a", "[DONE]"]);
    }

    #[test]
    fn a_line_or_an_event_above_the_limit_is_rejected() {
        let mut parser = SseParser::new(10);
        assert_eq!(parser.push(b"data: 6789"), Ok(vec![]));
        assert_eq!(parser.push(b"a"), Err(TooLong));
        let mut parser = SseParser::new(10);
        assert_eq!(parser.push(b"data: 1234\ndata: 5678\n"), Ok(vec![]));
        assert_eq!(parser.push(b"data: 90\n"), Err(TooLong));
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_chunks(
            lines in prop::collection::vec(
                prop_oneof![
                    "data: ?[a-zé漢🦀 :]{0,12}",
                    "event: [a-z]{0,5}",
                    ": .{0,8}",
                    Just(String::new()),
                    ".{0,8}",
                ],
                0..20,
            ),
            ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 20),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut bytes = Vec::new();
            for (line, end) in lines.iter().zip(&ends) {
                bytes.extend_from_slice(line.as_bytes());
                bytes.extend_from_slice(end.as_bytes());
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|i| i.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            let whole = events(&[&bytes]);
            prop_assert_eq!(&events(&pieces), &whole);
            prop_assert_eq!(&events(&single), &whole);
        }
    }
}
