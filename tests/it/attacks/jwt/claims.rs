//! Claims of the wrong type, missing, twice, out of time: F3, F4, R6.

use portcullis::crypto::KeyPurpose;

use super::*;

// CVE-2026-25537, CVE-2025-30144; ASVS 9.2.1
#[test]
fn f3_wrongly_typed_and_missing_claims_are_refused() {
    let kit = Kit::new(Algorithm::Hs256);
    let me = json!(ISSUER);
    for (name, claim, value) in [
        ("iss is a number", "iss", json!(5)),
        ("iss is a list with ours", "iss", json!(["https://evil.example", ISSUER])),
        ("iss is a list of ours", "iss", json!([me])),
        ("iss is an object", "iss", json!({ ISSUER: true })),
        ("iss is true", "iss", json!(true)),
        ("iss is another", "iss", json!("https://evil.example")),
        ("iss is longer", "iss", json!(format!("{ISSUER}/"))),
        ("iss is shorter", "iss", json!(ISSUER[..ISSUER.len() - 1])),
        ("iss in capitals", "iss", json!(ISSUER.to_uppercase())),
        ("iss is empty", "iss", json!("")),
        ("no iss", "iss", Value::Null),
        ("aud is a number", "aud", json!(5)),
        ("aud is a list of ours", "aud", json!([AUDIENCE])),
        ("aud is a list with ours", "aud", json!(["https://evil.example", AUDIENCE])),
        ("aud is another", "aud", json!("https://evil.example")),
        ("aud is the issuer", "aud", json!(ISSUER)),
        ("no aud", "aud", Value::Null),
        ("exp is text", "exp", json!("9e9")),
        ("exp is digits in text", "exp", json!((IAT + 600).to_string())),
        ("exp is a float", "exp", json!(1_767_226_200.5)),
        ("exp is a whole float", "exp", json!(1_767_226_200.0)),
        ("exp is negative", "exp", json!(-1)),
        ("exp is after 9999", "exp", json!(253_402_300_800_i64)),
        ("exp is huge", "exp", json!(u64::MAX)),
        ("exp is a list", "exp", json!([IAT + 600])),
        ("exp is true", "exp", json!(true)),
        ("no exp", "exp", Value::Null),
        ("exp before iat", "exp", json!(IAT - 1)),
        ("exp at iat", "exp", json!(IAT)),
        ("iat is text", "iat", json!("0")),
        ("iat is a float", "iat", json!(0.5)),
        ("iat is negative", "iat", json!(-5)),
        ("no iat", "iat", Value::Null),
        ("iat is 6 s ahead", "iat", json!(IAT + 66)),
        ("nbf is 6 s ahead", "nbf", json!(IAT + 66)),
        ("nbf is text", "nbf", json!("0")),
        ("nbf is a float", "nbf", json!(1.5)),
        ("sub is empty", "sub", json!("")),
        ("sub is a number", "sub", json!(1)),
        ("sub is a list", "sub", json!(["ada"])),
        ("sub has a space", "sub", json!("ada lovelace")),
        ("sub has NUL", "sub", json!("ada\u{0}")),
        ("sub is too long", "sub", json!("a".repeat(129))),
        ("no sub", "sub", Value::Null),
        ("jti is empty", "jti", json!("")),
        ("jti is a number", "jti", json!(1)),
        ("no jti", "jti", Value::Null),
        ("sid is a number", "sid", json!(1)),
        ("tid is empty", "tid", json!("")),
        ("tid is a list", "tid", json!(["default"])),
        ("epoch is a number", "epoch", json!(1)),
        ("epoch is short", "epoch", json!([1])),
        ("epoch is long", "epoch", json!([1, 2, 3])),
        ("epoch is negative", "epoch", json!([0, -1])),
        ("epoch is a float", "epoch", json!([0, 1.0])),
        ("epoch is too large", "epoch", json!([0, 4_294_967_296_u64])),
        ("roles is text", "roles", json!("admin")),
        ("roles holds a number", "roles", json!(["user", 5])),
        ("roles holds nothing", "roles", json!([""])),
        ("roles is an object", "roles", json!({"admin": true})),
        ("scope is a list", "scope", json!(["a", "b"])),
        ("scope has two spaces", "scope", json!("a  b")),
        ("scope begins with a space", "scope", json!(" a")),
        ("scope has a quote", "scope", json!("a\"b")),
        ("scope has a line end", "scope", json!("a\nb")),
        ("auth_time is text", "auth_time", json!("1")),
        ("amr is text", "amr", json!("pwd")),
        ("amr is unknown", "amr", json!(["telepathy"])),
        ("amr holds an object", "amr", json!([{"pwd": null}])),
        ("act is text", "act", json!("root")),
        ("act is a list", "act", json!(["root"])),
        ("act has no sub", "act", json!({})),
        ("act has more", "act", json!({"sub": "root", "x": 1})),
        ("cnf cannot be honoured", "cnf", json!({"jkt": "x"})),
    ] {
        kit.refuses(&kit.sign(&header("HS256"), &payload_with(claim, value)), name);
    }
    for claim in ["nbf", "sid", "tid", "epoch", "roles", "scope", "auth_time", "amr", "act", "iss", "exp"] {
        let mut null = payload();
        null[claim] = Value::Null;
        kit.refuses(&kit.sign(&header("HS256"), &null), &format!("{claim} is null"));
    }
    for (name, claim, value) in [
        ("iat 5 s ahead", "iat", json!(IAT + 65)),
        ("nbf 5 s ahead", "nbf", json!(IAT + 65)),
        ("scope of nothing", "scope", json!("")),
        ("own claim", "plan", json!({"a": [1, 2.5, null, {"b": "c"}]})),
    ] {
        let token = kit.sign(&header("HS256"), &payload_with(claim, value));
        assert!(kit.codec.decode(&token, NOW).is_ok(), "{name}");
    }
}

