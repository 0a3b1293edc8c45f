use super::*;
use crate::store::MemoryStore;
use crate::time::ManualClock;

struct Fixture {
    clock: ManualClock,
    view: RevocationView,
    tenant: TenantId,
    subject: Subject,
    family: FamilyId,
    token: TokenId,
}

impl Fixture {
    async fn new() -> Self {
        let clock = ManualClock::default();
        let view =
            RevocationView::load(&MemoryStore::new(), Arc::new(clock.clone()), DEFAULT_MAX_STALENESS).await;
        Self {
            clock,
            view: view.unwrap(),
            tenant: TenantId::default(),
            subject: Subject::parse("u").unwrap(),
            family: FamilyId::parse("f").unwrap(),
            token: TokenId::parse("t").unwrap(),
        }
    }

    fn standing(&self, kind: TokenKind, epoch: Epoch) -> Standing {
        let Self { tenant, subject, family, token, .. } = self;
        self.view.standing(&Credential { kind, tenant, subject, family: Some(family), token, epoch })
    }

    fn apply(&self, target: RevocationTarget) {
        let at = self.clock.now();
        let keep_until = at + Duration::from_secs(600);
        self.view.apply(&Revocation { tenant: self.tenant.clone(), target, at, keep_until });
    }
}

const ONE: Epoch = Epoch { security: 1, grants: 1 };

#[tokio::test]
async fn each_target_ends_what_it_names() {
    let other_token = RevocationTarget::Token(TokenId::parse("f").unwrap());
    let other_family = RevocationTarget::Family(FamilyId::parse("t").unwrap());
    let subject =
        |kinds, below| RevocationTarget::Subject { subject: Subject::parse("u").unwrap(), kinds, below };
    let access = Kinds::of(&[TokenKind::Access]);
    let two = Epoch { security: 2, grants: 0 };
    for (name, target, want) in [
        ("its id", RevocationTarget::Token(TokenId::parse("t").unwrap()), Standing::Revoked),
        ("its family", RevocationTarget::Family(FamilyId::parse("f").unwrap()), Standing::Revoked),
        ("a token named like the family", other_token, Standing::Live),
        ("a family named like the token", other_family, Standing::Live),
        ("a floor above it", subject(access, two), Standing::Stale),
        ("a floor it meets", subject(access, ONE), Standing::Live),
        ("a floor for other kinds", subject(Kinds::of(&[TokenKind::Refresh]), two), Standing::Live),
    ] {
        let fixture = Fixture::new().await;
        fixture.apply(target);
        assert_eq!(fixture.standing(TokenKind::Access, ONE), want, "{name}");
    }
}

#[tokio::test]
async fn another_tenants_revocation_is_another_tenants() {
    let mut fixture = Fixture::new().await;
    fixture.apply(RevocationTarget::Family(fixture.family.clone()));
    fixture.tenant = TenantId::parse("other").unwrap();
    assert_eq!(fixture.standing(TokenKind::Access, ONE), Standing::Live);
}

#[tokio::test]
async fn floors_only_rise() {
    let fixture = Fixture::new().await;
    for (security, grants) in [(5, 0), (2, 7)] {
        let below = Epoch { security, grants };
        let (subject, kinds) = (fixture.subject.clone(), Kinds::ALL);
        fixture.apply(RevocationTarget::Subject { subject, kinds, below });
    }
    let floor = fixture.view.floor(&fixture.tenant, &fixture.subject, TokenKind::ApiKey);
    assert_eq!(floor, Epoch { security: 5, grants: 7 });
}

#[tokio::test]
async fn what_the_feed_forgets_the_view_forgets_too() {
    let fixture = Fixture::new().await;
    for n in 0..10_000 {
        fixture.apply(RevocationTarget::Token(TokenId::parse(&format!("t{n}")).unwrap()));
    }
    assert_eq!(fixture.view.entries.load(Ordering::SeqCst), 10_000);
    fixture.clock.advance(Duration::from_secs(601));
    // Each part forgets when it is next written.
    for n in 0..10_000 {
        fixture.apply(RevocationTarget::Token(TokenId::parse(&format!("late{n}")).unwrap()));
    }
    assert_eq!(fixture.view.entries.load(Ordering::SeqCst), 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revocation_binds_for_every_reader_when_the_call_returns() {
    let fixture = Arc::new(Fixture::new().await);
    let mut racers = tokio::task::JoinSet::new();
    for n in 0..32 {
        let fixture = fixture.clone();
        racers.spawn(async move {
            for round in 0..200 {
                let id = TokenId::parse(&format!("t{n}-{round}")).unwrap();
                fixture.apply(RevocationTarget::Token(id.clone()));
                let Fixture { tenant, subject, .. } = &*fixture;
                let credential = Credential {
                    kind: TokenKind::Access,
                    tenant,
                    subject,
                    family: None,
                    token: &id,
                    epoch: ONE,
                };
                assert_eq!(fixture.view.standing(&credential), Standing::Revoked);
            }
        });
    }
    racers.join_all().await;
    assert_eq!(fixture.view.entries.load(Ordering::SeqCst), 32 * 200);
}
