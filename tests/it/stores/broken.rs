//! The suite bites: a store with one thing wrong fails the check that is there for it.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis::TenantId;
use portcullis::error::Result;
use portcullis::id::{Subject, TokenId};
use portcullis::store::conformance::{CHECKS, Harness, check};
use portcullis::store::{
    Attempt, Consume, Consumption, Cursor, Feed, LoginKey, LoginName, MemoryStore, Page, Revocation,
    RevocationTarget, TokenInsertion, TokenKind, TokenRecord, TokenReplacement, TokenStore, User,
    UserInsertion, UserReplacement, UserStore,
};
use portcullis::time::Timestamp;

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    Nothing,
    ConsumeInTwoSteps,
    ReplaceInTwoSteps,
    InsertInTwoSteps,
    AttemptsInTwoSteps,
    IgnoresTheTenant,
    FoldsCase,
    ForgetsTheFeed,
    SkipsInTheFeed,
    IgnoresGrants,
    ShowsTheStaleAsLive,
    TouchesAlways,
    PurgesTheYoung,
    OwnClock,
    NotDurable,
    CutsAtNul,
}

#[derive(Clone)]
struct Broken {
    inner: MemoryStore,
    flaw: Flaw,
}

impl Broken {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn tenant(&self, tenant: &TenantId) -> TenantId {
        if self.has(Flaw::IgnoresTheTenant) { TenantId::default() } else { tenant.clone() }
    }

    fn text(&self, text: &str) -> String {
        match self.flaw {
            Flaw::FoldsCase => text.to_lowercase(),
            Flaw::CutsAtNul => text.split('\0').next().unwrap_or_default().to_owned(),
            _ => text.to_owned(),
        }
    }

    fn key(&self, key: &LoginKey) -> LoginKey {
        match std::str::from_utf8(key.bytes()) {
            Ok(text) if *key == LoginKey::username(text) => LoginKey::username(&self.text(text)),
            Ok(text) if *key == LoginKey::email(text) => LoginKey::email(&self.text(text)),
            _ => key.clone(),
        }
    }

    fn user(&self, user: &User) -> User {
        let mut user = user.clone();
        user.tenant = self.tenant(&user.tenant);
        let fold = |name: LoginName| LoginName { canonical: self.text(&name.canonical), ..name };
        (user.username, user.email) = (user.username.map(fold), user.email.map(fold));
        user
    }

    fn record(&self, record: &TokenRecord) -> TokenRecord {
        let mut record = record.clone();
        record.tenant = self.tenant(&record.tenant);
        record
    }
}

/// Where a store that reads and then writes lets others in between.
async fn between_steps() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl UserStore for Broken {
    async fn insert(&self, user: &User) -> Result<UserInsertion> {
        let user = self.user(user);
        if self.has(Flaw::InsertInTwoSteps) {
            for key in user.login_keys() {
                if self.inner.find(&user.tenant, &key).await?.is_some() {
                    return Ok(UserInsertion::Duplicate(key.kind()));
                }
            }
            between_steps().await;
            // The check was passed; that the keys are unique is nobody's business any more.
            let _ = UserStore::insert(&self.inner, &user).await?;
            return Ok(UserInsertion::Inserted);
        }
        UserStore::insert(&self.inner, &user).await
    }

    async fn get(&self, tenant: &TenantId, id: &Subject) -> Result<Option<User>> {
        UserStore::get(&self.inner, &self.tenant(tenant), id).await
    }

    async fn find(&self, tenant: &TenantId, key: &LoginKey) -> Result<Option<User>> {
        self.inner.find(&self.tenant(tenant), &self.key(key)).await
    }

    async fn replace(&self, user: &User, expected_revision: u64) -> Result<UserReplacement> {
        let user = self.user(user);
        if self.has(Flaw::ReplaceInTwoSteps) {
            let stored = UserStore::get(&self.inner, &user.tenant, &user.id).await?;
            if stored.is_none_or(|stored| stored.revision != expected_revision) {
                return Ok(UserReplacement::Conflict);
            }
            between_steps().await;
            let _ = UserStore::replace(&self.inner, &user, expected_revision).await?;
            return Ok(UserReplacement::Replaced);
        }
        UserStore::replace(&self.inner, &user, expected_revision).await
    }

    async fn delete(&self, tenant: &TenantId, id: &Subject) -> Result<bool> {
        self.inner.delete(&self.tenant(tenant), id).await
    }

    async fn list(&self, tenant: &TenantId, page: Page) -> Result<Vec<User>> {
        UserStore::list(&self.inner, &self.tenant(tenant), page).await
    }
}

