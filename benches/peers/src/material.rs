//! One key of each kind and tokens signed with it, in the forms that each crate takes.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderValue;
use portcullis::crypto::{Algorithm, Key, Keyring};
use portcullis::id::{FamilyId, TokenId};
use portcullis::principal::AuthMethod;
use portcullis::store::{MemoryStore, TokenStore};
use portcullis::time::{Clock, SystemClock, Timestamp};
use portcullis::token::{Claims, DEFAULT_MAX_STALENESS, Revocations, TokenCodec, TokenPolicy, Tokens};
use portcullis::{Subject, TenantId};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

pub const ISSUER: &str = "https://id.example";
pub const AUDIENCE: &str = "https://api.example";

/// The claims as a user of the other crates would declare them.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Payload {
    pub iss: String,
    pub aud: String,
    pub sub: String,
    pub jti: String,
    pub iat: u64,
    pub exp: u64,
    pub sid: String,
    pub roles: Vec<String>,
    pub auth_time: u64,
    pub amr: Vec<String>,
}

/// A key, and what is public of it.
pub struct Material {
    pub algorithm: Algorithm,
    pub ours: Key,
    /// The secret as text, or the private key in PKCS#8.
    pub private: Vec<u8>,
    /// As the raw primitives take it: the point, or PKCS#1.
    pub public: Vec<u8>,
    /// As `BEGIN PUBLIC KEY`.
    pub pem: String,
}

impl Material {
    pub fn new(algorithm: Algorithm) -> Self {
        let pem = |der: &[u8]| {
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
        };
        let (private, public, pem) = match algorithm {
            Algorithm::Hs256 => {
                let mut secret = [0; 32];
                getrandom::fill(&mut secret).expect("there is randomness");
                (URL_SAFE_NO_PAD.encode(secret).into_bytes(), Vec::new(), String::new())
            }
            Algorithm::EdDsa => {
                // PKCS#8 as RFC 8410 section 7 writes it, which all of them read.
                let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).expect("there is randomness");
                der.extend(seed);
                let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("is a seed");
                let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("can be written");
                (der, pair.public_key().as_ref().to_vec(), pem(spki.as_ref()))
            }
            Algorithm::Es256 => {
                let random = SystemRandom::new();
                let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                    .expect("there is randomness");
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref())
                    .expect("was just made");
                let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("can be written");
                (der.as_ref().to_vec(), pair.public_key().as_ref().to_vec(), pem(spki.as_ref()))
            }
            _ => {
                let size =
                    if algorithm == Algorithm::Rs256 { rsa::KeySize::Rsa2048 } else { rsa::KeySize::Rsa3072 };
                let pair = rsa::KeyPair::generate(size).expect("there is randomness");
                let der: Pkcs8V1Der<'_> = pair.as_der().expect("can be written");
                let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("can be written");
                (der.as_ref().to_vec(), pair.public_key().as_ref().to_vec(), pem(spki.as_ref()))
            }
        };
        let ours = match algorithm {
            Algorithm::Hs256 => Key::hmac_secret(&SecretSlice::from(private.clone())),
            Algorithm::Rs256 => Key::verify_only_from_spki_pem(algorithm, &pem),
            _ => Key::from_pkcs8_der(algorithm, &SecretSlice::from(private.clone())),
        };
        Self { algorithm, ours: ours.expect("is a key"), private, public, pem }
    }

    /// The secret of HS256 as text.
    pub fn secret(&self) -> &str {
        std::str::from_utf8(&self.private).expect("is text")
    }

    pub fn codec(&self) -> TokenCodec {
        let ring = match self.algorithm {
            Algorithm::Rs256 => Keyring::verify_only(self.ours.clone()),
            _ => Keyring::new(self.ours.clone()),
        };
        TokenCodec::new(Arc::new(ring.expect("is for tokens")), ISSUER, AUDIENCE).expect("is well-formed")
    }

    /// Issuer, revocations and all, over a store in memory.
    pub fn tokens(&self, runtime: &Runtime) -> Tokens {
        self.tokens_over(runtime, Arc::new(MemoryStore::new()))
    }

    pub fn tokens_over(&self, runtime: &Runtime, store: Arc<dyn TokenStore>) -> Tokens {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        runtime.block_on(async {
            let revocations = Revocations::follow(store.clone(), clock.clone(), DEFAULT_MAX_STALENESS)
                .await
                .expect("the feed is there");
            Tokens::new(self.codec(), store, revocations, TokenPolicy::default(), clock)
                .expect("is well-formed")
        })
    }

    /// A token of its own, like one of a sign-in.
    pub fn token(&self) -> String {
        let claims = claims();
        if self.algorithm != Algorithm::Rs256 {
            let token: SecretString = self.codec().encode(&claims).expect("is signed");
            return token.expose_secret().to_owned();
        }
        let header = format!(r#"{{"alg":"RS256","kid":"{}","typ":"at+jwt"}}"#, self.ours.id());
        let payload = serde_json::to_vec(&payload(&claims)).expect("can be written");
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let pair = rsa::KeyPair::from_pkcs8(&self.private).expect("was just made");
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .expect("is signed");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    pub fn decoding_key(&self) -> jsonwebtoken::DecodingKey {
        use jsonwebtoken::DecodingKey;
        match self.algorithm {
            Algorithm::Hs256 => DecodingKey::from_secret(&self.private),
            Algorithm::EdDsa => DecodingKey::from_ed_der(&self.public),
            Algorithm::Es256 => DecodingKey::from_ec_der(&self.public),
            _ => DecodingKey::from_rsa_der(&self.public),
        }
    }

    pub fn decoding_key_10(&self) -> jsonwebtoken_10::DecodingKey {
        use jsonwebtoken_10::DecodingKey;
        match self.algorithm {
            Algorithm::Hs256 => DecodingKey::from_secret(&self.private),
            Algorithm::EdDsa => DecodingKey::from_ed_der(&self.public),
            Algorithm::Es256 => DecodingKey::from_ec_der(&self.public),
            _ => DecodingKey::from_rsa_der(&self.public),
        }
    }

    pub fn encoding_key(&self) -> jsonwebtoken::EncodingKey {
        use jsonwebtoken::EncodingKey;
        match self.algorithm {
            Algorithm::Hs256 => EncodingKey::from_secret(&self.private),
            Algorithm::EdDsa => EncodingKey::from_ed_der(&self.private),
            Algorithm::Es256 => EncodingKey::from_ec_der(&self.private),
            _ => EncodingKey::from_rsa_der(&self.private),
        }
    }

    /// Checks what we check, as far as it can.
    pub fn validation(&self) -> jsonwebtoken::Validation {
        let algorithm = self.algorithm.as_str().parse().expect("is known");
        let mut validation = jsonwebtoken::Validation::new(algorithm);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = 0;
        validation
    }

    pub fn validation_10(&self) -> jsonwebtoken_10::Validation {
        let algorithm = self.algorithm.as_str().parse().expect("is known");
        let mut validation = jsonwebtoken_10::Validation::new(algorithm);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = 0;
        validation
    }
}

/// One worker follows the revocation feed; what is measured runs on the calling thread.
pub fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime starts")
}

