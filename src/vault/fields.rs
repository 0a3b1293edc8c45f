//! Some members of a JSON document, sealed where they stand.

use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::{Vault, VaultError, plain};
use crate::crypto::sealed::{FieldContext, Sealed};
use crate::error::Result;

impl Vault {
    /// Seals the members at these JSON pointers (RFC 6901), each into a text in its place. What the document doesn't have
    /// is passed over; all are sealed or none.
    ///
    /// Each is bound to its pointer too ([`FieldContext::with_member`]): what was sealed as `/phone` doesn't open as `/name`. Of
    /// pointers one of which contains another, name the outer one alone. What is sealed already is sealed again, and has to
    /// be opened twice.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use portcullis::audit::MemorySink;
    /// # use portcullis::crypto::StaticKeys;
    /// # use portcullis::crypto::sealed::FieldContext;
    /// # use portcullis::vault::Vault;
    /// # use portcullis::TenantId;
    /// # use serde_json::json;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let vault = Vault::builder(Arc::new(StaticKeys::generate()?), Arc::new(MemorySink::default())).build().await?;
    /// # let tenant = TenantId::default();
    /// let here = FieldContext::new(&tenant, "users", "profile", "42");
    /// let mut profile = json!({ "name": "Ada", "phone": { "home": "555" } });
    /// vault.seal_fields(&mut profile, &["/phone/home"], &here)?;
    /// assert!(profile["phone"]["home"].as_str().unwrap().starts_with("pc1."));
    /// vault.open_fields(&mut profile, &["/phone/home"], &here).await?;
    /// assert_eq!(profile, json!({ "name": "Ada", "phone": { "home": "555" } }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`seal`](Self::seal); the document stays as it was.
    pub fn seal_fields(&self, document: &mut Value, pointers: &[&str], at: &FieldContext<'_>) -> Result<()> {
        let mut sealed = Vec::with_capacity(pointers.len());
        for pointer in pointers {
            if let Some(value) = document.pointer(pointer) {
                let sealed_member = self.seal_bytes(&plain::write(value)?, &at.with_member(pointer))?;
                sealed.push((pointer, sealed_member.to_string()));
            }
        }
        for (pointer, text) in sealed {
            if let Some(value) = document.pointer_mut(pointer) {
                *value = Value::String(text);
            }
        }
        Ok(())
    }

    /// Opens what [`seal_fields`](Self::seal_fields) sealed; all or none.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), also for a member that is there and not sealed; the document stays as it was.
    pub async fn open_fields(
        &self,
        document: &mut Value,
        pointers: &[&str],
        at: &FieldContext<'_>,
    ) -> Result<(), VaultError> {
        let mut opened = Vec::with_capacity(pointers.len());
        for pointer in pointers {
            if let Some(value) = document.pointer(pointer) {
                let at = at.with_member(pointer);
                let Some(sealed) = value.as_str().and_then(|text| text.parse::<Sealed>().ok()) else {
                    return self.refused(&at, "", "not_sealed").await;
                };
                let plain = self.open_bytes(&sealed, &at).await?;
                opened.push((pointer, plain::read(plain.expose_secret())?));
            }
        }
        for (pointer, plain) in opened {
            if let Some(value) = document.pointer_mut(pointer) {
                *value = plain;
            }
        }
        Ok(())
    }
}