#[async_trait]
impl TokenStore for Broken {
    async fn insert(&self, record: &TokenRecord) -> Result<TokenInsertion> {
        TokenStore::insert(&self.inner, &self.record(record)).await
    }

    async fn get(&self, tenant: &TenantId, id: &TokenId) -> Result<Option<TokenRecord>> {
        let mut seen = TokenStore::get(&self.inner, &self.tenant(tenant), id).await?;
        if let Some(seen) = seen.as_mut().filter(|_| self.has(Flaw::ShowsTheStaleAsLive)) {
            seen.revoked_at = None;
        }
        Ok(seen)
    }

    async fn consume(&self, consume: &Consume<'_>) -> Result<Consumption> {
        let tenant = self.tenant(consume.tenant);
        let mut consume = Consume { tenant: &tenant, ..*consume };
        if self.has(Flaw::OwnClock) {
            consume.now = Timestamp::from_secs(0);
        }
        if self.has(Flaw::ConsumeInTwoSteps)
            && TokenStore::get(&self.inner, &tenant, consume.id)
                .await?
                .is_some_and(|record| record.consumed_at.is_none() && record.revoked_at.is_none())
        {
            between_steps().await;
            let _ = self.inner.consume(&consume).await?;
            return Ok(Consumption::First);
        }
        self.inner.consume(&consume).await
    }

    async fn replace(&self, record: &TokenRecord, expected_revision: u64) -> Result<TokenReplacement> {
        TokenStore::replace(&self.inner, &self.record(record), expected_revision).await
    }

