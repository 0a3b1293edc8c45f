//! The mark of a value that was checked.

/// A value that was checked: a password that matched, a token whose signature and claims hold.
///
/// Code that needs the proof takes `Verified<T>` and cannot be reached without the check.
#[derive(Clone, Debug)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// States that `value` was checked. Search for this name to see every place that vouches for a value.
    pub fn vouch(value: T) -> Self {
        Self(value)
    }

    /// The value; the proof is spent.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
