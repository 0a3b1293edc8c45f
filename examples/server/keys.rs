//! Signing keys of the reference server: a shared secret from the environment, or a key file that is made once.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use portcullis::ConfigError;
use portcullis::crypto::{Algorithm, Key, Keyring, StaticKeys};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::SigningKey;

pub fn load(source: &SigningKey) -> Result<StaticKeys, ConfigError> {
    match source {
        SigningKey::Secret(secret) => {
            let key = Key::hmac_secret_text(secret).map_err(|error| error.with_field("JWT_SECRET_KEY"))?;
            Ok(StaticKeys::new(Keyring::new(key)?))
        }
        SigningKey::File(path, algorithm) if path.exists() => read(path, *algorithm),
        SigningKey::File(path, algorithm) => generate(path, *algorithm),
    }
}

fn read(path: &Path, algorithm: Algorithm) -> Result<StaticKeys, ConfigError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).map_err(|error| unusable(path, &error))?.permissions().mode();
        if mode & 0o077 != 0 {
            let problem = "can be read by others than its owner";
            return Err(ConfigError::new(path.display().to_string(), problem, "chmod 600 it"));
        }
    }
    let text: SecretString = fs::read_to_string(path).map_err(|error| unusable(path, &error))?.into();
    let keys =
        StaticKeys::from_private_json(&text).map_err(|error| error.with_field(path.display().to_string()))?;
    let primary =
        keys.ring(portcullis::crypto::KeyPurpose::TokenSigning).and_then(|ring| ring.primary().algorithm());
    if primary != Some(algorithm) {
        return Err(ConfigError::new(
            "JWT_ALGORITHM",
            format!("is not the algorithm of the key in {}", path.display()),
            "set it to that key's, or move the file away to have another made",
        ));
    }
    Ok(keys)
}

/// Written to a temporary file and linked into place: of two servers starting at once, one key wins.
fn generate(path: &Path, algorithm: Algorithm) -> Result<StaticKeys, ConfigError> {
    let keys = StaticKeys::new(Keyring::new(Key::generate(algorithm)?)?);
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(keys.expose_private_json().expose_secret().as_bytes())?;
        file.sync_all()
    });
    let linked = written.and_then(|()| fs::hard_link(&temporary, path));
    let _ = fs::remove_file(&temporary);
    match linked {
        Ok(()) => Ok(keys),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => read(path, algorithm),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> ConfigError {
    ConfigError::new(path.display().to_string(), error.to_string(), "make the file readable, or move it away")
}
