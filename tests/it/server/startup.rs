//! What a server refuses to start with, and what it does with each algorithm.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use super::Server;
use super::process::run;

const SECRET: &str = "Zk3vQ8x1LmN0pRtYw7aBcDeFgHiJkLoP";

/// It ends with an error that names the variable and the cure, and never the secret.
// ASVS 13.3.1, 13.4.2
#[test]
fn what_is_wrong_is_named_with_its_cure() {
    for (env, variable, cure) in [
        (&[("JWT_SECRET_KEY", "Zk3vQ8x1LmN0")][..], "JWT_SECRET_KEY", "32 random bytes"),
        (&[("JWT_SECRET_KEY", "secret")], "JWT_SECRET_KEY", "32 random bytes"),
        (&[("JWT_SECRET_KEY", "changeme")], "JWT_SECRET_KEY", "32 random bytes"),
        (&[("JWT_SECRET_KEY", "your-256-bit-secret-your-256-bit-secret")], "JWT_SECRET_KEY", "random"),
        (&[("JWT_SECRET_KEY", "dev-secret-key-change-in-production-0815")], "JWT_SECRET_KEY", "random"),
        (&[("JWT_SECRET_KEY", "abcdabcdabcdabcdabcdabcdabcdabcdabcd")], "JWT_SECRET_KEY", "random"),
        (&[("JWT_SECRET_KEY", "-----BEGIN PUBLIC KEY-----MCowBQYDK2VwAyEA")], "JWT_SECRET_KEY", "key pair"),
        (&[("JWT_SECRET_KEY", SECRET), ("JWT_ALGORITHM", "EdDSA")], "JWT_SECRET_KEY", "unset it"),
        (&[("JWT_SECRET_KEY", SECRET), ("JWT_ALGORITHM", "ES256")], "JWT_SECRET_KEY", "unset it"),
        (&[("JWT_ALGORITHM", "HS256")], "JWT_SECRET_KEY", "set it"),
        (&[("ENCRYPTION_KEY", "Zk3vQ8x1LmN0")], "ENCRYPTION_KEY", "32 random bytes"),
        (
            &[("ENCRYPTION_KEY", "Zk3vQ8x1LmN0 Zk3vQ8x1LmN0 Zk3vQ8x1LmN0x")],
            "ENCRYPTION_KEY",
            "32 random bytes",
        ),
        (
            &[("ENVIRONMENT", "production"), ("JWT_SECRET_KEY", SECRET)],
            "ENCRYPTION_KEY",
            "keys are generated only outside production",
        ),
        (&[("JWT_ALGORITHM", "none")], "JWT_ALGORITHM", "use EdDSA"),
        (&[("JWT_ALGORITHM", "RS256")], "JWT_ALGORITHM", "use EdDSA"),
        (
            &[("ENVIRONMENT", "production"), ("DEBUG", "true"), ("JWT_SECRET_KEY", SECRET)],
            "DEBUG",
            "unset it",
        ),
        (&[("ENVIRONMENT", "production")], "JWT_SECRET_KEY", "key file"),
        (&[("ENVIRONMENT", "prod uction")], "ENVIRONMENT", "use development"),
        (&[("DEBUG", "perhaps")], "DEBUG", "true or false"),
        (&[("BIND", "8012")], "BIND", "127.0.0.1:8012"),
        (&[("BIND", "256.0.0.1:80")], "BIND", "127.0.0.1:8012"),
        (&[("BIND", "192.0.2.1:80")], "BIND", "cannot be listened on"),
        (&[("DATABASE_URL", "postgres://app:Zk3vQ8x1LmN0@db/app")], "DATABASE_URL", "sqlite://"),
        (&[("DATABASE_URL", "sqlite::memory:")], "DATABASE_URL", "sqlite://"),
        (&[("DATABASE_URL", "sqlite://missing/server.db")], "DATABASE_URL", "make the folder"),
        (&[("PUBLIC_ORIGIN", "example.com")], "PUBLIC_ORIGIN", "https://"),
        (&[("PUBLIC_ORIGIN", "https://example.com/api")], "PUBLIC_ORIGIN", "without a path"),
        (
            &[
                ("PUBLIC_ORIGIN", "http://example.com"),
                ("ENVIRONMENT", "production"),
                ("JWT_SECRET_KEY", SECRET),
            ],
            "PUBLIC_ORIGIN",
            "plain HTTP in production",
        ),
        (&[("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "0")], "JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "1 to 60"),
        (&[("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "-5")], "JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "1 to 60"),
        (&[("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "1e1")], "JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "1 to 60"),
        (&[("JWT_REFRESH_TOKEN_EXPIRE_DAYS", "366")], "JWT_REFRESH_TOKEN_EXPIRE_DAYS", "1 to 90"),
        (&[("MAX_CONNECTIONS", "0")], "MAX_CONNECTIONS", "1 to 1000000"),
        (&[("HEADER_TIMEOUT_SECONDS", "0")], "HEADER_TIMEOUT_SECONDS", "1 to 60"),
        (&[("BODY_TIMEOUT_SECONDS", "4000")], "BODY_TIMEOUT_SECONDS", "1 to 3600"),
        (&[("PASSWORD_MIN_LENGTH", "4")], "PASSWORD_MIN_LENGTH", "8 to 64"),
        (&[("PASSWORD_MIN_LENGTH", "99999999999999999999")], "PASSWORD_MIN_LENGTH", "8 to 64"),
        (&[("PASSWORD_REQUIRE_SPECIAL", "2")], "PASSWORD_REQUIRE_SPECIAL", "true or false"),
        (&[("ADMIN_PASSWORD", "Zk3vQ8x1LmN0")], "ADMIN_PASSWORD", "use another"),
        (&[("ADMIN_USERNAME", "a b")], "ADMIN_USERNAME", "use another"),
        (&[("ADMIN_EMAIL", "nowhere")], "ADMIN_EMAIL", "use another"),
        (&[("RATE_LIMIT_PER_MINUTE", "0")], "RATE_LIMIT_PER_MINUTE", "a number from 1"),
        (&[("RATE_LIMIT_PER_HOUR", "many")], "RATE_LIMIT_PER_HOUR", "a number from 1"),
        (&[("SIGN_IN_PER_MINUTE", "0")], "SIGN_IN_PER_MINUTE", "a number from 1"),
        (&[("TRUSTED_PROXIES", "0.0.0.0/0")], "TRUSTED_PROXIES", "networks of your proxies"),
        (&[("TRUSTED_PROXIES", "proxy")], "TRUSTED_PROXIES", "10.0.0.0/8"),
        (&[("CORS_ORIGINS", "*"), ("CORS_ALLOW_CREDENTIALS", "true")], "CORS_ORIGINS", "name the origins"),
        (&[("CORS_ORIGINS", "https://*.example")], "CORS_ORIGINS", ""),
        (&[("CORS_ALLOW_CREDENTIALS", "true")], "CORS_ALLOW_CREDENTIALS", "CORS_ORIGINS"),
        (&[("ROLES_FILE", "roles.yaml")], "ROLES_FILE", "call it .toml or .json"),
        (&[("ROLES_FILE", "missing.toml")], "ROLES_FILE", "put it there"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = run(folder.path(), env, &[]);
        let told = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{env:?}: {told}");
        let (first, _) = told.split_once('\n').unwrap();
        assert!(first.starts_with(&format!("not started: {variable}: ")), "{env:?}: {first}");
        assert!(first.contains(cure), "{env:?}: {first}");
        for (name, value) in env {
            let secret = name.ends_with("KEY") || name.ends_with("PASSWORD");
            assert!(!secret || value.len() < 8 || !told.contains(value), "{name} is shown: {told}");
        }
        assert!(!told.contains("Zk3vQ8x1LmN0"), "a secret is shown: {told}");
    }
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &[], &["--acess-map"]);
    assert!(!output.status.success(), "a mistyped argument does not start a server");
}

/// The key file is its owner's alone, and is believed only as long as it is.
// ASVS 13.3.2
#[test]
fn the_key_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis-server.keys.json");
    let start = || run(folder.path(), &[], &[]);
    assert!(started(&start()));
    assert_eq!(mode(&file), 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    for shared in [0o644, 0o640, 0o604, 0o620, 0o660] {
        set_mode(&file, shared);
        refused(start(), &file, "chmod 600");
    }
    set_mode(&file, 0o600);
    assert!(started(&start()));
    for (name, broken) in [
        ("empty", String::new()),
        ("cut", text[..text.len() / 2].to_owned()),
        ("no keys", "{}".to_owned()),
        ("not json", "keys".to_owned()),
    ] {
        std::fs::write(&file, broken).unwrap();
        let output = start();
        assert!(!started(&output), "{name}");
        refused(output, &file, "file");
    }
    std::fs::write(&file, text).unwrap();
    let output = run(folder.path(), &[("JWT_ALGORITHM", "ES256")], &[]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && told.contains("JWT_ALGORITHM"), "{told}");
}

fn started(output: &std::process::Output) -> bool {
    String::from_utf8_lossy(&output.stdout).contains("listening on ")
}

fn refused(output: std::process::Output, file: &Path, cure: &str) {
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(file.file_name().unwrap().to_str().unwrap()) && told.contains(cure), "{told}");
}

fn mode(file: &Path) -> u32 {
    file.metadata().unwrap().permissions().mode() & 0o777
}

fn set_mode(file: &Path, mode: u32) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

// ASVS 11.2.1
#[tokio::test]
async fn each_algorithm_works_from_end_to_end() {
    for (algorithm, env) in [
        ("EdDSA", &[][..]),
        ("ES256", &[("JWT_ALGORITHM", "ES256")]),
        ("PS256", &[("JWT_ALGORITHM", "PS256")]),
        ("HS256", &[("JWT_SECRET_KEY", SECRET)]),
        ("HS256", &[("JWT_SECRET_KEY", SECRET), ("JWT_ALGORITHM", "HS256")]),
    ] {
        let mut server = Server::start_with(env);
        let api = server.api();
        api.register("ada").await;
        let tokens = api.sign_in("ada").await;
        let header = BASE64_URL_SAFE_NO_PAD.decode(tokens.access.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!((&header["alg"], &header["typ"]), (&algorithm.into(), &"at+jwt".into()));
        let keys = api.get("/.well-known/jwks.json").send().await.expect(200).json();
        let published: Vec<_> = keys["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
        if algorithm == "HS256" {
            assert!(published.is_empty(), "a shared secret is not published");
            let file = std::fs::read_to_string(server.folder().join("portcullis-server.keys.json")).unwrap();
            assert!(!file.contains("token_signing") && file.contains("sealing"), "only what is not given");
        } else {
            assert_eq!(published, [&header["kid"]]);
            for private in ["d", "p", "q", "k"] {
                assert!(keys["keys"][0].get(private).is_none(), "{algorithm}: {private} is published");
            }
        }
        api.me(&tokens.access).await.expect(200);
        let tokens = api.refresh(&tokens.refresh).await.expect(200).tokens();
        server.restart();
        let api = server.api();
        api.me(&tokens.access).await.expect(200);
        api.refresh(&tokens.refresh).await.expect(200);
    }
}

/// Without a password from the environment one is made, printed once, and works.
// ASVS 6.3.2, 6.4.1
#[tokio::test]
async fn the_first_administrator() {
    let mut server = Server::start_with(&[("ADMIN_PASSWORD", ""), ("ADMIN_USERNAME", "chief")]);
    let output = server.output();
    let line = output.lines().find_map(|line| line.strip_prefix("administrator chief has the password "));
    let password = line.expect(&output).to_owned();
    assert!(password.len() >= 32);
    server.api().sign_in_with("chief", &password).await.expect(200);
    server.restart();
    server.api().sign_in_with("chief", &password).await.expect(200);
    assert_eq!(server.output().matches(&password).count(), 1, "printed once");
}
