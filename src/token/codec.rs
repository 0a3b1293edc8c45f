//! Access tokens as JWTs (RFC 7519, RFC 9068), made and read strictly.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use zeroize::Zeroize as _;

use crate::crypto::{Key, Keyring, SignatureBytes};
use crate::error::{ConfigError, Error, ErrorKind, Result};
use crate::id::TenantId;
use crate::principal::{Principal, Verified};
use crate::time::Timestamp;
use crate::token::claims::Claims;
use crate::token::keys::Keys;
use crate::token::scan::Scanned;
use crate::token::times::Window;
use crate::token::write::{self, Json};
use crate::token::{read, scan};

/// Longest token that is looked at, in bytes (RFC 8725 section 3.11 asks for a limit; ours stands before base64).
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Longest token that is made, in bytes: many servers and proxies end a header line at 8 KiB.
pub const MAX_MINTED_BYTES: usize = 4 * 1024;

/// How far `iat` and `nbf` may lie ahead, in seconds: the clocks of instances differ. `exp` has no leeway.
pub const LEEWAY_SECS: u64 = 5;

/// Makes and reads the access tokens of one issuer for one audience.
///
/// What is read must be, in this order,
///
/// 1. at most [`MAX_TOKEN_BYTES`] long, three segments of canonical base64url without padding (RFC 7515 section 3);
/// 2. headed by a JSON object of `alg`, `typ` and perhaps `kid`, each once, and nothing else: no `crit`, no `jku`,
///    `jwk`, `x5u` or `x5c` (RFC 8725 sections 3.1, 3.10). `typ` is `at+jwt` or `application/at+jwt` in any case of
///    letters (RFC 9068 section 4);
/// 3. signed by a key of the ring, found by `kid` (without one: the primary key), whose own algorithm is `alg`, letter
///    by letter (ASVS 9.1.1, 9.1.2, 9.1.3);
/// 4. a JSON object in which every name is unique at every depth, with `iss` and `aud` equal to the codec's, `sub`,
///    `jti`, `iat` and `exp`, all of the right type (ASVS 9.2.2, 9.2.3);
/// 5. valid at `now`: `exp` later than `now` and than `iat`; `iat` and `nbf` at most [`LEEWAY_SECS`] ahead
///    (ASVS 9.2.1).
///
/// ```
/// use std::sync::Arc;
/// use portcullis::crypto::{Algorithm, Key, Keyring};
/// use portcullis::id::TokenId;
/// use portcullis::time::{Clock, SystemClock};
/// use portcullis::token::{Claims, TokenCodec, TokenError};
/// use portcullis::Subject;
/// use secrecy::ExposeSecret;
/// use std::time::Duration;
///
/// let ring = Keyring::new(Key::generate(Algorithm::EdDsa)?)?;
/// let codec = TokenCodec::new(Arc::new(ring), "https://id.example", "https://api.example")?;
///
/// let now = SystemClock::new().now();
/// let ada = Subject::parse("ada").unwrap();
/// let token = codec.encode(&Claims::new(ada, TokenId::mint()?, now, now + Duration::from_secs(600)))?;
///
/// let read = codec.decode(token.expose_secret(), now)?;
/// assert_eq!(read.claims().subject().as_str(), "ada");
/// let later = now + Duration::from_secs(600);
/// assert_eq!(codec.decode(token.expose_secret(), later).unwrap_err(), TokenError::Expired);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TokenCodec {
    keys: ArcSwap<Keys>,
    issuer: Box<str>,
    audience: Box<str>,
}

