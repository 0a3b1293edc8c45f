//! May they ask again? One key, ten thousand and a million, on one thread and on two, and one that may not.
//!
//! governor reads a clock of its own for each check; a request's time is known when its limit is asked, so ours is handed
//! in. The rows `time handed in` and `clock read each time` compare like with like.

use std::hint::black_box;
use std::num::NonZeroU32;

use governor::clock::FakeRelativeClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{DefaultKeyedRateLimiter, Quota as TheirQuota, RateLimiter};
use portcullis::rate_limit::{Quota, RateTable};
use portcullis::time::{Clock, SystemClock, Timestamp};

use crate::measure::{Table, measure_on, measure_once};

const BURST: u32 = 100_000_000;

/// Keys in no order.
pub struct Keys {
    pub state: u64,
    pub count: u64,
}

impl Keys {
    pub fn next(&mut self) -> u32 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (((self.state >> 32) * self.count) >> 32) as u32
    }
}

pub fn one_key() -> Table {
    let quota = (Quota::per_second(u32::MAX), TheirQuota::per_second(NonZeroU32::MAX));
    compare("limit: 1 key, allowed", 1, quota)
}

pub fn ten_thousand_keys() -> Table {
    compare("limit: 10k keys, allowed", 10_000, live())
}

pub fn a_million_keys() -> Table {
    compare("limit: 1M keys, allowed", 1_000_000, live())
}

/// Every key has something on its account, and none is ever refused.
fn live() -> (Quota, TheirQuota) {
    let (second, burst) = (NonZeroU32::MIN, NonZeroU32::new(BURST).expect("is not zero"));
    (Quota::per_second(1).burst(10_000_000), TheirQuota::per_second(second).allow_burst(burst))
}

fn compare(title: &'static str, count: u64, (quota, theirs): (Quota, TheirQuota)) -> Table {
    let mut table = Table::new(title, "governor");
    let keys = |seed: usize| Keys { state: seed as u64, count };
    let capacity = usize::try_from(count).expect("fits");

    let mut governor = None;
    let measured = allocation_counter::measure(|| {
        let limiter = DefaultKeyedRateLimiter::<u32>::dashmap(theirs);
        (0..count as u32).for_each(|key| assert!(limiter.check_key(&key).is_ok()));
        governor = Some(limiter);
    });
    let governor = governor.expect("was made");
    let bytes = measured.bytes_current as f64 / count as f64;
    let check = |seed| {
        let (mut keys, governor) = (keys(seed), &governor);
        move || black_box(governor.check_key(&keys.next()).is_ok())
    };
    table.row("governor", check(1));
    let threads = measure_on(2, check);

    let still: RateLimiter<_, _, _, NoOpMiddleware<Nanos>> =
        RateLimiter::new(theirs, DashMapStateStore::<u32>::default(), FakeRelativeClock::default());
    (0..count as u32).for_each(|key| assert!(still.check_key(&key).is_ok()));
    let mut asked = keys(1);
    table.row("governor, time handed in", || still.check_key(&asked.next()).is_ok());

    let ours = RateTable::new(quota, capacity).expect("can stand");
    let begin = 1_800_000_000_000_000;
    (0..count as u32).for_each(|key| assert!(ours.allows(&key, 1, Timestamp::from_micros(begin))));
    let check = |seed| {
        let (mut keys, ours, mut now) = (keys(seed), &ours, begin * 8);
        move || {
            now += 1;
            black_box(ours.allows(&keys.next(), 1, Timestamp::from_micros(now / 8)))
        }
    };
    table.row("portcullis, time handed in", check(1));
    let our_threads = measure_on(2, check);

    let (machine, mut asked) = (SystemClock::new(), keys(1));
    let by_machine = RateTable::new(quota, capacity).expect("can stand");
    (0..count as u32).for_each(|key| assert!(by_machine.allows(&key, 1, machine.now())));
    table.row("portcullis, clock read each time", || by_machine.allows(&asked.next(), 1, machine.now()));

    table.add("governor, 2 threads", threads);
    table.add("portcullis, 2 threads", our_threads);
    table.note(format!(
        "bytes a key: governor {bytes:.1}, portcullis {:.1}",
        ours.bytes() as f64 / count as f64
    ));
    table.note(format!("live keys forgotten by portcullis: {} of {count}", ours.evicted()));
    table
}

pub fn refused() -> Table {
    let mut table = Table::new("limit: 1 key, refused", "governor");
    let governor = DefaultKeyedRateLimiter::<u32>::dashmap(TheirQuota::per_hour(NonZeroU32::MIN));
    assert!(governor.check_key(&7_u32).is_ok());
    table.row("governor", || governor.check_key(black_box(&7)).is_err());
    let ours = RateTable::new(Quota::per_hour(1), 1_000).expect("can stand");
    let now = Timestamp::from_secs(1_800_000_000);
    assert!(ours.allows(&7_u32, 1, now));
    table.row("portcullis", || !ours.allows(black_box(&7_u32), 1, now));
    table.row("portcullis, with how long to wait", || ours.take(black_box(&7_u32), 1, now).retry_after);
    table
}

/// Addresses that send one request each, as whoever can spoof them does. What has no bound gets a tenth of them.
pub fn flood() -> Table {
    const ADDRESSES: u32 = 10_000_000;
    let mut table = Table::new("limit: each address new", "governor");
    let governor = DefaultKeyedRateLimiter::<u32>::dashmap(TheirQuota::per_minute(NonZeroU32::MIN));
    let mut cost = None;
    let measured = allocation_counter::measure(|| {
        let flood = |n: &mut u32| {
            *n += 1;
            assert!(governor.check_key(n).is_ok());
        };
        cost = Some(measure_once(ADDRESSES / 10, flood));
    });
    table.add("governor", cost.expect("was measured"));
    table.note(format!(
        "governor grew by {} MB for {} addresses",
        measured.bytes_current / 1_000_000,
        ADDRESSES / 10
    ));
    let ours = RateTable::new(Quota::per_minute(60), 100_000).expect("can stand");
    let (now, before) = (Timestamp::from_secs(1_800_000_000), ours.bytes());
    (0..60).for_each(|_| assert!(ours.allows(&u32::MAX, 1, now)));
    let flood = |n: &mut u32| {
        *n += 1;
        assert!(ours.allows(n, 1, now));
    };
    table.add("portcullis", measure_once(ADDRESSES, flood));
    assert_eq!(before, ours.bytes());
    let kept = if ours.allows(&u32::MAX, 1, now) { "was forgotten" } else { "is still limited" };
    let (evicted, bytes) = (ours.evicted(), before / 1_000);
    table.note(format!(
        "portcullis has {bytes} kB; {ADDRESSES} addresses, {evicted} displaced; who was limited {kept}"
    ));
    table
}
