//! Errors for three readers.
//!
//! | reader | type | what it may say |
//! |---|---|---|
//! | the developer, at start-up | [`ConfigError`] | the setting and the cure |
//! | the operator, in the log | [`Error`] | the whole chain of causes |
//! | the client, on the wire | [`Rejection`](crate::rejection::Rejection) | a stable code |
//!
//! No conversion leads from the second to the third that could carry text along: only the [`ErrorKind`] decides what a
//! client sees. What is [temporary](Error::is_temporary) is 503, anything else 500. So log the error where you drop it,
//! with its sources; `Display` shows the outermost message alone.
//!
//! An implementation of one of our traits makes errors like this one:
//!
//! ```
//! use portcullis::error::{Error, ErrorKind};
//! use std::error::Error as _;
//!
//! let cause = std::io::Error::other("connection refused");
//! let error = Error::new(ErrorKind::Unavailable, "the user store cannot be reached").with_source(cause);
//! assert!(error.is_temporary());
//! assert_eq!(error.source().unwrap().to_string(), "connection refused");
//! ```

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// Result of an operation that can fail for reasons only the operator should see.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed, for the operator.
///
/// One word wide. `Display` gives the outermost message; the chain is reached through
/// [`source`](StdError::source).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What can be done about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A store, key provider or the like could not be reached. Trying again may help; a client sees 503.
    Unavailable,
    /// The service has more work queued than it accepts. Trying again later helps; a client sees 503.
    Overloaded,
    /// What was read back does not have the form it was written in. Somebody must look.
    Corrupt,
    /// The operating system could not supply randomness.
    Entropy,
    /// Anything else: a defect here or in an implementation of one of our traits.
    Internal,
}

impl Error {
    /// An error of this kind; `message` is lower case without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What can be done about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::Entropy)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<getrandom::Error> for Error {
    fn from(source: getrandom::Error) -> Self {
        Self::new(ErrorKind::Entropy, "the operating system supplied no randomness").with_source(source)
    }
}

/// A setting that cannot stand, reported at start-up: which one, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    field: Cow<'static, str>,
    problem: Cow<'static, str>,
    cure: Cow<'static, str>,
    others: Vec<Self>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, problem, cure, others } = self;
        write!(f, "{field}: {problem}; {cure}")?;
        others.iter().try_for_each(|other| write!(f, "\n{other}"))
    }
}

impl StdError for ConfigError {}

impl ConfigError {
    /// `field` as the developer or operator wrote it, what is wrong with it, and what to write instead.
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        problem: impl Into<Cow<'static, str>>,
        cure: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), problem: problem.into(), cure: cure.into(), others: Vec::new() }
    }

    /// The same problem and cure under the name the developer or operator knows the setting by.
    #[must_use]
    pub fn with_field(self, field: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), ..self }
    }

    /// Several problems as one, if there are any: all of them are told at once.
    pub(crate) fn all(problems: Vec<Self>) -> Result<(), Self> {
        let mut problems = problems.into_iter().flat_map(|mut problem| {
            let others = std::mem::take(&mut problem.others);
            std::iter::once(problem).chain(others)
        });
        let Some(first) = problems.next() else { return Ok(()) };
        Err(Self { others: problems.collect(), ..first })
    }

    /// What else is wrong, where several problems were found at once.
    #[must_use]
    pub fn others(&self) -> &[Self] {
        &self.others
    }

    /// The setting.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> &str {
        &self.cure
    }
}

/// Why a service did not come up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot stand.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something it depends on failed.
    #[error("a service could not be started")]
    Failed(#[from] Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn the_chain_is_kept() {
        let error =
            Error::new(ErrorKind::Unavailable, "user store").with_source(std::io::Error::other("disk full"));
        assert_eq!(error.to_string(), "user store");
        assert_eq!(error.source().unwrap().to_string(), "disk full");
        assert!(error.is_temporary());
    }

    #[test]
    fn several_problems_are_one_flat_list() {
        let one = |field| ConfigError::new(field, "is wrong", "mend it");
        assert_eq!(ConfigError::all(Vec::new()), Ok(()));
        let inner = ConfigError::all(vec![one("a"), one("b")]).unwrap_err();
        let all = ConfigError::all(vec![inner, one("c")]).unwrap_err();
        assert_eq!(all.to_string(), "a: is wrong; mend it\nb: is wrong; mend it\nc: is wrong; mend it");
        assert_eq!(all.others(), [one("b"), one("c")]);
    }

    #[test]
    fn a_config_error_names_field_problem_and_cure() {
        let error = ConfigError::new("JWT_SECRET_KEY", "has 8 bytes", "use at least 32 random bytes");
        assert_eq!(error.to_string(), "JWT_SECRET_KEY: has 8 bytes; use at least 32 random bytes");
    }
}