impl TokenCodec {
    /// A codec for the tokens of `issuer` that are meant for `audience`. There is no way to read a token without
    /// checking both.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if issuer or audience is empty, longer than 256 bytes or has spaces or control characters, or
    /// if the ring is not for signing tokens.
    pub fn new(ring: Arc<Keyring>, issuer: &str, audience: &str) -> Result<Self, ConfigError> {
        for (field, value) in [("issuer", issuer), ("audience", audience)] {
            let cure = "use the origin of the service, such as `https://id.example`";
            if value.is_empty() {
                return Err(ConfigError::new(field, "is empty", cure));
            }
            if value.len() > 256 || value.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return Err(ConfigError::new(
                    field,
                    "has more than 256 bytes, spaces or control characters",
                    cure,
                ));
            }
        }
        let keys = ArcSwap::from_pointee(Keys::new(ring)?);
        Ok(Self { keys, issuer: issuer.into(), audience: audience.into() })
    }

    /// Changes all keys in one step. Calls that are running end with the keys they began with.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the ring is not for signing tokens; the old one stays.
    pub fn replace_keyring(&self, ring: Arc<Keyring>) -> Result<(), ConfigError> {
        self.keys.store(Arc::new(Keys::new(ring)?));
        Ok(())
    }

    /// The keys in use.
    #[must_use]
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(self.keys.load().ring())
    }

    /// `iss` of every token.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `aud` of every token.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Makes a token, signed with the ring's primary key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] if the claims are such that [`decode`](Self::decode) would refuse them, if the token
    /// would be longer than [`MAX_MINTED_BYTES`], or if the ring only verifies.
    pub fn encode(&self, claims: &Claims) -> Result<SecretString> {
        claims.check()?;
        let keys = self.keys.load();
        let primary = keys.header().zip(keys.ring().primary().signature());
        let (header, (algorithm, signature)) =
            primary.ok_or_else(|| Error::new(ErrorKind::Internal, "the primary key does not sign"))?;
        let mut payload = Json::new();
        write::claims(claims, &self.issuer, &self.audience, &mut payload).map_err(|source| {
            Error::new(ErrorKind::Internal, "claims cannot be written as json").with_source(source)
        })?;
        let payload = payload.as_slice();

        // It doesn't grow, so no copy of it stays behind.
        let base64 = base64_simd::URL_SAFE_NO_PAD;
        let signed = base64.encoded_length(algorithm.longest_signature());
        let length = header.len() + base64.encoded_length(payload.len()) + signed + 2;
        let mut token = String::with_capacity(length.min(2 * MAX_MINTED_BYTES));
        token.push_str(header);
        token.push('.');
        base64.encode_append(payload, &mut token);
        if token.len() > MAX_MINTED_BYTES {
            return Err(too_long());
        }
        let mut signed = SignatureBytes::new();
        signature.sign(token.as_bytes(), &mut signed)?;
        token.push('.');
        base64.encode_append(signed.as_slice(), &mut token);
        signed.wipe();
        if token.len() > MAX_MINTED_BYTES {
            token.zeroize();
            return Err(too_long());
        }
        // What has room to spare would be moved to be boxed, and not wiped where it was.
        if token.capacity() > token.len() {
            let mut exact = String::with_capacity(token.len());
            exact.push_str(&token);
            token.zeroize();
            token = exact;
        }
        Ok(token.into())
    }

    /// Reads a token that is valid at `now`.
    ///
    /// # Errors
    ///
    /// [`TokenError::Expired`] if its time is over and nothing else is wrong with it; otherwise
    /// [`TokenError::Invalid`].
    pub fn decode(&self, token: &str, now: Timestamp) -> Result<Verified<DecodedToken>, TokenError> {
        open(&self.keys.load(), token, |payload| {
            let scanned = scan::claims(payload, &self.issuer, &self.audience);
            let claims = match scanned.as_ref().and_then(Scanned::to_claims) {
                Some(claims) => claims,
                None => self.read(payload)?,
            };
            claims.times().check(now)?;
            Ok(Verified::vouch(DecodedToken { claims, payload: payload.into() }))
        })
    }

    /// The keys in use, for as long as a token is looked at.
    pub(super) fn keys(&self) -> Guard<Arc<Keys>> {
        self.keys.load()
    }

    /// Reads a token as [`decode`](Self::decode) does, and makes of it nothing but who it speaks for: most likely
    /// somebody of `tenant`.
    pub(super) fn principal(
        &self,
        keys: &Keys,
        token: &str,
        now: Timestamp,
        tenant: &TenantId,
    ) -> Result<(Principal, Window), TokenError> {
        open(keys, token, |payload| {
            let scanned = scan::claims(payload, &self.issuer, &self.audience);
            let bearer =
                scanned.as_ref().and_then(|scanned| scanned.to_bearer(tenant).zip(Some(scanned.times())));
            let (bearer, times) = match bearer {
                Some(bearer) => bearer,
                None => {
                    let claims = self.read(payload)?;
                    let times = claims.times();
                    (claims.into_bearer(payload.into()), times)
                }
            };
            let window = times.check(now)?;
            Ok((bearer.into(), window))
        })
    }

    fn read(&self, payload: &str) -> Result<Claims, TokenError> {
        read::claims(payload, &self.issuer, &self.audience).map_err(TokenError::Invalid)
    }
}

impl std::fmt::Debug for TokenCodec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenCodec")
            .field("ring", self.keys.load().ring())
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish()
    }
}

/// What a token said: its claims, and the same as JSON text for handlers that read claims of their own.
#[derive(Clone)]
pub struct DecodedToken {
    claims: Claims,
    payload: Arc<str>,
}

