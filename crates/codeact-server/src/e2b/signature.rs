//! Signed URLs of files: they allow to read or write one file without a token.

use axum::http::request::Parts;
use axum::http::{Method, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::app::AppState;
use crate::e2b::record::{E2bSandbox, Record};
use crate::e2b::route::Target;
use crate::e2b::timestamp::now_ms;

/// Path of files in envd.
const FILES: &str = "/files";
/// Limit of the sandboxes of which one signature is looked for.
const MAX_TRIED: usize = 2_000;
/// Signatures for which a sandbox is looked for at once. A request without a token must not take all threads.
static SEARCHES: Semaphore = Semaphore::const_new(2);

/// Parameters of a signed URL.
#[derive(Debug, Default, PartialEq, Eq)]
struct SignedFile {
    path: String,
    username: String,
    signature: String,
    expiration: Option<String>,
}

impl SignedFile {
    fn of(uri: &Uri) -> Self {
        let mut signed = Self::default();
        for (key, value) in query_pairs(uri.query().unwrap_or_default()) {
            match key.as_str() {
                "path" => signed.path = value,
                "username" => signed.username = value,
                "signature" => signed.signature = value,
                "signature_expiration" => signed.expiration = Some(value),
                _ => {}
            }
        }
        signed
    }

    /// Returns true if the signature was made with `token` for `operation`, and is not over.
    fn is_valid(&self, operation: &str, token: &str) -> bool {
        let expected = sign(
            &self.path,
            operation,
            &self.username,
            token,
            self.expiration.as_deref(),
        );
        bool::from(expected.as_bytes().ct_eq(self.signature.as_bytes()))
    }

    fn is_over(&self) -> bool {
        let Some(expiration) = &self.expiration else {
            return false;
        };
        // What is no time has never been signed by a client.
        expiration
            .parse::<u64>()
            .map_or(true, |at| at < now_ms() / 1000)
    }
}

/// Returns version 1 of the signature of a file. `operation` is `read` or `write`.
pub(crate) fn sign(
    path: &str,
    operation: &str,
    username: &str,
    token: &str,
    expiration: Option<&str>,
) -> String {
    let mut text = format!("{path}:{operation}:{username}:{token}");
    if let Some(expiration) = expiration {
        text.push(':');
        text.push_str(expiration);
    }
    format!(
        "v1_{}",
        STANDARD_NO_PAD.encode(Sha256::digest(text.as_bytes()))
    )
}

/// Returns true if the URL is that of a file and has a signature, valid or not.
pub(crate) fn is_signed_file(uri: &Uri) -> bool {
    let path = uri.path();
    let is_file = path == FILES || path.strip_prefix("/e2b/49983") == Some(FILES);
    is_file && SignedFile::of(uri).signature.starts_with("v1_")
}

/// Returns the sandbox whose token has signed the URL of the request: the named one, or one of the 2,000 newest if none
/// is named.
pub(crate) async fn sandbox_of_signed_file(
    app: &AppState,
    parts: &Parts,
    target: &Target,
) -> Option<E2bSandbox> {
    if !is_signed_file(&parts.uri) {
        return None;
    }
    let operation = match parts.method {
        Method::GET | Method::HEAD => "read",
        Method::POST => "write",
        _ => return None,
    };
    let signed = SignedFile::of(&parts.uri);
    if signed.is_over() {
        return None;
    }
    let is_signer = |sandbox: &E2bSandbox| signed.is_valid(operation, &sandbox.record.access_token);
    let tenants = app.tokens.all().into_iter();
    if !target.sandbox.is_empty() {
        return tenants
            .filter_map(|tenant| E2bSandbox::find(tenant, &target.sandbox))
            .find(is_signer);
    }
    let _turn = SEARCHES.acquire().await.ok()?;
    let app = app.clone();
    tokio::task::spawn_blocking(move || signer(&app, &signed, operation))
        .await
        .ok()?
}

/// Returns the sandbox whose token has signed `signed`. Blocks.
fn signer(app: &AppState, signed: &SignedFile, operation: &str) -> Option<E2bSandbox> {
    let tenants = app.tokens.all().into_iter();
    tenants
        .flat_map(|tenant| {
            let handles = tenant.sessions.list();
            // The newest first.
            (handles.into_iter().rev()).map(move |handle| (tenant, handle))
        })
        .filter_map(|(tenant, handle)| {
            let is_valid = {
                let settings = handle.settings();
                signed.is_valid(operation, Record::access_token_of(&settings)?)
            };
            Some((tenant, handle, is_valid))
        })
        .take(MAX_TRIED)
        .find(|(_, _, is_valid)| *is_valid)
        .and_then(|(tenant, handle, _)| E2bSandbox::of(tenant, handle))
        .filter(|sandbox| sandbox.record.snapshot.is_none())
}

/// Returns the pairs of a query, decoded. A value is decoded as in a form: `+` is a space.
pub(crate) fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
}

/// Decodes `%XX` and `+`. Other bytes stay; those that are not UTF-8 are replaced.
pub(crate) fn decode(text: &str) -> String {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => digit(high).zip(digit(low)),
            _ => None,
        };
        match (first, escaped) {
            (_, Some((high, low))) => {
                bytes.push(high << 4 | low);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', None) => bytes.push(b' '),
            (byte, None) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;

    use super::{SignedFile, decode, is_signed_file, query_pairs, sign};

    #[test]
    fn the_signature_is_that_of_the_sdk() {
        // From e2b 2.63.0: get_signature("/home/user/a b.txt", "read", "user", "token", None).
        let signature = sign("/home/user/a b.txt", "read", "user", "token", None);
        assert_eq!(signature, SDK_SIGNATURE);
        let uri: Uri = format!(
            "/files?path=%2Fhome%2Fuser%2Fa+b.txt&username=user&signature={}",
            signature.replace('+', "%2B").replace('/', "%2F")
        )
        .parse()
        .unwrap();
        assert!(is_signed_file(&uri));
        let signed = SignedFile::of(&uri);
        assert!(signed.is_valid("read", "token") && !signed.is_over());
        assert!(!signed.is_valid("write", "token"));
        assert!(!signed.is_valid("read", "other"));
    }

    const SDK_SIGNATURE: &str = "v1_8rGUb+9hyeZdt4AqnXQbDTq40oi9lJNYLxjHxc/vPFM";

    #[test]
    fn an_expiration_that_is_over_or_no_number_is_refused() {
        for (expiration, is_over) in [
            ("1", true),
            ("99999999999", false),
            ("soon", true),
            ("", true),
        ] {
            let uri: Uri = format!("/files?signature=v1_x&signature_expiration={expiration}")
                .parse()
                .unwrap();
            assert_eq!(SignedFile::of(&uri).is_over(), is_over, "{expiration}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        assert_eq!(decode("a%2Fb+c%zz%"), "a/b c%zz%");
        assert_eq!(decode("%ff"), "\u{fffd}");
        let pairs: Vec<_> = query_pairs("a=1&&b&c=x%3Dy").collect();
        let expected = [("a", "1"), ("b", ""), ("c", "x=y")];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
}
