//! What is written against serde_json.

use proptest::prelude::*;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::*;
use crate::principal::{Actor, AuthMethod, Epoch};

/// The same by serde_json alone.
pub(in crate::token) fn by_serde(claims: &Claims, issuer: &str, audience: &str) -> String {
    serde_json::to_string(&Written { claims, issuer, audience }).unwrap()
}

struct Written<'a> {
    claims: &'a Claims,
    issuer: &'a str,
    audience: &'a str,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Claims { sub, jti, iat, exp, nbf, sid, tid, epoch, roles, scope, auth_time, amr, act, extra } =
            self.claims;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", self.issuer)?;
        map.serialize_entry("aud", self.audience)?;
        map.serialize_entry("sub", sub)?;
        map.serialize_entry("jti", jti)?;
        map.serialize_entry("iat", iat)?;
        map.serialize_entry("exp", exp)?;
        if let Some(nbf) = nbf {
            map.serialize_entry("nbf", nbf)?;
        }
        if let Some(sid) = sid {
            map.serialize_entry("sid", sid)?;
        }
        map.serialize_entry("tid", tid)?;
        map.serialize_entry("epoch", epoch)?;
        if !roles.is_empty() {
            map.serialize_entry("roles", roles)?;
        }
        if let Some(scope) = scope {
            map.serialize_entry("scope", &scope.join(" "))?;
        }
        if let Some(auth_time) = auth_time {
            map.serialize_entry("auth_time", auth_time)?;
        }
        if !amr.is_empty() {
            map.serialize_entry("amr", amr)?;
        }
        if let Some(act) = act {
            map.serialize_entry("act", act)?;
        }
        for (name, value) in extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn written(claims: &Claims, issuer: &str, audience: &str) -> String {
    let mut out = Json::new();
    super::claims(claims, issuer, audience, &mut out).unwrap();
    String::from_utf8(out.as_slice().to_vec()).unwrap()
}

/// All of ASCII and more, in every place where there is text: nothing gets out of its quotes.
#[test]
fn every_character_is_written_as_serde_json_writes_it() {
    let at = crate::time::Timestamp::from_secs;
    let least = || Claims::new("ada".parse().unwrap(), "t1".parse().unwrap(), at(1), at(2));
    for char in (0..0x180_u32).chain([0x2028, 0x2029, 0xfeff, 0x1_f600]).filter_map(char::from_u32) {
        for text in [format!("{char}"), format!("ab{char}c"), format!("{char}{char}")] {
            let claims = least()
                .with_roles(["user", &text])
                .with_scopes(["tasks:read", &text])
                .with_extra(format!("x{text}"), text.clone().into())
                .unwrap();
            let ours = written(&claims, &text, &text);
            assert_eq!(ours, by_serde(&claims, &text, &text), "{text:?}");
            let read: Map<String, Value> = serde_json::from_str(&ours).unwrap();
            assert_eq!(read.get("iss"), Some(&json!(text)), "{text:?}");
            assert_eq!(read.get("roles"), Some(&json!(["user", text])), "{text:?}");
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z:/. -]{0,20}",
        1 => "[a-z\"\\\\\n\u{0}\u{7f}\u{e9}\u{2028}]{0,9}",
        1 => "\\PC{0,300}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_claims() -> impl Strategy<Value = Claims> {
    let id = || "[a-zA-Z0-9_.:@+/-]{1,128}";
    (
        (id(), id(), prop::option::of(id()), id(), prop::option::of(id()), any::<(u32, u32)>()),
        any::<(i64, i64, Option<i64>, Option<i64>)>(),
        prop::collection::vec(text(), 0..5),
        prop::sample::subsequence(AuthMethod::ALL, 0..=AuthMethod::ALL.len()),
        prop::option::of(prop::collection::vec(text(), 0..5)),
        prop::collection::btree_map(text(), value(), 0..4),
    )
        .prop_map(
            |((sub, jti, sid, tid, act, epoch), (iat, exp, nbf, auth_time), roles, amr, scope, extra)| {
                Claims {
                    sub: sub.parse().unwrap(),
                    jti: jti.parse().unwrap(),
                    iat,
                    exp,
                    nbf,
                    sid: sid.map(|sid| sid.parse().unwrap()),
                    tid: tid.parse().unwrap(),
                    epoch: Epoch { security: epoch.0, grants: epoch.1 },
                    roles,
                    scope,
                    auth_time,
                    amr,
                    act: act.map(|sub| Actor { sub: sub.parse().unwrap() }),
                    extra: extra.into_iter().collect(),
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_claims_are_written_as_serde_json_writes_them(claims in any_claims(), issuer in text(), audience in text()) {
        prop_assert_eq!(written(&claims, &issuer, &audience), by_serde(&claims, &issuer, &audience));
    }

    /// Else an application could say it in our place.
    #[test]
    fn what_we_say_ourselves_is_reserved(claims in any_claims()) {
        let said: Map<String, Value> = serde_json::from_str(&by_serde(&claims, "a", "b")).unwrap();
        for name in said.keys().filter(|name| !claims.extra.contains_key(*name)) {
            prop_assert!(crate::token::claims::RESERVED.contains(&name.as_str()), "{}", name);
        }
    }
}