impl DecodedToken {
    /// The claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The whole payload as it was signed.
    #[must_use]
    pub fn payload(&self) -> &Arc<str> {
        &self.payload
    }

    /// The claims and the payload.
    #[must_use]
    pub fn into_parts(self) -> (Claims, Arc<str>) {
        (self.claims, self.payload)
    }
}

impl std::fmt::Debug for DecodedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecodedToken").field("claims", &self.claims).finish_non_exhaustive()
    }
}

/// Why a token was refused. Neither variant holds anything of what was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is not one of ours. The reason is for the operator; the client is told no more than this variant.
    #[error("the token is invalid: {0}")]
    Invalid(&'static str),
    /// It was one of ours, and its time is over.
    #[error("the token has expired")]
    Expired,
}

const NOT_THREE: TokenError = TokenError::Invalid("the token has not three segments");
const NOT_UTF8: TokenError = TokenError::Invalid("a segment is not utf-8");
const NOT_FOR_SIGNATURES: TokenError = TokenError::Invalid("the key is not for signatures");

/// Checks the form of a token, its header and its signature, and hands its payload on.
fn open<T>(
    keys: &Keys,
    token: &str,
    read: impl FnOnce(&str) -> Result<T, TokenError>,
) -> Result<T, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::Invalid("the token is longer than 8 KiB"));
    }
    let (message, signature) = token.rsplit_once('.').ok_or(NOT_THREE)?;
    let (header, payload) = message.split_once('.').ok_or(NOT_THREE)?;
    if payload.contains('.') {
        return Err(NOT_THREE);
    }
    let key = match keys.recognize(header) {
        Some(key) => key,
        None => named(keys.ring(), header)?,
    };
    let (_, verifier) = key.signature().ok_or(NOT_FOR_SIGNATURES)?;
    if !segment::<512, _>(signature, |signature| verifier.verify(message.as_bytes(), signature))? {
        return Err(TokenError::Invalid("the signature does not match"));
    }
    segment::<1024, _>(payload, |payload| read(std::str::from_utf8(payload).map_err(|_| NOT_UTF8)?))?
}

/// The key that a header names which none of ours wrote just so.
fn named<'a>(ring: &'a Keyring, header: &str) -> Result<&'a Key, TokenError> {
    let header = segment::<256, _>(header, |header| {
        let header = std::str::from_utf8(header).map_err(|_| NOT_UTF8)?;
        read::header(header).map_err(TokenError::Invalid)
    })??;
    if !is_access_token_type(&header.typ) {
        return Err(TokenError::Invalid("`typ` is not that of an access token"));
    }
    let key = match &header.kid {
        Some(id) => ring.find(id).ok_or(TokenError::Invalid("`kid` names no key of the ring"))?,
        None => ring.primary(),
    };
    let (algorithm, _) = key.signature().ok_or(NOT_FOR_SIGNATURES)?;
    // The key decides; the header can only agree (RFC 8725 section 3.1).
    if header.alg != algorithm.as_str() {
        return Err(TokenError::Invalid("`alg` is not the algorithm of the key"));
    }
    Ok(key)
}

/// Decodes canonical base64url without padding - white space, padding and loose bits at the end are refused - on the
/// stack, up to `N` bytes. What anybody may send is decoded by code without `unsafe`.
fn segment<const N: usize, T>(text: &str, read: impl FnOnce(&[u8]) -> T) -> Result<T, TokenError> {
    let most = base64::decoded_len_estimate(text.len());
    let (mut short, mut here, mut heap);
    // To clear more than is needed costs more than to look.
    let room: &mut [u8] = if most <= SHORT_SIGNATURE {
        short = [0; SHORT_SIGNATURE];
        &mut short
    } else if most <= N {
        here = [0; N];
        &mut here
    } else {
        heap = vec![0; most];
        &mut heap
    };
    let bytes = URL_SAFE_NO_PAD.decode_slice(text, room).ok().and_then(|length| room.get(..length));
    Ok(read(bytes.ok_or(TokenError::Invalid("a segment is not canonical base64url"))?))
}

/// Signatures have at most so many bytes, but for those of RSA.
const SHORT_SIGNATURE: usize = 66;

fn is_access_token_type(typ: &str) -> bool {
    ["at+jwt", "application/at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known))
}

fn too_long() -> Error {
    Error::new(ErrorKind::Internal, "the token would be longer than 4 KiB; put less into its claims")
}

#[cfg(test)]
mod tests;
