use proptest::prelude::*;

use super::*;
use crate::crypto::{Algorithm, Key};
use crate::id::TokenId;

fn decoded(text: &str) -> Option<Vec<u8>> {
    segment::<64, _>(text, <[u8]>::to_vec).ok()
}

/// What our keys mint is recognized, and read as the strict reader of headers reads it; nothing else is recognized.
#[test]
fn a_recognized_header_is_what_the_strict_reader_makes_of_it() {
    let (a, b) = (Key::generate(Algorithm::Hs256).unwrap(), Key::generate(Algorithm::Hs256).unwrap());
    let ring = Arc::new(Keyring::new(a.clone()).unwrap().with_accepted(b.clone()).unwrap());
    let keys = Keys::new(Arc::clone(&ring)).unwrap();
    for (name, key) in [("primary", &a), ("accepted", &b)] {
        let json = format!(r#"{{"alg":"HS256","kid":"{}","typ":"at+jwt"}}"#, key.id());
        let header = URL_SAFE_NO_PAD.encode(&json);
        let recognized = keys.recognize(&header).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(recognized.id(), named(&ring, &header).unwrap().id(), "{name}");
        assert_eq!(recognized.id(), key.id(), "{name}");
        for (name, other) in [
            ("none", json.replace("HS256", "none")),
            ("another algorithm", json.replace("HS256", "HS512")),
            ("another type", json.replace("at+jwt", "JWT")),
            ("a space", json.replace("\":\"", "\": \"")),
            ("another key", json.replace(key.id().as_str(), "k")),
        ] {
            assert!(keys.recognize(&URL_SAFE_NO_PAD.encode(other)).is_none(), "{name}");
        }
        assert!(keys.recognize("").is_none() && keys.recognize(&header[1..]).is_none());
        assert!(keys.recognize(&header.to_ascii_lowercase()).is_none(), "in lower case");
    }
    assert_eq!(keys.header(), keys.minted_by(a.id()));
}

/// A key that reads nothing any more is not recognized either.
#[test]
fn the_header_of_a_compromised_key_is_not_recognized() {
    let (a, b) = (Key::generate(Algorithm::Hs256).unwrap(), Key::generate(Algorithm::Hs256).unwrap());
    let ring = Keyring::new(a).unwrap().with_accepted(b.clone()).unwrap();
    let at = Timestamp::from_secs(1_767_225_600);
    let before = Keys::new(Arc::new(ring.clone())).unwrap();
    let after = Keys::new(Arc::new(ring.compromise(b.id(), at).unwrap())).unwrap();
    let header = before.minted_by(b.id()).unwrap();
    assert!(before.recognize(header).is_some() && after.recognize(header).is_none());
    assert_ne!(before.generation(), after.generation());
}

/// The same answer whichever way the header was read.
#[test]
fn a_header_of_another_spelling_opens_the_same_token() {
    let key = Key::generate(Algorithm::Hs256).unwrap();
    let codec =
        TokenCodec::new(Arc::new(Keyring::new(key.clone()).unwrap()), "https://id.example", "api").unwrap();
    let now = Timestamp::from_secs(1_767_225_600);
    let (sub, jti) = ("ada".parse().unwrap(), TokenId::mint().unwrap());
    let claims = Claims::new(sub, jti, now, now + std::time::Duration::from_secs(60));
    let token = secrecy::ExposeSecret::expose_secret(&codec.encode(&claims).unwrap()).to_owned();
    let payload = token.split('.').nth(1).unwrap();
    let json = format!(r#"{{ "typ":"application/AT+JWT","kid":"{}","alg":"HS256" }}"#, key.id());
    let message = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(json));
    let mut signature = SignatureBytes::new();
    key.signature().unwrap().1.sign(message.as_bytes(), &mut signature).unwrap();
    let other = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_slice()));
    assert_eq!(codec.decode(&token, now).unwrap().claims(), &claims);
    assert_eq!(codec.decode(&other, now).unwrap().claims(), &claims);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// One decoder against the other, on texts that are right, nearly right, and wrong.
    #[test]
    fn segments_are_canonical_base64url(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        cut in 0..2_usize,
        put in "[A-Za-z0-9_+/= \u{e9}\n-]{0,2}",
        wild in "[A-Za-z0-9_-]{0,9}[A-Za-z0-9+/=.]{0,2}",
    ) {
        let right = URL_SAFE_NO_PAD.encode(&bytes);
        prop_assert_eq!(decoded(&right), Some(bytes));
        let at = at.index(right.len() + 1);
        let nearly = format!("{}{put}{}", &right[..at], &right[(at + cut).min(right.len())..]);
        for text in [nearly, wild] {
            prop_assert_eq!(decoded(&text), URL_SAFE_NO_PAD.decode(&text).ok(), "{}", text);
        }
    }
}
