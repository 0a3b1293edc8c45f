//! Secrets that are none: short, repeated, published, or a public key.

/// What is wrong with an HMAC secret, and the cure; `None` if nothing was found.
///
/// RFC 7518 section 3.2 asks for at least 256 bits; RFC 8725 section 3.5 for entropy, which can't be measured, so
/// what everybody copies is refused by name.
pub(super) fn weakness(secret: &[u8]) -> Option<(&'static str, &'static str)> {
    const RANDOM: &str = "use at least 32 random bytes, such as the output of `openssl rand -base64 48`";
    if looks_like_key_file(secret) {
        return Some((
            "is an asymmetric key, which others may know",
            "choose EdDSA, ES256 or PS256 for a key pair, or use 32 random bytes with HS256",
        ));
    }
    if is_published(secret) {
        return Some(("is a published example or a placeholder", RANDOM));
    }
    if secret.len() < 32 {
        return Some(("has fewer than 32 bytes", RANDOM));
    }
    if is_repetition(secret) {
        return Some(("repeats a short pattern", RANDOM));
    }
    None
}

/// What keys made of the same bytes look like: PEM, OpenSSH, JWK, and the object identifiers of RSA, EC and Ed25519
/// keys in DER. A public key as HMAC secret is the classic algorithm confusion.
fn looks_like_key_file(secret: &[u8]) -> bool {
    const OIDS: [&[u8]; 3] = [
        &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01],
        &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],
        &[0x06, 0x03, 0x2b, 0x65, 0x70],
    ];
    let trimmed = secret.trim_ascii();
    [&b"ssh-"[..], b"ecdsa-sha2-"].iter().any(|start| trimmed.starts_with(start))
        || contains(secret, b"-----BEGIN")
        || contains(secret, b"\"kty\"")
        || (secret.first() == Some(&0x30) && OIDS.iter().any(|oid| contains(secret, oid)))
}

/// Secrets of published examples, and words that mark a placeholder. Compared without case and punctuation, so
/// `Change-Me` and `CHANGE_ME` are the same. A random secret of 32 bytes holds one of these by chance less than once
/// in 10^12.
fn is_published(secret: &[u8]) -> bool {
    const WHOLE: &[&str] = &[
        // jwt.io, before and since 2025
        "your256bitsecret",
        "astringsecretatleast256bitslong",
        // FastAPI's tutorial
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        // RFC 7515 appendix A.1, RFC 7520 section 3.5
        "aym1sysppbydfgzld3umj1qzkobwvmkoqqestjqlrt1qs0gzh75aktmn3yj0ips4hcguutwjazzr1z7caow",
        "hjtxiz2usn5kbqfbttnwbpdmhkv8fjgonbc6mxcccyg",
        "secret",
        "changeme",
        "password",
    ];
    const MARKS: &[&str] = &[
        "changeme",
        "changethis",
        "changeinproduction",
        "yoursecret",
        "yoursupersecret",
        "yourjwtsecret",
        "mysecret",
        "supersecret",
        "secretkey",
        "jwtsecret",
        "replaceme",
        "replacethis",
        "donotuse",
        "placeholder",
        "notasecret",
        "insecure",
        "256bitsecret",
        "passwordpassword",
    ];
    let plain: String = secret
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    let plain = zeroize::Zeroizing::new(plain);
    WHOLE.contains(&plain.as_str()) || MARKS.iter().any(|mark| plain.contains(mark))
}

/// Whether the whole is a unit of at most 16 bytes, over and over.
fn is_repetition(secret: &[u8]) -> bool {
    (1..=16).any(|period| secret.iter().zip(secret.iter().skip(period)).all(|(a, b)| a == b))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_secret() {
        for (name, secret) in [
            ("empty", &b""[..]),
            ("a word", b"secret"),
            ("31 bytes", b"Zk3vQ8x1LmN0pRtYw7aBcDeFgHiJkLo"),
            ("jwt.io", b"your-256-bit-secret"),
            ("jwt.io, new", b"a-string-secret-at-least-256-bits-long"),
            ("fastapi", b"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"),
            ("supabase", b"super-secret-jwt-token-with-at-least-32-characters-long"),
            ("placeholder", b"CHANGE_ME CHANGE_ME CHANGE_ME 0123"),
            ("production", b"dev-secret-key-change-in-production-2024"),
            (
                "rfc 7515",
                b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z7CAow",
            ),
            ("zeros", &[0; 32]),
            ("one byte", &[0xaa; 64]),
            ("pattern", b"abcabcabcabcabcabcabcabcabcabcabcabc"),
            ("pem", b"  -----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA"),
            ("ssh", b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK"),
            ("jwk", b"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYK\"}"),
            ("spki", b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00abcdefghijklmnopqrstuvwxyz012345"),
        ] {
            assert!(weakness(secret).is_some(), "{name}");
        }
        for (name, secret) in [
            ("32 bytes", &b"Zk3vQ8x1LmN0pRtYw7aBcDeFgHiJkLoP"[..]),
            ("hex", b"1f9c3b7a5d2e8f4061c7a9be53d0284ff1e6c8a2907b5d3e"),
            ("binary", b"\x30\xf1\x03\x99\xfe\x10\x22\x7a\xc4\x5b\x81\x0e\xd9\x63\xb7\x2f\x48\x95\xea\x1c\x70\xa6\x3d\xd2\x57\x84\xbf\x09\xe8\x41\x16\xcb"),
        ] {
            assert_eq!(weakness(secret), None, "{name}");
        }
    }
}
