//! A pipe of lines whose other end may be anybody: it cannot fill this side's memory.
//!
//! MCP on stdin and stdout is one message a line. Whoever reads such lines has to keep one until it ends,
//! and a server might never end it; and whoever answers a server's requests has to keep the answers
//! until the server reads them, which it might never do either. Both end the connection here.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What both directions know of each other.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Whether what was written last waits for the other end to read.
    blocked: AtomicBool,
    cut: OnceLock<String>,
}

impl Flow {
    /// Why the connection was cut off, if it was.
    pub(super) fn cut(&self) -> Option<&str> {
        self.cut.get().map(String::as_str)
    }
}

/// `read` and `write` with lines of at most `most` bytes, and at most twice as much read ahead of a
/// blocked `write`.
pub(super) fn bounded<R, W>(read: R, write: W, most: usize) -> (Lines<R>, Watched<W>, Arc<Flow>) {
    let flow = Arc::<Flow>::default();
    let lines = Lines {
        inner: read,
        line: 0,
        ahead: 0,
        most,
        flow: flow.clone(),
    };
    let watched = Watched {
        inner: write,
        flow: flow.clone(),
    };
    (lines, watched, flow)
}

/// The reading side.
pub(super) struct Lines<R> {
    inner: R,
    /// Bytes of the line that has not ended.
    line: usize,
    /// Bytes since the writing side was blocked.
    ahead: usize,
    most: usize,
    flow: Arc<Flow>,
}

impl<R> Lines<R> {
    fn count(&mut self, new: &[u8]) -> Result<(), String> {
        let mut longest = 0;
        for (ends, piece) in new.split(|b| *b == b'\n').enumerate() {
            self.line = piece.len() + if ends > 0 { 0 } else { self.line };
            longest = longest.max(self.line);
        }
        if longest > self.most {
            return Err(format!(
                "it sent more than {} bytes in one message",
                self.most
            ));
        }
        self.ahead = match self.flow.blocked.load(Ordering::Relaxed) {
            true => self.ahead + new.len(),
            false => 0,
        };
        match self.ahead > 2 * self.most {
            true => Err("it sends without reading what is sent to it".into()),
            false => Ok(()),
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Lines<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let counted = self.count(&buf.filled()[before..]);
        Poll::Ready(counted.map_err(|why| {
            // With an error nothing has been read.
            buf.set_filled(before);
            let why = self.flow.cut.get_or_init(|| why);
            std::io::Error::new(std::io::ErrorKind::InvalidData, why.clone())
        }))
    }
}

/// The writing side.
pub(super) struct Watched<W> {
    inner: W,
    flow: Arc<Flow>,
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Watched<W> {
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

    /// How much of `text` comes through in lines of at most 10 bytes, read so many at a time.
    async fn through(text: &str, at_once: usize) -> (usize, bool) {
        let (mut lines, _, flow) = bounded(text.as_bytes(), tokio::io::sink(), 10);
        let (mut read, mut piece) = (0, vec![0; at_once]);
        loop {
            match lines.read(&mut piece).await {
                Ok(0) => return (read, flow.cut().is_some()),
                Ok(n) => read += n,
                Err(_) => return (read, flow.cut().is_some()),
            }
        }
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_the_end() {
        for at_once in [1, 3, 100] {
            let fits = "1234567890\n1234567890\n\nabc";
            assert_eq!(through(fits, at_once).await, (fits.len(), false));
            for long in ["12345678901", "a\n12345678901\nb", "12345678901\n"] {
                assert!(through(long, at_once).await.1, "{long} by {at_once}");
            }
        }
        // Not each line together with the next one.
        assert_eq!(through("123456\n123456\n123456\n", 4).await, (21, false));
    }

    #[tokio::test]
    async fn reading_on_while_nothing_is_read_is_the_end() {
        let many = "x\n".repeat(100);
        let (_there, here) = tokio::io::duplex(4);
        let (mut lines, mut watched, flow) = bounded(many.as_bytes(), here, 10);
        assert!(pends(watched.write_all(b"12345678")).await);
        let mut all = Vec::new();
        lines.read_to_end(&mut all).await.unwrap_err();
        assert!(
            flow.cut()
                .is_some_and(|why| why.contains("without reading"))
        );
    }

    /// Whether `future` is not done at once.
    async fn pends(future: impl Future) -> bool {
        tokio::select! {
            biased;
            _ = future => false,
            () = std::future::ready(()) => true,
        }
    }
}
