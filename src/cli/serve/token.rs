//! Tokens of clients: from the environment, or new.

use anyhow::bail;
use sha2::{Digest, Sha256};

/// Smallest length of a token of the environment, in bytes, on an address that other machines can reach.
const MIN_TOKEN_BYTES: usize = 16;
/// Limit of the length of a token, in bytes.
const MAX_TOKEN_BYTES: usize = 1024;

/// Returns a new token: 160 random bits as hexadecimal digits. SDKs of E2B check this form of their keys.
pub(super) fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes)?;
    Ok(format!("e2b_{}", hex(&bytes)))
}

/// Returns the token `CODEACT_TOKEN` of the environment. `is_public` is true if other machines can reach the server.
pub(super) fn of_environment(is_public: bool) -> anyhow::Result<Option<String>> {
    let token = match std::env::var("CODEACT_TOKEN") {
        Ok(token) => token,
        Err(std::env::VarError::NotPresent) => return Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => bail!("CODEACT_TOKEN is not valid UTF-8"),
    };
    if token.is_empty() {
        return Ok(None);
    }
    let is_plain = token.bytes().all(|b| b.is_ascii_graphic());
    if !is_plain || token.len() > MAX_TOKEN_BYTES {
        bail!(
            "CODEACT_TOKEN cannot be sent in a header; expected at most {MAX_TOKEN_BYTES} visible ASCII characters \
             without spaces"
        );
    }
    if is_public && token.len() < MIN_TOKEN_BYTES {
        bail!(
            "CODEACT_TOKEN has {} characters, which can be guessed from other machines; expected {MIN_TOKEN_BYTES} or \
             more random ones",
            token.len()
        );
    }
    Ok(Some(token))
}

/// Returns the text of `--new-token`: the token, which is stored nowhere, and its entry of a token file.
pub(super) fn entry(name: &str) -> anyhow::Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        bail!(
            "invalid name of a tenant {name:?}; expected letters, digits, `-` and `_`, at most 64"
        );
    }
    let token = random()?;
    let hash = hex(&Sha256::digest(token.as_bytes()));
    Ok(format!(
        "# The token of {name}, shown only now: {token}\n[[tenant]]\nname = \"{name}\"\ntoken-sha256 = [\"{hash}\"]"
    ))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_the_hash_of_its_token() {
        let text = entry("alice").unwrap();
        let token = text.lines().next().and_then(|line| line.rsplit(' ').next());
        let hash = hex(&Sha256::digest(token.unwrap().as_bytes()));
        assert!(
            text.contains(&format!("token-sha256 = [\"{hash}\"]")),
            "{text}"
        );
        assert_ne!(text, entry("alice").unwrap());
        for name in ["", "a b", "a\"b", "../x"] {
            assert!(entry(name).is_err(), "{name}");
        }
    }
}
