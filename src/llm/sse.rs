//! Server-sent events, cut out of bytes that arrive in any pieces.
//!
//! Follows the HTML standard's `text/event-stream` (section 9.2.6), with two differences for the
//! servers there are: an event that the end of the stream cuts off before its blank line is still
//! given, and lengths are bounded.

/// One event: its type (empty for the usual `message`) and its data lines joined by newlines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SseEvent {
    pub event: String,
    pub data: String,
}

/// A line, or the data of one event, is longer than the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// Holds what has arrived of the current line and event.
#[derive(Debug)]
pub(super) struct SseParser {
    limit: usize,
    line: Vec<u8>,
    event: String,
    data: Option<String>,
    /// The last byte was a CR which ended a line: an LF right after it belongs to it.
    after_cr: bool,
    at_start: bool,
}

impl SseParser {
    /// A parser that lets no line and no event's data grow past `limit` bytes.
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

    /// Takes the next bytes and gives the events that they complete. Events before a line that is
    /// too long are lost with it.
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

    /// The stream has ended: gives the event that was never closed, if there is one.
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
            // A comment (no field name), `id`, `retry` and whatever else: not for us.
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
    fn comments_unknown_fields_and_empty_events_are_passed_over() {
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
    fn an_event_cut_off_by_the_end_is_still_given() {
        assert_eq!(data(b"data: a\n\ndata: [DONE]"), ["a", "[DONE]"]);
    }

    #[test]
    fn a_line_or_an_event_past_the_bound_is_refused() {
        let mut parser = SseParser::new(10);
        assert_eq!(parser.push(b"data: 6789"), Ok(vec![]));
        assert_eq!(parser.push(b"a"), Err(TooLong));
        let mut parser = SseParser::new(10);
        assert_eq!(parser.push(b"data: 1234\ndata: 5678\n"), Ok(vec![]));
        assert_eq!(parser.push(b"data: 90\n"), Err(TooLong));
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_events(
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
