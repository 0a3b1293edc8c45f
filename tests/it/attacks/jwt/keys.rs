//! The wrong algorithm, the wrong key, no signature: F1, F2, F5, F6.

use super::*;

#[test]
fn the_untouched_token_is_accepted() {
    for algorithm in ALGORITHMS {
        let kit = Kit::new(algorithm);
        let token = kit.sign(&header(algorithm.as_str()), &payload());
        assert_eq!(kit.codec.decode(&token, NOW).unwrap().claims().subject().as_str(), "ada", "{algorithm}");
    }
}

// ASVS 9.1.1, 9.1.2
#[test]
fn f1_no_algorithm_but_the_keys_own() {
    let kits: Vec<Kit> = ALGORITHMS.into_iter().map(Kit::new).collect();
    for kit in &kits {
        for claimed in &kits {
            for kid in [Some("k1"), None] {
                let mut header = header(claimed.algorithm.as_str());
                if kid.is_none() {
                    header.as_object_mut().unwrap().remove("kid");
                }
                let message = format!("{}.{}", b64(header.to_string()), b64(payload().to_string()));
                let own = jose(kit.algorithm);
                let other = jose(claimed.algorithm);
                // The key's own signature; one by the algorithm claimed, with this key where it fits (RSA fits two),
                // with the attacker's own key, or with the public key as a secret.
                let public = fixture(kit.algorithm, "public");
                let signatures = [
                    sign_as(own, &kit.private, &message),
                    sign_as(other, &kit.private, &message),
                    sign_as(other, &claimed.private, &message),
                    sign_as(other, &EncodingKey::from_secret(public.as_bytes()), &message),
                    sign_as(other, &EncodingKey::from_secret(b""), &message),
                    Some(Vec::new()),
                ];
                for (at, signature) in signatures.into_iter().enumerate() {
                    let Some(signature) = signature else { continue };
                    let token = format!("{message}.{}", b64(signature));
                    let name =
                        format!("{} key, {} claimed, {kid:?}, way {at}", kit.algorithm, claimed.algorithm);
                    if kit.algorithm == claimed.algorithm && at < 3 {
                        assert!(kit.codec.decode(&token, NOW).is_ok(), "{name}");
                    } else {
                        kit.refuses(&token, &name);
                    }
                }
            }
        }
    }
}

// ASVS 9.1.2
#[test]
fn f1_none_and_misspelt_algorithms() {
    for algorithm in ALGORITHMS {
        let kit = Kit::new(algorithm);
        for name in [
            "none", "None", "NONE", "nOnE", "none ", "", "null", "eddsa", "EDDSA", "Ed25519", "hs256",
            "Hs256", "HS384", "HS512", "es256", "ES256K", "ES384", "rs256", "RS384", "RS512", "ps256",
            "PS384", "HS256\0",
        ] {
            let message = format!("{}.{}", b64(header(name).to_string()), b64(payload().to_string()));
            let signature = sign_as(jose(algorithm), &kit.private, &message).unwrap();
            kit.refuses(&format!("{message}."), name);
            kit.refuses(&message, name);
            kit.refuses(&format!("{message}.{}", b64(signature)), name);
        }
        for alg in [json!(null), json!(5), json!(["HS256"]), json!({}), json!(true)] {
            let token = kit.sign(&json!({"alg": alg, "kid": "k1", "typ": "at+jwt"}), &payload());
            kit.refuses(&token, "alg is not a string");
        }
        kit.refuses(&kit.sign(&json!({"kid": "k1", "typ": "at+jwt"}), &payload()), "no alg");
    }
}

// CVE-2024-33663, CVE-2023-48223, CVE-2026-44699
#[test]
fn f1_a_public_key_is_no_secret_and_a_jwk_names_its_algorithm() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256, Algorithm::Rs256] {
        let pem = fixture(algorithm, "public");
        let der = base64_body(&pem);
        for (name, secret) in [
            ("pem", pem.clone().into_bytes()),
            ("pem, padded", format!("\n\t {pem}").into_bytes()),
            ("pem, one line", pem.replace('\n', "").into_bytes()),
            ("der", der),
        ] {
            assert!(Key::hmac_secret(&secret.into()).is_err(), "{algorithm}: {name}");
        }
        assert!(Key::verify_only_from_spki_pem(Algorithm::Hs256, &pem).is_err());
        assert!(Key::from_pkcs8_pem(Algorithm::Hs256, &fixture(algorithm, "private").into()).is_err());
        for other in ALGORITHMS {
            let family = |algorithm| matches!(algorithm, Algorithm::Ps256 | Algorithm::Rs256);
            let fits = other == algorithm || (family(other) && family(algorithm));
            assert_eq!(Key::verify_only_from_spki_pem(other, &pem).is_ok(), fits, "{algorithm} as {other}");
        }

        let key = Key::verify_only_from_spki_pem(algorithm, &pem).unwrap();
        let jwk = Value::Object(key.public_jwk().unwrap());
        assert!(Key::verify_only_from_jwk(&jwk).is_ok(), "{algorithm}");
        for (name, member, value) in [
            ("no alg", "alg", Value::Null),
            ("empty alg", "alg", json!("")),
            ("none", "alg", json!("none")),
            ("hmac", "alg", json!("HS256")),
            ("oct", "kty", json!("oct")),
            ("no kty", "kty", Value::Null),
            ("for encryption", "use", json!("enc")),
            ("for signing only", "key_ops", json!(["sign"])),
            ("a secret", "k", json!("AAAA")),
            ("a private key", "d", json!("AAAA")),
            ("a path as kid", "kid", json!("../../dev/null")),
            ("a number as kid", "kid", json!(1)),
        ] {
            let mut bad = jwk.clone();
            if value.is_null() {
                bad.as_object_mut().unwrap().remove(member);
            } else {
                bad[member] = value;
            }
            assert!(Key::verify_only_from_jwk(&bad).is_err(), "{algorithm}: {name}");
        }
    }
    let secret = json!({"kty": "oct", "alg": "HS256", "k": b64([7; 32])});
    assert!(Key::verify_only_from_jwk(&secret).is_err());
}

