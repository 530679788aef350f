//! Output of a turn: stdout and stderr, captured up to a limit, emitted live, in the order of writing.

use serde::{Deserialize, Serialize};

use codeact_base::event::{Event, EventSink, Stream};

/// Captured text of one stream after a turn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Captured {
    /// The text, up to the limit. Bytes that are not UTF-8 are replaced by U+FFFD.
    pub text: String,
    /// Number of bytes beyond the limit, which were dropped.
    pub dropped_bytes: u64,
}

impl Captured {
    /// Returns `text` without dropped bytes.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            dropped_bytes: 0,
        }
    }
}

/// Limit of the runs in the order of both streams. A run costs more memory than the byte that starts it.
const MAX_RUNS: usize = 20_000;

/// Both streams during a turn.
#[derive(Debug, Default)]
pub(crate) struct Output {
    limit: u64,
    events: EventSink,
    stdout: Buffer,
    stderr: Buffer,
    /// Lengths of runs of bytes in the order of writing. Adjacent runs of one stream are merged.
    order: Vec<(Stream, u32)>,
}

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    dropped: u64,
    /// Number of bytes that were emitted as events. The next ones may be an incomplete character.
    emitted: usize,
}

impl Output {
    pub(crate) fn new(limit: u64, events: EventSink) -> Self {
        Self {
            limit,
            events,
            ..Self::default()
        }
    }

    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let buffer = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let room = self.limit.saturating_sub(buffer.bytes.len() as u64);
        // After the first dropped byte all are dropped, so that the text has no gap.
        let room = if buffer.dropped > 0 { 0 } else { room };
        let taken = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
        buffer.dropped += (bytes.len() - taken) as u64;
        if taken == 0 {
            return;
        }
        buffer.bytes.extend_from_slice(&bytes[..taken]);
        let has_room = self.order.len() < MAX_RUNS;
        match self.order.last_mut() {
            Some((last, n)) if *last == stream && *n < u32::MAX - taken as u32 => {
                *n += taken as u32;
            }
            _ if has_room => self.order.push((stream, taken as u32)),
            // The transcript has these bytes at its end, stream by stream.
            _ => {}
        }
        if self.events.is_listening() {
            let ready = buffer.emitted + complete_chars(&buffer.bytes[buffer.emitted..]);
            emit_up_to(&self.events, stream, buffer, ready);
        }
    }

    /// Emits the rest, drops the event sink, and returns stdout, stderr and the transcript.
    pub(crate) fn finish(&mut self) -> (Captured, Captured, Vec<(Stream, String)>) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let buffer = match stream {
                Stream::Stdout => &mut self.stdout,
                Stream::Stderr => &mut self.stderr,
            };
            let end = buffer.bytes.len();
            emit_up_to(&self.events, stream, buffer, end);
        }
        self.events = EventSink::none();
        let (mut out, mut err) = (0, 0);
        let mut transcript = Vec::new();
        for (stream, n) in std::mem::take(&mut self.order) {
            let (bytes, at) = match stream {
                Stream::Stdout => (&self.stdout.bytes, &mut out),
                Stream::Stderr => (&self.stderr.bytes, &mut err),
            };
            let text = String::from_utf8_lossy(&bytes[*at..*at + n as usize]);
            *at += n as usize;
            transcript.push((stream, text.into_owned()));
        }
        for (stream, rest) in [
            (Stream::Stdout, &self.stdout.bytes[out..]),
            (Stream::Stderr, &self.stderr.bytes[err..]),
        ] {
            if !rest.is_empty() {
                transcript.push((stream, String::from_utf8_lossy(rest).into_owned()));
            }
        }
        let captured = |buffer: &mut Buffer| Captured {
            dropped_bytes: std::mem::take(&mut buffer.dropped),
            text: String::from_utf8(std::mem::take(&mut buffer.bytes))
                .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()),
        };
        (
            captured(&mut self.stdout),
            captured(&mut self.stderr),
            transcript,
        )
    }
}

fn emit_up_to(events: &EventSink, stream: Stream, buffer: &mut Buffer, end: usize) {
    if end > buffer.emitted {
        let text = String::from_utf8_lossy(&buffer.bytes[buffer.emitted..end]).into_owned();
        buffer.emitted = end;
        events.emit(Event::Output { stream, text });
    }
}

/// Returns the length of `bytes` without an incomplete character at the end.
fn complete_chars(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    for (i, byte) in bytes.iter().enumerate().skip(tail).rev() {
        let need = match byte {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            0x80..=0xBF => continue,
            _ => break,
        };
        return if bytes.len() - i < need {
            i
        } else {
            bytes.len()
        };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn listening(limit: u64) -> (Output, Arc<Mutex<Vec<String>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let events = EventSink::new(move |event| {
            if let Event::Output { text, .. } = event {
                sink.lock().unwrap().push(text);
            }
        });
        (Output::new(limit, events), seen)
    }

    #[test]
    fn a_character_split_over_two_writes_is_emitted_once_and_whole() {
        let (mut output, seen) = listening(100);
        let euro = "€".as_bytes();
        output.write(Stream::Stdout, b"a");
        output.write(Stream::Stdout, &euro[..1]);
        output.write(Stream::Stdout, &euro[1..]);
        assert_eq!(*seen.lock().unwrap(), ["a", "€"]);
        assert_eq!(output.finish().0.text, "a€");
    }

    #[test]
    fn bytes_over_the_limit_are_counted_and_leave_no_gap() {
        let (mut output, _) = listening(4);
        output.write(Stream::Stdout, b"abcdef");
        output.write(Stream::Stdout, b"g");
        output.write(Stream::Stderr, b"err");
        let (out, err, _) = output.finish();
        assert_eq!((out.text.as_str(), out.dropped_bytes), ("abcd", 3));
        assert_eq!((err.text.as_str(), err.dropped_bytes), ("err", 0));
    }

    #[test]
    fn the_transcript_has_both_streams_in_the_order_of_writing() {
        let (mut output, _) = listening(100);
        output.write(Stream::Stdout, b"1");
        output.write(Stream::Stderr, b"2");
        output.write(Stream::Stdout, b"3");
        output.write(Stream::Stdout, b"4");
        let order: Vec<_> = output.finish().2.into_iter().map(|(_, t)| t).collect();
        assert_eq!(order, ["1", "2", "34"]);
    }

    #[test]
    fn streams_that_alternate_beyond_the_limit_lose_their_order_but_no_byte() {
        let (mut output, _) = listening(1 << 20);
        for _ in 0..MAX_RUNS {
            output.write(Stream::Stdout, b"o");
            output.write(Stream::Stderr, b"e");
        }
        let (out, err, transcript) = output.finish();
        assert_eq!((out.text.len(), err.text.len()), (MAX_RUNS, MAX_RUNS));
        assert_eq!(transcript.len(), MAX_RUNS + 1);
        let all: usize = transcript.iter().map(|(_, text)| text.len()).sum();
        assert_eq!(all, 2 * MAX_RUNS);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced_and_not_lost() {
        let (mut output, seen) = listening(100);
        output.write(Stream::Stdout, &[0xFF, 0xE2]);
        output.finish();
        assert_eq!(seen.lock().unwrap().concat(), "\u{FFFD}\u{FFFD}");
    }
}
