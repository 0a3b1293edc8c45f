//! Is this token good, and making one. The same claims everywhere; each declares what it checks.
//!
//! Peers read into a struct of owned strings; ours is `TokenCodec`, and `AccessTokens`, which also asks whether the token is
//! revoked and makes a `Principal` of it. `the first time` is a different token in each call, so that nothing that remembers
//! tokens can help; `again` is one token. Peers are asked about one token, which is to their advantage.

use std::collections::HashSet;
use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self as aws, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude as simple;
use portcullis::TenantId;
use portcullis::crypto::Algorithm;
use portcullis::token::{AccessTokens, VerifyAccessToken as _};
use serde::{Deserialize, Serialize};
use simple::{
    ECDSAP256KeyPairLike as _, ECDSAP256PublicKeyLike as _, EdDSAKeyPairLike as _, EdDSAPublicKeyLike as _,
    MACLike as _,
};

use crate::contest::{Contest, Kind};
use crate::material::{AUDIENCE, ISSUER, Material, Payload, claims, forge, now, payload, runtime};
use crate::measure::measure_each;

pub const VERIFIED: [Algorithm; 5] =
    [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256, Algorithm::Rs256];
pub const SIGNED: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256];

/// What is not registered, for a crate that has fields for the rest.
#[derive(Deserialize, Serialize)]
struct Custom {
    sid: String,
    roles: Vec<String>,
    auth_time: u64,
    amr: Vec<String>,
}

pub fn verify() -> String {
    VERIFIED.map(|algorithm| verify_with(&Material::new(algorithm)).to_string()).join("\n")
}

pub fn sign() -> String {
    SIGNED.map(|algorithm| sign_with(&Material::new(algorithm)).to_string()).join("\n")
}

/// Measures what says whether a token is good, after seeing that it does.
fn checked(contest: &mut Contest, kind: Kind, name: &str, token: &str, accepts: impl Fn(&str) -> bool) {
    assert!(accepts(token), "{name} refuses the token");
    assert!(!accepts(&forge(token)), "{name} takes a forged token");
    contest.row(kind, name, || assert!(accepts(black_box(token))));
}

fn verify_with(material: &Material) -> Contest {
    let mut contest = Contest::new(format!("verify {}", material.algorithm));
    let token = material.token();
    let fast = matches!(material.algorithm, Algorithm::Hs256 | Algorithm::EdDsa | Algorithm::Es256);
    let others: Vec<String> = (0..if fast { 8192 } else { 512 }).map(|_| material.token()).collect();
    raw_verify(&mut contest, material, &token, &others);

    let (key, validation) = (material.decoding_key(), material.validation());
    checked(&mut contest, Kind::Peer, "jsonwebtoken 11, aws_lc_rs", &token, |token| {
        jsonwebtoken::decode::<Payload>(token, &key, &validation).is_ok()
    });
    let (key, validation) = (material.decoding_key_10(), material.validation_10());
    checked(&mut contest, Kind::Peer, "jsonwebtoken 10, rust_crypto", &token, |token| {
        jsonwebtoken_10::decode::<Payload>(token, &key, &validation).is_ok()
    });
    let options = simple::VerificationOptions {
        allowed_issuers: Some(HashSet::from([ISSUER.to_owned()])),
        allowed_audiences: Some(HashSet::from([AUDIENCE.to_owned()])),
        time_tolerance: Some(simple::Duration::from_secs(0)),
        ..Default::default()
    };
    let options = || Some(options.clone());
    const SIMPLE: &str = "jwt-simple 0.15, pure-rust";
    match material.algorithm {
        Algorithm::Hs256 => {
            let key = simple::HS256Key::from_bytes(&material.private);
            checked(&mut contest, Kind::Peer, SIMPLE, &token, |t| {
                key.verify_token::<Custom>(t, options()).is_ok()
            });
        }
        Algorithm::EdDsa => {
            let key = simple::Ed25519PublicKey::from_bytes(&material.public).expect("is a key");
            checked(&mut contest, Kind::Peer, SIMPLE, &token, |t| {
                key.verify_token::<Custom>(t, options()).is_ok()
            });
        }
        Algorithm::Es256 => {
            let key = simple::ES256PublicKey::from_bytes(&material.public).expect("is a key");
            checked(&mut contest, Kind::Peer, SIMPLE, &token, |t| {
                key.verify_token::<Custom>(t, options()).is_ok()
            });
        }
        _ => contest.note("jwt-simple left out: its RSA without BoringSSL is that of the row above"),
    }

    let runtime = runtime();
    let tokens = material.tokens(&runtime);
    let at = now();
    checked(&mut contest, Kind::Ours, "portcullis, TokenCodec", &token, |token| {
        tokens.codec().decode(token, at).is_ok()
    });
    let access = AccessTokens::new(tokens.clone(), TenantId::default());
    let cost = measure_each(&others, |token| assert!(access.verify(token).is_ok()));
    contest.add(Kind::Ours, "portcullis, AccessTokens, the first time", cost);
    checked(&mut contest, Kind::Ours, "portcullis, AccessTokens, again", &token, |token| {
        access.verify(token).is_ok()
    });
    if material.algorithm == Algorithm::Hs256 {
        contest.target_of_floor("portcullis, AccessTokens, the first time", 2.2);
    } else {
        let floor = "aws-lc-rs, signature alone, each another";
        contest.target_of_row("portcullis, AccessTokens, the first time", floor, 1.05, 500.0);
    }
    contest.note(format!("the token has {} bytes", token.len()));
    runtime.block_on(tokens.revocations().shutdown());
    contest
}

