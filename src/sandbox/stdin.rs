//! What the guest reads as stdin: bytes that are there, or a stream that is read as it asks.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::sync::mpsc::Receiver;

/// The most a session reads from a stream, in bytes. What was read is kept, so that a turn that
/// is taken back finds it again; beyond it, reading is an `OSError` (file too large).
const MAX_STREAM: usize = 256 << 20;

/// A guest's stdin. Clones are the same stream.
#[derive(Debug, Clone, Default)]
pub struct Stdin(Source);

#[derive(Debug, Clone)]
enum Source {
    Bytes(Arc<[u8]>),
    Stream(Arc<Mutex<Stream>>),
}

struct Stream {
    read: Vec<u8>,
    more: More,
    overflowed: bool,
}

/// Where a stream's pieces come from.
enum More {
    Coming(Receiver<Vec<u8>>),
    Asked(Ask),
    Over,
}

type Piece = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>;
type Ask = Box<dyn FnMut() -> Piece + Send>;

impl More {
    async fn next(&mut self) -> Option<Vec<u8>> {
        let piece = match self {
            Self::Coming(pieces) => pieces.recv().await,
            Self::Asked(ask) => ask().await,
            Self::Over => None,
        };
        if piece.is_none() {
            *self = Self::Over;
        }
        piece
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream({} bytes read)", self.read.len())
    }
}

impl Default for Source {
    fn default() -> Self {
        Self::Bytes(Arc::from([]))
    }
}

impl Stdin {
    /// A stream: each message is a piece, the closed channel its end. Read only when the code
    /// reads, so a sender with a bounded channel waits for it.
    pub fn stream(more: Receiver<Vec<u8>>) -> Self {
        Self::of(More::Coming(more))
    }

    /// A stream whose next piece is asked for when the code reads beyond what it has; `None` is its
    /// end. A turn that is stopped while it waits drops the future.
    pub fn on_demand<F>(mut ask: impl FnMut() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Option<Vec<u8>>> + Send + 'static,
    {
        Self::of(More::Asked(Box::new(move || Box::pin(ask()))))
    }

    fn of(more: More) -> Self {
        Self(Source::Stream(Arc::new(Mutex::new(Stream {
            read: Vec::new(),
            more,
            overflowed: false,
        }))))
    }

    /// Up to `most` bytes from position `at` on, waiting for the first; empty at the end, `None`
    /// where there is more than can be kept.
    pub(crate) async fn read(&self, at: usize, most: usize) -> Option<Vec<u8>> {
        match &self.0 {
            Source::Bytes(bytes) => Some(piece(bytes, at, most)),
            Source::Stream(stream) => {
                let mut stream = stream.lock().await;
                while stream.read.len() <= at {
                    match stream.more.next().await {
                        Some(more) if stream.read.len() + more.len() <= MAX_STREAM => {
                            stream.read.extend_from_slice(&more);
                        }
                        Some(_) => {
                            stream.more = More::Over;
                            stream.overflowed = true;
                            break;
                        }
                        None => break,
                    }
                }
                if stream.overflowed && stream.read.len() <= at {
                    return None;
                }
                Some(piece(&stream.read, at, most))
            }
        }
    }
}

fn piece(bytes: &[u8], at: usize, most: usize) -> Vec<u8> {
    let rest = bytes.get(at..).unwrap_or_default();
    rest[..rest.len().min(most)].to_vec()
}

impl<T: Into<Arc<[u8]>>> From<T> for Stdin {
    fn from(bytes: T) -> Self {
        Self(Source::Bytes(bytes.into()))
    }
}
