//! Records to store, and calls that must not fail.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;

use crate::error::Result;
use crate::id::{FamilyId, Subject, TenantId, TokenId};
use crate::password::PasswordHash;
use crate::principal::Epoch;
use crate::secret::Digest;
use crate::store::{
    Consume, Consumption, Cursor, FederatedIdentity, LoginKey, LoginName, Page, Revocation, RevocationTarget,
    Succession, TokenKind, TokenRecord, TokenStore, User, UserInsertion, UserStore,
};
use crate::time::Timestamp;

pub(super) const RACERS: usize = 32;
/// Races are run so many times; each time is another chance to go wrong.
pub(super) const ROUNDS: usize = 8;
/// Seconds a replay is answered for.
pub(super) const GRACE: i64 = 10;

/// The result of a call that no check expects to fail.
pub(super) trait MustWork<T> {
    fn must_work(self) -> T;
}

impl<T> MustWork<T> for Result<T> {
    #[track_caller]
    fn must_work(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => panic!("the store failed: {error:?}"),
        }
    }
}

pub(super) fn tenant() -> TenantId {
    TenantId::default()
}

pub(super) fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

pub(super) fn token_id(text: &str) -> TokenId {
    TokenId::parse(text).expect("the suite's ids are valid")
}

pub(super) fn family(text: &str) -> FamilyId {
    FamilyId::parse(text).expect("the suite's ids are valid")
}

pub(super) fn subject(text: &str) -> Subject {
    Subject::parse(text).expect("the suite's ids are valid")
}

pub(super) fn epoch(security: u32, grants: u32) -> Epoch {
    Epoch { security, grants }
}

pub(super) fn name(canonical: &str) -> Option<LoginName> {
    Some(LoginName { text: format!("As Written: {canonical}"), canonical: canonical.into() })
}

/// A user with nothing but an id.
pub(super) fn bare_user(id: &str) -> User {
    User::new(tenant(), subject(id), at(0))
}

/// A user with something in every field.
pub(super) fn user(id: &str) -> User {
    let mut user = bare_user(id);
    user.username = name(id);
    user.email = name(&format!("{id}@example.com"));
    user.email_verified = true;
    user.password = Some(PasswordHash::from_stored(format!("$argon2id${id}")));
    user.password_history = vec![PasswordHash::from_stored(format!("$2b${id}"))];
    user.password_changed_at = Some(at(-5));
    user.roles = vec!["editor".into(), "admin".into()];
    user.identities =
        vec![FederatedIdentity { issuer: "https://id.example".into(), subject: format!("ext-{id}") }];
    user.epoch = epoch(3, 4);
    user.profile.insert("full_name".into(), "Ada L.".into());
    user
}

pub(super) async fn insert_user(users: &dyn UserStore, user: &User) {
    assert_eq!(users.insert(user).await.must_work(), UserInsertion::Inserted, "a new user is inserted");
}

pub(super) async fn stored_user(users: &dyn UserStore, user: &User) -> User {
    users.get(&user.tenant, &user.id).await.must_work().expect("the user is there")
}

/// The id of who is found by the key.
pub(super) async fn owner(users: &dyn UserStore, key: &LoginKey) -> Option<String> {
    let found = users.find(&tenant(), key).await.must_work();
    found.map(|user| user.id.as_str().to_owned())
}

pub(super) fn page(after: Option<&str>, limit: u32) -> Page {
    Page { after: after.map(subject), limit }
}

/// A refresh token, issued at 0, idle until 1000, dead at 10000.
pub(super) fn record(id: &str, of_family: &str) -> TokenRecord {
    let digest = Digest::from_bytes(std::array::from_fn(|n| id.as_bytes()[n % id.len()] ^ 0x80));
    let (subject, epoch) = (subject("owner"), epoch(5, 5));
    TokenRecord::new(
        tenant(),
        token_id(id),
        TokenKind::Refresh,
        subject,
        family(of_family),
        digest,
        epoch,
        at(0),
        at(1_000),
        at(10_000),
    )
}