/// The signature alone, its base64 undone and its key parsed beforehand.
fn raw_verify(contest: &mut Contest, material: &Material, token: &str, others: &[String]) {
    let (message, signature) = token.rsplit_once('.').expect("has a signature");
    let (message, signature) = (message.as_bytes(), URL_SAFE_NO_PAD.decode(signature).expect("is base64"));
    let ring: &dyn ring::signature::VerificationAlgorithm = match material.algorithm {
        Algorithm::Hs256 => {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &material.private);
            contest.row(Kind::Floor, "aws-lc-rs, HMAC alone", || {
                aws_lc_rs::hmac::verify(&key, black_box(message), &signature).expect("is good");
            });
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &material.private);
            contest.row(Kind::Floor, "ring, HMAC alone", || {
                ring::hmac::verify(&key, black_box(message), &signature).expect("is good");
            });
            return;
        }
        Algorithm::EdDsa => &ring::signature::ED25519,
        Algorithm::Es256 => &ring::signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::Ps256 => &ring::signature::RSA_PSS_2048_8192_SHA256,
        _ => &ring::signature::RSA_PKCS1_2048_8192_SHA256,
    };
    let parsed = match material.algorithm {
        Algorithm::EdDsa => ParsedPublicKey::new(&aws::ED25519, &material.public),
        Algorithm::Es256 => ParsedPublicKey::new(&aws::ECDSA_P256_SHA256_FIXED, &material.public),
        Algorithm::Ps256 => ParsedPublicKey::new(&aws::RSA_PSS_2048_8192_SHA256, &material.public),
        _ => ParsedPublicKey::new(&aws::RSA_PKCS1_2048_8192_SHA256, &material.public),
    };
    let parsed = parsed.expect("is a key");
    // What is computed depends on the signature, and a processor learns one that comes again.
    let others: Vec<_> = others
        .iter()
        .map(|token| {
            let (message, signature) = token.rsplit_once('.').expect("has a signature");
            (message.as_bytes(), URL_SAFE_NO_PAD.decode(signature).expect("is base64"))
        })
        .collect();
    let cost = measure_each(&others, |(message, signature)| {
        parsed.verify_sig(message, signature).expect("is good");
    });
    contest.add(Kind::Floor, "aws-lc-rs, signature alone, each another", cost);
    contest.row(Kind::Floor, "aws-lc-rs, signature alone, again", || {
        parsed.verify_sig(black_box(message), &signature).expect("is good");
    });
    let key = ring::signature::UnparsedPublicKey::new(ring, &material.public);
    contest.row(Kind::Floor, "ring, signature alone", || {
        key.verify(black_box(message), &signature).expect("is good");
    });
}

