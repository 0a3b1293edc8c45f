//! Tokens of PyJWT verify here, and ours there.
//!
//! `interop/fixtures_pyjwt.json` holds test keys and tokens made by
//! `python3 interop/pyjwt.py fixtures > interop/fixtures_pyjwt.json` with PyJWT 2.15.1 and cryptography 50.0.2.
//! `interop/fixtures_ours.json` holds tokens made here by `PORTCULLIS_WRITE_FIXTURES=1 cargo test --test it
//! interop::ours` and checked by `pyjwt.py verify` when they were made.
//!
//! The live half needs a `python3` with PyJWT, or one named by `PORTCULLIS_PYTHON`; without it the test says so by
//! name, and fails under `CI=true`.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use portcullis::Subject;
use portcullis::crypto::{Algorithm, Key, Keyring};
use portcullis::id::{KeyId, TokenId};
use portcullis::principal::AuthMethod;
use portcullis::time::Timestamp;
use portcullis::token::{Claims, TokenCodec, jwks};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

pub const ISSUER: &str = "https://id.example";
pub const AUDIENCE: &str = "https://api.example";
const NOW: Timestamp = Timestamp::from_secs(1_767_225_660);
const SIGNING: [Algorithm; 4] = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256, Algorithm::Hs256];
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/interop/fixtures_ours.json");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/interop/pyjwt.py");

/// A member of PyJWT's fixture for this algorithm; empty if it has none, as HS256 has no public key.
pub fn fixture(algorithm: Algorithm, member: &str) -> String {
    let all: Value = serde_json::from_str(include_str!("interop/fixtures_pyjwt.json")).unwrap();
    all[algorithm.as_str()][member].as_str().unwrap_or_default().to_owned()
}

/// The fixture's key under the name PyJWT gave it.
fn key(algorithm: Algorithm) -> Key {
    let key = match algorithm {
        Algorithm::Hs256 => Key::hmac_secret_text(&fixture(algorithm, "private").into()),
        Algorithm::Rs256 => Key::verify_only_from_spki_pem(algorithm, &fixture(algorithm, "public")),
        _ => Key::from_pkcs8_pem(algorithm, &fixture(algorithm, "private").into()),
    };
    key.unwrap().with_id(KeyId::parse(&format!("py-{algorithm}")).unwrap())
}

fn codec(key: Key) -> TokenCodec {
    let ring = if key.is_private() { Keyring::new(key) } else { Keyring::verify_only(key) };
    TokenCodec::new(Arc::new(ring.unwrap()), ISSUER, AUDIENCE).unwrap()
}

fn our_claims() -> Claims {
    let (sub, jti) = (Subject::parse("ada").unwrap(), TokenId::parse("ours-1").unwrap());
    let (iat, exp) = (Timestamp::from_secs(1_767_225_600), Timestamp::from_secs(1_767_226_200));
    Claims::new(sub, jti, iat, exp)
        .with_roles(["editor"])
        .with_scopes(["notes:read", "notes:write"])
        .with_auth_methods([AuthMethod::Password])
        .with_auth_time(iat)
        .with_extra("name", json!("Ada \"\u{e9}\u{1f512}\" L."))
        .unwrap()
}

#[test]
fn tokens_of_pyjwt_verify_here() {
    for algorithm in [SIGNING.as_slice(), &[Algorithm::Rs256]].concat() {
        let read = codec(key(algorithm)).decode(&fixture(algorithm, "token"), NOW).unwrap();
        let claims = read.claims();
        assert_eq!(claims.subject().as_str(), "ada", "{algorithm}");
        assert_eq!(claims.roles(), ["editor"], "{algorithm}");
        assert_eq!(claims.scopes().unwrap(), ["notes:read", "notes:write"], "{algorithm}");
        assert_eq!(claims.extra()["plan"], json!({"name": "gold", "seats": 3}), "{algorithm}");
        // And with nothing but the public half, by PEM and by JWK.
        if algorithm != Algorithm::Hs256 {
            let pem = Key::verify_only_from_spki_pem(algorithm, &fixture(algorithm, "public")).unwrap();
            let set = jwks(&Keyring::verify_only(key(algorithm)).unwrap());
            let jwk = Key::verify_only_from_jwk(&set["keys"][0]).unwrap();
            for public in [pem.with_id(jwk.id().clone()), jwk] {
                assert!(codec(public).decode(&fixture(algorithm, "token"), NOW).is_ok(), "{algorithm}");
            }
        }
    }
}