pub fn now() -> Timestamp {
    SystemClock::new().now()
}

/// What a sign-in puts into a token.
pub fn claims() -> Claims {
    let subject = Subject::mint().expect("there is randomness");
    let id = TokenId::mint().expect("there is randomness");
    Claims::new(subject, id, now(), now() + Duration::from_secs(600))
        .with_tenant(TenantId::default())
        .with_family(FamilyId::mint().expect("there is randomness"))
        .with_roles(["user"])
        .with_auth_time(now())
        .with_auth_methods([AuthMethod::Password])
}

/// The same for the others.
pub fn payload(claims: &Claims) -> Payload {
    Payload {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: claims.subject().to_string(),
        jti: claims.id().to_string(),
        iat: claims.issued_at().as_secs().unsigned_abs(),
        exp: claims.expires_at().as_secs().unsigned_abs(),
        sid: claims.family().map(ToString::to_string).unwrap_or_default(),
        roles: claims.roles().to_vec(),
        auth_time: claims.issued_at().as_secs().unsigned_abs(),
        amr: vec!["pwd".to_owned()],
    }
}

/// The token with another signature, of the same length.
pub fn forge(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').expect("has a signature");
    let mut signature = URL_SAFE_NO_PAD.decode(signature).expect("is base64");
    signature[5] ^= 1;
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// `Authorization: Bearer`, in a form whose clones allocate nothing.
pub fn bearer(token: &str) -> HeaderValue {
    let value = HeaderValue::try_from(format!("Bearer {token}")).expect("is a header");
    drop(value.clone());
    value
}
