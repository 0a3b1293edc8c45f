//! Keys of the reference server: from the environment, or from a key file that is made once and may change while it runs.

use std::sync::Arc;
use std::time::Duration;

use portcullis::ConfigError;
use portcullis::crypto::{
    Algorithm, DerivedKeys, Key, KeyFile, KeyProvider, KeyPurpose, Keyring, KeysByPurpose, RotationPolicy,
    StaticKeys,
};
use portcullis::time::{Clock, SystemClock, Timestamp};

use crate::config::{KeySources, SigningKey};

/// What protects data, beside what signs tokens.
const DATA: [KeyPurpose; 2] = [KeyPurpose::Sealing, KeyPurpose::BlindIndex];

/// Where the server's keys come from.
pub struct Keys {
    pub provider: Arc<dyn KeyProvider>,
    /// Those of them that can be rotated here. What comes from the environment is rotated there.
    pub file: Option<KeyFile>,
}

pub async fn load(sources: &KeySources) -> Result<Keys, ConfigError> {
    let data = match &sources.encryption {
        Some(root) => {
            let mut keys =
                DerivedKeys::from_text(root).map_err(|error| error.with_field("ENCRYPTION_KEY"))?;
            if let Some(previous) = &sources.previous_encryption {
                let accepted = keys.with_accepted_text(previous);
                keys = accepted.map_err(|error| error.with_field("ENCRYPTION_KEY_PREVIOUS"))?;
            }
            Some(Arc::new(keys) as Arc<dyn KeyProvider>)
        }
        None => None,
    };
    let signing = match &sources.signing {
        SigningKey::Secret(secret) => {
            let key = Key::hmac_secret_text(secret).map_err(|error| error.with_field("JWT_SECRET_KEY"))?;
            // It comes with the environment, and is rotated by a restart with another.
            Some(Arc::new(StaticKeys::danger_new(Keyring::new(key)?)) as Arc<dyn KeyProvider>)
        }
        SigningKey::File(_) => None,
    };
    let (signing, data, file) = match (signing, data) {
        (Some(signing), Some(data)) => (signing, data, None),
        (signing, data) => {
            let purposes = signing.is_none().then_some(KeyPurpose::TokenSigning).into_iter();
            let purposes: Vec<_> = purposes.chain(DATA.into_iter().filter(|_| data.is_none())).collect();
            let file = file(sources, &purposes, SystemClock::new().now()).await?;
            let keys: Arc<dyn KeyProvider> = Arc::new(file.clone());
            (signing.unwrap_or(keys.clone()), data.unwrap_or(keys), Some(file))
        }
    };
    let provider = Arc::new(KeysByPurpose::new(data).with(KeyPurpose::TokenSigning, signing));
    Ok(Keys { provider, file })
}

/// Takes the steps of rotations that are due, as long as the server runs.
pub async fn advance(file: KeyFile, clock: Arc<dyn Clock>, policy: RotationPolicy) {
    let mut known = None;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let problem = match file.advance(clock.now(), policy).await {
            Ok(true) => {
                tracing::info!("a key took the next step of its rotation");
                None
            }
            Ok(false) => None,
            Err(error) => Some(error),
        };
        if let Some(error) = problem.as_ref().filter(|_| problem != known) {
            tracing::error!(%error, "keys that are due cannot be changed");
        }
        known = problem;
    }
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
                "set it to that key's",
            ))
        }
        _ => Ok(file),
    }
}