#[test]
fn a_private_key_and_its_public_half_have_the_same_id() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256] {
        let private = Key::from_pkcs8_pem(algorithm, &fixture(algorithm, "private").into()).unwrap();
        let public = Key::verify_only_from_spki_pem(algorithm, &fixture(algorithm, "public")).unwrap();
        assert_eq!(private.id(), public.id(), "{algorithm}");
        assert!(private.is_private() && !public.is_private(), "{algorithm}");
    }
}

#[test]
fn ours_recorded_still_verify() {
    if std::env::var_os("PORTCULLIS_WRITE_FIXTURES").is_some() {
        let mint = |algorithm| codec(key(algorithm)).encode(&our_claims()).unwrap();
        let tokens: Value = SIGNING
            .iter()
            .map(|algorithm| (algorithm.to_string(), json!(mint(*algorithm).expose_secret())))
            .collect();
        std::fs::write(OURS, serde_json::to_string_pretty(&tokens).unwrap() + "\n").unwrap();
    }
    let tokens: Value = serde_json::from_str(&std::fs::read_to_string(OURS).unwrap()).unwrap();
    for algorithm in SIGNING {
        let read = codec(key(algorithm)).decode(tokens[algorithm.as_str()].as_str().unwrap(), NOW).unwrap();
        assert_eq!(read.claims(), &our_claims(), "{algorithm}");
    }
}

#[test]
fn live_both_ways_with_pyjwt() {
    let Some(python) = python() else { return };
    for algorithm in SIGNING {
        // Ours there: with the public key as PEM and as the JWK we publish.
        let token = codec(key(algorithm)).encode(&our_claims()).unwrap();
        let public = match algorithm {
            Algorithm::Hs256 => vec![fixture(algorithm, "private")],
            _ => vec![
                fixture(algorithm, "public"),
                jwks(&Keyring::new(key(algorithm)).unwrap())["keys"][0].to_string(),
            ],
        };
        for public in public {
            let request = json!({"alg": algorithm.as_str(), "key": public, "token": token.expose_secret(), "iss": ISSUER, "aud": AUDIENCE});
            let claims: Value = serde_json::from_str(&run(&python, "verify", &request)).unwrap();
            assert_eq!(claims["name"], our_claims().extra()["name"], "{algorithm}");
            assert_eq!(claims["scope"], "notes:read notes:write", "{algorithm}");
            assert_eq!(claims["epoch"], json!([0, 0]), "{algorithm}");
        }
    }
    for algorithm in [SIGNING.as_slice(), &[Algorithm::Rs256]].concat() {
        // Theirs here.
        let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "grace", "jti": "live", "iat": 1_767_225_600, "exp": 1_767_226_200});
        let request = json!({
            "alg": algorithm.as_str(), "key": fixture(algorithm, "private"), "kid": format!("py-{algorithm}"), "claims": claims,
        });
        let token = run(&python, "sign", &request);
        let read = codec(key(algorithm)).decode(token.trim(), NOW).unwrap();
        assert_eq!(read.claims().subject().as_str(), "grace", "{algorithm}");
    }
}

/// A python that can import what the script needs.
fn python() -> Option<String> {
    let named = std::env::var("PORTCULLIS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let works = Command::new(&named)
        .args(["-c", "import jwt, cryptography"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if works {
        return Some(named);
    }
    let message = format!("`{named}` has no pyjwt with cryptography");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "interop::live_both_ways_with_pyjwt: {message}");
    eprintln!("skipped: interop::live_both_ways_with_pyjwt: {message}");
    None
}

fn run(python: &str, what: &str, request: &Value) -> String {
    let mut child = Command::new(python)
        .args([SCRIPT, what])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "pyjwt.py {what} failed");
    String::from_utf8(output.stdout).unwrap()
}
