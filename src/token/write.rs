//! Claims as JSON, byte for byte as serde_json writes them.
//!
//! Text of plain ASCII, as all of what we mint ourselves is, goes over as it stands; everything else through serde_json,
//! which knows how to escape.

use crate::crypto::Scratch;
use crate::token::claims::Claims;

/// Room for the claims of a sign-in, without memory of its own.
pub(super) type Json = Scratch<1024>;

/// Writes the claims together with the codec's `iss` and `aud`.
///
/// # Errors
///
/// None with claims as they can be made; serde_json's if it has any.
pub(super) fn claims(
    claims: &Claims,
    issuer: &str,
    audience: &str,
    out: &mut Json,
) -> serde_json::Result<()> {
    let Claims { sub, jti, iat, exp, nbf, sid, tid, epoch, roles, scope, auth_time, amr, act, extra } =
        claims;
    out.extend(b"{\"iss\":");
    text(issuer, out)?;
    out.extend(b",\"aud\":");
    text(audience, out)?;
    id(b",\"sub\":\"", sub.as_str(), out);
    id(b",\"jti\":\"", jti.as_str(), out);
    out.extend(b",\"iat\":");
    serde_json::to_writer(&mut *out, iat)?;
    out.extend(b",\"exp\":");
    serde_json::to_writer(&mut *out, exp)?;
    if let Some(nbf) = nbf {
        out.extend(b",\"nbf\":");
        serde_json::to_writer(&mut *out, nbf)?;
    }
    if let Some(sid) = sid {
        id(b",\"sid\":\"", sid.as_str(), out);
    }
    id(b",\"tid\":\"", tid.as_str(), out);
    out.extend(b",\"epoch\":");
    serde_json::to_writer(&mut *out, epoch)?;
    if !roles.is_empty() {
        out.extend(b",\"roles\":");
        list(roles, out, |role, out| text(role, out))?;
    }
    if let Some(scope) = scope {
        out.extend(b",\"scope\":");
        words(scope, out)?;
    }
    if let Some(auth_time) = auth_time {
        out.extend(b",\"auth_time\":");
        serde_json::to_writer(&mut *out, auth_time)?;
    }
    if !amr.is_empty() {
        out.extend(b",\"amr\":");
        list(amr, out, |method, out| serde_json::to_writer(out, method))?;
    }
    if let Some(act) = act {
        out.extend(b",\"act\":");
        serde_json::to_writer(&mut *out, act)?;
    }
    for (name, value) in extra {
        out.extend(b",");
        text(name, out)?;
        out.extend(b":");
        serde_json::to_writer(&mut *out, value)?;
    }
    out.extend(b"}");
    Ok(())
}

/// An identifier has no character that would have to be escaped.
#[inline]
fn id(before: &[u8], id: &str, out: &mut Json) {
    out.extend(before);
    out.extend(id.as_bytes());
    out.extend(b"\"");
}

fn text(text: &str, out: &mut Json) -> serde_json::Result<()> {
    if !is_plain(text) {
        return serde_json::to_writer(out, text);
    }
    out.extend(b"\"");
    out.extend(text.as_bytes());
    out.extend(b"\"");
    Ok(())
}

/// Of at least one.
fn list<T>(
    items: &[T],
    out: &mut Json,
    each: impl Fn(&T, &mut Json) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    let mut before: &[u8] = b"[";
    for item in items {
        out.extend(before);
        each(item, out)?;
        before = b",";
    }
    out.extend(b"]");
    Ok(())
}

/// One text of all of them, with spaces between.
fn words(words: &[String], out: &mut Json) -> serde_json::Result<()> {
    if !words.iter().all(|word| is_plain(word)) {
        return serde_json::to_writer(out, &words.join(" "));
    }
    let mut before: &[u8] = b"\"";
    for word in words {
        out.extend(before);
        out.extend(word.as_bytes());
        before = b" ";
    }
    out.extend(if words.is_empty() { b"\"\"" } else { b"\"" });
    Ok(())
}

/// Printable ASCII that means nothing in a string of JSON.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    // Looks at all of them at once rather than up to the first.
    text.bytes().fold(true, |all, byte| all & plain(byte))
}

#[cfg(test)]
pub(super) mod tests;
