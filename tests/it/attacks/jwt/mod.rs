//! Attacks on signed tokens. Keys are the published fixtures of the interoperability test.

mod bytes;
mod claims;
mod keys;

use std::sync::Arc;

use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER as PROVIDER;
use jsonwebtoken::{Algorithm as Jose, DecodingKey, EncodingKey};
use portcullis::Subject;
use portcullis::crypto::{Algorithm, Key, Keyring};
use portcullis::id::{KeyId, TokenId};
use portcullis::time::Timestamp;
use portcullis::token::{Claims, MAX_TOKEN_BYTES, TokenCodec, TokenError};
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::interop::{AUDIENCE, ISSUER, fixture};

const IAT: i64 = 1_767_225_600;
const NOW: Timestamp = Timestamp::from_secs(IAT + 60);
const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256, Algorithm::Hs256, Algorithm::Rs256];

/// One key, as its owner and as an attacker who has stolen it would hold it.
struct Kit {
    algorithm: Algorithm,
    key: Key,
    private: EncodingKey,
    codec: TokenCodec,
}

impl Kit {
    fn new(algorithm: Algorithm) -> Self {
        let text = |member| fixture(algorithm, member);
        let (key, private) = match algorithm {
            Algorithm::Hs256 => {
                let secret = text("private");
                (Key::hmac_secret_text(&secret.clone().into()), EncodingKey::from_secret(secret.as_bytes()))
            }
            Algorithm::Rs256 => (
                Key::verify_only_from_spki_pem(algorithm, &text("public")),
                EncodingKey::from_rsa_pem(text("private").as_bytes()).unwrap(),
            ),
            Algorithm::Ps256 => (
                Key::from_pkcs8_pem(algorithm, &text("private").into()),
                EncodingKey::from_rsa_pem(text("private").as_bytes()).unwrap(),
            ),
            Algorithm::Es256 => (
                Key::from_pkcs8_pem(algorithm, &text("private").into()),
                EncodingKey::from_ec_pem(text("private").as_bytes()).unwrap(),
            ),
            _ => (
                Key::from_pkcs8_pem(algorithm, &text("private").into()),
                EncodingKey::from_ed_pem(text("private").as_bytes()).unwrap(),
            ),
        };
        let key = key.unwrap().with_id(KeyId::parse("k1").unwrap());
        let codec = codec(&key);
        Self { algorithm, key, private, codec }
    }

    /// Signs any header and payload with the real key.
    fn sign(&self, header: &Value, payload: &Value) -> String {
        self.sign_text(&header.to_string(), &payload.to_string())
    }

    fn sign_text(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", b64(header), b64(payload));
        let signature = sign_as(jose(self.algorithm), &self.private, &message).unwrap();
        format!("{message}.{}", b64(signature))
    }

    fn refuses(&self, token: &str, name: &str) {
        match self.codec.decode(token, NOW) {
            Err(TokenError::Invalid(_)) => {}
            other => panic!("{name}: {:?}", other.map(|token| token.claims().clone())),
        }
    }
}

fn codec(key: &Key) -> TokenCodec {
    let ring = if key.is_private() { Keyring::new(key.clone()) } else { Keyring::verify_only(key.clone()) };
    TokenCodec::new(Arc::new(ring.unwrap()), ISSUER, AUDIENCE).unwrap()
}

fn jose(algorithm: Algorithm) -> Jose {
    algorithm.as_str().parse().unwrap()
}

fn sign_as(algorithm: Jose, key: &EncodingKey, message: &str) -> Option<Vec<u8>> {
    (PROVIDER.signer_factory)(&algorithm, key).ok()?.try_sign(message.as_bytes()).ok()
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn unb64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn header(algorithm: &str) -> Value {
    json!({"alg": algorithm, "kid": "k1", "typ": "at+jwt"})
}

fn payload() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "jti": "t1", "iat": IAT, "exp": IAT + 600})
}

/// The payload with one member replaced, or removed by null.
fn payload_with(name: &str, value: Value) -> Value {
    let mut payload = payload();
    if value.is_null() {
        payload.as_object_mut().unwrap().remove(name);
    } else {
        payload[name] = value;
    }
    payload
}
