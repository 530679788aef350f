//! Values as typed on the command line: times, sizes, addresses, hashes and `NAME=VALUE`.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// A duration such as `10s`, `500ms`, `2m` or `1h`. A bare number is in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Time(pub(super) Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected a time such as 10s, 500ms or 2m";
        let (number, unit) = split_unit(text);
        if is_negative(text) {
            return Err(format!("a time cannot be negative; {EXPECTED}"));
        }
        let seconds = match unit {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => {
                return Err(format!(
                    "unknown unit `{unit}`; use ms, s, m or h, as in 10s"
                ));
            }
        };
        let number: f64 = number.parse().map_err(|_| EXPECTED.to_owned())?;
        Duration::try_from_secs_f64(number * seconds)
            .map(Self)
            .map_err(|_| "the time is too long".into())
    }
}

/// A size such as `256M`, `1G` or `64K`. A bare number is in bytes; units are powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bytes(pub(super) u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected a size such as 256M, 1G or 65536";
        let (number, unit) = split_unit(text);
        if is_negative(text) {
            return Err(format!("a size cannot be negative; {EXPECTED}"));
        }
        let shift = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            _ => return Err(format!("unknown unit `{unit}`; use K, M or G, as in 256M")),
        };
        let number: u64 = number.parse().map_err(|_| EXPECTED.to_owned())?;
        number
            .checked_mul(1 << shift)
            .map(Self)
            .ok_or_else(|| "the size is too large".into())
    }
}

/// Splits a value into its number and its unit.
fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    (number, unit.trim())
}

/// Returns true if `text` is a minus sign followed by a number.
fn is_negative(text: &str) -> bool {
    let number = text.trim().strip_prefix('-');
    number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
}

/// Parses `NAME=VALUE`.
pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !text.contains('\0') => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err("expected NAME=VALUE".into()),
    }
}

/// SHA-256 of a token, as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenHash(pub(super) [u8; 32]);

impl FromStr for TokenHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected the SHA-256 of a token, as 64 hexadecimal digits; `codeact serve --new-token NAME` prints one";
        let mut hash = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(EXPECTED.into());
        }
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| EXPECTED)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| EXPECTED)?;
        }
        Ok(Self(hash))
    }
}

/// Parses `ADDRESS:PORT`, `localhost:PORT` or `:PORT`, which is loopback too.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    let local = text.strip_prefix("localhost:").or(text.strip_prefix(':'));
    let address = local.map(|port| format!("127.0.0.1:{port}"));
    let address = address.as_deref().unwrap_or(text);
    address.parse().map_err(|_| {
        "expected an address and a port, such as 127.0.0.1:8642, [::1]:8642 or 0.0.0.0:8642".into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_with_and_without_units() {
        let time = |t: &str| t.parse::<Time>().map(|t| t.0.as_millis());
        assert_eq!(time("10s"), Ok(10_000));
        assert_eq!(time("500ms"), Ok(500));
        assert_eq!(time("1.5"), Ok(1500));
        assert_eq!(time("2m"), Ok(120_000));
        let size = |t: &str| t.parse::<Bytes>().map(|b| b.0);
        assert_eq!(size("256M"), Ok(256 << 20));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size("17"), Ok(17));
    }

    #[test]
    fn invalid_values_are_refused_with_an_example() {
        for text in ["", "s", "-1s", "10 parsecs", "1e400s"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
        for text in ["", "M", "-1", "1.5M", "99999999999G", "3X"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
        assert!(key_value("=x").is_err());
        assert_eq!(key_value("a=b=c"), Ok(("a".into(), "b=c".into())));
    }

    #[test]
    fn a_negative_value_is_not_an_unknown_unit() {
        let time = "-1s".parse::<Time>().unwrap_err();
        assert!(time.starts_with("a time cannot be negative"), "{time}");
        let size = "-1".parse::<Bytes>().unwrap_err();
        assert!(size.starts_with("a size cannot be negative"), "{size}");
        let unit = "-s".parse::<Time>().unwrap_err();
        assert!(unit.starts_with("unknown unit"), "{unit}");
    }

    #[test]
    fn an_address_to_listen_on_is_loopback_unless_it_says_otherwise() {
        assert_eq!(listen("localhost:0"), listen("127.0.0.1:0"));
        assert_eq!(listen(":8642"), listen("127.0.0.1:8642"));
        assert!(listen("[::1]:80").is_ok());
        for text in ["", "8642", "localhost", "example.com:80", "127.0.0.1:99999"] {
            assert!(listen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_hash_has_64_hexadecimal_digits() {
        let hash: TokenHash = "0f".repeat(32).parse().unwrap();
        assert_eq!(hash.0, [15; 32]);
        for text in ["", "0f", &"+f".repeat(32), &"é".repeat(32)] {
            assert!(text.parse::<TokenHash>().is_err(), "{text}");
        }
    }
}
