//! One role, compiled.

use super::universe::Covering;
use crate::authz::bits::Bits;

/// One role with all it inherits. Numbers of roles mean something among the roles of the service and of one tenant; numbers
/// of grants in the whole model. The only place that knows how grants are represented.
pub(super) struct Compiled {
    pub(super) number: usize,
    pub(super) includes: Bits,
    pub(super) granted: Bits,
}

impl Compiled {
    pub(super) fn new(number: usize, roles: usize, bound: usize, grants: &[usize]) -> Self {
        let mut own =
            Self { number, includes: Bits::with_room_for(roles), granted: Bits::with_room_for(bound) };
        own.includes.insert(number);
        grants.iter().for_each(|grant| own.granted.insert(*grant));
        own
    }

    pub(super) fn absorb(&mut self, parent: &Self) {
        self.includes.absorb(&parent.includes);
        self.granted.absorb(&parent.granted);
    }

    pub(super) fn grants(&self, covering: &Covering) -> bool {
        covering.iter().any(|number| self.granted.contains(*number))
    }
}
