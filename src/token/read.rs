//! Strict reading of a token's header and claims: JSON in which every name is unique and every type is right.
//!
//! serde's derives would do most of it, but not refuse a duplicate name in a nested object or a depth bomb, nor
//! leave behind which claim was wrong.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Map;

use crate::id::TenantId;
use crate::principal::{Actor, AuthMethod, Epoch};
use crate::token::claims::{Claims, RESERVED, is_role, is_scope};
use crate::token::strict::{Exactly, NumericDate, Object, Strict, Text, Typed};

/// Reads the claims if `iss` and `aud` are exactly these strings.
///
/// # Errors
///
/// The reason, which never contains input.
pub(super) fn claims(json: &str, issuer: &str, audience: &str) -> Result<Claims, &'static str> {
    let reason = Cell::new("the payload is not a json object");
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let seed = ClaimsSeed { issuer, audience, reason: &reason };
    let claims = seed.deserialize(&mut deserializer).map_err(|_| reason.get())?;
    deserializer.end().map_err(|_| "something follows the claims")?;
    Ok(claims)
}

/// The members of a header we accept.
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) typ: String,
    pub(super) kid: Option<String>,
}

/// Reads a header of `alg`, `typ` and perhaps `kid`, and nothing else.
///
/// # Errors
///
/// The reason, which never contains input.
pub(super) fn header(json: &str) -> Result<Header, &'static str> {
    let reason = Cell::new("the header is not a json object");
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let header = HeaderSeed { reason: &reason }.deserialize(&mut deserializer).map_err(|_| reason.get())?;
    deserializer.end().map_err(|_| "something follows the header")?;
    Ok(header)
}

struct HeaderSeed<'a> {
    reason: &'a Cell<&'static str>,
}

impl<'de> DeserializeSeed<'de> for HeaderSeed<'_> {
    type Value = Header;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Header, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeaderSeed<'_> {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let (mut alg, mut typ, mut kid) = (None, None, None);
        while let Some(name) = map.next_key_seed(Text)? {
            let (slot, wrong) = match name.as_str() {
                "alg" => (&mut alg, "`alg` is not one string"),
                "typ" => (&mut typ, "`typ` is not one string"),
                "kid" => (&mut kid, "`kid` is not one string"),
                name => {
                    self.reason.set(refused_member(name));
                    return Err(A::Error::custom("refused"));
                }
            };
            self.reason.set(wrong);
            if slot.replace(map.next_value_seed(Text)?).is_some() {
                return Err(A::Error::custom("duplicate"));
            }
            self.reason.set("the header is malformed");
        }
        self.reason.set("`alg` or `typ` is missing");
        match (alg, typ) {
            (Some(alg), Some(typ)) => Ok(Header { alg, typ, kid }),
            _ => Err(A::Error::custom("missing")),
        }
    }
}

/// RFC 7515 section 4 would have unknown members ignored. Our tokens have none, so whoever added one is somebody
/// else; and the known ones bring keys, compression, encryption or extensions along.
fn refused_member(name: &str) -> &'static str {
    match name {
        "crit" => "the header demands an extension by `crit`",
        "jku" | "jwk" | "x5u" | "x5c" | "x5t" | "x5t#S256" => "the header brings a key along",
        "enc" | "zip" | "cty" | "b64" => "the header is of an encrypted, compressed or nested token",
        _ => "the header has a member that our tokens don't have",
    }
}

struct ClaimsSeed<'a> {
    issuer: &'a str,
    audience: &'a str,
    reason: &'a Cell<&'static str>,
}

