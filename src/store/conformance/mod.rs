//! The suite every store has to pass: run it over yours and know that it is safe under races.
//!
//! Implement [`Harness`], which opens the store empty, and name the function that makes one:
//!
//! ```
//! use std::sync::Arc;
//! use portcullis::error::Result;
//! use portcullis::store::conformance::Harness;
//! use portcullis::store::{MemoryStore, TokenStore, UserStore};
//!
//! struct Memory(MemoryStore);
//!
//! impl Harness for Memory {
//!     fn users(&self) -> Arc<dyn UserStore> {
//!         Arc::new(self.0.clone())
//!     }
//!
//!     fn tokens(&self) -> Arc<dyn TokenStore> {
//!         Arc::new(self.0.clone())
//!     }
//!
//!     async fn reopen(&mut self) -> Result<bool> {
//!         Ok(false) // not durable
//!     }
//! }
//!
//! async fn memory() -> Memory {
//!     Memory(MemoryStore::new())
//! }
//!
//! // One `#[tokio::test]` for each check; needs tokio's features `macros` and `rt-multi-thread`.
//! portcullis::store_conformance!(memory);
//! # fn main() {}
//! ```
//!
//! What is checked, one step at a time and with 32 racers: uniqueness and compare-and-swap, single use, replay, grace
//! and reuse, floors and feed, tenants apart in every operation, no resurrection, hostile strings found literally (ASVS
//! 1.2.4), and everything answered still true after the store was opened again. Time is the suite's own; nothing sleeps.
//!
//! A [`RateStore`](crate::store::RateStore) has a suite of its own, with a [`RateHarness`] and the macro
//! `rate_store_conformance`.
//!
//! The race checks find what breaks under the load they make. They are no proof: the step must be atomic by construction.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "an assertion suite: it says what is wrong with a store by panicking"
)]

mod consume;
mod fixtures;
mod hostile;
mod races;
mod rates;
mod records;
mod reopen;
mod revocation;
mod tenants;
mod users;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::Result;
use crate::store::{TokenStore, UserStore};

pub use rates::{RATE_CHECKS, RateHarness, check_rates};

/// A store under test, empty when made. Dropped when its check has ended.
#[diagnostic::on_unimplemented(
    note = "implement `portcullis::store::conformance::Harness` for `{Self}`: it opens your store for one check"
)]
pub trait Harness: Send + Sync + 'static {
    /// The users' half.
    fn users(&self) -> Arc<dyn UserStore>;

    /// The tokens' half, which may be the same store.
    fn tokens(&self) -> Arc<dyn TokenStore>;

    /// Closes the stores and opens them over the same data, as a restarted process would. Returns whether it did:
    /// `false` says that the store is not durable, and what depends on that is not checked.
    fn reopen(&mut self) -> impl Future<Output = Result<bool>> + Send;
}

/// Expands to one `#[tokio::test]` for each check of [`conformance`](crate::store::conformance). Takes what makes a
/// [`Harness`](crate::store::conformance::Harness): an `async fn` without arguments, or a closure like it.
#[macro_export]
macro_rules! store_conformance {
    ($make:expr $(,)?) => {
        $crate::__store_conformance! { tests ($make) }
    };
}

