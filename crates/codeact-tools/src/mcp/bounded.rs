//! A pipe of lines with limits, so that an untrusted peer cannot exhaust the host's memory.
//!
//! MCP on stdin and stdout has one message per line. The reader buffers a line until it ends, and a server may never end
//! it. The host buffers its responses to the requests of a server until the server reads them, and it may never do so.
//! Both cases end the connection.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::messages::readable;

/// Number of bytes that are read at once.
const CHUNK_BYTES: usize = 8 << 10;

/// State that both directions share.
#[derive(Debug, Default)]
pub(super) struct FlowState {
    /// True if the last write is pending, because the peer does not read.
    blocked: AtomicBool,
    /// Violated limit.
    error: OnceLock<String>,
}

impl FlowState {
    /// Returns the violated limit that ended the connection.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.get().map(String::as_str)
    }
}

/// Returns `read` and `write` with lines of at most `max` bytes, each of which is replaced by `readable`. At most twice
/// as many bytes are read while `write` is blocked.
pub(super) fn bounded<R, W>(
    read: R,
    write: W,
    max: usize,
) -> (LineReader<R>, TrackedWriter<W>, Arc<FlowState>) {
    let flow = Arc::<FlowState>::default();
    let reader = LineReader {
        inner: read,
        line: Vec::new(),
        ready: Vec::new(),
        given: 0,
        ended: false,
        ahead: 0,
        max,
        flow: flow.clone(),
    };
    let writer = TrackedWriter {
        inner: write,
        flow: flow.clone(),
    };
    (reader, writer, flow)
}

/// Reader that enforces the limits.
pub(super) struct LineReader<R> {
    inner: R,
    /// The incomplete line.
    line: Vec<u8>,
    /// Complete lines, of which `given` bytes were read.
    ready: Vec<u8>,
    given: usize,
    /// True after the end of `inner`.
    ended: bool,
    /// Bytes that were read since the writer was blocked.
    ahead: usize,
    max: usize,
    flow: Arc<FlowState>,
}

impl<R> LineReader<R> {
    /// Adds `new` bytes. Returns the violated limit.
    fn receive(&mut self, new: &[u8]) -> Result<(), String> {
        for part in new.split_inclusive(|b| *b == b'\n') {
            let is_complete = part.ends_with(b"\n");
            if self.line.len() + part.len() - usize::from(is_complete) > self.max {
                return Err(format!(
                    "it sent more than {} bytes in one message",
                    self.max
                ));
            }
            self.line.extend_from_slice(part);
            if is_complete {
                self.end_line();
            }
        }
        self.ahead = match self.flow.blocked.load(Ordering::Relaxed) {
            true => self.ahead + new.len(),
            false => 0,
        };
        match self.ahead > 2 * self.max {
            true => Err("it sends without reading the messages to it".into()),
            false => Ok(()),
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        match std::str::from_utf8(&line).ok().and_then(readable) {
            Some(other) => {
                self.ready.extend_from_slice(other.as_bytes());
                self.ready.push(b'\n');
            }
            None => self.ready.extend_from_slice(&line),
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for LineReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        loop {
            let rest = self.ready.get(self.given..).unwrap_or_default();
            if !rest.is_empty() || self.ended {
                let count = rest.len().min(buf.remaining());
                buf.put_slice(rest.get(..count).unwrap_or_default());
                self.given += count;
                return Poll::Ready(Ok(()));
            }
            self.ready.clear();
            self.given = 0;
            let mut chunk = [0; CHUNK_BYTES];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                self.ended = true;
                self.end_line();
            } else if let Err(why) = self.receive(chunk.filled()) {
                let why = self.flow.error.get_or_init(|| why);
                let error = std::io::Error::new(std::io::ErrorKind::InvalidData, why.clone());
                return Poll::Ready(Err(error));
            }
        }
    }
}

/// Writer that reports whether it is blocked.
pub(super) struct TrackedWriter<W> {
    inner: W,
    flow: Arc<FlowState>,
}

impl<W: AsyncWrite + Unpin> AsyncWrite for TrackedWriter<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.flow
            .blocked
            .store(written.is_pending(), Ordering::Relaxed);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Returns the bytes of `text` that are read with a limit of 10 bytes per line, and true if the limit is violated.
    async fn read_limited(text: &str, at_once: usize) -> (usize, bool) {
        let (mut reader, _, flow) = bounded(text.as_bytes(), tokio::io::sink(), 10);
        let (mut read, mut chunk) = (0, vec![0; at_once]);
        loop {
            match reader.read(&mut chunk).await {
                Ok(0) => return (read, flow.error().is_some()),
                Ok(n) => read += n,
                Err(_) => return (read, flow.error().is_some()),
            }
        }
    }

    #[tokio::test]
    async fn a_line_above_the_limit_ends_the_connection() {
        for at_once in [1, 3, 100] {
            let fits = "1234567890\n1234567890\n\nabc";
            assert_eq!(read_limited(fits, at_once).await, (fits.len(), false));
            for long in ["12345678901", "a\n12345678901\nb", "12345678901\n"] {
                assert!(read_limited(long, at_once).await.1, "{long} by {at_once}");
            }
        }
        // The limit applies to each line alone.
        assert_eq!(
            read_limited("123456\n123456\n123456\n", 4).await,
            (21, false)
        );
    }

    #[tokio::test]
    async fn reading_ahead_of_a_blocked_writer_is_limited() {
        let many = "x\n".repeat(100);
        let (_there, here) = tokio::io::duplex(4);
        let (mut reader, mut writer, flow) = bounded(many.as_bytes(), here, 10);
        assert!(pends(writer.write_all(b"12345678")).await);
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.unwrap_err();
        assert!(
            flow.error()
                .is_some_and(|why| why.contains("without reading"))
        );
    }

    /// True if `future` is not ready at once.
    async fn pends(future: impl Future) -> bool {
        tokio::select! {
            biased;
            _ = future => false,
            () = std::future::ready(()) => true,
        }
    }
}
