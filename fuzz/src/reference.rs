//! Access tokens by the rules that stand on `TokenCodec`, one after another, as plainly as can be.

use std::fmt;

use serde_json::Map;

use crate::facts::{Facts, Seen};
use crate::json::Tree;
use crate::world::{KEYS, KIDS, mac};
use crate::{AUDIENCE, ISSUER, LEEWAY, MAX_TOKEN_BYTES};

/// Why a token is refused.
#[derive(Clone)]
pub enum Refusal {
    Invalid(&'static str),
    Expired,
}

impl Refusal {
    pub fn is_expiry(&self) -> bool {
        matches!(self, Self::Expired)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if let Self::Invalid(why) = self { why } else { "expired" })
    }
}

/// What the token says, and by which key.
pub fn read(token: &str, now_micros: i64) -> Result<(Facts, usize), Refusal> {
    let (facts, key) = read_form(token).map_err(Refusal::Invalid)?;
    let micros = |seconds: i64| i128::from(seconds) * 1_000_000;
    let (now, leeway) = (i128::from(now_micros), i128::from(LEEWAY) * 1_000_000);
    if facts.seen.exp <= facts.iat {
        return Err(Refusal::Invalid("exp is not later than iat"));
    }
    if micros(facts.iat) > now + leeway || facts.nbf.is_some_and(|nbf| micros(nbf) > now + leeway) {
        return Err(Refusal::Invalid("lies in the future"));
    }
    if micros(facts.seen.exp) <= now {
        return Err(Refusal::Expired);
    }
    Ok((facts, key))
}

/// All but the time.
fn read_form(token: &str) -> Result<(Facts, usize), &'static str> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err("too long");
    }
    let segments: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = segments[..] else { return Err("not three segments") };
    let decoded = |segment| base64url(segment).ok_or("not base64url");
    let (head, body, tag) = (decoded(header)?, decoded(payload)?, decoded(signature)?);

    let key = read_header(&head).ok_or("the header")?;
    if tag != mac(key, format!("{header}.{payload}").as_bytes()) {
        return Err("the signature");
    }
    let text = String::from_utf8(body).map_err(|_| "not utf-8")?;
    let tree = Tree::parse(text.as_bytes()).ok_or("not json")?;
    if !tree.is_unambiguous() {
        return Err("a name twice");
    }
    if tree.depth() > 16 {
        return Err("too deep");
    }
    let facts = read_claims(tree.object().ok_or("not an object")?, text.clone()).ok_or("a claim")?;
    Ok((facts, key))
}

/// The key that the header names.
fn read_header(json: &[u8]) -> Option<usize> {
    let tree = Tree::parse(json).filter(Tree::is_unambiguous)?;
    let (mut alg, mut typ, mut kid) = (None, None, None);
    for (name, value) in tree.object()? {
        match name.as_str() {
            "alg" => alg = Some(value.text()?),
            "typ" => typ = Some(value.text()?),
            "kid" => kid = Some(value.text()?),
            _ => return None,
        }
    }
    let typ = typ?.to_ascii_lowercase();
    if alg? != "HS256" || (typ != "at+jwt" && typ != "application/at+jwt") {
        return None;
    }
    let Some(kid) = kid else { return Some(0) };
    KIDS.iter().take(KEYS).position(|known| *known == kid)
}

fn read_claims(members: &[(String, Tree)], payload: String) -> Option<Facts> {
    let get = |wanted: &str| members.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    // What is there must be right; outside is whether the whole is, inside whether it is there.
    let optional = |name: &str, rule: fn(&Tree) -> Option<String>| match get(name) {
        Some(value) => rule(value).map(Some),
        None => Some(None),
    };
    let date = |name: &str| match get(name) {
        Some(value) => seconds(value).map(Some),
        None => Some(None),
    };
    if get("iss")?.text()? != ISSUER || get("aud")?.text()? != AUDIENCE {
        return None;
    }
    if get("cnf").is_some() || get("").is_some() {
        return None;
    }
    let epoch = match get("epoch") {
        None => (0, 0),
        Some(value) => match value.list()? {
            [a, b] => (a.whole()?.try_into().ok()?, b.whole()?.try_into().ok()?),
            _ => return None,
        },
    };
    let act = match get("act") {
        None => None,
        Some(value) => match value.object()? {
            [(name, sub)] if name == "sub" => Some(identifier(sub)?),
            _ => return None,
        },
    };
    let scopes = match get("scope") {
        None => None,
        Some(value) => Some(match value.text()? {
            "" => Vec::new(),
            text => text.split(' ').map(scope).collect::<Option<_>>()?,
        }),
    };
    let seen = Seen {
        sub: identifier(get("sub")?)?,
        jti: identifier(get("jti")?)?,
        sid: optional("sid", identifier)?,
        tid: optional("tid", identifier)?.unwrap_or_else(|| "default".to_owned()),
        exp: seconds(get("exp")?)?,
        epoch,
        roles: list(get("roles"), role)?,
        scopes,
        auth_time: date("auth_time")?,
        amr: list(get("amr"), method)?,
        act,
        payload,
    };
    let known = [
        "iss",
        "aud",
        "sub",
        "jti",
        "iat",
        "exp",
        "nbf",
        "sid",
        "tid",
        "epoch",
        "roles",
        "scope",
        "auth_time",
        "amr",
        "act",
    ];
    let own = members.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    let own: Map<_, _> = own.map(|(name, value)| (name.clone(), value.to_value())).collect();
    let extra = serde_json::to_string(&own).ok()?;
    Some(Facts { seen, iat: seconds(get("iat")?)?, nbf: date("nbf")?, extra })
}

fn list(value: Option<&Tree>, rule: fn(&str) -> bool) -> Option<Vec<String>> {
    let Some(value) = value else { return Some(Vec::new()) };
    value.list()?.iter().map(|each| each.text().filter(|text| rule(text)).map(str::to_owned)).collect()
}

/// A whole number, written as one, before the year 10000.
fn seconds(value: &Tree) -> Option<i64> {
    value.whole().filter(|seconds| *seconds < 253_402_300_800).map(|seconds| seconds as i64)
}

fn identifier(value: &Tree) -> Option<String> {
    let allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:@+/";
    let text = value.text()?;
    let fine = !text.is_empty() && text.len() <= 128 && text.chars().all(|c| allowed.contains(c));
    fine.then(|| text.to_owned())
}

fn role(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && !text.contains(|c| matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}'))
}

/// RFC 6749 section 3.3.
fn scope(text: &str) -> Option<String> {
    let fine = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\');
    fine.then(|| text.to_owned())
}

fn method(text: &str) -> bool {
    ["pwd", "otp", "hwk", "swk", "pin", "mfa", "fed"].contains(&text)
}

/// RFC 4648 section 5, without padding; bits that no byte needs are zero (section 3.5).
pub fn base64url(text: &str) -> Option<Vec<u8>> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for c in text.chars() {
        held = (held << 6) | u32::try_from(alphabet.find(c)?).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    (bits < 6 && held == 0).then_some(bytes)
}
