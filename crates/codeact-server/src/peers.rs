//! The number of connections by the address of their clients.
//!
//! Security boundary: one client must not take all connections. Clients on this machine are not counted: they can be a
//! proxy in front of the server.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::guesses::network;

/// Connections by address.
pub(crate) struct Peers {
    open: Mutex<HashMap<IpAddr, usize>>,
    max: usize,
}

/// A connection that is counted until it is dropped.
pub(crate) struct Peer {
    peers: Arc<Peers>,
    /// `None`: on this machine.
    address: Option<IpAddr>,
}

impl Peers {
    /// Returns a count that allows an address `max` connections.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            max,
        })
    }

    /// Counts a connection of `address`; `None` if it has as many as it may.
    pub(crate) fn add(self: &Arc<Self>, address: IpAddr) -> Option<Peer> {
        let address = network(address);
        let address = (!address.is_loopback()).then_some(address);
        if let Some(address) = address {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let count = open.entry(address).or_insert(0);
            if *count >= self.max {
                return None;
            }
            *count += 1;
        }
        Some(Peer {
            peers: self.clone(),
            address,
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let Some(address) = self.address else {
            return;
        };
        let open = &self.peers.open;
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_limit_of_its_own_and_gives_connections_back() {
        let peers = Peers::new(2);
        let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
        let own = parse("192.0.2.1");
        let held = [peers.add(own), peers.add(own)];
        assert!(held.iter().all(Option::is_some));
        assert!(peers.add(own).is_none());
        assert!(peers.add(parse("192.0.2.2")).is_some(), "another address");
        drop(held);
        assert!(peers.add(own).is_some());
        assert!(peers.open.lock().expect("no panic").is_empty());
        let local = parse("127.0.0.1");
        let held: Vec<_> = (0..10).map(|_| peers.add(local)).collect();
        assert!(held.iter().all(Option::is_some), "a proxy");
    }
}
