//! What the database's failures mean.

use crate::error::{Error, ErrorKind};

/// A failed call.
pub(super) fn failed(source: sqlx::Error) -> Error {
    use sqlx::Error as E;
    let kind = match &source {
        E::ColumnDecode { .. }
        | E::Decode(_)
        | E::ColumnNotFound(_)
        | E::ColumnIndexOutOfBounds { .. }
        | E::TypeNotFound { .. } => ErrorKind::Corrupt,
        E::Database(cause) if is_damage(cause.code().as_deref()) => ErrorKind::Corrupt,
        _ => ErrorKind::Unavailable,
    };
    let message = match kind {
        ErrorKind::Corrupt => "the sqlite database returned what cannot be read",
        _ => "the sqlite database did not carry out a call",
    };
    Error::new(kind, message).with_source(source)
}

/// Whether SQLite says that the file is damaged (`SQLITE_CORRUPT`) or not a database (`SQLITE_NOTADB`).
fn is_damage(code: Option<&str>) -> bool {
    // The low byte of an extended result code is the primary one.
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

/// A stored value that cannot have been written here.
pub(super) fn corrupt(what: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}

/// A number for a column. Columns hold 63 bits.
pub(super) fn to_column(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|source| {
        Error::new(ErrorKind::Internal, "a number does not fit its column").with_source(source)
    })
}

/// A number from a column.
pub(super) fn from_column<T: TryFrom<i64>>(number: i64) -> Result<T, Error> {
    T::try_from(number).map_err(|_| corrupt("a stored number is out of range"))
}

/// The revision after `expected`.
pub(super) fn next_revision(expected: u64) -> Result<i64, Error> {
    to_column(expected)?
        .checked_add(1)
        .ok_or_else(|| Error::new(ErrorKind::Internal, "a revision is out of range"))
}
