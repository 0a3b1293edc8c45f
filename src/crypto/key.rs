//! One key: one algorithm, one purpose.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::crypto::algorithm::{Algorithm, KeyPurpose};
use crate::crypto::public_key::{PublicKey, native_private};
use crate::crypto::seal::SymmetricKey;
use crate::crypto::signature::{self, Hs256, Signature, Unusable};
use crate::crypto::weak_secret::weakness;
use crate::error::{ConfigError, Result};
use crate::id::KeyId;

/// A key with its id, its one algorithm and its one purpose.
///
/// Cheap to clone; the material is shared, wiped when the last clone is dropped, and never printed. Unless named by
/// [`with_id`](Self::with_id), a key is named after its contents: 128 bits of the RFC 7638 thumbprint for key pairs
/// (so a private key and its public half have the same id), and of a keyed digest for secrets.
///
/// ```
/// use portcullis::crypto::Key;
///
/// let secret = "4cZ8Qm1xR7vT0pYkL3sWn9bHd6Jf2GaE";
/// let key = Key::hmac_secret_text(&secret.into())?;
/// assert!(!format!("{key:?}").contains(secret));
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Key(Arc<Inner>);

struct Inner {
    id: KeyId,
    purpose: KeyPurpose,
    material: Arc<Material>,
}

pub(super) enum Material {
    /// HMAC secret.
    Secret { secret: Zeroizing<Vec<u8>>, signature: Hs256 },
    /// Key pair: the private half in its native form, absent if the key only verifies.
    Pair {
        algorithm: Algorithm,
        private: Option<Zeroizing<Vec<u8>>>,
        public: PublicKey,
        signature: Box<dyn Signature>,
    },
    /// 256 bits for every other purpose.
    Symmetric(SymmetricKey),
}

