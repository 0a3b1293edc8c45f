//! Giants, flipped bits, arbitrary bytes: F7, F8, and what an oracle says.

use super::*;

// CVE-2024-33664, CVE-2024-28102
#[test]
fn f7_no_encryption_no_compression_no_giants() {
    let kit = Kit::new(Algorithm::Hs256);
    let token = kit.sign(&header("HS256"), &payload());
    let jwe = json!({"alg": "RSA-OAEP", "enc": "A256GCM", "zip": "DEF"});
    kit.refuses(&format!("{}.AA.AA.AA.AA", b64(jwe.to_string())), "jwe");
    for (member, value) in
        [("zip", json!("DEF")), ("enc", json!("A256GCM")), ("cty", json!("JWT")), ("b64", json!(false))]
    {
        let mut header = header("HS256");
        header[member] = value;
        kit.refuses(&kit.sign(&header, &payload()), member);
    }
    for (name, bad) in [
        ("empty", String::new()),
        ("one segment", "eyJh".into()),
        ("two segments", token.rsplit_once('.').unwrap().0.into()),
        ("four segments", format!("{token}.AA")),
        ("five segments", format!("{token}.AA.AA")),
        ("dots", "..".into()),
        ("many dots", ".".repeat(1000)),
        ("empty header", token.replacen(token.split('.').next().unwrap(), "", 1)),
        ("padding", format!("{token}=")),
        ("line end", format!("{token}\n")),
        ("space before", format!(" {token}")),
        ("quotes", format!("\"{token}\"")),
        ("bearer", format!("Bearer {token}")),
        ("standard alphabet", token.replace('-', "+").replace('_', "/") + "+"),
        ("json form", json!({"payload": "e30", "signatures": []}).to_string()),
    ] {
        kit.refuses(&bad, name);
    }
    // Correctly signed, but too long: refused before anything is decoded.
    let fill = |bytes: usize| kit.sign(&header("HS256"), &payload_with("x", json!("x".repeat(bytes))));
    let overhead = fill(1).len();
    let longest = (1..)
        .map(|n| fill((MAX_TOKEN_BYTES - overhead) / 4 * 3 + 4 - n))
        .find(|token| token.len() <= MAX_TOKEN_BYTES);
    let longest = longest.unwrap();
    assert!(longest.len() > MAX_TOKEN_BYTES - 4 && kit.codec.decode(&longest, NOW).is_ok());
    let longer = fill((MAX_TOKEN_BYTES - overhead) / 4 * 3 + 8);
    assert!(longer.len() > MAX_TOKEN_BYTES && longer.len() < MAX_TOKEN_BYTES + 16);
    assert_eq!(
        kit.codec.decode(&longer, NOW).unwrap_err(),
        TokenError::Invalid("the token is longer than 8 KiB")
    );
    kit.refuses(&"A".repeat(5_000_000), "5 MB");
}

// CVE-2026-40372; ASVS 9.1.1
#[test]
fn f8_flipping_any_bit_is_refused() {
    for algorithm in ALGORITHMS {
        let kit = Kit::new(algorithm);
        let token = kit.sign(&header(algorithm.as_str()), &payload());
        assert!(kit.codec.decode(&token, NOW).is_ok());
        // Every bit of the text that leaves it text.
        for at in 0..token.len() {
            for bit in 0..7 {
                let mut bytes = token.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let flipped = String::from_utf8(bytes).unwrap();
                kit.refuses(&flipped, &format!("{algorithm}: bit {bit} of character {at}"));
            }
        }
        // Every bit of what is encoded in each segment.
        let segments: Vec<Vec<u8>> = token.split('.').map(unb64).collect();
        for (segment, bytes) in segments.iter().enumerate() {
            for at in 0..bytes.len() * 8 {
                let mut segments = segments.clone();
                segments[segment][at / 8] ^= 1 << (at % 8);
                let flipped: Vec<String> = segments.iter().map(b64).collect();
                kit.refuses(&flipped.join("."), &format!("{algorithm}: bit {at} of segment {segment}"));
            }
        }
        for length in 0..token.len() {
            kit.refuses(&token[..length], &format!("{algorithm}: cut to {length}"));
        }
    }
}

