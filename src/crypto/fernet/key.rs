//! One key, and the format.

use aes::Aes128;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::crypto::seal::OpenError;
use crate::error::ConfigError;
use crate::time::Timestamp;

const VERSION: u8 = 0x80;

/// Half signs, half encrypts.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct FernetKey {
    signing: [u8; 16],
    encryption: [u8; 16],
}

impl FernetKey {
    pub(super) fn parse(text: &SecretString) -> Option<Self> {
        // The decoder insists on room for a whole quantum, one byte more than comes out.
        let mut bytes = Zeroizing::new([0; 33]);
        let written = URL_SAFE.decode_slice(text.expose_secret(), &mut bytes[..]).ok()?;
        Self::from_bytes(bytes.get(..written)?.try_into().ok()?)
    }

    pub(super) fn derive(secret: &SecretString, salt: &[u8], rounds: u32) -> Result<Self, ConfigError> {
        let bad = |problem, cure| ConfigError::new("fernet passphrase", problem, cure);
        let secret = secret.expose_secret().as_bytes();
        if secret.is_empty() {
            return Err(bad("is empty", "use the secret the rows were written with"));
        }
        if rounds == 0 {
            return Err(bad("is hashed in no rounds", "use as many rounds as the rows were written with"));
        }
        let mut bytes = Zeroizing::new([0; 32]);
        pbkdf2::pbkdf2::<Hmac<Sha256>>(secret, salt, rounds, &mut bytes[..])
            .ok()
            .and_then(|()| Self::from_bytes(&bytes))
            .ok_or_else(|| bad("is unusable", "report this"))
    }

    /// Verifies and decrypts `version | time | iv | ciphertext | mac`.
    pub(super) fn open(&self, token: &[u8]) -> Result<(SecretSlice<u8>, Timestamp), OpenError> {
        let (signed, tag) = token.split_last_chunk::<32>().ok_or(OpenError)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.signing).map_err(|_| OpenError)?;
        mac.update(signed);
        mac.verify_slice(tag).map_err(|_| OpenError)?;

        // From here on, whoever has the key wrote it.
        let (&[version], rest) = signed.split_first_chunk().ok_or(OpenError)?;
        let (time, rest) = rest.split_first_chunk().ok_or(OpenError)?;
        let (iv, ciphertext) = rest.split_first_chunk::<16>().ok_or(OpenError)?;
        let time = i64::try_from(u64::from_be_bytes(*time)).map_err(|_| OpenError)?;
        if version != VERSION {
            return Err(OpenError);
        }
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let plaintext = cbc::Decryptor::<Aes128>::new((&self.encryption).into(), iv.into())
            .decrypt_padded::<Pkcs7>(&mut buffer)
            .map_err(|_| OpenError)?;
        Ok((SecretSlice::from(plaintext.to_vec()), Timestamp::from_secs(time)))
    }

    fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        Some(Self { signing: *bytes.first_chunk()?, encryption: *bytes.last_chunk()? })
    }
}