impl Key {
    /// A new key for signing tokens. Making an RSA key takes about a second.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the algorithm only verifies, if no crypto backend is compiled in (HS256 needs none), if the
    /// portable backend is asked for an RSA key, or if the operating system supplies no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, ConfigError> {
        match algorithm {
            Algorithm::Hs256 => {
                let mut secret = Zeroizing::new(vec![0; 32]);
                getrandom::fill(&mut secret).map_err(|_| NO_ENTROPY.for_field(GENERATED))?;
                Self::secret(secret)
            }
            Algorithm::Rs256 => {
                Err(ConfigError::new(GENERATED, "RS256 only verifies", "use PS256, ES256 or EdDSA"))
            }
            _ => {
                let native = signature::generate(algorithm).map_err(|error| error.for_field(GENERATED))?;
                Self::pair(algorithm, native).map_err(|error| error.for_field(GENERATED))
            }
        }
    }

    /// A new key for this purpose; for signing tokens, of the default algorithm.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the operating system supplies no randomness; for signing tokens, as
    /// [`generate`](Self::generate).
    pub fn generate_for(purpose: KeyPurpose) -> Result<Self, ConfigError> {
        if purpose == KeyPurpose::TokenSigning {
            return Self::generate(Algorithm::default());
        }
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut bytes[..]).map_err(|_| NO_ENTROPY.for_field(GENERATED))?;
        Ok(Self::symmetric(purpose, SymmetricKey::from_bytes(&bytes)))
    }

    /// A private key as `openssl genpkey` writes it: unencrypted PKCS#8 in PEM.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is not an unencrypted PKCS#8 key of the algorithm's kind, if it is an RSA key of fewer
    /// than 3072 or more than 4096 bits, if the algorithm is HS256 or RS256, or without a crypto backend.
    pub fn from_pkcs8_pem(algorithm: Algorithm, pem: &SecretString) -> Result<Self, ConfigError> {
        native_private(algorithm, pem.expose_secret())
            .and_then(|native| Self::pair(algorithm, native))
            .map_err(|error| error.for_field("private key"))
    }

    /// The same in DER.
    ///
    /// # Errors
    ///
    /// As [`from_pkcs8_pem`](Self::from_pkcs8_pem).
    pub fn from_pkcs8_der(algorithm: Algorithm, der: &SecretSlice<u8>) -> Result<Self, ConfigError> {
        Self::from_pkcs8(algorithm, der.expose_secret()).map_err(|error| error.for_field("private key"))
    }

    /// A shared secret for HS256: at least 32 bytes from a random generator, in their raw form.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it has fewer than 32 bytes (RFC 7518 section 3.2), repeats a short pattern, is a published
    /// example or a placeholder, or is an asymmetric key (ASVS 13.3.1, RFC 8725 section 3.5).
    pub fn hmac_secret(secret: &SecretSlice<u8>) -> Result<Self, ConfigError> {
        Self::secret(Zeroizing::new(secret.expose_secret().to_vec()))
    }

    /// The same for a secret that is text, as in an environment variable: its bytes in UTF-8 are the key.
    ///
    /// # Errors
    ///
    /// As [`hmac_secret`](Self::hmac_secret).
    pub fn hmac_secret_text(secret: &SecretString) -> Result<Self, ConfigError> {
        Self::secret(Zeroizing::new(secret.expose_secret().as_bytes().to_vec()))
    }

    /// A public key in PEM (`-----BEGIN PUBLIC KEY-----`). It only verifies.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is not a public key of the algorithm's kind, if it is an RSA key of fewer than 2048 or
    /// more than 4096 bits, or without a crypto backend.
    pub fn verify_only_from_spki_pem(algorithm: Algorithm, pem: &str) -> Result<Self, ConfigError> {
        PublicKey::from_spki_pem(algorithm, pem)
            .and_then(|public| Self::verify_only(algorithm, public))
            .map_err(|error| error.for_field("public key"))
    }

    /// A public key as JWK (RFC 7517). It only verifies. Its `kid` is kept.
    ///
    /// The JWK must name its `alg`: a key that fits several algorithms is the root of algorithm confusion.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a member is missing or wrong, `alg` is missing, `use` is not `sig`, `key_ops` lacks
    /// `verify`, it is a symmetric or private key, for the reasons of
    /// [`verify_only_from_spki_pem`](Self::verify_only_from_spki_pem), or without a crypto backend.
    pub fn verify_only_from_jwk(jwk: &Value) -> Result<Self, ConfigError> {
        let bad = |problem: &'static str, cure: &'static str| ConfigError::new("jwk", problem, cure);
        let members =
            jwk.as_object().ok_or_else(|| bad("is not a json object", "pass one key, not a set"))?;
        if ["k", "d", "p", "q", "dp", "dq", "qi", "oth"].iter().any(|name| members.contains_key(*name)) {
            return Err(bad("holds private material", "publish and import public keys only"));
        }
        let algorithm =
            members.get("alg").and_then(Value::as_str).and_then(Algorithm::parse).ok_or_else(|| {
                bad("names no algorithm that is offered", "add `alg`: EdDSA, ES256, PS256 or RS256")
            })?;
        let for_signatures = members.get("use").is_none_or(|value| value == "sig")
            && members
                .get("key_ops")
                .is_none_or(|ops| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify")));
        if !for_signatures {
            return Err(bad("is not meant for verifying signatures", "use a key with `use`: `sig`"));
        }
        let key = PublicKey::from_jwk(algorithm, members)
            .and_then(|public| Self::verify_only(algorithm, public))
            .map_err(|error| error.for_field("jwk"))?;
        match members.get("kid") {
            None => Ok(key),
            Some(id) => {
                let id = id.as_str().and_then(|id| KeyId::parse(id).ok()).ok_or_else(|| {
                    bad(
                        "has a `kid` that is not 1 to 64 of `A-Z a-z 0-9 _ -`",
                        "leave `kid` out or rename the key",
                    )
                })?;
                Ok(key.with_id(id))
            }
        }
    }

    /// 32 bytes from a random generator for this purpose; for signing tokens, an HS256 secret.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it has not exactly 32 bytes or is weak in the sense of [`hmac_secret`](Self::hmac_secret).
    pub fn from_bytes(purpose: KeyPurpose, bytes: &SecretSlice<u8>) -> Result<Self, ConfigError> {
        let field = || format!("{purpose} key");
        let bytes = bytes.expose_secret();
        let weak = weakness(bytes).map(|(problem, cure)| ConfigError::new(field(), problem, cure));
        if let Some(error) = weak {
            return Err(error);
        }
        let exact = bytes.try_into().map_err(|_| {
            ConfigError::new(field(), "has not exactly 32 bytes", "use the output of `openssl rand 32`")
        })?;
        if purpose == KeyPurpose::TokenSigning {
            return Self::secret(Zeroizing::new(bytes.to_vec()));
        }
        Ok(Self::symmetric(purpose, SymmetricKey::from_bytes(exact)))
    }

    /// The same key under another name.
    #[must_use]
    pub fn with_id(self, id: KeyId) -> Self {
        Self(Arc::new(Inner { id, purpose: self.0.purpose, material: Arc::clone(&self.0.material) }))
    }

    /// Its name, JOSE `kid`.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.0.id
    }

    /// What it is for.
    #[must_use]
    pub fn purpose(&self) -> KeyPurpose {
        self.0.purpose
    }

    /// Its signature algorithm; `None` if it doesn't sign.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        match self.material() {
            Material::Secret { .. } => Some(Algorithm::Hs256),
            Material::Pair { algorithm, .. } => Some(*algorithm),
            Material::Symmetric(_) => None,
        }
    }

    /// Whether new things can be made with it; false if it only verifies.
    #[must_use]
    pub fn is_private(&self) -> bool {
        !matches!(self.material(), Material::Pair { private: None, .. })
    }

    /// Its public half as JWK (RFC 7517, 8037); `None` for a secret, which has no public half.
    #[must_use]
    pub fn public_jwk(&self) -> Option<Map<String, Value>> {
        let Material::Pair { algorithm, public, .. } = self.material() else { return None };
        let mut jwk = public.jwk();
        jwk.insert("alg".into(), algorithm.as_str().into());
        jwk.insert("kid".into(), self.id().as_str().into());
        jwk.insert("use".into(), "sig".into());
        Some(jwk)
    }

    /// The signing half, for keys of [`KeyPurpose::TokenSigning`].
    pub(crate) fn signature(&self) -> Option<(Algorithm, &dyn Signature)> {
        match self.material() {
            Material::Secret { signature, .. } => Some((Algorithm::Hs256, signature)),
            Material::Pair { algorithm, signature, .. } => Some((*algorithm, signature.as_ref())),
            Material::Symmetric(_) => None,
        }
    }

    /// The 256 bits of a key that is not for signing tokens.
    pub(crate) fn bits(&self) -> Option<&SymmetricKey> {
        match self.material() {
            Material::Symmetric(key) => Some(key),
            Material::Secret { .. } | Material::Pair { .. } => None,
        }
    }

    pub(super) fn material(&self) -> &Material {
        &self.0.material
    }

    /// Tells keys apart by what they are, whatever they are called.
    pub(super) fn fingerprint(&self) -> (KeyId, bool) {
        let id = match self.material() {
            Material::Secret { secret, .. } => digest_id(secret, self.purpose()),
            Material::Pair { public, .. } => short_id(&public.thumbprint()),
            Material::Symmetric(key) => digest_id(key.expose_bytes(), self.purpose()),
        };
        (id, self.is_private())
    }

    pub(super) fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, Unusable> {
        // One parser for both forms: armour it. PEM lines may have any length here.
        let mut pem = Zeroizing::new(String::with_capacity(der.len() * 2 + 64));
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        STANDARD.encode_string(der, &mut pem);
        pem.push_str("\n-----END PRIVATE KEY-----\n");
        native_private(algorithm, &pem).and_then(|native| Self::pair(algorithm, native))
    }

    pub(super) fn symmetric(purpose: KeyPurpose, key: SymmetricKey) -> Self {
        let id = digest_id(key.expose_bytes(), purpose);
        Self::assemble(id, purpose, Material::Symmetric(key))
    }

    fn secret(secret: Zeroizing<Vec<u8>>) -> Result<Self, ConfigError> {
        if let Some((problem, cure)) = weakness(&secret) {
            return Err(ConfigError::new("hmac secret", problem, cure));
        }
        let signature = Hs256::new(&secret);
        let id = digest_id(&secret, KeyPurpose::TokenSigning);
        Ok(Self::assemble(id, KeyPurpose::TokenSigning, Material::Secret { secret, signature }))
    }

    fn pair(algorithm: Algorithm, native: Zeroizing<Vec<u8>>) -> Result<Self, Unusable> {
        let pair = signature::signing(algorithm, &native)?;
        Ok(Self::of(algorithm, Some(native), pair.public, pair.signature))
    }

    fn verify_only(algorithm: Algorithm, public: PublicKey) -> Result<Self, Unusable> {
        let signature = signature::verifying(algorithm, &public)?;
        Ok(Self::of(algorithm, None, public, signature))
    }

    fn of(
        algorithm: Algorithm,
        private: Option<Zeroizing<Vec<u8>>>,
        public: PublicKey,
        signature: Box<dyn Signature>,
    ) -> Self {
        let id = short_id(&public.thumbprint());
        Self::assemble(id, KeyPurpose::TokenSigning, Material::Pair { algorithm, private, public, signature })
    }

    fn assemble(id: KeyId, purpose: KeyPurpose, material: Material) -> Self {
        Self(Arc::new(Inner { id, purpose, material: Arc::new(material) }))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id())
            .field("purpose", &self.purpose())
            .field("algorithm", &self.algorithm())
            .field("material", &"REDACTED")
            .finish()
    }
}

const GENERATED: &str = "generated key";
const NO_ENTROPY: Unusable = Unusable(
    "cannot be made: the operating system supplied no randomness",
    "see why getrandom(2) fails here",
);

/// The name of a secret: a MAC under the secret itself, so it tells no more about the secret than a token signed with
/// it does.
fn digest_id(secret: &[u8], purpose: KeyPurpose) -> KeyId {
    short_id(&Hs256::new(secret).mac(&[b"portcullis key id ", purpose.as_str().as_bytes()]))
}

/// 128 bits are enough to tell the keys of one ring apart, and 22 characters a token.
fn short_id(digest: &[u8; 32]) -> KeyId {
    let mut half = [0; 16];
    half.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    KeyId::from_digest(half)
}
