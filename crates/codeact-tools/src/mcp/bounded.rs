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

/// Returns `read` and `write` with lines of at most `max` bytes. At most twice as many bytes are read while `write` is
/// blocked.
pub(super) fn bounded<R, W>(
    read: R,
    write: W,
    max: usize,
) -> (LineReader<R>, TrackedWriter<W>, Arc<FlowState>) {
    let flow = Arc::<FlowState>::default();
    let reader = LineReader {
        inner: read,
        line: 0,
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
    /// Size of the incomplete line, in bytes.
    line: usize,
    /// Bytes that were read since the writer was blocked.
    ahead: usize,
    max: usize,
    flow: Arc<FlowState>,
}

impl<R> LineReader<R> {
    /// Counts `new` bytes. Returns the violated limit.
    fn count(&mut self, new: &[u8]) -> Result<(), String> {
        let mut longest = 0;
        for (ends, part) in new.split(|b| *b == b'\n').enumerate() {
            self.line = part.len() + if ends > 0 { 0 } else { self.line };
            longest = longest.max(self.line);
        }
        if longest > self.max {
            return Err(format!(
                "it sent more than {} bytes in one message",
                self.max
            ));
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
}

impl<R: AsyncRead + Unpin> AsyncRead for LineReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let counted = self.count(&buf.filled()[before..]);
        Poll::Ready(counted.map_err(|why| {
            // An error means that no bytes were read.
            buf.set_filled(before);
            let why = self.flow.error.get_or_init(|| why);
            std::io::Error::new(std::io::ErrorKind::InvalidData, why.clone())
        }))
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
