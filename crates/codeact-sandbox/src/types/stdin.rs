//! The guest's stdin: bytes in memory, or a stream that is read when the code reads.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::Mutex;

/// Limit of the bytes that a session reads from a stream. They are retained, so that a turn that is rolled back can be
/// run again; a read beyond them is an `OSError` (file too large).
const MAX_STREAM_BYTES: usize = 256 << 20;
/// Size of one read of a reader, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// Stdin of a guest: bytes, or a stream that is read only when the code reads. Clones are the same stream.
///
/// ```
/// use codeact_sandbox::{Stdin, Turn};
///
/// let bytes = Turn::new("input()").stdin(b"first line\n".to_vec());
/// // A file, a socket or a pipe: anything that implements `AsyncRead`.
/// let reader: &[u8] = b"a,b\n1,2\n";
/// let stream = Turn::new("import sys; sys.stdin.read()").stdin(Stdin::reader(reader));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stdin(Source);

#[derive(Debug, Clone)]
enum Source {
    Bytes(Arc<[u8]>),
    Stream(Arc<Mutex<Stream>>),
}

struct Stream {
    read: Vec<u8>,
    pieces: Pieces,
    overflowed: bool,
}

/// The source of a stream's pieces.
enum Pieces {
    Reader(Pin<Box<dyn AsyncRead + Send>>),
    OnDemand(NextPiece),
    Ended,
}

type Piece = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>;
type NextPiece = Box<dyn FnMut() -> Piece + Send>;

impl Pieces {
    /// Returns the next piece; `None` at the end. Dropping the future loses no bytes of a reader.
    async fn next(&mut self) -> Option<Vec<u8>> {
        let piece = match self {
            Self::Reader(reader) => read_piece(reader.as_mut()).await,
            Self::OnDemand(next) => next().await,
            Self::Ended => None,
        };
        if piece.is_none() {
            *self = Self::Ended;
        }
        piece
    }
}

async fn read_piece(mut reader: Pin<&mut (dyn AsyncRead + Send)>) -> Option<Vec<u8>> {
    let mut piece = vec![0; PIECE_BYTES];
    let len = poll_fn(|cx| {
        let mut buffer = ReadBuf::new(&mut piece);
        let polled = reader.as_mut().poll_read(cx, &mut buffer);
        polled.map_ok(|()| buffer.filled().len())
    });
    let len = len.await.ok().filter(|len| *len > 0)?;
    piece.truncate(len);
    Some(piece)
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({} bytes read)", self.read.len())
    }
}

impl Default for Source {
    fn default() -> Self {
        Self::Bytes(Arc::from([]))
    }
}

impl Stdin {
    /// Returns a stream of the bytes of `reader`, which is read in pieces of up to 64 KiB when the code reads. An error
    /// of `reader` ends the stream.
    pub fn reader(reader: impl AsyncRead + Send + 'static) -> Self {
        Self::from_pieces(Pieces::Reader(Box::pin(reader)))
    }

    /// Returns a stream that calls `next` for a piece when the code reads beyond the pieces so far; `None` ends the
    /// stream. If the turn is stopped while it waits, the future is dropped.
    pub fn on_demand<F>(mut next: impl FnMut() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Option<Vec<u8>>> + Send + 'static,
    {
        Self::from_pieces(Pieces::OnDemand(Box::new(move || Box::pin(next()))))
    }

    fn from_pieces(pieces: Pieces) -> Self {
        Self(Source::Stream(Arc::new(Mutex::new(Stream {
            read: Vec::new(),
            pieces,
            overflowed: false,
        }))))
    }

    /// Returns up to `len` bytes from position `at`, and waits for the first of them. The result is empty at the end,
    /// and `None` beyond [`MAX_STREAM_BYTES`].
    pub(crate) async fn read(&self, at: usize, len: usize) -> Option<Vec<u8>> {
        match &self.0 {
            Source::Bytes(bytes) => Some(slice(bytes, at, len)),
            Source::Stream(stream) => {
                let mut stream = stream.lock().await;
                while stream.read.len() <= at {
                    match stream.pieces.next().await {
                        Some(piece) if stream.read.len() + piece.len() <= MAX_STREAM_BYTES => {
                            stream.read.extend_from_slice(&piece);
                        }
                        Some(_) => {
                            stream.pieces = Pieces::Ended;
                            stream.overflowed = true;
                            break;
                        }
                        None => break,
                    }
                }
                if stream.overflowed && stream.read.len() <= at {
                    return None;
                }
                Some(slice(&stream.read, at, len))
            }
        }
    }
}

fn slice(bytes: &[u8], at: usize, len: usize) -> Vec<u8> {
    let rest = bytes.get(at..).unwrap_or_default();
    rest[..rest.len().min(len)].to_vec()
}

impl<T: Into<Arc<[u8]>>> From<T> for Stdin {
    fn from(bytes: T) -> Self {
        Self(Source::Bytes(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::task::{Context, Poll};

    use super::*;

    /// Returns one byte on each second poll, and then an error.
    struct Slow {
        rest: &'static [u8],
        is_ready: bool,
    }

    impl AsyncRead for Slow {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.is_ready = !self.is_ready;
            if !self.is_ready {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Some((first, rest)) = self.rest.split_first() else {
                return Poll::Ready(Err(io::Error::other("broken")));
            };
            buffer.put_slice(&[*first]);
            self.rest = rest;
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_reader_is_read_in_pieces_up_to_its_end_and_again_from_memory() {
        let bytes: Vec<u8> = (0..PIECE_BYTES + 5).map(|i| i as u8).collect();
        let stdin = Stdin::reader(io::Cursor::new(bytes.clone()));
        assert_eq!(stdin.read(0, 3).await, Some(bytes[..3].to_vec()));
        let rest = stdin.read(PIECE_BYTES, 100).await;
        assert_eq!(rest, Some(bytes[PIECE_BYTES..].to_vec()));
        assert_eq!(stdin.read(bytes.len(), 1).await, Some(Vec::new()));
        assert_eq!(stdin.read(1, 2).await, Some(bytes[1..3].to_vec()));
    }

    #[tokio::test]
    async fn a_read_that_is_dropped_loses_no_bytes_and_an_error_ends_the_stream() {
        let stdin = Stdin::reader(Slow {
            rest: b"ab",
            is_ready: true,
        });
        let mut dropped = Box::pin(stdin.read(0, 1));
        let is_pending = poll_fn(|cx| Poll::Ready(dropped.as_mut().poll(cx).is_pending()));
        assert!(is_pending.await);
        drop(dropped);
        assert_eq!(stdin.read(0, 1).await.as_deref(), Some(&b"a"[..]));
        assert_eq!(stdin.read(1, 1).await.as_deref(), Some(&b"b"[..]));
        assert_eq!(stdin.read(2, 1).await, Some(Vec::new()));
    }
}
