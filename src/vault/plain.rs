//! Values as JSON, without traces of them in memory that was given back.

use std::io::{self, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};

/// A buffer that is wiped where it was before it grows elsewhere.
struct Wiped(Zeroizing<Vec<u8>>);

impl Write for Wiped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let needed = self.0.len().saturating_add(bytes.len());
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.saturating_mul(2)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn write<T: Serialize>(value: &T) -> Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Wiped(Zeroizing::new(Vec::with_capacity(256)));
    // The cause could quote the value, so it goes no further.
    serde_json::to_writer(&mut buffer, value).map_err(|_| {
        Error::new(ErrorKind::Internal, "a value cannot be written as json and so not be sealed")
    })?;
    Ok(buffer.0)
}

pub(super) fn read<T: DeserializeOwned>(plain: &[u8]) -> Result<T> {
    serde_json::from_slice(plain)
        .map_err(|_| Error::new(ErrorKind::Corrupt, "what was sealed is no value of the type asked for"))
}
