//! jsonwebtoken 11. What we accept it accepts, and it reads the same in the claims that RFC 7519 registers.
//!
//! It has a clock of its own, so the time asked about is put into its settings: it is later than now, by `ahead`. Then a
//! token that `ahead` before its end is refused is one that ends before the time asked about, and a leeway of `ahead` is
//! none at that time. It has one leeway for both ends, and subtracts it from now for `exp`; so it is asked twice.
//!
//! The differences that are meant: it checks neither `iat` nor `jti`, `typ` nor `kid`, lets `iss` and `aud` be lists,
//! times be fractions and names come twice in our own claims. All of that makes it accept more than we do.

use std::sync::OnceLock;

use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation, decode, get_current_timestamp};
use portcullis::time::Timestamp;
use serde_json::Value;

use crate::facts::Facts;
use crate::world::{KEYS, secret};
use crate::{AUDIENCE, ISSUER, LEEWAY};

/// # Errors
///
/// What it finds wrong with a token of this key that is valid now and says this.
pub fn check(token: &str, key: usize, now: Timestamp, facts: &Facts) -> Result<(), String> {
    static THEIRS: OnceLock<Vec<DecodingKey>> = OnceLock::new();
    let keys = THEIRS.get_or_init(|| (0..KEYS).map(|key| DecodingKey::from_secret(&secret(key))).collect());

    let ahead = u64::try_from(now.as_secs())
        .ok()
        .and_then(|now| now.checked_sub(get_current_timestamp()))
        .expect("is later than now");
    let mut expiry = Validation::new(Algorithm::HS256);
    expiry.set_issuer(&[ISSUER]);
    expiry.set_audience(&[AUDIENCE]);
    expiry.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let mut beginning = expiry.clone();

    expiry.leeway = 0;
    expiry.reject_tokens_expiring_in_less_than = ahead;
    beginning.validate_exp = false;
    beginning.validate_nbf = true;
    beginning.leeway = ahead + LEEWAY;

    for (name, validation) in [("expiry", expiry), ("beginning", beginning)] {
        let read: TokenData<Value> = decode(token, &keys[key], &validation)
            .map_err(|error| format!("refuses the {name}: {error:?}"))?;
        for (name, want) in [
            ("iss", ISSUER.into()),
            ("aud", AUDIENCE.into()),
            ("sub", facts.seen.sub.as_str().into()),
            ("jti", facts.seen.jti.as_str().into()),
            ("iat", facts.iat.into()),
            ("exp", facts.seen.exp.into()),
            ("nbf", facts.nbf.map_or(Value::Null, Value::from)),
            ("sid", facts.seen.sid.as_deref().map_or(Value::Null, Value::from)),
        ] {
            if read.claims[name] != want {
                return Err(format!("reads another `{name}`: {}", read.claims[name]));
            }
        }
    }
    Ok(())
}
