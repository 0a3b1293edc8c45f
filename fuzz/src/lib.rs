//! Asks every way in which the crate reads an access token about the same arbitrary token, and two strangers as well:
//!
//! - [`TokenCodec::decode`](portcullis::token::TokenCodec::decode);
//! - [`AccessTokens`](portcullis::token::AccessTokens) with a cache of verified tokens, asked twice, and once more at
//!   another time, for two tenants; and without a cache;
//! - [`reference`], which reads by the documented rules, slowly, and shares no code with the crate but serde_json and sha2;
//! - [`peer`], which is jsonwebtoken: what we accept it accepts, and reads the same in it.
//!
//! All panic with the token and both answers where they disagree.

mod case;
mod edits;
mod facts;
mod json;
mod peer;
mod reference;
mod tables;
mod world;

use portcullis::time::Timestamp;

use crate::case::Case;
use crate::world::World;

/// Who makes and who takes the tokens.
const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "https://api.example";
/// Seconds, and bytes, as they are documented: a change there has to be one here.
const LEEWAY: u64 = 5;
const MAX_TOKEN_BYTES: usize = 8192;

/// 2100-01-01, when the documents are made. In the future, because jsonwebtoken has a clock of its own (see [`peer`]).
const IAT: i64 = 4_102_444_800;

/// A token in one of the ways of [`Case`].
pub fn token(data: &[u8]) {
    if let Some(case) = Case::of(data) {
        check(&case);
    }
}

/// A good payload, signed, behind an arbitrary header.
pub fn header(data: &[u8]) {
    if let Some(case) = Case::of_header(data) {
        check(&case);
    }
}

fn check(case: &Case) {
    let world = World::get();
    for now in [case.first, case.later] {
        check_at(world, &case.token, now);
    }
}

fn check_at(world: &World, token: &str, now: Timestamp) {
    let want = reference::read(token, now.as_micros());
    let got = world.decode(token, now);
    assert!(
        got == want.as_ref().map(|(facts, _)| facts.clone()).map_err(|refusal| refusal.is_expiry()),
        "the codec and the reference disagree at {now:?}\n{}\nreference: {want:#?}\ncodec (refused because expired?): {got:#?}",
        explain(token),
    );
    for (name, tenant, got) in world.verify(token, now) {
        let want = world::expected(&want, tenant);
        assert!(
            got == want,
            "{name} for {tenant} and the reference disagree at {now:?}\n{}\nreference: {want:#?}\n{name}: {got:#?}",
            explain(token),
        );
    }
    if let Ok((facts, key)) = &want {
        peer::check(token, *key, now, facts)
            .unwrap_or_else(|why| panic!("jsonwebtoken at {now:?}: {why}\n{}\n{facts:#?}", explain(token)));
    }
}

/// A token and what is in it, for reading.
fn explain(token: &str) -> String {
    let parts = token.split('.').map(|part| match reference::base64url(part) {
        Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        None => format!("(no base64url: {part:?})"),
    });
    format!("token: {token:?}\n{}", parts.take(2).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seeds are what they are called: the good ones are accepted, or the comparison would be one of refusals.
    #[test]
    fn seeds_agree() {
        let mut accepted = 0;
        for (folder, target, make) in [
            ("token", token as fn(&[u8]), Case::of as fn(&[u8]) -> Option<Case>),
            ("header", header, Case::of_header),
        ] {
            for entry in std::fs::read_dir(format!("{}/seeds/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap()
            {
                let path = entry.unwrap().path();
                let data = std::fs::read(&path).unwrap();
                target(&data);
                let case = make(&data).unwrap();
                let good = reference::read(&case.token, case.first.as_micros()).is_ok();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                assert_eq!(good, name.starts_with("good"), "{name}: {}", explain(&case.token));
                accepted += usize::from(good);
            }
        }
        assert!(accepted > 5, "{accepted}");
    }
}
