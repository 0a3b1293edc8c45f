//! Bearer tokens (RFC 6750).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::request::Parts;

use super::{AuthScheme, Outcome};
use crate::error::ConfigError;
use crate::path::decode_leniently;
use crate::rejection::{Rejection, RejectionCode};
use crate::request_context::RequestContext;
use crate::token::{MAX_TOKEN_BYTES, TokenRefusal, VerifyAccessToken};

/// How long a client should wait while it cannot be told whether tokens are revoked.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(5);

/// `Authorization: Bearer <token>` (RFC 6750 section 2.1), the one way a token is taken.
///
/// | presented | answer |
/// |---|---|
/// | one header, a good token | the principal |
/// | a bad, expired, revoked, malformed or oversized (> 8 KiB) token | 401, `error="invalid_token"` |
/// | several `Authorization` headers | 401 `credential_ambiguous`, `error="invalid_request"` |
/// | `access_token` in the query, whatever else | 401 `credential_in_url`, `error="invalid_request"` |
/// | a token of another tenant | 404 |
/// | revocation cannot be checked | 503 with `Retry-After` |
/// | no header, or another scheme | not its credential |
#[derive(Clone)]
pub struct BearerScheme {
    verifier: Arc<dyn VerifyAccessToken>,
    challenge: Arc<str>,
    invalid_token: Arc<str>,
    invalid_request: Arc<str>,
}

impl BearerScheme {
    /// Bearer tokens as `verifier` accepts them.
    pub fn new(verifier: impl VerifyAccessToken) -> Self {
        Self::build(Arc::new(verifier), "Bearer", "Bearer")
    }

    /// Names the protection space in challenges (RFC 9110 section 11.5).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] unless the realm is 1 to 128 printable ASCII characters without `"` and `\`.
    pub fn with_realm(self, realm: &str) -> Result<Self, ConfigError> {
        let fits = !realm.is_empty() && realm.len() <= 128;
        if !fits || !realm.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\') {
            return Err(ConfigError::new(
                "realm",
                "cannot stand in a header",
                "use 1 to 128 printable ASCII characters without `\"` and `\\`",
            ));
        }
        let challenge = format!("Bearer realm=\"{realm}\"");
        Ok(Self::build(self.verifier, &challenge, &format!("{challenge},")))
    }

    fn build(verifier: Arc<dyn VerifyAccessToken>, challenge: &str, before_error: &str) -> Self {
        Self {
            verifier,
            challenge: challenge.into(),
            invalid_token: format!("{before_error} error=\"invalid_token\"").into(),
            invalid_request: format!("{before_error} error=\"invalid_request\"").into(),
        }
    }

    fn invalid_request(&self, code: RejectionCode) -> Rejection {
        Rejection::new(code).with_challenge(self.invalid_request.clone())
    }

    fn refusal(&self, why: TokenRefusal) -> Rejection {
        let code = match why {
            TokenRefusal::Invalid => RejectionCode::TokenInvalid,
            TokenRefusal::Expired => RejectionCode::TokenExpired,
            TokenRefusal::Stale => RejectionCode::TokenStale,
            TokenRefusal::Revoked => RejectionCode::TokenRevoked,
            TokenRefusal::OtherTenant => return Rejection::new(RejectionCode::NotFound),
            TokenRefusal::Unavailable => {
                return Rejection::new(RejectionCode::Unavailable).with_retry_after(RETRY_UNAVAILABLE);
            }
        };
        Rejection::new(code).with_challenge(self.invalid_token.clone())
    }
}

impl AuthScheme for BearerScheme {
    fn authenticate(&self, request: &Parts) -> Outcome {
        Outcome::Ready(match find(request) {
            Found::Nothing => return Outcome::Absent,
            Found::InUrl => Err(self.invalid_request(RejectionCode::CredentialInUrl)),
            Found::Several => Err(self.invalid_request(RejectionCode::CredentialAmbiguous)),
            Found::Malformed => Err(self.refusal(TokenRefusal::Invalid)),
            Found::Token(token) => {
                let verified = match request.extensions.get::<RequestContext>() {
                    Some(context) => self.verifier.verify_at(token, context.received()),
                    None => self.verifier.verify(token),
                };
                verified.map_err(|why| self.refusal(why))
            }
        })
    }