impl<'de> DeserializeSeed<'de> for ClaimsSeed<'_> {
    type Value = Claims;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Claims, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl ClaimsSeed<'_> {
    /// Reads the value of the claim `which` into its slot, once.
    fn take<'de, A: MapAccess<'de>, S: DeserializeSeed<'de>>(
        &self,
        map: &mut A,
        slot: &mut Option<S::Value>,
        seed: S,
        which: &'static str,
    ) -> Result<(), A::Error> {
        self.reason.set(which);
        if slot.replace(map.next_value_seed(seed)?).is_some() {
            return Err(A::Error::custom("duplicate"));
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for ClaimsSeed<'_> {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
        let (mut iss, mut aud, mut sub, mut jti) = (None, None, None, None);
        let (mut iat, mut exp, mut nbf, mut auth_time) = (None, None, None, None);
        let (mut sid, mut tid, mut epoch, mut roles, mut scope) = (None, None, None, None, None);
        let (mut amr, mut act) = (None, None);
        let mut extra = Map::new();
        loop {
            self.reason.set("the claims are malformed");
            let Some(name) = map.next_key_seed(Text)? else { break };
            match name.as_str() {
                "iss" => self.take(
                    &mut map,
                    &mut iss,
                    Exactly(self.issuer),
                    "`iss` is not one string, the issuer",
                )?,
                "aud" => self.take(
                    &mut map,
                    &mut aud,
                    Exactly(self.audience),
                    "`aud` is not one string, the audience",
                )?,
                "sub" => self.take(&mut map, &mut sub, Typed::new(), "`sub` is not one identifier")?,
                "jti" => self.take(&mut map, &mut jti, Typed::new(), "`jti` is not one identifier")?,
                "iat" => {
                    self.take(&mut map, &mut iat, NumericDate, "`iat` is not one whole number of seconds")?
                }
                "exp" => {
                    self.take(&mut map, &mut exp, NumericDate, "`exp` is not one whole number of seconds")?
                }
                "nbf" => {
                    self.take(&mut map, &mut nbf, NumericDate, "`nbf` is not one whole number of seconds")?
                }
                "auth_time" => {
                    self.take(
                        &mut map,
                        &mut auth_time,
                        NumericDate,
                        "`auth_time` is not one whole number of seconds",
                    )?;
                }
                "sid" => self.take(&mut map, &mut sid, Typed::new(), "`sid` is not one identifier")?,
                "tid" => {
                    self.take(&mut map, &mut tid, Typed::<TenantId>::new(), "`tid` is not one identifier")?
                }
                "epoch" => self.take(
                    &mut map,
                    &mut epoch,
                    Typed::<Epoch>::new(),
                    "`epoch` is not one pair of counters",
                )?,
                "roles" => self.take(
                    &mut map,
                    &mut roles,
                    Typed::<Vec<String>>::new(),
                    "`roles` is not one list of names",
                )?,
                "scope" => self.take(&mut map, &mut scope, Text, "`scope` is not one string")?,
                "amr" => self.take(
                    &mut map,
                    &mut amr,
                    Typed::<Vec<AuthMethod>>::new(),
                    "`amr` is not one list of methods",
                )?,
                "act" => self.take(&mut map, &mut act, Object::<Actor>::new(), "`act` is not one actor")?,
                // Anything else we attach a meaning to, such as a proof of possession, must not be skipped over.
                reserved if RESERVED.contains(&reserved) => {
                    self.reason.set("a claim is present that we cannot honour");
                    return Err(A::Error::custom("reserved"));
                }
                "" => return Err(A::Error::custom("no name")),
                _ => {
                    self.reason.set("a claim of the application's is malformed, too deep or duplicate");
                    let value = map.next_value_seed(Strict { depth: 2 })?;
                    if extra.insert(name, value).is_some() {
                        return Err(A::Error::custom("duplicate"));
                    }
                }
            }
        }
        self.reason.set("`iss`, `aud`, `sub`, `jti`, `iat` or `exp` is missing");
        let (Some(()), Some(()), Some(sub), Some(jti), Some(iat), Some(exp)) = (iss, aud, sub, jti, iat, exp)
        else {
            return Err(A::Error::custom("missing"));
        };
        let roles = roles.unwrap_or_default();
        let scope: Option<Vec<String>> = scope.map(|text| match text.as_str() {
            "" => Vec::new(),
            text => text.split(' ').map(str::to_owned).collect(),
        });
        self.reason.set("a role or scope is malformed");
        if !roles.iter().all(|role| is_role(role)) || !scope.iter().flatten().all(|scope| is_scope(scope)) {
            return Err(A::Error::custom("malformed"));
        }
        let (tid, epoch, amr) = (tid.unwrap_or_default(), epoch.unwrap_or_default(), amr.unwrap_or_default());
        Ok(Claims { sub, jti, iat, exp, nbf, sid, tid, epoch, roles, scope, auth_time, amr, act, extra })
    }
}
