//! From bytes to a token. Four bytes say how, of which digits choose the first of everything, the rest is what:
//!
//! | byte | says |
//! |---|---|
//! | 0 | what the rest is: `0` the token; `1` its segments; `2` header and payload; `3` a payload; `4` edits of a good payload ([`edits`](crate::edits)); `5` edits of a good token. From `2` on it is signed |
//! | 1 | which header (low four bits), who signs and whom the header names (high four bits) |
//! | 2, 3 | when it is read, and when once more |
//!
//! Segments, and header and payload, are parted by bytes of zero.

use portcullis::time::Timestamp;

use crate::edits;
use crate::world::{KIDS, mac};
use crate::{AUDIENCE, IAT, ISSUER};

/// `KID` is replaced. The first is the one our own tokens have.
const HEADERS: [&str; 16] = [
    r#"{"alg":"HS256","kid":"KID","typ":"at+jwt"}"#,
    r#"{"alg":"HS256","typ":"at+jwt"}"#,
    r#"{"typ":"application/AT+JWT","alg":"HS256","kid":"KID"}"#,
    " {\n\"alg\" : \"HS256\",\t\"kid\":\"KID\", \"typ\":\"at+jwt\"}\r\n",
    r#"{"alg":"H\u00532\u00356","\u006bid":"KID","typ":"at\u002bjwt"}"#,
    r#"{"alg":"HS256","kid":"KID","typ":"JWT"}"#,
    r#"{"alg":"HS512","kid":"KID","typ":"at+jwt"}"#,
    r#"{"alg":"none","kid":"KID","typ":"at+jwt"}"#,
    r#"{"alg":"HS256","kid":"KID"}"#,
    r#"{"alg":"HS256","alg":"HS256","kid":"KID","typ":"at+jwt"}"#,
    r#"{"alg":"HS256","kid":"KID","kid":"KID","typ":"at+jwt"}"#,
    r#"{"alg":"HS256","crit":["b64"],"b64":false,"kid":"KID","typ":"at+jwt"}"#,
    r#"{"alg":"HS256","kid":null,"typ":"at+jwt"}"#,
    r#"{"alg":["HS256"],"kid":"KID","typ":"at+jwt"}"#,
    r#"{"alg":"HS256","kid":"KID","typ":"at+jwt"}{}"#,
    r#"["HS256","KID","at+jwt"]"#,
];

/// Microseconds after [`IAT`]: early, in time, late, and the last and first moments of each.
const MOMENTS: [i64; 12] = [
    60_000_000,
    0,
    -5_000_000,
    -5_000_001,
    -4_999_999,
    599_999_999,
    600_000_000,
    600_000_001,
    599_000_000,
    601_000_000,
    -3_600_000_000,
    3_600_000_000,
];

/// A token and when it is looked at.
pub struct Case {
    pub token: String,
    pub first: Timestamp,
    pub later: Timestamp,
}

impl Case {
    pub fn of(data: &[u8]) -> Option<Self> {
        let (&[what, header, first, later], rest) = data.split_first_chunk::<4>()?;
        let (signer, named) = (usize::from(header >> 4) % 3, usize::from(header >> 6));
        let kid = KIDS[if named == 3 { 0 } else { signer }];
        let header = HEADERS[usize::from(header) % HEADERS.len()].replace("KID", kid);
        let token = match what % 6 {
            0 => String::from_utf8_lossy(rest).into_owned(),
            1 => {
                let parts = rest.split(|byte| *byte == 0).map(base64url);
                parts.collect::<Vec<_>>().join(".")
            }
            2 => {
                let at = rest.iter().position(|byte| *byte == 0)?;
                sign(signer, &rest[..at], &rest[at + 1..])
            }
            3 => sign(signer, header.as_bytes(), rest),
            4 => sign(signer, header.as_bytes(), &edits::payload(rest)),
            _ => edits::bytes(&sign(signer, header.as_bytes(), good().as_bytes()), rest),
        };
        let moment =
            |byte: u8| Timestamp::from_micros(IAT * 1_000_000 + MOMENTS[usize::from(byte) % MOMENTS.len()]);
        Some(Self { token, first: moment(first), later: moment(later) })
    }

    /// A byte says who signs, the rest is the header.
    pub fn of_header(data: &[u8]) -> Option<Self> {
        let (signer, header) = data.split_first()?;
        let token = sign(usize::from(*signer) % 3, header, good().as_bytes());
        let now = Timestamp::from_secs(IAT + 60);
        Some(Self { token, first: now, later: now })
    }
}

/// A payload that is right.
fn good() -> String {
    format!(
        r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"ada","jti":"t1","iat":{IAT},"exp":{}}}"#,
        IAT + 600
    )
}

fn sign(key: usize, header: &[u8], payload: &[u8]) -> String {
    let message = format!("{}.{}", base64url(header), base64url(payload));
    let signature = base64url(&mac(key, message.as_bytes()));
    format!("{message}.{signature}")
}

fn base64url(bytes: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let held = three.iter().chain(&[0; 3]).take(3).fold(0, |held, byte| (held << 8) | usize::from(*byte));
        for place in 0..=three.len() {
            text.push(char::from(alphabet[(held >> (18 - 6 * place)) & 63]));
        }
    }
    text
}
