//! Where a value lives.

use std::io::Write as _;

use crate::id::TenantId;

/// Associated data up to this length costs no allocation.
const ON_STACK: usize = 256;

/// Where a sealed value lives: whose it is, in which table, column and row.
///
/// Authenticated with the value and not stored in it. Whoever may write to the database still can't move a value
/// from one row to another, or bring it to be opened for another tenant. An older value of the same row and column
/// can be put back.
///
/// Names are compared byte by byte. One that changes - a renamed column - has its values opened under the old name
/// and sealed under the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldContext<'a> {
    tenant: &'a TenantId,
    table: &'a str,
    column: &'a str,
    row: &'a str,
    member: &'a str,
}

impl<'a> FieldContext<'a> {
    /// The place of a value. Nothing may be empty: where a row's id isn't known yet, nothing can be sealed for it.
    #[must_use]
    pub const fn new(tenant: &'a TenantId, table: &'a str, column: &'a str, row: &'a str) -> Self {
        Self { tenant, table, column, row, member: "" }
    }

    /// A member of a document in that column, by its JSON pointer (RFC 6901). It is another place than the column itself,
    /// and than a column of any name.
    #[must_use]
    pub const fn with_member(self, pointer: &'a str) -> Self {
        Self { member: pointer, ..self }
    }

    /// Whose it is.
    #[must_use]
    pub const fn tenant(&self) -> &'a TenantId {
        self.tenant
    }

    /// The table.
    #[must_use]
    pub const fn table(&self) -> &'a str {
        self.table
    }

    /// The column.
    #[must_use]
    pub const fn column(&self) -> &'a str {
        self.column
    }

    /// The id of the row.
    #[must_use]
    pub const fn row(&self) -> &'a str {
        self.row
    }

    /// The member of the document in the column; empty for the column as a whole.
    #[must_use]
    pub const fn member(&self) -> &'a str {
        self.member
    }

    /// Hands the associated data for a value with this header to `step`. `None` if a part is missing.
    ///
    /// The header tells its own length, and each part has its length in front: no two different headers and contexts
    /// give the same bytes.
    pub(super) fn bind<T>(&self, header: &[u8], step: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let parts = [self.tenant.as_str(), self.table, self.column, self.row, self.member];
        let [needed @ .., _] = &parts;
        if needed.iter().any(|part| part.is_empty()) {
            return None;
        }
        let length = header.len() + parts.iter().map(|part| size_of::<u64>() + part.len()).sum::<usize>();
        let (mut stack, mut heap) = ([0; ON_STACK], Vec::new());
        let aad = match stack.get_mut(..length) {
            Some(aad) => aad,
            None => {
                heap.resize(length, 0);
                &mut heap[..]
            }
        };
        let mut room = &mut *aad;
        room.write_all(header).ok()?;
        for part in parts {
            room.write_all(&(part.len() as u64).to_be_bytes()).ok()?;
            room.write_all(part.as_bytes()).ok()?;
        }
        Some(step(aad))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(header: &[u8], [tenant, table, column, row, member]: [&str; 5]) -> Option<Vec<u8>> {
        let tenant = TenantId::parse(tenant).unwrap();
        FieldContext::new(&tenant, table, column, row).with_member(member).bind(header, <[u8]>::to_vec)
    }

    #[test]
    fn nothing_is_left_out() {
        assert!(bytes(b"h", ["t", "a", "b", "c", ""]).is_some());
        for missing in [["t", "", "b", "c", "/d"], ["t", "a", "", "c", "/d"], ["t", "a", "b", "", "/d"]] {
            assert_eq!(bytes(b"h", missing), None, "{missing:?}");
        }
    }

    #[test]
    fn the_bytes_stay_as_they_are() {
        let want = b"hh\0\0\0\0\0\0\0\x01t\0\0\0\0\0\0\0\x05notes\0\0\0\0\0\0\0\x04body\0\0\0\0\0\0\0\x02r1";
        let none = bytes(b"hh", ["t", "notes", "body", "r1", ""]).unwrap();
        assert_eq!(none, [&want[..], &[0; 8]].concat());
        let member = bytes(b"hh", ["t", "notes", "body", "r1", "/m"]).unwrap();
        assert_eq!(member, [&want[..], b"\0\0\0\0\0\0\0\x02/m"].concat());
    }

    #[test]
    fn long_contexts_are_bound_whole() {
        for length in (180..300).chain([70_000]) {
            let row = "r".repeat(length);
            let whole = bytes(b"h", ["t", "a", "b", &row, "m"]).unwrap();
            assert_eq!(whole.len(), 1 + 5 * 8 + 4 + length);
            assert!(whole.ends_with(b"m") && whole.windows(length).any(|window| window == row.as_bytes()));
        }
    }

    /// Few characters and those of a length prefix: collisions of a careless encoding become likely.
    fn part() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!['\0', '\u{1}', '\u{2}', 'a', '/']), 1..12)
            .prop_map(String::from_iter)
    }

    fn member() -> impl Strategy<Value = String> {
        prop_oneof![Just(String::new()), part()]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn f9_no_two_contexts_are_bound_alike(
            tenants in ("[a/]{1,4}", "[a/]{1,4}"),
            parts in (([part(), part(), part()], member()), ([part(), part(), part()], member())),
            cuts in (1..12_usize, 1..12_usize),
        ) {
            let four = |([a, b, c], d): ([String; 3], String)| [a, b, c, d];
            let parts = (four(parts.0), four(parts.1));
            let of = |tenant: &str, [a, b, c, d]: &[String; 4]| bytes(b"h", [tenant, a, b, c, d]).unwrap();
            let same = tenants.0 == tenants.1 && parts.0 == parts.1;
            prop_assert_eq!(of(&tenants.0, &parts.0) == of(&tenants.1, &parts.1), same);
            // Contexts that share their concatenation.
            let [a, b, c, d] = &parts.0;
            let (front, back) = (format!("{a}{b}"), format!("{c}{d}"));
            let cut = |at: usize| {
                let at = at.min(front.len() - 1);
                [front[..at].to_owned(), front[at..].to_owned(), c.clone(), d.clone()]
            };
            let (first, second) = (cut(cuts.0), cut(cuts.1));
            prop_assert_eq!(of(&tenants.0, &first) == of(&tenants.0, &second), first == second);
            // The last part may be empty.
            let cut = |at: usize| {
                let at = at.min(back.len());
                [a.clone(), b.clone(), back[..at].to_owned(), back[at..].to_owned()]
            };
            let (first, second) = (cut(cuts.0), cut(cuts.1));
            prop_assert_eq!(of(&tenants.0, &first) == of(&tenants.0, &second), first == second);
        }
    }
}
