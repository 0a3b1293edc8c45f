//! Reading stored hashes: what they claim is checked before it costs anything.

use argon2::password_hash::phc;
use argon2::{Algorithm, Params, Version};

/// Longer than any hash we accept.
const MAX_TEXT: usize = 512;
/// Largest memory a stored Argon2 hash may ask for: 256 MiB (libsodium's "moderate").
pub(super) const MAX_M_KIB: u32 = 262_144;
/// Most passes it may ask for.
pub(super) const MAX_T: u32 = 16;
/// Most lanes it may ask for.
pub(super) const MAX_P: u32 = 16;
/// Largest product of memory and passes, in KiB: 1 GiB written.
const MAX_WORK_KIB: u64 = 1_048_576;
/// bcrypt costs we verify; 14 takes about a second.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=14;
/// bcrypt uses no more than this much of a password.
pub(super) const BCRYPT_MAX_BYTES: usize = 72;

/// A stored hash that may be computed.
#[derive(Debug)]
pub(super) enum Stored<'text> {
    Argon2(Argon2Hash),
    /// A `$2a$`, `$2b$` or `$2y$` hash of the right form and a cost we accept.
    Bcrypt(&'text str),
}

#[derive(Debug)]
pub(super) struct Argon2Hash {
    pub(super) algorithm: Algorithm,
    pub(super) version: Version,
    pub(super) params: Params,
    pub(super) salt: phc::Salt,
    pub(super) tag: phc::Output,
}

impl Stored<'_> {
    /// `None` for what is not a hash we know, or asks for more than we give.
    pub(super) fn parse(text: &str) -> Option<Stored<'_>> {
        if text.len() > MAX_TEXT || !text.is_ascii() {
            return None;
        }
        if text.starts_with("$2") { parse_bcrypt(text) } else { parse_argon2(text).map(Stored::Argon2) }
    }
}

fn parse_argon2(text: &str) -> Option<Argon2Hash> {
    let hash = phc::PasswordHash::new(text).ok()?;
    let algorithm = Algorithm::new(hash.algorithm.as_str()).ok()?;
    // The reference decoder reads a missing version as 1.0: that is what libraries wrote before it was added.
    let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?;
    // Nothing but m, t and p, and all of them: `keyid` and `data` mean a key or context that we don't have.
    if hash.params.iter().count() != 3 || ["m", "t", "p"].iter().any(|name| hash.params.get(*name).is_none())
    {
        return None;
    }
    let params = Params::try_from(&hash).ok()?;
    affordable(params.m_cost(), params.t_cost(), params.p_cost()).then_some(())?;
    Some(Argon2Hash { algorithm, version, params, salt: hash.salt?, tag: hash.hash? })
}

/// Whether a computation with these parameters is one we do.
pub(super) fn affordable(m_kib: u32, t: u32, p: u32) -> bool {
    m_kib <= MAX_M_KIB && t <= MAX_T && p <= MAX_P && u64::from(m_kib) * u64::from(t) <= MAX_WORK_KIB
}

fn parse_bcrypt(text: &str) -> Option<Stored<'_>> {
    // `$2x$` marks hashes of a broken implementation, which ignored part of the password.
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let (cost, digest) = rest.split_once('$')?;
    let two_digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    let radix64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/';
    let well_formed = two_digits && digest.len() == 53 && digest.bytes().all(radix64);
    (well_formed && BCRYPT_COSTS.contains(&cost.parse().ok()?)).then_some(Stored::Bcrypt(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "XXXXXXXXXXXXXXXXXXXXXOcThHTNTnVFSFWkfGRqTXlWS0Ot1h7ki";

    #[test]
    fn known_hashes_are_read() {
        for (name, text) in [
            ("current", "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaA"),
            ("argon2i", "$argon2i$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"),
            ("argon2d 1.0", "$argon2d$v=16$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"),
            ("largest", "$argon2id$v=19$m=262144,t=4,p=16$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"),
        ] {
            assert!(matches!(Stored::parse(text), Some(Stored::Argon2(_))), "{name}");
        }
        for prefix in ["2a", "2b", "2y"] {
            let text = format!("${prefix}$04${BCRYPT}");
            assert!(matches!(Stored::parse(&text), Some(Stored::Bcrypt(_))), "{prefix}");
        }
    }

    #[test]
    fn a_missing_version_is_the_first_one() {
        let text = "$argon2i$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA";
        let Some(Stored::Argon2(hash)) = Stored::parse(text) else { panic!("not read") };
        assert_eq!(hash.version, Version::V0x10);
    }

    #[test]
    fn everything_else_is_not_a_hash() {
        let argon2 = |head: &str| format!("${head}$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA");
        for (name, text) in [
            ("empty", String::new()),
            ("clear text", "hunter2".into()),
            ("disabled account", "!$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA".into()),
            ("no tag", "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ".into()),
            ("no parameters", argon2("argon2id$v=19")),
            ("half of the parameters", argon2("argon2id$v=19$m=19456,t=2")),
            ("twice the parameters", argon2("argon2id$v=19$m=8,m=19456,t=2,p=1")),
            ("key id", argon2("argon2id$v=19$m=19456,t=2,p=1,keyid=Zm9v")),
            ("associated data", argon2("argon2id$v=19$m=19456,t=2,p=1,data=Zm9v")),
            ("unknown version", argon2("argon2id$v=18$m=19456,t=2,p=1")),
            ("other algorithm", argon2("scrypt$ln=16,r=8,p=1")),
            ("4 TiB", argon2("argon2id$v=19$m=4294967295,t=2,p=1")),
            ("over 4 TiB", argon2("argon2id$v=19$m=4294967296,t=2,p=1")),
            ("4 GiB", argon2("argon2id$v=19$m=4194304,t=1,p=1")),
            ("just too much memory", argon2("argon2id$v=19$m=262145,t=1,p=1")),
            ("2^32 - 1 passes", argon2("argon2id$v=19$m=8,t=4294967295,p=1")),
            ("2^32 passes", argon2("argon2id$v=19$m=8,t=4294967296,p=1")),
            ("2^24 - 1 lanes", argon2("argon2id$v=19$m=262144,t=2,p=16777215")),
            ("2^24 lanes", argon2("argon2id$v=19$m=262144,t=2,p=16777216")),
            ("too much in all", argon2("argon2id$v=19$m=262144,t=5,p=1")),
            ("too little memory for the lanes", argon2("argon2id$v=19$m=64,t=1,p=16")),
            ("no passes", argon2("argon2id$v=19$m=19456,t=0,p=1")),
            ("no lanes", argon2("argon2id$v=19$m=19456,t=2,p=0")),
            ("megabyte", "$argon2id$".repeat(100_000)),
            ("broken bcrypt", format!("$2x$04${BCRYPT}")),
            ("bcrypt without letter", format!("$2$04${BCRYPT}")),
            ("cost 3", format!("$2b$03${BCRYPT}")),
            ("cost 15", format!("$2b$15${BCRYPT}")),
            ("cost 31", format!("$2b$31${BCRYPT}")),
            ("cost 99", format!("$2b$99${BCRYPT}")),
            ("signed cost", format!("$2b$+4${BCRYPT}")),
            ("short", format!("$2b$04${}", &BCRYPT[1..])),
            ("long", format!("$2b$04${BCRYPT}A")),
            ("NUL", format!("$2b$04${}\0", &BCRYPT[1..])),
            ("not ASCII, as many bytes", format!("$2b$04$é{}", &BCRYPT[2..])),
        ] {
            assert!(Stored::parse(&text).is_none(), "{name}");
        }
    }
}