fn sign_with(material: &Material) -> Contest {
    let mut contest = Contest::new(format!("sign {}", material.algorithm));
    let claims = claims();
    let payload = payload(&claims);
    let token = material.token();
    let (message, _) = token.rsplit_once('.').expect("has a signature");
    raw_sign(&mut contest, material, message.as_bytes());

    let accepts = |name: &str, token: &str| {
        let read = jsonwebtoken::decode::<Payload>(token, &material.decoding_key(), &material.validation());
        assert!(read.is_ok(), "{name} makes bad tokens");
    };
    let key = material.encoding_key();
    let mut header = jsonwebtoken::Header::new(material.algorithm.as_str().parse().expect("is known"));
    (header.kid, header.typ) = (Some(material.ours.id().to_string()), Some("at+jwt".to_owned()));
    let theirs = || jsonwebtoken::encode(&header, black_box(&payload), &key).expect("is signed");
    accepts("jsonwebtoken", &theirs());
    contest.row(Kind::Peer, "jsonwebtoken 11, aws_lc_rs", theirs);

    const SIMPLE: &str = "jwt-simple 0.15, pure-rust";
    let their_claims = || {
        let custom = Custom {
            sid: payload.sid.clone(),
            roles: payload.roles.clone(),
            auth_time: payload.auth_time,
            amr: payload.amr.clone(),
        };
        simple::Claims::with_custom_claims(custom, simple::Duration::from_mins(10))
            .with_issuer(ISSUER)
            .with_audience(AUDIENCE)
            .with_subject(&payload.sub)
            .with_jwt_id(&payload.jti)
    };
    match material.algorithm {
        Algorithm::Hs256 => {
            let key = simple::HS256Key::from_bytes(&material.private);
            contest.row(Kind::Peer, SIMPLE, || key.authenticate(their_claims()).expect("is signed"));
        }
        Algorithm::EdDsa => {
            let key = simple::Ed25519KeyPair::from_der(&material.private).expect("is a key");
            contest.row(Kind::Peer, SIMPLE, || key.sign(their_claims()).expect("is signed"));
        }
        _ => {
            let key = simple::ES256KeyPair::from_der(&material.private).expect("is a key");
            contest.row(Kind::Peer, SIMPLE, || key.sign(their_claims()).expect("is signed"));
        }
    }

    let codec = material.codec();
    let ours = || codec.encode(black_box(&claims)).expect("is signed");
    accepts("portcullis", secrecy::ExposeSecret::expose_secret(&ours()));
    contest.row(Kind::Ours, "portcullis, TokenCodec", ours);
    contest.target_of_floor("portcullis, TokenCodec", 1.15);
    contest
}

fn raw_sign(contest: &mut Contest, material: &Material, message: &[u8]) {
    match material.algorithm {
        Algorithm::Hs256 => {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &material.private);
            contest.row(Kind::Floor, "aws-lc-rs, HMAC alone", || {
                aws_lc_rs::hmac::sign(&key, black_box(message))
            });
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &material.private);
            contest.row(Kind::Floor, "ring, HMAC alone", || ring::hmac::sign(&key, black_box(message)));
        }
        Algorithm::EdDsa => {
            let key = aws::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&material.private).expect("is a key");
            contest.row(Kind::Floor, "aws-lc-rs, signature alone", || key.sign(black_box(message)));
            let key = ring::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&material.private);
            let key = key.expect("is a key");
            contest.row(Kind::Floor, "ring, signature alone", || key.sign(black_box(message)));
        }
        _ => {
            let key = aws::EcdsaKeyPair::from_pkcs8(&aws::ECDSA_P256_SHA256_FIXED_SIGNING, &material.private);
            let (key, random) = (key.expect("is a key"), SystemRandom::new());
            contest.row(Kind::Floor, "aws-lc-rs, signature alone", || {
                key.sign(&random, black_box(message)).expect("is signed")
            });
            let random = ring::rand::SystemRandom::new();
            let fixed = &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
            let key = ring::signature::EcdsaKeyPair::from_pkcs8(fixed, &material.private, &random);
            let key = key.expect("is a key");
            contest.row(Kind::Floor, "ring, signature alone", || {
                key.sign(&random, black_box(message)).expect("is signed")
            });
        }
    }
}
