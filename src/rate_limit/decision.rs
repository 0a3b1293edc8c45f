//! What a limit decided about a request, and what the client is told of it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::quota::Taken;
use crate::lasting::lasting;
use crate::rejection::{Rejection, RejectionCode};
use crate::store::CounterKey;
use crate::time::Timestamp;

/// One for each period.
pub(super) const MAX_QUOTAS: usize = 4;
/// How long a client should wait for an outage of ours to pass.
const RETRY_OUTAGE: Duration = Duration::from_secs(5);

/// Room for four quotas with the longest names, of limit, tier and period, and the longest numbers.
const MAX_STATE: usize = 512;

/// How many seconds to wait are written beforehand.
const KNOWN_WAIT: u64 = 60;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// What a limit adds to an answer.
pub(crate) const RATE_LIMIT_FIELDS: [HeaderName; 2] = [POLICY, STATE];

/// A decision, at once or later.
pub(crate) enum RateVerdict {
    Ready(RateDecision),
    Pending(RateFuture),
}

/// A decision that is waited for.
pub(crate) type RateFuture = Pin<Box<dyn Future<Output = RateDecision> + Send>>;

/// Whether a request may pass, and what goes into its answer.
#[derive(Debug)]
pub(crate) struct RateDecision {
    outcome: Outcome,
    /// Which tier's quotas `standing` is about.
    pub(super) tier: usize,
    standing: Standings,
    pub(super) charge: Charge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Allow,
    /// Nothing is known of its standing: it isn't limited, or counting failed and that is allowed.
    Uncounted,
    Refuse {
        retry_after: Duration,
    },
    Unavailable,
}

/// How a request stands under each quota of its tier, where that is known.
pub(super) type Standings = [Option<Standing>; MAX_QUOTAS];

/// How a request stands under one quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    remaining: u32,
    seconds: u64,
}

/// What was charged, so that it can be given back.
#[derive(Debug)]
pub(super) enum Charge {
    Nothing,
    Here { hash: u64, cost: u32, now: Timestamp },
    Shared { keys: Vec<CounterKey>, cost: u32, now: Timestamp },
}

impl RateDecision {
    pub(crate) fn uncounted() -> Self {
        Self::new(Outcome::Uncounted, 0, [None; MAX_QUOTAS], Charge::Nothing)
    }

    pub(super) fn unavailable() -> Self {
        Self::new(Outcome::Unavailable, 0, [None; MAX_QUOTAS], Charge::Nothing)
    }

    pub(super) fn allow(tier: usize, standing: Standings, charge: Charge) -> Self {
        Self::new(Outcome::Allow, tier, standing, charge)
    }

    pub(super) fn refuse(tier: usize, standing: Standings, retry_after: Duration) -> Self {
        Self::new(Outcome::Refuse { retry_after }, tier, standing, Charge::Nothing)
    }

    fn new(outcome: Outcome, tier: usize, standing: Standings, charge: Charge) -> Self {
        Self { outcome, tier, standing, charge }
    }

    /// What the client is told if it may not pass.
    pub(crate) fn rejection(&self) -> Option<Rejection> {
        match self.outcome {
            Outcome::Allow | Outcome::Uncounted => None,
            Outcome::Refuse { retry_after } => {
                Some(Rejection::new(RejectionCode::RateLimited).with_retry_after(retry_after))
            }
            Outcome::Unavailable => {
                Some(Rejection::new(RejectionCode::Unavailable).with_retry_after(RETRY_OUTAGE))
            }
        }
    }

    pub(super) fn restate(&mut self, standing: Standings) {
        self.standing = standing;
    }

    /// `RateLimit-Policy` and `RateLimit`. Both are lists, so several limits on one way have their say.
    pub(super) fn fields(&self, fields: &Fields) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        let known = matches!(self.outcome, Outcome::Allow | Outcome::Refuse { .. });
        let policy = known.then(|| (POLICY, fields.policy.clone()));
        let state = if known { fields.state(&self.standing) } else { None };
        policy.into_iter().chain(state.map(|state| (STATE, state)))
    }
}

impl Standing {
    /// Where the quota has something left, when all of it is back; where it has not, when the request would pass.
    pub(super) fn of(taken: &Taken) -> Self {
        let after = if taken.allowed { taken.reset } else { taken.retry_after };
        let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
        Self { remaining: taken.remaining, seconds }
    }
}

/// What a tier's answers say about it (draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4).
#[derive(Debug)]
pub(super) struct Fields {
    policy: HeaderValue,
    /// In quotes.
    names: Vec<String>,
    /// Of a single quota with nothing left that has something again in 0 seconds, in one, in two..: what clients are told
    /// that are turned away.
    spent: Vec<HeaderValue>,
}