    fn challenge(&self) -> Arc<str> {
        self.challenge.clone()
    }

    fn is_bearer(&self) -> bool {
        true
    }
}

impl fmt::Debug for BearerScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerScheme").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Found<'a> {
    Nothing,
    InUrl,
    Several,
    Malformed,
    Token(&'a str),
}

fn find(request: &Parts) -> Found<'_> {
    if request.uri.query().is_some_and(has_token_parameter) {
        return Found::InUrl;
    }
    let mut values = request.headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Found::Nothing };
    if values.next().is_some() {
        return Found::Several;
    }
    let value = value.as_bytes();
    let (scheme, token) = match value.iter().position(|b| !b.is_ascii_alphanumeric()) {
        Some(end) => value.split_at(end),
        None => (value, &b""[..]),
    };
    if !scheme.eq_ignore_ascii_case(b"bearer") || matches!(token, [b, ..] if is_scheme_byte(*b)) {
        return Found::Nothing;
    }
    let Some(token) = token.strip_prefix(b" ") else { return Found::Malformed };
    if token.len() > MAX_TOKEN_BYTES || !is_token68(token) {
        return Found::Malformed;
    }
    std::str::from_utf8(token).map_or(Found::Malformed, Found::Token)
}

/// Whether the name of a scheme goes on here (`tchar` of RFC 9110 section 5.6.2 that is not alphanumeric).
fn is_scheme_byte(byte: u8) -> bool {
    b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `token68` of RFC 9110 section 11.2.
fn is_token68(bytes: &[u8]) -> bool {
    let unpadded = bytes.iter().rposition(|b| *b != b'=').map_or(0, |last| last + 1);
    let (body, _) = bytes.split_at_checked(unpadded).unwrap_or_default();
    // Without a branch for each of them, the compiler looks at many at once.
    let is_fine = |b: u8| {
        let letter = (b | 0x20).wrapping_sub(b'a') < 26;
        let digit = b.wrapping_sub(b'0') < 10;
        let sign = (b == b'-') | (b == b'.') | (b == b'_') | (b == b'~') | (b == b'+') | (b == b'/');
        letter | digit | sign
    };
    !body.is_empty() && body.iter().fold(0, |odd, b| odd | u8::from(!is_fine(*b))) == 0
}

/// Whether a query has a parameter `access_token` (RFC 6750 section 2.3), however its name is spelled.
fn has_token_parameter(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        decode_leniently(name).map(|byte| byte.to_ascii_lowercase()).eq(*b"access_token")
    })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::id::RequestId;
    use crate::principal::{Principal, Verified};
    use crate::time::Timestamp;

    fn parts(uri: &str, values: &[&[u8]]) -> Parts {
        let mut request = Request::get(uri);
        for value in values {
            request = request.header(AUTHORIZATION, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// Where the time of the request is known, nobody reads another.
    #[test]
    fn the_time_of_a_request_is_read_once() {
        struct Told;

        impl VerifyAccessToken for Told {
            fn verify(&self, _: &str) -> Result<Verified<Principal>, TokenRefusal> {
                Err(TokenRefusal::Stale)
            }

            fn verify_at(&self, _: &str, received: Timestamp) -> Result<Verified<Principal>, TokenRefusal> {
                assert_eq!(received, Timestamp::from_secs(7));
                Err(TokenRefusal::Revoked)
            }
        }

        let mut request = parts("/", &[b"Bearer abc"]);
        let code = |request: &Parts| match BearerScheme::new(Told).authenticate(request) {
            Outcome::Ready(Err(rejection)) => Some(rejection.code()),
            _ => None,
        };
        assert_eq!(code(&request), Some(RejectionCode::TokenStale));
        request.extensions.insert(RequestContext::new(RequestId::unnamed(), Timestamp::from_secs(7)));
        assert_eq!(code(&request), Some(RejectionCode::TokenRevoked));
    }

    #[test]
    fn which_requests_carry_a_bearer_token() {
        use Found::*;
        let cap = [&b"Bearer "[..], &[b'a'; MAX_TOKEN_BYTES]].concat();
        let over = [&b"Bearer "[..], &[b'a'; MAX_TOKEN_BYTES + 1]].concat();
        let longest = "a".repeat(MAX_TOKEN_BYTES);
        for (name, values, want) in [
            ("none", &[][..], Nothing),
            ("plain", &[&b"Bearer a.b-c_d~e+f/g=="[..]], Token("a.b-c_d~e+f/g==")),
            ("lower case", &[b"bearer abc"], Token("abc")),
            ("upper case", &[b"BEARER abc"], Token("abc")),
            ("longest", &[&cap], Token(&longest)),
            ("too long", &[&over], Malformed),
            ("no token", &[b"Bearer"], Malformed),
            ("empty token", &[b"Bearer "], Malformed),
            ("only padding", &[b"Bearer =="], Malformed),
            ("padding inside", &[b"Bearer a=b"], Malformed),
            ("two spaces", &[b"Bearer  abc"], Malformed),
            ("tab", &[b"Bearer\tabc"], Malformed),
            ("trailing space", &[b"Bearer abc "], Malformed),
            ("two tokens", &[b"Bearer abc def"], Malformed),
            ("list", &[b"Bearer abc, Bearer def"], Malformed),
            ("comma at once", &[b"Bearer,abc"], Malformed),
            ("not ASCII", &[b"Bearer \xe4"], Malformed),
            ("quoted", &[b"Bearer \"abc\""], Malformed),
            ("another scheme", &[b"Basic abc"], Nothing),
            ("longer name", &[b"Bearerx abc"], Nothing),
            ("longer name with a mark", &[b"Bearer-Token abc"], Nothing),
            ("empty header", &[b""], Nothing),
            ("twice", &[b"Bearer abc", b"Bearer abc"], Several),
            ("with another", &[b"Basic abc", b"Bearer abc"], Several),
            ("with an empty one", &[b"Bearer abc", b""], Several),
        ] {
            assert_eq!(find(&parts("/", values)), want, "{name}");
        }
    }

    #[test]
    fn a_token_in_the_query_is_seen_however_spelled() {
        for (uri, want) in [
            ("/?access_token=x", true),
            ("/?a=b&access_token=x", true),
            ("/?access_token", true),
            ("/?a=b;access_token=x", true),
            ("/?Access_Token=x", true),
            ("/?access%5Ftoken=x", true),
            ("/?%61%63%63%65%73%73%5f%74%6F%6b%65%6e=x", true),
            ("/?access_tokens=x", false),
            ("/?x=access_token", false),
            ("/?access%5token=x", false),
            ("/access_token", false),
        ] {
            assert_eq!(find(&parts(uri, &[b"Bearer abc"])) == Found::InUrl, want, "{uri}");
            assert_eq!(find(&parts(uri, &[])) == Found::InUrl, want, "{uri} alone");
        }
    }

    #[test]
    fn a_realm_cannot_break_out_of_its_quotes() {
        struct Never;
        impl VerifyAccessToken for Never {
            fn verify(&self, _: &str) -> Result<Verified<Principal>, TokenRefusal> {
                Err(TokenRefusal::Invalid)
            }
        }
        for bad in ["", "a\"b", "a\\b", "a\r\nb", "\u{e4}", &"a".repeat(129)] {
            assert!(BearerScheme::new(Never).with_realm(bad).is_err(), "{bad:?}");
        }
        let scheme = BearerScheme::new(Never).with_realm("my api").unwrap();
        assert_eq!(&*scheme.challenge(), "Bearer realm=\"my api\"");
        assert_eq!(&*scheme.invalid_token, "Bearer realm=\"my api\", error=\"invalid_token\"");
    }

    /// Each byte alone, first, in the middle and last.
    #[test]
    fn what_a_token_may_be_made_of() {
        for byte in 0..=u8::MAX {
            let fine = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            let long = [[b'a'; 40], [byte; 40]].concat();
            for (text, want) in [
                (&[byte][..], fine),
                (&[byte, b'a'], fine),
                (&[b'a', byte, b'a'], fine),
                (&[b'a', byte], fine || byte == b'='),
                (&long, fine || byte == b'='),
            ] {
                assert_eq!(is_token68(text), want, "{byte:#x} in {text:?}");
            }
        }
        assert!(!is_token68(b"") && !is_token68(b"==") && is_token68(b"a=="));
    }
}