/// The one list of checks, as tests and as functions.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_conformance {
    (@tests ($make:expr) $($module:ident: $($name:ident)*;)*) => {
        $($(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let harness = ($make)().await;
                $crate::store::conformance::check(::core::stringify!($name), harness).await;
            }
        )*)*
    };
    (@functions () $($module:ident: $($name:ident)*;)*) => {
        /// The names of all checks.
        pub const CHECKS: &[&str] = &[$($(stringify!($name)),*),*];

        /// Runs one of the [`CHECKS`] over a fresh harness.
        ///
        /// # Panics
        ///
        /// If the store fails it, or `name` is no check.
        pub async fn check<H: Harness>(name: &str, harness: H) {
            let bench = Bench(Box::new(harness));
            match name {
                $($(stringify!($name) => Box::pin($module::$name(bench)).await,)*)*
                _ => panic!("there is no check `{name}`"),
            }
        }
    };
    ($mode:ident $args:tt) => {
        $crate::__store_conformance! { @$mode $args
            users:
                users_come_back_as_given
                user_ids_are_unique
                duplicate_keys_are_named_on_insert
                duplicate_keys_are_named_on_replace
                a_user_may_name_a_key_twice
                replacing_a_user_swaps_and_counts
                replacing_a_user_compares_the_revision
                renaming_frees_and_takes_keys
                deleting_a_user_frees_its_keys
                a_deleted_user_is_not_brought_back
                users_are_listed_in_byte_order
                login_keys_have_no_collation
                kinds_of_login_keys_are_apart
                a_federated_identity_is_a_pair;
            records:
                tokens_come_back_as_given
                token_ids_are_unique
                replacing_a_token_swaps_and_counts
                replacing_a_token_compares_the_revision
                replacing_a_token_leaves_other_verbs_alone
                a_dead_token_is_not_replaced
                a_token_does_not_change_hands
                a_use_is_noted_once_a_minute
                a_use_never_shortens_nor_outlives
                a_dead_token_is_not_touched
                attempts_are_counted_up_to_the_limit
                tokens_are_listed_oldest_first
                purging_takes_whole_families;
            consume:
                a_token_is_spent_once
                a_token_spent_for_nothing_stays_spent
                a_replay_in_grace_gets_the_same_successor
                a_replay_after_grace_is_reuse
                a_replay_of_a_used_successor_is_reuse
                a_replay_of_a_revoked_successor_is_reuse
                reuse_revokes_the_family_in_the_feed
                expiry_is_by_the_callers_clock
                a_revoked_token_is_not_spent
                a_stale_token_is_not_spent
                a_stale_successor_is_not_stored
                the_next_use_erases_sealed_forms
                purging_erases_sealed_forms
                a_successor_does_not_change_hands;
            revocation:
                revoking_a_token_ends_it_alone
                revoking_a_family_ends_all_of_it
                revoking_a_subject_ends_what_is_below
                floors_only_rise
                stale_tokens_are_not_inserted
                the_feed_tells_everything_in_order
                the_unknown_is_revoked_too
                the_feed_is_read_in_pages
                the_feed_forgets_only_what_it_may
                purging_keeps_floors;
            tenants:
                users_of_tenants_are_apart
                tokens_of_tenants_are_apart
                revocations_of_tenants_are_apart;
            hostile:
                hostile_login_keys_are_found_literally
                hostile_user_data_comes_back_literally
                hostile_token_data_comes_back_literally
                a_mebibyte_comes_back;
            races:
                racing_inserts_of_a_login_key
                racing_inserts_of_a_user_id
                racing_renames_to_a_login_key
                racing_replacements_of_a_user
                racing_deletions_of_a_user
                racing_a_deletion_and_replacements
                racing_inserts_of_a_token_id
                racing_replacements_of_a_token
                racing_exchanges_of_a_token
                racing_uses_of_a_single_use_token
                racing_replays_after_grace
                racing_an_exchange_and_a_revocation
                racing_inserts_and_a_revocation
                racing_replacements_and_a_revocation
                racing_attempts
                racing_touches
                racing_floors
                racing_writers_of_the_feed;
            reopen:
                users_outlive_the_process
                tokens_outlive_the_process
                spent_tokens_stay_spent
                revocations_outlive_the_process;
        }
    };
}

__store_conformance! { functions () }

/// Runs every check, each over a fresh harness.
///
/// # Panics
///
/// If the store fails one.
pub async fn run_all<H, F, Fut>(make: F)
where
    H: Harness,
    F: Fn() -> Fut,
    Fut: Future<Output = H>,
{
    for name in CHECKS {
        check(name, make().await).await;
    }
}

/// A harness without its type, so that the checks are compiled once.
struct Bench(Box<dyn AnyHarness>);

impl Bench {
    fn users(&self) -> Arc<dyn UserStore> {
        self.0.users()
    }

    fn tokens(&self) -> Arc<dyn TokenStore> {
        self.0.tokens()
    }

    async fn reopen(&mut self) -> bool {
        self.0.reopen().await.expect("the store can be opened again")
    }
}

trait AnyHarness: Send + Sync {
    fn users(&self) -> Arc<dyn UserStore>;
    fn tokens(&self) -> Arc<dyn TokenStore>;
    fn reopen(&mut self) -> Pin<Box<dyn Future<Output = Result<bool>> + Send + '_>>;
}

impl<H: Harness> AnyHarness for H {
    fn users(&self) -> Arc<dyn UserStore> {
        Harness::users(self)
    }

    fn tokens(&self) -> Arc<dyn TokenStore> {
        Harness::tokens(self)
    }

    fn reopen(&mut self) -> Pin<Box<dyn Future<Output = Result<bool>> + Send + '_>> {
        Box::pin(Harness::reopen(self))
    }
}
