//! The query: checked, never rewritten.

use super::rule::{FirewallRule, Relaxed};
use crate::path::{decode_leniently, unescape};

/// Parameters that decide something: tokens, and those of OAuth (RFC 6749 section 3.1 forbids to repeat them).
pub(super) const SINGLE_PARAMETERS: &[&str] = &[
    "access_token",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "id_token",
    "nonce",
    "password",
    "redirect_uri",
    "refresh_token",
    "response_type",
    "scope",
    "state",
    "token",
];

/// As many as there are bits to remember them.
pub(super) const MAX_SINGLE: usize = 64;

/// `single` is in lower case.
pub(super) fn check(query: &str, relaxed: Relaxed, single: &[Box<str>]) -> Result<(), FirewallRule> {
    let mut rest = query.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => match unescape(rest) {
                Some((0, _)) => relaxed.refuse(FirewallRule::EncodedNull)?,
                Some((_, tail)) => rest = tail,
                None => relaxed.refuse(FirewallRule::QueryEscape)?,
            },
            byte if !byte.is_ascii() => relaxed.refuse(FirewallRule::NonAscii)?,
            _ => {}
        }
    }
    let mut seen = 0_u64;
    // Some parsers part at semicolons too.
    for pair in query.split(['&', ';']) {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        if is_named(name, "_method") {
            relaxed.refuse(FirewallRule::MethodParameter)?;
        }
        let Some(index) = single.iter().position(|single| is_named(name, single)) else { continue };
        let bit = 1_u64 << (index % MAX_SINGLE);
        if seen & bit != 0 {
            relaxed.refuse(FirewallRule::DuplicateParameter)?;
        }
        seen |= bit;
    }
    Ok(())
}

/// Whether this is the name, however it is spelled: encoded, in another case, as an array (`state[]`).
fn is_named(name: &str, wanted: &str) -> bool {
    let name = decode_leniently(name).take_while(|byte| *byte != b'[');
    name.map(|byte| byte.to_ascii_lowercase()).eq(wanted.bytes())
}
