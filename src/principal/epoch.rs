//! The counters credentials are issued under.

use serde::{Deserialize, Serialize};

/// The two counters of a user that credentials are issued under.
///
/// `security` rises with passwords, e-mail addresses, factors and status, `grants` with roles and permissions.
/// A credential is stale as soon as one of its counters is below the floor that was set for its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Epoch {
    /// Rises with every change that ends credentials.
    pub security: u32,
    /// Rises with every change of rights.
    pub grants: u32,
}

impl Epoch {
    /// Where every user starts.
    pub const ZERO: Self = Self { security: 0, grants: 0 };

    /// Whether a credential of this epoch is below `floor`.
    #[must_use]
    pub fn is_below(self, floor: Self) -> bool {
        self.security < floor.security || self.grants < floor.grants
    }

    /// The higher of both counters: what satisfies both.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { security: self.security.max(other.security), grants: self.grants.max(other.grants) }
    }
}

/// As a JSON array `[security, grants]`, which is also the form of the claim `epoch`.
impl Serialize for Epoch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.security, self.grants).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (security, grants) = <(u32, u32)>::deserialize(deserializer)?;
        Ok(Self { security, grants })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_below_a_floor_if_either_counter_is() {
        let floor = Epoch { security: 2, grants: 5 };
        for (security, grants, below) in
            [(2, 5, false), (3, 9, false), (1, 9, true), (9, 4, true), (0, 0, true)]
        {
            assert_eq!(Epoch { security, grants }.is_below(floor), below, "{security} {grants}");
        }
    }
}
