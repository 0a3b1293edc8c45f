//! The form of a keyset, as in a key file: `{"rings": [{"purpose", "keys": [{"kid", "state", "created"?, "since"?, "expires"?, "alg"?,
//! "private" | "public"}]}]}`.
//!
//! `private` is base64url of the secret itself, or of PKCS#8; `public` is a JWK; a destroyed key has neither. Times are
//! seconds since 1970. The one active key of a ring is primary.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::algorithm::{Algorithm, KeyPurpose};
use crate::crypto::der;
use crate::crypto::key::{Key, Material};
use crate::crypto::keyring::{KeyRecord, KeyState, Keyring};
use crate::error::ConfigError;
use crate::id::KeyId;
use crate::time::Timestamp;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    rings: Vec<RingForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RingForm {
    purpose: String,
    keys: Vec<KeyForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyForm {
    kid: KeyId,
    state: KeyState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private: Option<Private>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public: Option<Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Private(String);

impl Drop for Private {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

pub(super) fn write(rings: &[Arc<Keyring>]) -> SecretString {
    let rings = rings.iter().map(|ring| RingForm {
        purpose: ring.purpose().as_str().to_owned(),
        keys: ring.held().map(|(record, key)| key_form(record, key)).collect(),
    });
    let form = FileForm { rings: rings.collect() };
    // Room for some RSA keys, so that the text does not grow and leave halves of itself behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(32 * 1024));
    // Text can't fail to be written as JSON; if it did, what is left reads back as an error.
    let _ = serde_json::to_writer(&mut *bytes, &form);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    SecretString::from(text)
}

fn key_form(record: &KeyRecord, key: Option<&Key>) -> KeyForm {
    let private = |bytes: &[u8]| Some(Private(URL_SAFE_NO_PAD.encode(bytes)));
    let (private, public) = match key.map(Key::material) {
        None => (None, None),
        Some(Material::Secret { secret, .. }) => (private(secret), None),
        Some(Material::Symmetric(bytes)) => (private(bytes.expose_bytes()), None),
        Some(Material::Pair { algorithm: Algorithm::Ps256, private: Some(pkcs1), .. }) => {
            (private(&der::rsa_pkcs8(pkcs1)), None)
        }
        Some(Material::Pair { private: Some(pkcs8), .. }) => (private(pkcs8), None),
        Some(Material::Pair { private: None, .. }) => {
            (None, key.and_then(Key::public_jwk).map(Value::Object))
        }
    };
    let alg = key.and_then(Key::algorithm).map(|algorithm| algorithm.as_str().to_owned());
    let secs = |time: Option<Timestamp>| time.map(Timestamp::as_secs);
    KeyForm {
        kid: record.id.clone(),
        state: record.state,
        created: secs(record.created),
        since: secs(record.since),
        expires: secs(record.expires),
        alg,
        private,
        public,
    }
}

pub(super) fn read(text: &SecretString) -> Result<Vec<Keyring>, ConfigError> {
    let form: FileForm = serde_json::from_str(text.expose_secret())
        .map_err(|_| bad("holds no keyset", "restore the file: without its keys what is sealed is lost"))?;
    let mut rings: Vec<Keyring> = Vec::with_capacity(form.rings.len());
    for ring in form.rings {
        let purpose = KeyPurpose::parse(&ring.purpose)
            .filter(|purpose| rings.iter().all(|ring| ring.purpose() != *purpose))
            .ok_or_else(|| bad("has a ring of an unknown purpose, or two of one", "restore the file"))?;
        rings.push(read_ring(purpose, ring.keys)?);
    }
    Ok(rings)
}

fn read_ring(purpose: KeyPurpose, keys: Vec<KeyForm>) -> Result<Keyring, ConfigError> {
    let held = keys.into_iter().map(|form| {
        let time = |secs: Option<i64>| secs.map(Timestamp::from_secs);
        let record = KeyRecord {
            id: form.kid.clone(),
            state: form.state,
            created: time(form.created),
            since: time(form.since),
            expires: time(form.expires),
        };
        Ok((record, read_key(purpose, form)?))
    });
    Keyring::restore(held.collect::<Result<_, ConfigError>>()?)
}

/// The material; none of a destroyed key.
fn read_key(purpose: KeyPurpose, form: KeyForm) -> Result<Option<Key>, ConfigError> {
    let incomplete = || bad("has a key whose members contradict each other", "restore the file");
    let algorithm = match form.alg.as_deref() {
        None => None,
        Some(name) => Some(Algorithm::parse(name).ok_or_else(incomplete)?),
    };
    let private = match &form.private {
        None => None,
        Some(text) => Some(Zeroizing::new(URL_SAFE_NO_PAD.decode(&text.0).map_err(|_| incomplete())?)),
    };
    let signs = purpose == KeyPurpose::TokenSigning;
    let key = match (signs, algorithm, private, &form.public) {
        (_, None, None, None) => return Ok(None),
        (true, Some(Algorithm::Hs256), Some(secret), None) => Key::hmac_secret(&secret.to_vec().into())?,
        (true, Some(algorithm), Some(pkcs8), None) => {
            Key::from_pkcs8(algorithm, &pkcs8).map_err(|error| error.for_field("key file"))?
        }
        (true, Some(algorithm), None, Some(jwk)) => {
            let key = Key::verify_only_from_jwk(jwk)?;
            if key.algorithm() != Some(algorithm) {
                return Err(incomplete());
            }
            key
        }
        (false, None, Some(bytes), None) => Key::from_bytes(purpose, &bytes.to_vec().into())?,
        _ => return Err(incomplete()),
    };
    Ok(Some(key.with_id(form.kid)))
}

fn bad(problem: &'static str, cure: &'static str) -> ConfigError {
    ConfigError::new("key file", problem, cure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{SignatureBytes, StaticKeys};

    fn rings() -> Vec<Keyring> {
        let hmac = Key::generate(Algorithm::Hs256).unwrap();
        vec![
            Keyring::new(hmac).unwrap().with_accepted(Key::generate(Algorithm::Hs256).unwrap()).unwrap(),
            Keyring::new(Key::generate_for(KeyPurpose::Sealing).unwrap()).unwrap(),
        ]
    }

    fn records(rings: &[Keyring]) -> Vec<KeyRecord> {
        rings.iter().flat_map(Keyring::records).cloned().collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let rings = rings();
        let text = write(&rings.iter().cloned().map(Arc::new).collect::<Vec<_>>());
        assert_eq!(records(&read(&text).unwrap()), records(&rings));
    }

    #[test]
    fn states_and_times_are_read_back() {
        let at = Timestamp::from_secs;
        let key = || Key::generate_for(KeyPurpose::Csrf).unwrap();
        let (a, b, c, d) = (key(), key(), key(), key());
        let ring = Keyring::begin(a.clone(), at(1)).unwrap().with_expiry(a.id(), at(99)).unwrap();
        let ring =
            ring.rotate(b.clone(), at(2)).unwrap().rotate(c, at(3)).unwrap().introduce(d, at(4)).unwrap();
        let ring = ring.destroy(a.id(), at(5)).unwrap().compromise(b.id(), at(6)).unwrap();
        let text = write(&[Arc::new(ring.clone())]);
        let again = read(&text).unwrap().remove(0);
        assert!(again.records().eq(ring.records()));
        assert!(again.ids().eq(ring.ids()));
        let (text, secret) = (text.expose_secret(), a.bits().unwrap().expose_bytes());
        assert!(!text.contains(&URL_SAFE_NO_PAD.encode(secret)), "what is destroyed is gone");
    }

    #[cfg(feature = "aws-lc")]
    #[test]
    fn key_pairs_are_read_back_and_sign_alike() {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256] {
            let key = Key::generate(algorithm).unwrap().with_id(KeyId::parse("named").unwrap());
            let old = Key::generate(Algorithm::Es256).unwrap();
            let public = Key::verify_only_from_jwk(&old.public_jwk().unwrap().into()).unwrap();
            let ring = Keyring::new(key.clone()).unwrap().with_accepted(public).unwrap();
            let again = read(&write(&[Arc::new(ring)])).unwrap().remove(0);
            assert_eq!(again.primary().public_jwk(), key.public_jwk(), "{algorithm}");
            assert!(again.primary().is_private(), "{algorithm}");
            assert!(!again.find(old.id().as_str()).unwrap().is_private(), "{algorithm}");
            let mut signed = SignatureBytes::new();
            again.primary().signature().unwrap().1.sign(b"m", &mut signed).unwrap();
            assert!(key.signature().unwrap().1.verify(b"m", signed.as_slice()), "{algorithm}");
        }
    }

    #[test]
    fn nothing_else_is_read_and_nothing_is_quoted() {
        let good = write(&rings().into_iter().map(Arc::new).collect::<Vec<_>>());
        let good = good.expose_secret();
        for (name, bad) in [
            ("empty", String::new()),
            ("cut", good[..good.len() - 1].to_owned()),
            ("another member", good.replacen("\"rings\"", "\"x\":1,\"rings\"", 1)),
            ("another algorithm", good.replacen("HS256", "HS512", 1)),
            ("algorithm of a key pair", good.replacen("HS256", "EdDSA", 1)),
            ("another purpose", good.replacen("token_signing", "sealing", 1)),
            ("unknown purpose", good.replacen("token_signing", "canary", 1)),
            ("empty ring", r#"{"rings":[{"purpose":"sealing","keys":[]}]}"#.to_owned()),
            ("no active key", good.replacen("\"active\"", "\"deactivated\"", 1)),
            ("two active keys", good.replacen("\"deactivated\"", "\"active\"", 1)),
            ("a destroyed key with material", good.replacen("\"deactivated\"", "\"destroyed\"", 1)),
            ("an unknown state", good.replacen("\"deactivated\"", "\"canary\"", 1)),
            (
                "weak secret",
                format!(
                    r#"{{"rings":[{{"purpose":"token_signing","keys":[{{"kid":"canary","alg":"HS256","state":"active","private":"{}"}}]}}]}}"#,
                    URL_SAFE_NO_PAD.encode([7; 32])
                ),
            ),
        ] {
            let error = StaticKeys::danger_from_private_json(&bad.into()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{name}");
        }
    }
}
