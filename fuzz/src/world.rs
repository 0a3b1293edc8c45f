//! The crate: one ring of two keys, and every way to read a token with it.

use std::sync::{Arc, OnceLock};

use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis::TenantId;
use portcullis::crypto::{Key, Keyring};
use portcullis::store::{MemoryStore, TokenStore};
use portcullis::time::{Clock, ManualClock, Timestamp};
use portcullis::token::{
    AccessTokens, DEFAULT_MAX_STALENESS, Revocations, TokenCodec, TokenError, TokenPolicy, TokenRefusal,
    Tokens, VerifyAccessToken as _,
};
use secrecy::SecretSlice;
use sha2::{Digest as _, Sha256};

use crate::facts::{Facts, Seen};
use crate::reference::Refusal;
use crate::{AUDIENCE, ISSUER};

/// Names of keys. The first two are in the ring, the first signs.
pub const KIDS: [&str; 3] = ["k1", "k2", "k3"];

/// How many keys are in the ring.
pub const KEYS: usize = 2;

/// Whose tokens are asked for.
const TENANTS: [&str; 2] = ["default", "acme"];

/// The secret of a key: nobody else's.
pub fn secret(key: usize) -> [u8; 32] {
    Sha256::digest(KIDS[key]).into()
}

/// HMAC with SHA-256 (RFC 2104).
pub fn mac(key: usize, message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret(key)).expect("takes any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

pub struct World {
    clock: ManualClock,
    cached: Tokens,
    /// Name, tenant, and who answers.
    access: Vec<(&'static str, &'static str, AccessTokens)>,
}

impl World {
    pub fn get() -> &'static Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        WORLD.get_or_init(Self::new)
    }

    fn new() -> Self {
        let clock = ManualClock::default();
        // A cache so small that tokens push each other out.
        let cached = tokens(&clock, TokenPolicy::default().with_token_cache(64));
        let uncached = tokens(&clock, TokenPolicy::default().without_token_cache());
        let tenant = |name| TenantId::parse(name).expect("is one");
        let mut access = Vec::new();
        for (name, tokens) in
            [("the cache, first", &cached), ("the cache, again", &cached), ("no cache", &uncached)]
        {
            for of in TENANTS {
                access.push((name, of, AccessTokens::new(tokens.clone(), tenant(of))));
            }
        }
        Self { clock, cached, access }
    }

    /// # Errors
    ///
    /// Whether it is only that its time is over.
    pub fn decode(&self, token: &str, now: Timestamp) -> Result<Facts, bool> {
        match self.cached.codec().decode(token, now) {
            Ok(read) => Ok(Facts::of_claims(&read)),
            Err(error) => Err(error == TokenError::Expired),
        }
    }

    /// What everybody else answers, in turn.
    pub fn verify<'a>(
        &'a self,
        token: &'a str,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'a str, &'a str, Result<Seen, TokenRefusal>)> {
        self.clock.set(now);
        self.access.iter().map(|(name, tenant, access)| {
            (*name, *tenant, access.verify(token).map(|principal| Seen::of_principal(&principal)))
        })
    }
}

/// What whoever takes tokens of `tenant` should answer.
pub fn expected(want: &Result<(Facts, usize), Refusal>, tenant: &str) -> Result<Seen, TokenRefusal> {
    match want {
        Ok((facts, _)) if facts.seen.tid == tenant => Ok(facts.seen.clone()),
        Ok(_) => Err(TokenRefusal::OtherTenant),
        Err(Refusal::Expired) => Err(TokenRefusal::Expired),
        Err(Refusal::Invalid(_)) => Err(TokenRefusal::Invalid),
    }
}

fn tokens(clock: &ManualClock, policy: TokenPolicy) -> Tokens {
    let key = |index: usize| {
        let secret = SecretSlice::from(secret(index).to_vec());
        Key::hmac_secret(&secret).expect("is long enough").with_id(KIDS[index].parse().expect("is one"))
    };
    let ring = Keyring::new(key(0)).and_then(|ring| ring.with_accepted(key(1))).expect("go together");
    let codec = TokenCodec::new(Arc::new(ring), ISSUER, AUDIENCE).expect("is well-formed");
    let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    // Nothing is ever revoked, and the clock's monotonic hand stands still: the view needs nobody who keeps it fresh.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts");
    let revocations = runtime
        .block_on(Revocations::follow(Arc::clone(&store), Arc::clone(&clock), DEFAULT_MAX_STALENESS))
        .expect("the feed is there");
    Tokens::new(codec, store, revocations, policy, clock).expect("is well-formed")
}
