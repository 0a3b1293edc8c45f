//! Signatures by AWS-LC.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256,
    RsaKeyPair, VerificationAlgorithm,
};
use zeroize::Zeroizing;

use super::{Pair, Signature, SignatureBytes, Unusable, cannot_sign, only_verifies};
use crate::crypto::algorithm::Algorithm;
use crate::crypto::der;
use crate::crypto::public_key::PublicKey;
use crate::error::Result as OperatorResult;

pub(super) fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    let failed =
        |_| Unusable("could not be generated", "see whether the operating system supplies randomness");
    let rng = SystemRandom::new();
    match algorithm {
        Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8v1(&rng).map(copy).map_err(failed),
        Algorithm::Es256 => {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).map(copy).map_err(failed)
        }
        Algorithm::Ps256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa3072).map_err(failed)?;
            let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
            let pkcs8 = Zeroizing::new(pkcs8.as_ref().to_vec());
            der::rsa_pkcs1(&pkcs8)
                .map(|pkcs1| Zeroizing::new(pkcs1.to_vec()))
                .ok_or(Unusable::private(algorithm))
        }
        Algorithm::Hs256 | Algorithm::Rs256 => Err(Unusable::private(algorithm)),
    }
}

fn copy(document: impl AsRef<[u8]>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(document.as_ref().to_vec())
}

pub(super) fn signing(algorithm: Algorithm, native: &[u8]) -> Result<Pair, Unusable> {
    let unusable = Unusable::private(algorithm);
    let (private, public) = match algorithm {
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::from_pkcs8(native).map_err(|_| unusable)?;
            let public = pair.public_key().as_ref().try_into().map_err(|_| unusable)?;
            (Private::Ed25519(pair), PublicKey::Ed25519(public))
        }
        Algorithm::Es256 => {
            let pair =
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, native).map_err(|_| unusable)?;
            let public = pair.public_key().as_ref().try_into().map_err(|_| unusable)?;
            (Private::P256(pair), PublicKey::P256(public))
        }
        Algorithm::Ps256 => {
            let pair = RsaKeyPair::from_der(native).map_err(|_| unusable)?;
            let public = PublicKey::from_rsa_private(native).ok_or(unusable)?;
            (Private::Rsa(pair), public)
        }
        Algorithm::Hs256 | Algorithm::Rs256 => return Err(unusable),
    };
    let public_half = parse(algorithm, &public)?;
    Ok(Pair { signature: Box::new(AwsLc { private: Some(private), public: public_half }), public })
}

pub(super) fn verifying(algorithm: Algorithm, public: &PublicKey) -> Result<Box<dyn Signature>, Unusable> {
    Ok(Box::new(AwsLc { private: None, public: parse(algorithm, public)? }))
}

fn parse(algorithm: Algorithm, public: &PublicKey) -> Result<ParsedPublicKey, Unusable> {
    let parsed =
        |algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]| ParsedPublicKey::new(algorithm, bytes);
    match (algorithm, public) {
        (Algorithm::EdDsa, PublicKey::Ed25519(x)) => parsed(&ED25519, x),
        (Algorithm::Es256, PublicKey::P256(point)) => parsed(&ECDSA_P256_SHA256_FIXED, point),
        (Algorithm::Ps256, PublicKey::Rsa { n, e }) => {
            parsed(&RSA_PSS_2048_8192_SHA256, &der::rsa_public(n, e))
        }
        (Algorithm::Rs256, PublicKey::Rsa { n, e }) => {
            parsed(&RSA_PKCS1_2048_8192_SHA256, &der::rsa_public(n, e))
        }
        _ => return Err(Unusable::public(algorithm)),
    }
    .map_err(|_| Unusable::public(algorithm))
}

struct AwsLc {
    private: Option<Private>,
    public: ParsedPublicKey,
}

enum Private {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Signature for AwsLc {
    fn sign(&self, message: &[u8], out: &mut SignatureBytes) -> OperatorResult<()> {
        let rng = SystemRandom::new();
        match self.private.as_ref().ok_or_else(only_verifies)? {
            Private::Ed25519(pair) => out.extend(pair.try_sign(message).map_err(cannot_sign)?.as_ref()),
            Private::P256(pair) => out.extend(pair.sign(&rng, message).map_err(cannot_sign)?.as_ref()),
            Private::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PSS_SHA256, &rng, message, &mut signature).map_err(cannot_sign)?;
                out.extend(&signature);
            }
        }
        Ok(())
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }
}
