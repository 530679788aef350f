//! Unknown tokens by the addresses that send them. Too many of them, and the address must wait.
//!
//! Security boundary: a token that an operator chose may be short. An address that waits is refused before its token is
//! looked at, so that a guess costs time. Tokens that the address has used before are served meanwhile: other programs
//! behind the same address are not locked out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;

use crate::auth::TokenHash;
use crate::error::ApiError;

/// Number of unknown tokens in one [`WINDOW`] after which an address must wait for its end.
const MAX_WRONG: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// Limit of the addresses that are remembered, and of the tokens of one of them.
const MAX_ADDRESSES: usize = 4096;
const MAX_RIGHT: usize = 16;

/// Unknown and known tokens by address.
#[derive(Default)]
pub(crate) struct Guesses {
    addresses: Mutex<HashMap<IpAddr, Address>>,
}

struct Address {
    since: Instant,
    wrong: u32,
    right: Vec<TokenHash>,
}

impl Guesses {
    /// Returns 429 if `address` must wait.
    pub(crate) fn check(&self, address: Option<IpAddr>, token: &TokenHash) -> Result<(), ApiError> {
        self.check_at(address, token, Instant::now())
    }

    fn check_at(
        &self,
        address: Option<IpAddr>,
        token: &TokenHash,
        now: Instant,
    ) -> Result<(), ApiError> {
        let Some(address) = address.map(network) else {
            return Ok(());
        };
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(found) = addresses.get_mut(&address) else {
            return Ok(());
        };
        let age = now.saturating_duration_since(found.since);
        if age >= WINDOW {
            (found.since, found.wrong) = (now, 0);
        }
        if found.wrong < MAX_WRONG || found.right.contains(token) {
            return Ok(());
        }
        let mut error = ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_tokens",
            "too many unknown tokens came from this address; try again later",
        );
        error.retry_after = Some(WINDOW.saturating_sub(age));
        Err(error)
    }

    /// Notes that `address` sent a known token.
    pub(crate) fn right(&self, address: Option<IpAddr>, token: TokenHash) {
        self.note(address, |found| {
            if !found.right.contains(&token) {
                if found.right.len() >= MAX_RIGHT {
                    found.right.remove(0);
                }
                found.right.push(token);
            }
        });
    }

    /// Notes that `address` sent an unknown token.
    pub(crate) fn wrong(&self, address: Option<IpAddr>) {
        self.note(address, |found| found.wrong = found.wrong.saturating_add(1));
    }

    fn note(&self, address: Option<IpAddr>, note: impl FnOnce(&mut Address)) {
        let Some(address) = address.map(network) else {
            return;
        };
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if addresses.len() >= MAX_ADDRESSES && !addresses.contains_key(&address) {
            // Those that sent no unknown token first, and then the oldest.
            let oldest = addresses
                .iter()
                .min_by_key(|(_, found)| (found.wrong > 0, found.since));
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                addresses.remove(&oldest);
            }
        }
        note(addresses.entry(address).or_insert_with(|| Address {
            since: Instant::now(),
            wrong: 0,
            right: Vec::new(),
        }));
    }
}

/// Returns the address, or the network of 64 bits that one client has for itself with IPv6.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_after_too_many_unknown_tokens() {
        let guesses = Guesses::default();
        let (own, other) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        guesses.right(own, [1; 32]);
        for _ in 0..MAX_WRONG {
            assert!(guesses.check(own, &[0; 32]).is_ok());
            guesses.wrong(own);
        }
        let refused = guesses.check(own, &[2; 32]).expect_err("a limit");
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(refused.retry_after.is_some());
        assert!(guesses.check(own, &[1; 32]).is_ok(), "a token in use");
        assert!(guesses.check(other, &[2; 32]).is_ok(), "another address");
        let later = Instant::now() + WINDOW;
        assert!(guesses.check_at(own, &[2; 32], later).is_ok());
    }

    #[test]
    fn remembered_addresses_are_bounded() {
        let guesses = Guesses::default();
        for n in 0..2 * MAX_ADDRESSES as u32 {
            guesses.wrong(Some(std::net::Ipv4Addr::from_bits(n).into()));
        }
        let addresses = guesses.addresses.lock().expect("no panic");
        assert_eq!(addresses.len(), MAX_ADDRESSES);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_as_one() {
        let parse = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:2"));
        assert_ne!(parse("2001:db8:0:1::1"), parse("2001:db8::1"));
        assert_eq!(parse("::ffff:192.0.2.1"), parse("192.0.2.1"));
    }
}
