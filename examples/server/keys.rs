//! Keys of the reference server: from the environment, or from a key file that is made once and may change while it runs.

use std::sync::Arc;

use portcullis::ConfigError;
use portcullis::crypto::{
    Algorithm, DerivedKeys, Key, KeyFile, KeyProvider, KeyPurpose, Keyring, KeysByPurpose, StaticKeys,
};
use portcullis::time::{Clock as _, SystemClock, Timestamp};

use crate::config::{KeySources, SigningKey};

/// What protects data, beside what signs tokens.
const DATA: [KeyPurpose; 3] = [KeyPurpose::Sealing, KeyPurpose::BlindIndex, KeyPurpose::Wrapping];

pub async fn load(sources: &KeySources) -> Result<Arc<dyn KeyProvider>, ConfigError> {
    let now = SystemClock::new().now();
    let data = match &sources.encryption {
        Some(root) => Some(DerivedKeys::from_text(root).map_err(|error| error.with_field("ENCRYPTION_KEY"))?),
        None => None,
    };
    let signing = match &sources.signing {
        SigningKey::Secret(secret) => {
            let key = Key::hmac_secret_text(secret).map_err(|error| error.with_field("JWT_SECRET_KEY"))?;
            // It comes with the environment, and is rotated by a restart with another.
            Some(StaticKeys::danger_new(Keyring::new(key)?))
        }
        SigningKey::File(_) => None,
    };
    Ok(match (signing, data) {
        (Some(signing), Some(data)) => {
            Arc::new(KeysByPurpose::new(Arc::new(data)).with(KeyPurpose::TokenSigning, Arc::new(signing)))
        }
        (Some(signing), None) => {
            let file = file(sources, &DATA, now).await?;
            Arc::new(KeysByPurpose::new(Arc::new(file)).with(KeyPurpose::TokenSigning, Arc::new(signing)))
        }
        (None, Some(data)) => {
            let file = file(sources, &[KeyPurpose::TokenSigning], now).await?;
            Arc::new(KeysByPurpose::new(Arc::new(data)).with(KeyPurpose::TokenSigning, Arc::new(file)))
        }
        (None, None) => {
            let [sealing, index, wrapping] = DATA;
            Arc::new(file(sources, &[KeyPurpose::TokenSigning, sealing, index, wrapping], now).await?)
        }
    })
}

/// The key file with a ring for each of these purposes. Those that are missing are made, with the file or in it.
async fn file(sources: &KeySources, purposes: &[KeyPurpose], now: Timestamp) -> Result<KeyFile, ConfigError> {
    let algorithm = match &sources.signing {
        SigningKey::File(algorithm) => *algorithm,
        SigningKey::Secret(_) => Algorithm::Hs256,
    };
    let ring = move |purpose: KeyPurpose| {
        let key = match purpose {
            KeyPurpose::TokenSigning => Key::generate(algorithm),
            _ => Key::generate_for(purpose),
        };
        Keyring::begin(key?, now)
    };
    let file = KeyFile::open_or_create(&sources.file, || purposes.iter().copied().map(ring).collect())?;
    let missing: Vec<_> = {
        let rings = file.rings();
        let is_missing = |purpose: &KeyPurpose| rings.iter().all(|ring| ring.purpose() != *purpose);
        purposes.iter().copied().filter(is_missing).collect()
    };
    if !missing.is_empty() {
        file.update(move |rings| {
            // Another server may have been faster.
            let missing =
                missing.into_iter().filter(|purpose| rings.iter().all(|ring| ring.purpose() != *purpose));
            let added = missing.map(ring).collect::<Result<Vec<_>, _>>()?;
            rings.extend(added);
            Ok(())
        })
        .await?;
    }
    let signing = file.rings().iter().find(|ring| ring.purpose() == KeyPurpose::TokenSigning).cloned();
    match (&sources.signing, signing) {
        (SigningKey::File(algorithm), Some(ring)) if ring.primary().algorithm() != Some(*algorithm) => {
            Err(ConfigError::new(
                "JWT_ALGORITHM",
                format!("is not the algorithm of the key in {}", sources.file.display()),
                "set it to that key's, or move the file away to have another made",
            ))
        }
        _ => Ok(file),
    }
}