#[test]
fn f3_duplicate_names_and_other_forms_of_json_are_refused() {
    let kit = Kit::new(Algorithm::Hs256);
    let own = payload().to_string();
    let body = own.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
    let head = header("HS256").to_string();
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for (name, text) in [
        ("sub twice", format!("{{{body},\"sub\":\"root\"}}")),
        ("sub twice, first", format!("{{\"sub\":\"root\",{body}}}")),
        ("sub twice, escaped", format!("{{{body},\"s\\u0075b\":\"root\"}}")),
        ("exp twice", format!("{{{body},\"exp\":{}}}", IAT + 600)),
        ("roles twice", format!("{{{body},\"roles\":[\"user\"],\"roles\":[\"admin\"]}}")),
        ("own claim twice", format!("{{{body},\"x\":1,\"x\":1}}")),
        ("twice in an object", format!("{{{body},\"x\":{{\"a\":1,\"a\":2}}}}")),
        ("twice in a list", format!("{{{body},\"x\":[[{{\"a\":1,\"a\":2}}]]}}")),
        ("too deep", format!("{{{body},\"x\":{}}}", nested(17))),
        ("far too deep", format!("{{{body},\"x\":{}}}", nested(2000))),
        ("no name", format!("{{{body},\"\":1}}")),
        ("trailing bytes", format!("{own}x")),
        ("two objects", format!("{own}{own}")),
        ("a list", format!("[{own}]")),
        ("a string", json!(own).to_string()),
        ("null", "null".into()),
        ("empty", String::new()),
        ("byte order mark", format!("\u{feff}{own}")),
        ("trailing comma", format!("{{{body},}}")),
        ("comment", format!("{{{body}/**/}}")),
        ("exp in exponent form", own.replace(&(IAT + 600).to_string(), "1.7672262e9")),
        ("negative zero", own.replace(&format!("\"iat\":{IAT}"), "\"iat\":-0")),
    ] {
        kit.refuses(&kit.sign_text(&head, &text), name);
    }
    assert!(
        kit.codec.decode(&kit.sign_text(&head, &format!("{{{body},\"x\":{}}}", nested(15))), NOW).is_ok()
    );

    let bytes = [&b"{\"iss\":\""[..], &[0xff, 0xfe], b"\"}"].concat();
    let message = format!("{}.{}", b64(&head), b64(bytes));
    let signature = sign_as(Jose::HS256, &kit.private, &message).unwrap();
    kit.refuses(&format!("{message}.{}", b64(signature)), "not utf-8");

    for (name, text) in [
        ("alg twice", r#"{"alg":"HS256","alg":"HS256","kid":"k1","typ":"at+jwt"}"#),
        ("kid twice", r#"{"alg":"HS256","kid":"k1","kid":"k1","typ":"at+jwt"}"#),
        ("trailing", r#"{"alg":"HS256","kid":"k1","typ":"at+jwt"}x"#),
        ("a list", r#"["HS256","k1","at+jwt"]"#),
        ("an unknown member", r#"{"alg":"HS256","kid":"k1","typ":"at+jwt","x":1}"#),
        ("no typ", r#"{"alg":"HS256","kid":"k1"}"#),
        ("typ JWT", r#"{"alg":"HS256","kid":"k1","typ":"JWT"}"#),
        ("typ of an id token", r#"{"alg":"HS256","kid":"k1","typ":"id_token+jwt"}"#),
        ("typ of a logout token", r#"{"alg":"HS256","kid":"k1","typ":"logout+jwt"}"#),
        ("typ null", r#"{"alg":"HS256","kid":"k1","typ":null}"#),
        ("empty", ""),
    ] {
        kit.refuses(&kit.sign_text(text, &own), name);
    }
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        let header = json!({"alg": "HS256", "kid": "k1", "typ": typ});
        assert!(kit.codec.decode(&kit.sign(&header, &payload()), NOW).is_ok(), "{typ}");
    }
}

// ASVS 9.2.1
#[test]
fn f3_times_hold_to_the_microsecond() {
    let kit = Kit::new(Algorithm::Hs256);
    let token = kit.sign(&header("HS256"), &payload());
    let exp = Timestamp::from_secs(IAT + 600);
    let last = Timestamp::from_micros(exp.as_micros() - 1);
    assert!(kit.codec.decode(&token, last).is_ok());
    assert_eq!(kit.codec.decode(&token, exp).unwrap_err(), TokenError::Expired);
    let early = Timestamp::from_secs(IAT - 5);
    assert!(kit.codec.decode(&token, early).is_ok());
    let too_early = Timestamp::from_micros(early.as_micros() - 1);
    assert!(matches!(kit.codec.decode(&token, too_early), Err(TokenError::Invalid(_))));
    // Not even a clock gone mad makes it panic or pass.
    assert!(kit.codec.decode(&token, Timestamp::MAX).is_err());
    assert!(kit.codec.decode(&token, Timestamp::MIN).is_err());
    // An expired token with something else wrong is invalid, not expired.
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    assert!(matches!(kit.codec.decode(&forged, exp), Err(TokenError::Invalid(_))));
}

// CVE-2026-22748
#[test]
fn f4_no_codec_without_issuer_and_audience() {
    let ring = Arc::new(Keyring::new(Kit::new(Algorithm::Hs256).key).unwrap());
    for (name, issuer, audience) in [
        ("no issuer", "", AUDIENCE),
        ("no audience", ISSUER, ""),
        ("blank issuer", " ", AUDIENCE),
        ("blank audience", ISSUER, "\t"),
        ("line end", "https://id.example\n", AUDIENCE),
        ("NUL", ISSUER, "a\0"),
        ("too long", ISSUER, &"a".repeat(257)),
    ] {
        assert!(TokenCodec::new(Arc::clone(&ring), issuer, audience).is_err(), "{name}");
    }
    let sealing = Arc::new(Keyring::new(Key::generate_for(KeyPurpose::Sealing).unwrap()).unwrap());
    assert!(TokenCodec::new(Arc::clone(&sealing), ISSUER, AUDIENCE).is_err(), "a ring for sealing");
    let codec = TokenCodec::new(ring, ISSUER, AUDIENCE).unwrap();
    assert!(codec.replace_keyring(sealing).is_err(), "a ring for sealing, later");
}

// jsonwebtoken #493: with issuer and audience configured, a token with neither was accepted.
#[test]
fn r6_a_token_without_audience_and_issuer_is_refused() {
    let kit = Kit::new(Algorithm::EdDsa);
    let mut bare = payload();
    bare.as_object_mut().unwrap().retain(|name, _| name != "iss" && name != "aud");
    kit.refuses(&kit.sign(&header("EdDSA"), &bare), "neither");
    kit.refuses(&kit.sign(&header("EdDSA"), &payload_with("iss", Value::Null)), "no iss");
    kit.refuses(&kit.sign(&header("EdDSA"), &payload_with("aud", Value::Null)), "no aud");
}

#[test]
fn what_reading_would_refuse_is_not_written() {
    let kit = Kit::new(Algorithm::Hs256);
    let claims = || {
        let (sub, jti) = (Subject::parse("ada").unwrap(), TokenId::parse("t1").unwrap());
        Claims::new(sub, jti, Timestamp::from_secs(IAT), Timestamp::from_secs(IAT + 600))
    };
    let span = |iat, exp| {
        let (sub, jti) = (Subject::parse("ada").unwrap(), TokenId::parse("t1").unwrap());
        Claims::new(sub, jti, Timestamp::from_secs(iat), Timestamp::from_secs(exp))
    };
    assert!(kit.codec.encode(&claims()).is_ok());
    for (name, bad) in [
        ("exp at iat", span(IAT, IAT)),
        ("exp before iat", span(IAT, IAT - 1)),
        ("before 1970", span(-1, IAT)),
        ("after 9999", span(IAT, 253_402_300_800)),
        ("empty role", claims().with_roles([""])),
        ("role with a line end", claims().with_roles(["a\n"])),
        ("scope with a space", claims().with_scopes(["a b"])),
        ("empty scope", claims().with_scopes([""])),
        ("over 4 KiB", claims().with_extra("x", json!("x".repeat(4096))).unwrap()),
    ] {
        assert!(kit.codec.encode(&bad).is_err(), "{name}");
    }
    for name in [
        "iss", "aud", "sub", "exp", "nbf", "iat", "jti", "sid", "tid", "epoch", "roles", "scope", "act",
        "amr", "",
    ] {
        assert!(claims().with_extra(name, json!(1)).is_err(), "{name}");
    }
    // A key that only verifies makes no token.
    assert!(Kit::new(Algorithm::Rs256).codec.encode(&claims()).is_err());
}
