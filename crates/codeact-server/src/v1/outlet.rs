//! Bodies of responses that are written while the client reads them.
//!
//! A client that reads nothing for [`STALLED`] is disconnected, so that it cannot hold memory, files or a running turn.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::mpsc;

/// Time in which a client must read the next part of a response.
const STALLED: Duration = Duration::from_secs(30);
/// Size of the parts in which a body is passed on, in bytes.
const PART_BYTES: usize = 64 << 10;
/// Number of parts that wait for the client.
const PARTS: usize = 8;
/// Size up to which a body is passed on as a whole, in bytes.
const SMALL_BYTES: usize = 256 << 10;

enum Part {
    Data(Bytes),
    End,
}

/// The writing side of a body. If it is dropped before [`Outlet::finish`], the client sees an incomplete response.
pub(super) struct Outlet(mpsc::Sender<Part>);

/// The client has disconnected, or has stopped reading.
#[derive(Debug)]
pub(super) struct Disconnected;

/// Returns a body and its writing side.
pub(super) fn outlet() -> (Outlet, Body) {
    let (send, receive) = mpsc::channel(PARTS);
    let parts = stream::unfold(Some(receive), |receive| async {
        let mut receive = receive?;
        match receive.recv().await {
            Some(Part::Data(bytes)) => Some((Ok(bytes), Some(receive))),
            Some(Part::End) => None,
            None => Some((Err(io::Error::other("the response is incomplete")), None)),
        }
    });
    (Outlet(send), Body::from_stream(parts))
}

/// Returns a body with this content.
pub(super) fn whole(bytes: Bytes) -> Body {
    if bytes.len() <= SMALL_BYTES {
        return Body::from(bytes);
    }
    let (outlet, body) = outlet();
    tokio::spawn(async move {
        if outlet.send(bytes).await.is_ok() {
            let _ = outlet.finish().await;
        }
    });
    body
}

impl Outlet {
    /// Writes `bytes`. Waits while the client is slow.
    pub(super) async fn send(&self, mut bytes: Bytes) -> Result<(), Disconnected> {
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(PART_BYTES));
            self.part(Part::Data(part)).await?;
        }
        Ok(())
    }

    /// Ends the body.
    pub(super) async fn finish(self) -> Result<(), Disconnected> {
        self.part(Part::End).await
    }

    /// Waits until the client has disconnected.
    pub(super) async fn disconnected(&self) {
        self.0.closed().await;
    }

    async fn part(&self, part: Part) -> Result<(), Disconnected> {
        match self.0.send_timeout(part, STALLED).await {
            Ok(()) => Ok(()),
            Err(_) => Err(Disconnected),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_large_body_arrives_in_parts() {
        let bytes = Bytes::from(vec![7; SMALL_BYTES + 1]);
        let mut parts = whole(bytes.clone()).into_data_stream();
        let mut read = Vec::new();
        while let Some(part) = parts.next().await {
            let part = part.unwrap();
            assert!(part.len() <= PART_BYTES);
            read.extend_from_slice(&part);
        }
        assert_eq!(read, bytes);
    }

    #[tokio::test]
    async fn a_body_without_an_end_is_an_error() {
        let (outlet, body) = outlet();
        outlet.send(Bytes::from_static(b"x")).await.unwrap();
        drop(outlet);
        let parts: Vec<_> = body.into_data_stream().collect().await;
        assert!(parts[0].is_ok() && parts[1].is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_disconnected() {
        let (outlet, body) = outlet();
        let bytes = Bytes::from(vec![7; PART_BYTES * (PARTS + 1)]);
        assert!(outlet.send(bytes).await.is_err());
        drop(body);
    }
}