    async fn touch(
        &self,
        tenant: &TenantId,
        id: &TokenId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool> {
        let touched = self.inner.touch(&self.tenant(tenant), id, now, expires_at).await?;
        // Says that it wrote, each time.
        Ok(touched || self.has(Flaw::TouchesAlways))
    }

    async fn count_attempt(&self, tenant: &TenantId, id: &TokenId, max: u32) -> Result<Attempt> {
        let tenant = self.tenant(tenant);
        if self.has(Flaw::AttemptsInTwoSteps) {
            let Some(record) = TokenStore::get(&self.inner, &tenant, id).await? else {
                return Ok(Attempt::Unknown);
            };
            if record.attempts >= max {
                return Ok(Attempt::Exhausted);
            }
            between_steps().await;
            let _ = self.inner.count_attempt(&tenant, id, u32::MAX).await?;
            return Ok(Attempt::Counted(record.attempts + 1));
        }
        self.inner.count_attempt(&tenant, id, max).await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<()> {
        let tenant = self.tenant(&revocation.tenant);
        let mut revocation = Revocation { tenant, ..revocation.clone() };
        if let RevocationTarget::Subject { below, .. } = &mut revocation.target
            && self.has(Flaw::IgnoresGrants)
        {
            below.grants = 0;
        }
        if self.has(Flaw::ForgetsTheFeed) {
            revocation.keep_until = Timestamp::MIN;
            self.inner.revoke(&revocation).await?;
            return self.inner.purge(Timestamp::MIN).await.map(drop);
        }
        self.inner.revoke(&revocation).await
    }

    async fn list(&self, tenant: &TenantId, subject: &Subject, kind: TokenKind) -> Result<Vec<TokenRecord>> {
        TokenStore::list(&self.inner, &self.tenant(tenant), subject, kind).await
    }

    async fn revoked_since(&self, cursor: Cursor) -> Result<Feed> {
        let mut feed = self.inner.revoked_since(cursor).await?;
        if self.has(Flaw::SkipsInTheFeed) && !feed.entries.is_empty() {
            // As a store does that takes the highest number it knows of, committed or not.
            between_steps().await;
            while let newer = self.inner.revoked_since(feed.cursor).await?
                && !newer.entries.is_empty()
            {
                feed.cursor = newer.cursor;
            }
        }
        Ok(feed)
    }

    async fn purge(&self, now: Timestamp) -> Result<u64> {
        // Everything at once, young or old.
        let now = if self.has(Flaw::PurgesTheYoung) { Timestamp::MAX } else { now };
        self.inner.purge(now).await
    }
}

struct Bench(Broken);

impl Harness for Bench {
    fn users(&self) -> Arc<dyn UserStore> {
        Arc::new(self.0.clone())
    }

    fn tokens(&self) -> Arc<dyn TokenStore> {
        Arc::new(self.0.clone())
    }

    async fn reopen(&mut self) -> Result<bool> {
        if self.0.has(Flaw::NotDurable) {
            self.0.inner = MemoryStore::new();
        }
        Ok(true)
    }
}

/// The names of the checks a store with this flaw fails.
async fn failures(flaw: Flaw, checks: &[&'static str]) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for name in checks {
        let bench = Bench(Broken { inner: MemoryStore::new(), flaw });
        if tokio::spawn(check(name, bench)).await.is_err() {
            failed.push(*name);
        }
    }
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_store_fails_nothing() {
    assert_eq!(failures(Flaw::Nothing, CHECKS).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_flaw_fails_the_check_that_is_there_for_it() {
    for (flaw, checks) in [
        (Flaw::ConsumeInTwoSteps, &["racing_exchanges_of_a_token", "racing_uses_of_a_single_use_token"][..]),
        (Flaw::ReplaceInTwoSteps, &["racing_replacements_of_a_user"]),
        (Flaw::InsertInTwoSteps, &["racing_inserts_of_a_login_key"]),
        (Flaw::AttemptsInTwoSteps, &["racing_attempts"]),
        (
            Flaw::IgnoresTheTenant,
            &[
                "users_of_tenants_are_apart",
                "tokens_of_tenants_are_apart",
                "revocations_of_tenants_are_apart",
            ],
        ),
        (Flaw::FoldsCase, &["login_keys_have_no_collation"]),
        (Flaw::CutsAtNul, &["hostile_login_keys_are_found_literally", "a_mebibyte_comes_back"]),
        (
            Flaw::ForgetsTheFeed,
            &[
                "the_feed_tells_everything_in_order",
                "the_unknown_is_revoked_too",
                "racing_writers_of_the_feed",
            ],
        ),
        (Flaw::SkipsInTheFeed, &["the_feed_is_read_in_pages"]),
        (Flaw::IgnoresGrants, &["floors_only_rise", "racing_floors"]),
        (Flaw::ShowsTheStaleAsLive, &["revoking_a_subject_ends_what_is_below"]),
        (
            Flaw::TouchesAlways,
            &["a_use_is_noted_once_a_minute", "a_dead_token_is_not_touched", "racing_touches"],
        ),
        (Flaw::PurgesTheYoung, &["purging_takes_whole_families", "the_feed_forgets_only_what_it_may"]),
        (
            Flaw::OwnClock,
            &[
                "a_replay_after_grace_is_reuse",
                "expiry_is_by_the_callers_clock",
                "racing_replays_after_grace",
            ],
        ),
        (
            Flaw::NotDurable,
            &[
                "users_outlive_the_process",
                "tokens_outlive_the_process",
                "spent_tokens_stay_spent",
                "revocations_outlive_the_process",
            ],
        ),
    ] {
        assert_eq!(failures(flaw, checks).await, checks, "{flaw:?}");
    }
}
