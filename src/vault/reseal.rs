//! Moving a column to the newest key.

use std::num::NonZeroU32;

use async_trait::async_trait;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::{Vault, VaultError};
use crate::crypto::sealed::{FieldContext, Sealed};
use crate::error::Result;
use crate::id::TenantId;

/// Rows in one batch, unless said otherwise.
const BATCH: NonZeroU32 = NonZeroU32::new(500).unwrap();

/// One sealed column of the application's own storage, for [`Reseal`] to go over.
#[async_trait]
#[diagnostic::on_unimplemented(note = "implement `portcullis::vault::ResealStore` for `{Self}`")]
pub trait ResealStore: Send + Sync {
    /// At most `limit` rows in the order of tenant and id, those after `after` only; an empty list says that there are
    /// no more. Rows whose column is empty are left out; one that holds something else than a sealed value is not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::error::ErrorKind) if the database can't be reached.
    async fn rows(&self, after: Option<&RowKey>, limit: NonZeroU32) -> Result<Vec<SealedRow>>;

    /// Writes `after` if the column of this row still holds `before`, in one step; says whether it did. Somebody who
    /// changed the row in between wins.
    ///
    /// # Errors
    ///
    /// As for [`rows`](Self::rows).
    async fn replace(&self, row: &RowKey, before: &Sealed, after: &Sealed) -> Result<bool>;
}

/// A row by tenant and id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowKey {
    /// Whose row it is.
    pub tenant: TenantId,
    /// Its id, as in the context its column was sealed for.
    pub id: String,
}

/// What a row holds in the column.
#[derive(Clone, Debug)]
pub struct SealedRow {
    /// Which row.
    pub key: RowKey,
    /// What it holds; `None` if that is no sealed value.
    pub sealed: Option<Sealed>,
}

/// Moves one column of a table to the vault's newest key, batch by batch, while the application reads and writes it.
///
/// Each row is opened, sealed again and swapped in one step, or left as it is; so a job that is killed half-way has lost
/// nothing, and the next one goes on from the [`Progress`] that was kept, or from the start: what is done already is
/// passed over without being opened. If the keys change meanwhile, it starts over. Any number of jobs may run at once.
///
/// **Before an older key is destroyed**, run a job from the start that [ends complete](Progress::is_complete), and start it
/// when nobody writes under that key any more: some seconds after the newest became primary, with every instance
/// alive, and after the last write of the application that was begun before. What an older key sealed later than the job
/// passed by is not found by it.
///
/// `examples/server` runs one over its notes, again and again.
#[derive(Clone, Debug)]
pub struct Reseal {
    vault: Vault,
    table: String,
    column: String,
    batch: NonZeroU32,
}

/// How far a [`Reseal`] is. Keep it wherever you like after each batch, to go on from there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// What rows are moved to: [`Vault::newest`]. Progress towards anything else counts for nothing.
    pub target: String,
    /// The last row that was looked at.
    pub after: Option<RowKey>,
    /// Rows looked at.
    pub seen: u64,
    /// Rows sealed again.
    pub resealed: u64,
    /// Rows that somebody else changed in between.
    pub raced: u64,
    /// Rows that don't open, or hold no sealed value. They stay as they are; the audit trail names the former.
    pub refused: u64,
    /// Whether the last row was reached.
    pub ended: bool,
}

impl Progress {
    /// Whether every row was reached and none was left as it was.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.ended && self.raced == 0 && self.refused == 0
    }
}

impl Progress {
    /// Starts over if it was towards another target.
    pub(crate) fn towards(&mut self, target: String) {
        if self.target != target {
            *self = Self { target, ..Self::default() };
        }
    }
}

impl Reseal {
    /// A job over this column: table and column as in the [`FieldContext`] its values were sealed for.
    pub fn new(vault: Vault, table: impl Into<String>, column: impl Into<String>) -> Self {
        Self { vault, table: table.into(), column: column.into(), batch: BATCH }
    }

    /// Takes so many rows at a time; 500 by default.
    #[must_use]
    pub fn with_batch(mut self, rows: NonZeroU32) -> Self {
        self.batch = rows;
        self
    }

    /// Does one batch; [`Progress::ended`] says whether it was the last.
    ///
    /// # Errors
    ///
    /// Whatever the store or the audit trail fails with; `progress` then tells what was done, and the same call goes on.
    pub async fn step(&self, store: &dyn ResealStore, progress: &mut Progress) -> Result<()> {
        progress.towards(self.vault.newest());
        let rows = store.rows(progress.after.as_ref(), self.batch).await?;
        progress.ended = rows.is_empty();
        for row in rows {
            match &row.sealed {
                Some(sealed) if self.vault.needs_reseal(sealed) => {
                    self.reseal(store, &row.key, sealed, progress).await?;
                }
                Some(_) => {}
                None => progress.refused += 1,
            }
            progress.seen += 1;
            progress.after = Some(row.key);
        }
        Ok(())
    }

    /// Does all that is left, from the start with `Progress::default()`.
    ///
    /// # Errors
    ///
    /// As for [`step`](Self::step).
    pub async fn run(&self, store: &dyn ResealStore, mut progress: Progress) -> Result<Progress> {
        while !progress.ended {
            self.step(store, &mut progress).await?;
        }
        Ok(progress)
    }

    async fn reseal(
        &self,
        store: &dyn ResealStore,
        row: &RowKey,
        before: &Sealed,
        progress: &mut Progress,
    ) -> Result<()> {
        let at = FieldContext::new(&row.tenant, &self.table, &self.column, &row.id);
        match self.vault.open_bytes(before, &at).await {
            Ok(plain) => {
                let after = self.vault.seal_bytes(plain.expose_secret(), &at)?;
                if store.replace(row, before, &after).await? {
                    progress.resealed += 1;
                } else {
                    progress.raced += 1;
                }
            }
            Err(VaultError::DoesNotOpen(_)) => progress.refused += 1,
            Err(VaultError::Failed(error)) => return Err(error),
        }
        Ok(())
    }
}