pub(super) async fn insert_token(tokens: &dyn TokenStore, record: &TokenRecord) {
    let inserted = tokens.insert(record).await.must_work();
    assert_eq!(inserted, crate::store::TokenInsertion::Inserted, "a new token is inserted");
}

pub(super) async fn stored_token(tokens: &dyn TokenStore, record: &TokenRecord) -> TokenRecord {
    tokens.get(&record.tenant, &record.id).await.must_work().expect("the token is there")
}

pub(super) async fn is_live(tokens: &dyn TokenStore, record: &TokenRecord) -> bool {
    let seen = tokens.get(&record.tenant, &record.id).await.must_work();
    seen.is_some_and(|seen| seen.consumed_at.is_none() && seen.revoked_at.is_none())
}

/// What replaces `record`, under another id.
pub(super) fn successor(record: &TokenRecord, id: &str) -> Succession {
    let next = TokenRecord { id: token_id(id), ..record.clone() };
    let sealed = [b"\0sealed ", id.as_bytes()].concat();
    Succession { record: next, sealed, grace: Duration::from_secs(GRACE.unsigned_abs()) }
}

pub(super) async fn consume(
    tokens: &dyn TokenStore,
    record: &TokenRecord,
    now: i64,
    next: Option<&Succession>,
) -> Consumption {
    try_consume(tokens, record, now, next).await.must_work()
}

pub(super) async fn try_consume(
    tokens: &dyn TokenStore,
    record: &TokenRecord,
    now: i64,
    next: Option<&Succession>,
) -> Result<Consumption> {
    let (tenant, id) = (&record.tenant, &record.id);
    tokens.consume(&Consume { tenant, id, now: at(now), keep_until: at(now + 600), successor: next }).await
}

/// The answer to a replay that is given the same successor again.
pub(super) fn repeated(next: &Succession) -> Consumption {
    Consumption::Repeated { successor: next.record.id.clone(), sealed: next.sealed.clone() }
}

pub(super) fn revocation(target: RevocationTarget, now: i64) -> Revocation {
    Revocation { tenant: tenant(), target, at: at(now), keep_until: at(now + 600) }
}

pub(super) async fn revoke(tokens: &dyn TokenStore, target: RevocationTarget, now: i64) {
    tokens.revoke(&revocation(target, now)).await.must_work();
}

/// The feed from `cursor` to its end, and where that is.
pub(super) async fn read_feed(tokens: &dyn TokenStore, mut cursor: Cursor) -> (Vec<Revocation>, Cursor) {
    let mut entries = Vec::new();
    for _ in 0..10_000 {
        let page = tokens.revoked_since(cursor).await.must_work();
        cursor = page.cursor;
        if page.entries.is_empty() {
            return (entries, cursor);
        }
        entries.extend(page.entries);
    }
    panic!("the feed has no end: a page after the last entry is empty");
}

#[track_caller]
pub(super) fn assert_same_record(name: &str, left: &TokenRecord, right: &TokenRecord) {
    assert!(left.digest.matches(&right.digest), "{name}: digest");
    // Everything else shows in `Debug`; a digest shows nothing.
    assert_eq!(format!("{left:?}"), format!("{right:?}"), "{name}");
}

/// Runs as many callers at once as the suite has racers.
pub(super) async fn race<T, Fut>(caller: impl Fn(usize) -> Fut) -> Vec<T>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(RACERS));
    let mut racers = Vec::with_capacity(RACERS);
    for number in 0..RACERS {
        let (start, call) = (Arc::clone(&start), caller(number));
        racers.push(tokio::spawn(async move {
            start.wait().await;
            call.await
        }));
    }
    let mut answers = Vec::with_capacity(RACERS);
    for racer in racers {
        answers.push(racer.await.expect("a racer does not panic"));
    }
    answers
}

pub(super) fn count<T: PartialEq>(answers: &[T], wanted: &T) -> usize {
    answers.iter().filter(|answer| *answer == wanted).count()
}
