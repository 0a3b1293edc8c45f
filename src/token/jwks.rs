//! The public keys of a ring, for others to verify our tokens with: a JWK set (RFC 7517 section 5).

use serde_json::{Value, json};

use crate::crypto::{Key, Keyring};

/// The public halves of all key pairs in the ring, the primary one first; to be served as
/// `application/jwk-set+json` at `/.well-known/jwks.json`.
///
/// A shared secret has no public half: for a ring of secrets, and for one for sealing, the set is empty.
///
/// ```
/// use portcullis::crypto::{Algorithm, Key, Keyring};
/// use portcullis::token::jwks;
///
/// let ring = Keyring::new(Key::generate(Algorithm::EdDsa)?)?;
/// let set = jwks(&ring);
/// assert_eq!(set["keys"][0]["kid"], ring.primary().id().as_str());
/// assert!(set["keys"][0].get("d").is_none());
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[must_use]
pub fn jwks(ring: &Keyring) -> Value {
    json!({ "keys": ring.keys().filter_map(Key::public_jwk).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Algorithm, KeyPurpose};

    #[test]
    fn no_secret_is_ever_published() {
        let secret = Keyring::new(Key::hmac_secret_text(&"4cZ8Qm1xR7vT0pYkL3sWn9bHd6Jf2GaE".into()).unwrap());
        let sealing = Keyring::new(Key::generate_for(KeyPurpose::Sealing).unwrap());
        for ring in [secret.unwrap(), sealing.unwrap()] {
            assert_eq!(jwks(&ring), json!({"keys": []}));
        }
    }

    #[cfg(feature = "aws-lc")]
    #[test]
    fn exactly_the_public_members_are_published() {
        for (algorithm, members) in [
            (Algorithm::EdDsa, &["alg", "crv", "kid", "kty", "use", "x"][..]),
            (Algorithm::Es256, &["alg", "crv", "kid", "kty", "use", "x", "y"]),
            (Algorithm::Ps256, &["alg", "e", "kid", "kty", "n", "use"]),
        ] {
            let ring = Keyring::new(Key::generate(algorithm).unwrap()).unwrap();
            let set = jwks(&ring);
            let jwk = set["keys"][0].as_object().unwrap();
            let mut names: Vec<_> = jwk.keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, members, "{algorithm}");
            let back = Key::verify_only_from_jwk(&set["keys"][0]).unwrap();
            assert_eq!((back.id(), back.algorithm()), (ring.primary().id(), Some(algorithm)));
        }
    }
}
