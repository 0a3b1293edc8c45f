//! Hashes that other libraries made verify here.
//!
//! Recorded from argon2-cffi 25.1.0 and bcrypt 5.0.0 (`pip install argon2-cffi bcrypt`), with
//! `P = "Tr0ub4dor&3 – grüße".encode()`:
//!
//! ```python
//! from argon2.low_level import hash_secret, Type
//! # m, t, p, type, version, length of salt and tag as in the table
//! hash_secret(P, bytes(range(16)), time_cost=3, memory_cost=65536, parallelism=4, hash_len=32, type=Type.ID, version=19)
//! import bcrypt
//! bcrypt.hashpw(P, bcrypt.gensalt(5, prefix=b"2b"))
//! ```

use portcullis::password::{Argon2Hasher, PasswordHash, Verification};

const PASSWORD: &str = "Tr0ub4dor&3 – grüße";
const MATCH: Verification = Verification::Match { needs_rehash: false };
const OUTDATED: Verification = Verification::Match { needs_rehash: true };

fn verify(password: &str, stored: &str) -> Verification {
    let hash = PasswordHash::from_stored(stored.to_owned());
    Argon2Hasher::new().verify(&password.into(), &hash).unwrap()
}

#[test]
fn argon2_cffi() {
    for (name, stored, want) in [
        (
            "PasswordHasher() with its defaults",
            "$argon2id$v=19$m=65536,t=3,p=4$AAECAwQFBgcICQoLDA0ODw$PhRrEm3196CQ5PvyR0SsPOWX9hqVkRCsJIMP5qReK1o",
            OUTDATED,
        ),
        (
            "our parameters",
            "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$Ig06nYhk/ayzHIVsIvaJMtRXY4tkUri2Xp+hUm+gw3U",
            MATCH,
        ),
        (
            "argon2i, two lanes",
            "$argon2i$v=19$m=1024,t=2,p=2$AAECAwQFBgcICQoLDA0ODw$4abtUCnv51Jf+U9qLQR1W7FHYgoyMl9Jzt9a1Ph4zhY",
            OUTDATED,
        ),
        (
            "argon2d",
            "$argon2d$v=19$m=1024,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$3NGJkn6tXgqqWb/JwhRhUAF0rxS3I6RjAG722KtIa+E",
            OUTDATED,
        ),
        (
            "version 1.0",
            "$argon2i$v=16$m=4096,t=3,p=1$AAECAwQFBgcICQoLDA0ODw$kKd4xyK7E0BK8G5bPuJRLmgZo/i+FRVuXPcZ0Ky3wN8",
            OUTDATED,
        ),
        (
            "version 1.0, not named",
            "$argon2i$m=4096,t=3,p=1$AAECAwQFBgcICQoLDA0ODw$kKd4xyK7E0BK8G5bPuJRLmgZo/i+FRVuXPcZ0Ky3wN8",
            OUTDATED,
        ),
        (
            "salt of 8 bytes, tag of 16",
            "$argon2id$v=19$m=512,t=1,p=1$AAECAwQFBgc$A5j20wORYVOSibBT9tSeoA",
            OUTDATED,
        ),
        (
            "salt of 32 bytes, tag of 64",
            "$argon2id$v=19$m=512,t=1,p=1$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8$0QtgP2O2zAqtt9GAbjm8XCgC8NXxpGZ66xxlTHeRlLASFqJjHfkc/QCryGaa0O7fewqtvGIoU5RgKa4WgiMFWw",
            OUTDATED,
        ),
    ] {
        assert_eq!(verify(PASSWORD, stored), want, "{name}");
        assert_eq!(verify("Tr0ub4dor&3 - grüße", stored), Verification::Mismatch, "{name}");
    }
}

#[test]
fn a_nul_counts_in_argon2() {
    let stored =
        "$argon2id$v=19$m=512,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$KRrzZNfY7j8FNvAVZ3DsJV6j5ICa7or2kTSaj6Cv1tk";
    assert_eq!(verify("nul\0inside", stored), OUTDATED);
    assert_eq!(verify("nul", stored), Verification::Mismatch);
}

#[test]
fn python_bcrypt() {
    let two_b = "$2b$05$XsrysS1hcl37CQuUu/ulw.NOmhRRXu0IHEtwEGp2nilEfvgqFARlC";
    // PHP and htpasswd write the same algorithm as `$2y$`.
    let two_y = two_b.replacen("$2b$", "$2y$", 1);
    for (name, stored) in [
        ("2b", two_b),
        ("2a", "$2a$05$A84CzjgzCjaAzNuaERCrVevzNF5d83LG80tpurleQJZYDpN942TJ6"),
        ("2y", two_y.as_str()),
    ] {
        assert_eq!(verify(PASSWORD, stored), OUTDATED, "{name}");
        assert_eq!(verify("Tr0ub4dor&3 – grüsse", stored), Verification::Mismatch, "{name}");
    }
    // Hashes of a broken implementation are not accepted under its name either.
    assert_eq!(verify(PASSWORD, &two_b.replacen("$2b$", "$2x$", 1)), Verification::Mismatch);
}