#[test]
fn nothing_presented_is_printed() {
    let kit = Kit::new(Algorithm::EdDsa);
    let canary = "canary-7f3a";
    let header = json!({"alg": "EdDSA", "kid": canary, "typ": "at+jwt"});
    for token in [
        kit.sign(&header, &payload()),
        kit.sign(&json!({"alg": "EdDSA", "typ": "at+jwt", canary: canary}), &payload()),
        kit.sign(&json!({"alg": "EdDSA", "typ": "at+jwt"}), &payload_with("iss", json!(canary))),
        kit.sign(&json!({"alg": "EdDSA", "typ": "at+jwt"}), &payload_with("exp", json!(canary))),
    ] {
        let error = kit.codec.decode(&token, NOW).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    let token = kit.sign(&json!({"alg": "EdDSA", "typ": "at+jwt"}), &payload_with("note", json!(canary)));
    let read = kit.codec.decode(&token, NOW).unwrap();
    assert!(!format!("{read:?} {:?} {:?}", kit.codec, kit.key).contains("canary"));
    assert!(read.payload().contains(canary));
    let seed = &fixture(Algorithm::EdDsa, "private")[40..70];
    assert!(!format!("{:?} {:?}", kit.key, kit.codec).contains(seed));
}

/// Accepted by the oracle, with the same key and every check it has turned on.
fn oracle_accepts(token: &str, key: &DecodingKey, algorithm: Jose, now: Timestamp) -> bool {
    let mut validation = jsonwebtoken::Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    // It reads the machine's clock; its own checks of time are left out and done here.
    validation.validate_exp = false;
    jsonwebtoken::decode::<Value>(token, key, &validation)
        .is_ok_and(|data| data.claims["exp"].as_i64().is_some_and(|exp| Timestamp::from_secs(exp) > now))
}

fn claim_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => Just(Value::Null),
        2 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        2 => "[a-z:/.]{0,12}".prop_map(Value::from),
        1 => prop::sample::select(vec![json!(ISSUER), json!(AUDIENCE), json!([ISSUER]), json!(IAT + 600), json!({})]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics_and_never_verifies(text in "\\PC{0,200}", dotted in "[A-Za-z0-9_.=-]{0,200}") {
        let kit = Kit::new(Algorithm::Hs256);
        prop_assert!(kit.codec.decode(&text, NOW).is_err());
        prop_assert!(kit.codec.decode(&dotted, NOW).is_err());
    }

    #[test]
    fn arbitrary_bytes_in_signed_segments_never_panic(
        head in prop::collection::vec(any::<u8>(), 0..80),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let kit = Kit::new(Algorithm::Hs256);
        for (head, body) in [(&head[..], payload().to_string().as_bytes()), (header("HS256").to_string().as_bytes(), &body[..])] {
            let message = format!("{}.{}", b64(head), b64(body));
            let signature = sign_as(Jose::HS256, &kit.private, &message).unwrap();
            let token = format!("{message}.{}", b64(signature));
            prop_assert!(kit.codec.decode(&token, NOW).is_err());
        }
    }

    #[test]
    fn arbitrary_changes_never_verify(at in any::<prop::sample::Index>(), cut in 0..4_usize, put in "[A-Za-z0-9_.-]{0,4}") {
        let kit = Kit::new(Algorithm::EdDsa);
        let token = kit.sign(&header("EdDSA"), &payload());
        let at = at.index(token.len());
        let end = (at + cut).min(token.len());
        let changed = format!("{}{put}{}", &token[..at], &token[end..]);
        prop_assume!(changed != token);
        prop_assert!(kit.codec.decode(&changed, NOW).is_err());
    }

    /// Whatever we accept, jsonwebtoken with the same key accepts.
    #[test]
    fn we_accept_no_more_than_the_oracle(
        name in prop::sample::select(vec!["iss", "aud", "sub", "jti", "iat", "exp", "nbf", "scope", "roles", "tid", "x"]),
        value in claim_value(),
        alg in prop::sample::select(vec!["HS256", "HS256", "HS384", "none"]),
        typ in prop::sample::select(vec!["at+jwt", "at+jwt", "JWT"]),
        flip in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let kit = Kit::new(Algorithm::Hs256);
        let head = json!({"alg": alg, "kid": "k1", "typ": typ});
        let mut token = kit.sign(&head, &payload_with(name, value)).into_bytes();
        if let Some(flip) = flip {
            let at = flip.index(token.len());
            token[at] ^= 1;
        }
        let token = String::from_utf8(token).unwrap();
        if kit.codec.decode(&token, NOW).is_ok() {
            let secret = fixture(Algorithm::Hs256, "private");
            let key = DecodingKey::from_secret(secret.as_bytes());
            prop_assert!(oracle_accepts(&token, &key, Jose::HS256, NOW));
        }
    }

    /// Flat claims as we mint them ourselves, changed here and there and signed anew: what we accept the oracle accepts, and
    /// both read the same.
    #[test]
    fn we_read_what_the_oracle_reads(
        roles in prop::collection::vec("[a-z]{1,8}", 0..12),
        extra in prop::collection::btree_map("[a-z]{5,9}", claim_value(), 0..4),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3_usize, "[]{}\",:0-9a-e \\\\-]{0,2}"), 0..3),
    ) {
        let kit = Kit::new(Algorithm::Hs256);
        let mut payload = payload();
        payload["roles"] = roles.into();
        payload["scope"] = json!("tasks:read tasks:write");
        extra.into_iter().filter(|(name, _)| name != "scope" && name != "roles").for_each(|(name, value)| payload[name] = value);
        let mut text = payload.to_string();
        for (at, cut, put) in edits {
            let at = at.index(text.len() + 1);
            text.replace_range(at..(at + cut).min(text.len()), &put);
        }
        let token = kit.sign_text(&header("HS256").to_string(), &text);
        if let Ok(read) = kit.codec.decode(&token, NOW) {
            let key = DecodingKey::from_secret(fixture(Algorithm::Hs256, "private").as_bytes());
            prop_assert!(oracle_accepts(&token, &key, Jose::HS256, NOW));
            let (theirs, ours) = (serde_json::from_str::<Value>(&text).unwrap(), read.claims());
            prop_assert_eq!(&theirs["sub"], ours.subject().as_str());
            prop_assert_eq!(&theirs["jti"], ours.id().as_str());
            prop_assert_eq!(&theirs["iat"], ours.issued_at().as_secs());
            prop_assert_eq!(&theirs["exp"], ours.expires_at().as_secs());
            let roles = theirs.get("roles").cloned().unwrap_or_else(|| json!([]));
            prop_assert_eq!(roles, json!(ours.roles()));
            prop_assert_eq!(theirs.get("scope").cloned(), ours.scopes().map(|scopes| json!(scopes.join(" "))));
            for (name, value) in ours.extra() {
                prop_assert_eq!(theirs.get(name), Some(value));
            }
            prop_assert_eq!(&**read.payload(), &text);
        }
    }

    /// What we make we read, and so does the oracle.
    #[test]
    fn what_is_made_is_read(
        roles in prop::collection::vec("[a-z]{1,8}", 0..4),
        scopes in prop::option::of(prop::collection::vec("[a-z:]{1,8}", 0..4)),
        note in "\\PC{0,40}",
        life in 1..100_000_i64,
    ) {
        let kit = Kit::new(Algorithm::Hs256);
        let (sub, jti) = (Subject::parse("ada").unwrap(), TokenId::parse("t1").unwrap());
        let mut claims = Claims::new(sub, jti, NOW, Timestamp::from_secs(NOW.as_secs() + life))
            .with_roles(roles)
            .with_extra("note", json!({"text": note}))
            .unwrap();
        if let Some(scopes) = scopes {
            claims = claims.with_scopes(scopes);
        }
        let token = kit.codec.encode(&claims).unwrap();
        let read = kit.codec.decode(token.expose_secret(), NOW).unwrap();
        prop_assert_eq!(read.claims(), &claims);
        let key = DecodingKey::from_secret(fixture(Algorithm::Hs256, "private").as_bytes());
        prop_assert!(oracle_accepts(token.expose_secret(), &key, Jose::HS256, NOW));
    }
}