fn base64_body(pem: &str) -> Vec<u8> {
    use base64::Engine as _;
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap()
}

// CVE-2026-35042, CVE-2026-32597, CVE-2025-59420
#[test]
fn f2_any_critical_extension_is_refused() {
    let kit = Kit::new(Algorithm::EdDsa);
    for crit in [json!(["x"]), json!([]), json!(["b64"]), json!(["exp"]), json!(null), json!("x"), json!({})]
    {
        let mut header = header("EdDSA");
        header["crit"] = crit.clone();
        kit.refuses(&kit.sign(&header, &payload()), &format!("crit {crit}"));
        header["b64"] = json!(false);
        kit.refuses(&kit.sign(&header, &payload()), &format!("crit {crit} and b64"));
    }
}

// CVE-2022-21449. Wycheproof's vectors run beside the backends.
#[test]
fn f5_signatures_of_nothing_are_refused() {
    // The order of P-256.
    let n = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let n: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&n[2 * i..2 * i + 2], 16).unwrap()).collect();
    let one = [&[0; 31][..], &[1]].concat();
    for algorithm in ALGORITHMS {
        let kit = Kit::new(algorithm);
        let message =
            format!("{}.{}", b64(header(algorithm.as_str()).to_string()), b64(payload().to_string()));
        for (name, signature) in [
            ("empty", Vec::new()),
            ("32 zeros", vec![0; 32]),
            ("64 zeros", vec![0; 64]),
            ("256 zeros", vec![0; 256]),
            ("384 zeros", vec![0; 384]),
            ("384 ones", vec![0xff; 384]),
            ("r = 0, s = 1", [&[0; 32], &one[..]].concat()),
            ("r = 1, s = 0", [&one[..], &[0; 32]].concat()),
            ("r = s = n", [&n[..], &n].concat()),
            ("r = n, s = 1", [&n[..], &one].concat()),
            ("zeros in der", vec![0x30, 6, 2, 1, 0, 2, 1, 0]),
            ("identity point", [&[1][..], &[0; 63]].concat()),
        ] {
            kit.refuses(&format!("{message}.{}", b64(signature)), &format!("{algorithm}: {name}"));
        }
    }
}

// ASVS 9.1.3
#[test]
fn f6_a_token_cannot_name_its_own_key() {
    let kit = Kit::new(Algorithm::EdDsa);
    for kid in [
        "../../../../dev/null",
        "k1'--",
        "k1' OR '1'='1",
        "k1\0",
        "k1 ",
        " k1",
        "K1",
        "k",
        "k11",
        "",
        "http://evil.example/k",
        "k1/",
        "%6b1",
        "*",
        "${jndi:ldap://evil}",
        &"k".repeat(65),
        &"k".repeat(4000),
    ] {
        let header = json!({"alg": "EdDSA", "kid": kid, "typ": "at+jwt"});
        kit.refuses(&kit.sign(&header, &payload()), kid);
    }
    for kid in [json!(1), json!(null), json!(["k1"]), json!({"k1": 1})] {
        let header = json!({"alg": "EdDSA", "kid": kid, "typ": "at+jwt"});
        kit.refuses(&kit.sign(&header, &payload()), "kid is not a string");
    }
    let jwk = kit.key.public_jwk().unwrap();
    for (member, value) in [
        ("jku", json!("https://id.example/jwks.json")),
        ("x5u", json!("https://id.example/cert.pem")),
        ("jwk", json!(jwk)),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
    ] {
        let mut header = header("EdDSA");
        header[member] = value;
        kit.refuses(&kit.sign(&header, &payload()), member);
    }
    // Without a kid it is the primary key's, and only the primary key's.
    let old = Kit::new(Algorithm::Es256);
    let ring = Keyring::new(kit.key.clone()).unwrap();
    let ring = ring.with_accepted(old.key.clone().with_id(KeyId::parse("old").unwrap())).unwrap();
    let codec = TokenCodec::new(Arc::new(ring), ISSUER, AUDIENCE).unwrap();
    let unnamed = |algorithm: &str| json!({"alg": algorithm, "typ": "at+jwt"});
    assert!(codec.decode(&kit.sign(&unnamed("EdDSA"), &payload()), NOW).is_ok());
    assert!(codec.decode(&old.sign(&unnamed("ES256"), &payload()), NOW).is_err());
    let named = json!({"alg": "ES256", "kid": "old", "typ": "at+jwt"});
    assert!(codec.decode(&old.sign(&named, &payload()), NOW).is_ok());
    // Left out of the ring, it is gone at once.
    codec.replace_keyring(Arc::new(Keyring::new(kit.key.clone()).unwrap())).unwrap();
    assert!(codec.decode(&old.sign(&named, &payload()), NOW).is_err());
}