impl Fields {
    /// For quotas by name, of so many requests in so many seconds. Names are plain enough to be quoted as they are.
    pub(super) fn new<'a>(quotas: impl Iterator<Item = (&'a str, u32, u64)>) -> Self {
        let (mut policy, mut names) = (String::new(), Vec::new());
        for (name, count, seconds) in quotas {
            let separator = if policy.is_empty() { "" } else { ", " };
            policy += &format!("{separator}\"{name}\";q={count};w={seconds}");
            names.push(format!("\"{name}\""));
        }
        let policy = lasting(HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("")));
        let mut fields = Self { policy, names, spent: Vec::new() };
        if fields.names.len() == 1 {
            let spent = |seconds| [Some(Standing { remaining: 0, seconds }), None, None, None];
            fields.spent =
                (0..=KNOWN_WAIT).map_while(|seconds| fields.state(&spent(seconds)).map(lasting)).collect();
        }
        fields
    }

    fn state(&self, standing: &Standings) -> Option<HeaderValue> {
        if let [Some(Standing { remaining: 0, seconds }), None, ..] = standing
            && let Some(known) = usize::try_from(*seconds).ok().and_then(|seconds| self.spent.get(seconds))
        {
            return Some(known.clone());
        }
        let mut text = Text { bytes: [0; MAX_STATE], length: 0 };
        let mut numbers = [itoa::Buffer::new(); 2];
        let [of_remaining, of_seconds] = &mut numbers;
        for (name, standing) in self.names.iter().zip(standing) {
            let Some(Standing { remaining, seconds }) = *standing else { continue };
            let separator = if text.length == 0 { "" } else { ", " };
            let (remaining, seconds) = (of_remaining.format(remaining), of_seconds.format(seconds));
            for part in [separator, name, ";r=", remaining, ";t=", seconds] {
                text.push(part)?;
            }
        }
        // One allocation, of just that length.
        HeaderValue::from_bytes(text.bytes.get(..text.length)?).ok().filter(|text| !text.is_empty())
    }
}

/// Text on the stack.
struct Text {
    bytes: [u8; MAX_STATE],
    length: usize,
}

impl Text {
    /// `None` if there is no room.
    fn push(&mut self, part: &str) -> Option<()> {
        let end = self.length.checked_add(part.len())?;
        self.bytes.get_mut(self.length..end)?.copy_from_slice(part.as_bytes());
        self.length = end;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn the_fields_are_structured() {
        let fields = Fields::new([("api-minute", 60, 60), ("api-hour", 1000, 3600)].into_iter());
        let mut standing = [None; MAX_QUOTAS];
        standing[0] = Some(Standing { remaining: 12, seconds: 30 });
        standing[1] = Some(Standing { remaining: u32::MAX, seconds: u64::MAX });
        let mut headers = HeaderMap::new();
        let mut add = |decision: RateDecision| {
            for (name, value) in decision.fields(&fields) {
                headers.append(name, value);
            }
            headers.clone()
        };
        let headers = add(RateDecision::allow(0, standing, Charge::Nothing));
        assert_eq!(headers["ratelimit-policy"], "\"api-minute\";q=60;w=60, \"api-hour\";q=1000;w=3600");
        assert_eq!(
            headers["ratelimit"],
            "\"api-minute\";r=12;t=30, \"api-hour\";r=4294967295;t=18446744073709551615"
        );
        // A second limit adds to the lists.
        let headers = add(RateDecision::refuse(0, standing, Duration::ZERO));
        assert_eq!(headers.get_all("ratelimit").iter().count(), 2);
        let headers = add(RateDecision::unavailable());
        assert_eq!(headers.get_all("ratelimit").iter().count(), 2, "nothing is known of it");
    }

    #[test]
    fn the_longest_names_and_numbers_fit() {
        let name = format!("{0}-{0}-minute", "x".repeat(32));
        let fields = Fields::new([(&*name, 1, 1); MAX_QUOTAS].into_iter());
        let standing = [Some(Standing { remaining: u32::MAX, seconds: u64::MAX }); MAX_QUOTAS];
        assert_eq!(fields.state(&standing).unwrap().to_str().unwrap().matches(";t=").count(), MAX_QUOTAS);
        assert_eq!(fields.state(&[None; MAX_QUOTAS]), None);
    }

    /// Most who are turned away are told what was written beforehand.
    #[test]
    fn a_spent_quota_says_the_same_as_ever() {
        let [one, two] =
            [1, 2].map(|quotas| Fields::new([("a", 1, 60), ("b", 1, 60)].into_iter().take(quotas)));
        assert!(two.spent.is_empty(), "two quotas have too much to say");
        for (remaining, seconds) in [(0, 0), (0, 1), (0, 60), (0, 61), (0, u64::MAX), (1, 0), (1, 30)] {
            let standing = [Some(Standing { remaining, seconds }), None, None, None];
            let said = one.state(&standing).unwrap();
            assert_eq!(said, format!("\"a\";r={remaining};t={seconds}").as_str());
            assert_eq!(one.spent.contains(&said), remaining == 0 && seconds <= 60);
        }
    }

    #[test]
    fn seconds_are_rounded_up() {
        let taken = |allowed, reset, retry| Taken {
            allowed,
            remaining: 3,
            retry_after: Duration::from_millis(retry),
            reset: Duration::from_millis(reset),
        };
        for (taken, want) in [
            (taken(true, 0, 0), 0),
            (taken(true, 1, 0), 1),
            (taken(true, 1000, 0), 1),
            (taken(false, 60_000, 1), 1),
            (taken(false, 60_000, 1001), 2),
        ] {
            assert_eq!(Standing::of(&taken).seconds, want, "{taken:?}");
        }
    }
}
