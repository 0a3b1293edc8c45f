use std::collections::HashMap;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::time::{Clock as _, ManualClock};

const SECOND: Duration = Duration::from_secs(1);

fn table(quota: Quota, keys: usize) -> RateTable {
    RateTable::new(quota, keys).unwrap()
}

/// How many requests pass at this time, one after the other.
fn passing(table: &RateTable, key: u32, now: Timestamp) -> u32 {
    (0..).take_while(|_| table.take(&key, 1, now).allowed).count().try_into().unwrap()
}

#[test]
fn so_many_at_once_and_then_steadily() {
    for (name, quota, step) in [
        ("60/min", Quota::per_minute(60), 1_000_000),
        ("1000/h", Quota::per_hour(1000), 3_600_000),
        ("10/s", Quota::per_second(10), 100_000),
        ("1/d", Quota::per_day(1), 86_400_000_000),
        ("1000/s", Quota::per_second(1000), 1_000),
        ("60/min, burst 5", Quota::per_minute(60).burst(5), 1_000_000),
    ] {
        let (table, clock) = (table(quota, 100), ManualClock::default());
        assert_eq!(passing(&table, 1, clock.now()), quota.max_burst(), "{name}");
        for _ in 0..1_000 {
            // Not a tenth early, and then exactly one: whatever the clock rounds, over a thousand steps.
            clock.advance(Duration::from_micros(step - step / 10));
            assert_eq!(passing(&table, 1, clock.now()), 0, "{name}");
            clock.advance(Duration::from_micros(step / 10));
            assert_eq!(passing(&table, 1, clock.now()), 1, "{name}");
        }
    }
}

#[test]
fn no_more_pass_than_advertised_over_a_long_time() {
    // Counts that don't divide their periods; somebody who asks all the time.
    for (quota, step, hours) in [
        (Quota::per_second(7), 13_331, 1),
        (Quota::per_minute(7), 777_777, 24),
        (Quota::per_hour(999), 1_000_003, 48),
        (Quota::per_minute(1_000_000).burst(10), 10_007, 1),
    ] {
        let (table, clock) = (table(quota, 100), ManualClock::default());
        let (began, mut passed) = (clock.now(), 0_u64);
        while clock.now().since(began) < Duration::from_secs(3600 * hours) && passed < 100_000 {
            passed += u64::from(passing(&table, 1, clock.now()));
            clock.advance(Duration::from_micros(step));
        }
        let elapsed = clock.now().since(began) - Duration::from_micros(step);
        let rate = elapsed.as_micros() * u128::from(quota.count()) / quota.period().as_micros();
        let most = u64::from(quota.max_burst()) + u64::try_from(rate).unwrap();
        assert!(passed <= most + 1, "{quota:?}: {passed} of {most}");
        // Where more accrues between two visits than the burst holds, the rest is lost.
        if u128::from(step) * u128::from(quota.count()) < quota.period().as_micros() {
            assert!(passed + 1 >= most, "{quota:?}: {passed} of {most}");
        }
    }
}

/// Found out at times that are no multiples of anything.
#[test]
fn retry_after_is_exact() {
    for quota in
        [Quota::per_second(7), Quota::per_minute(60), Quota::per_hour(1000).burst(9), Quota::per_day(3)]
    {
        let (table, clock) = (table(quota, 100), ManualClock::default());
        for n in 0..200_u64 {
            let cost = u32::try_from(n % 3 + 1).unwrap();
            let taken = table.take(&1_u32, cost, clock.now());
            if !taken.allowed {
                let almost = clock.now() + taken.retry_after - taken.retry_after / 50;
                assert!(!table.take(&1_u32, cost, almost).allowed, "{quota:?}: it is not said too late");
                clock.advance(taken.retry_after);
                assert!(
                    table.take(&1_u32, cost, clock.now()).allowed,
                    "{quota:?} after {:?}",
                    taken.retry_after
                );
            }
            clock.advance(Duration::from_micros(n * 7_919));
        }
    }
}

/// Whatever a reading of the clock loses: a second is said to be a second, and is enough.
#[test]
fn a_second_is_a_second() {
    // A table whose tick is longer than the microsecond by which a second is missed.
    let table = table(Quota::per_minute(30).burst(60), 10_000);
    for key in 0..2_000_u32 {
        let now = ManualClock::default().now() + Duration::from_nanos(u64::from(key) * 1_234_567);
        assert_eq!(passing(&table, key, now), 60);
        assert_eq!(table.take(&key, 1, now).retry_after, 2 * SECOND, "{key}");
        let nearly = now + (SECOND - Duration::from_micros(1));
        let refused = table.take(&key, 1, nearly);
        assert_eq!(refused.retry_after, SECOND, "{key}");
        assert!(table.take(&key, 1, nearly + refused.retry_after).allowed, "{key}");
    }
}

#[test]
fn what_is_given_back_is_there_again() {
    let (table, now) = (table(Quota::per_minute(10), 100), ManualClock::default().now());
    assert_eq!(passing(&table, 1, now), 10);
    table.give_back(&1_u32, 4, now);
    assert_eq!(passing(&table, 1, now), 4);
    table.give_back(&1_u32, u32::MAX, now);
    assert_eq!(passing(&table, 1, now), 10, "never more than the burst");
    table.give_back(&2_u32, 5, now);
    assert_eq!(passing(&table, 2, now), 10);
    assert!(table.take(&3_u32, 0, now).allowed && table.evicted() == 0);
    assert_eq!(passing(&table, 3, now), 10, "nothing costs nothing");
}

/// 40 bits of ticks turn over; nobody notices.
#[test]
fn the_clock_turns_over() {
    let quota = Quota::per_minute(60);
    let table = table(quota, 100);
    let turn = Timestamp::from_micros(
        i64::try_from(table.ticks.duration((1 << ARRIVAL_BITS) + 2).as_micros()).unwrap(),
    );
    assert!(table.tick(turn) < 4 && table.tick(turn - SECOND) > ARRIVAL / 2);
    for key in 0..200 {
        let now = turn - Duration::from_millis(u64::from(key) * 500);
        assert_eq!(passing(&table, key, now), 60, "{key}");
        assert_eq!(passing(&table, key, now + SECOND), 1, "{key}");
        assert_eq!(passing(&table, key, now + 60 * SECOND), 59, "{key}");
    }
    // Empty slots say nothing at any time.
    let fresh = RateTable::new(quota, 1_000).unwrap();
    (0..500).for_each(|key| assert_eq!(passing(&fresh, key, turn - SECOND), 60));
    assert_eq!(fresh.evicted(), 0);
    for now in [Timestamp::MIN, Timestamp::from_micros(-1), Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        assert!(passing(&table, 777, now) <= 60, "{now:?}");
    }
}

#[test]
fn a_late_request_opens_nothing_and_a_clock_set_back_locks_nobody_out() {
    let (table, clock) = (table(Quota::per_minute(60), 100), ManualClock::default());
    assert_eq!(passing(&table, 1, clock.now()), 60);
    for late in [1, 1_000, 1_000_000, 59_000_000] {
        assert_eq!(passing(&table, 1, clock.now() - Duration::from_micros(late)), 0, "{late} us late");
    }
    assert_eq!(passing(&table, 1, clock.now() - 61 * SECOND), 60, "set back");
}

/// Row C5: two hundred at once, on a key that was never seen before.
#[test]
fn no_more_than_n_pass_under_200_racers() {
    let (table, now) = (table(Quota::per_minute(60), 1_000), ManualClock::default().now());
    for key in 0..50_u32 {
        let start = Barrier::new(200);
        let passed: usize = thread::scope(|scope| {
            let racer = || {
                start.wait();
                usize::from(table.take(&key, 1, now).allowed)
            };
            let racers: Vec<_> = (0..200).map(|_| scope.spawn(racer)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).sum()
        });
        assert_eq!(passed, 60, "key {key}");
        assert_eq!(passing(&table, key, now), 0, "key {key}");
    }
}

/// Many threads, few keys, a table too small for them, refunds between: no more than was there and was given back.
#[test]
fn nothing_is_lost_or_won_between_threads() {
    let (table, now) = (table(Quota::per_minute(1_000), 64), ManualClock::default().now());
    let totals: Vec<Vec<u64>> = thread::scope(|scope| {
        let worker = |seed: u64| {
            let table = &table;
            move || {
                let (mut taken, mut state) = (vec![0_u64; 8], seed);
                for _ in 0..20_000 {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let key = usize::try_from(state >> 61).unwrap();
                    if table.take(&key, 1, now).allowed {
                        taken[key] += 1;
                        if state & (1 << 40) != 0 {
                            table.give_back(&key, 1, now);
                            taken[key] -= 1;
                        }
                    }
                }
                taken
            }
        };
        let workers: Vec<_> = (1..=4).map(|seed| scope.spawn(worker(seed))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(table.evicted(), 0);
    for key in 0..8_usize {
        let passed: u64 = totals.iter().map(|of_thread| of_thread[key]).sum();
        let left = (0..).take_while(|_| table.take(&key, 1, now).allowed).count();
        assert_eq!(passed + u64::try_from(left).unwrap(), 1_000, "key {key}");
    }
}

/// A flood of addresses neither grows the table nor lets a client that is being limited go. Ten million in a release
/// build; a debug build is too slow for more than a million.
#[test]
fn a_flood_of_spoofed_addresses() {
    let flood: u32 = if cfg!(debug_assertions) { 1_000_000 } else { 10_000_000 };
    // Each of them is live for a second, and there is room for an eighth of a second's.
    let room = usize::try_from(flood / 1_000).unwrap();
    let (table, clock) = (table(Quota::per_minute(60), room), ManualClock::default());
    let bytes = table.bytes();
    assert_eq!(passing(&table, u32::MAX, clock.now()), 60);
    let mut passed = 0;
    for spoofed in 0..flood {
        assert!(table.allows(&spoofed, 1, clock.now()), "each of them is new: {spoofed}");
        // A minute for all of it, in which the client may have a minute's worth.
        if spoofed % (flood / 600) == 0 {
            clock.advance(SECOND / 10);
            passed += passing(&table, u32::MAX, clock.now());
        }
    }
    assert!((55..=61).contains(&passed), "the client that was limited still is: {passed}");
    assert_eq!(table.bytes(), bytes);
    let evicted = table.evicted();
    assert!(evicted > u64::from(flood) / 2, "and what was forgotten is known: {evicted}");
}

#[test]
fn who_is_nearest_to_expiry_goes_first() {
    let (table, now) = (table(Quota::per_minute(60), 1), ManualClock::default().now());
    // Two lines of eight slots: sixteen clients that took 10 to 25, in whatever order they come.
    for key in 0..16_u32 {
        assert!(table.take(&key, 10 + (key * 7) % 16, now).allowed);
    }
    assert_eq!(table.evicted(), 0);
    assert!(table.take(&100_u32, 30, now).allowed);
    assert_eq!(table.evicted(), 1);
    for key in 0..16_u32 {
        let left = table.take(&key, 0, now).remaining;
        let want = if key == 0 { 60 } else { 60 - (10 + (key * 7) % 16) };
        assert_eq!(left, want, "only the one with least on its account is gone: {key}");
    }
    // What is past is no eviction, and its slot is used again.
    let later = now + 120 * SECOND;
    for key in 200..216_u32 {
        assert!(table.take(&key, 1, later).allowed);
    }
    assert_eq!(table.evicted(), 1);
}

/// The error rate that [`RateTable`] states, in a table that has just the keys it was made for.
#[test]
fn how_often_it_is_wrong() {
    const KEYS: u32 = 131_072;
    let mut evicted = 0;
    let mut merged = 0;
    for round in 0..4 {
        let key = SipKey::random().unwrap();
        let table = RateTable::with_key(Quota::per_minute(60), KEYS as usize, key).unwrap();
        let now = ManualClock::default().now();
        for key in 0..KEYS {
            merged += u64::from(table.take(&key, 1, now).remaining != 59);
        }
        evicted += table.evicted();
        let bytes = table.bytes() - STRIPES * size_of::<Mutex<()>>() - size_of::<RateTable>();
        assert_eq!(bytes, KEYS as usize * 16, "{round}");
    }
    assert!(evicted < 4 * u64::from(KEYS) / 1_000, "{evicted} of {} forgotten", 4 * KEYS);
    // At most 16 slots are looked at, and each differs by 24 bits.
    assert!(merged <= 3, "{merged} of {} taken for another", 4 * KEYS);
}

#[test]
fn a_million_keys_have_less_than_20_bytes_each() {
    let table = table(Quota::per_minute(60), 1_000_000);
    assert!(table.bytes() < 20_000_000, "{}", table.bytes());
}

#[test]
fn a_check_allocates_nothing() {
    let (table, clock) = (table(Quota::per_minute(60), 1_000), ManualClock::default());
    let measured = allocation_counter::measure(|| {
        for key in 0..100_000_u32 {
            let _ = table.take(&(key % 5_000), 1, clock.now());
            clock.advance(Duration::from_micros(100));
        }
    });
    assert_eq!(measured.count_total, 0);
}

#[test]
fn what_cannot_stand_is_refused() {
    for (quota, keys) in
        [(Quota::per_minute(0), 10), (Quota::per_minute(60), 0), (Quota::per_minute(60), usize::MAX)]
    {
        assert!(RateTable::new(quota, keys).is_err(), "{quota:?}, {keys}");
    }
}

/// One number for each key, in exact fractions: what a table would be without slots, ticks and words.
struct Reference {
    /// In microseconds times the count.
    arrivals: HashMap<u8, i128>,
    count: i128,
    period: i128,
    burst: i128,
}

impl Reference {
    fn new(quota: Quota) -> Self {
        let period = i128::try_from(quota.period().as_micros()).unwrap();
        Self {
            arrivals: HashMap::new(),
            count: quota.count().into(),
            period,
            burst: i128::from(quota.max_burst()) * period,
        }
    }

    fn now(&self, now: Timestamp) -> i128 {
        i128::from(now.as_micros()) * self.count
    }

    fn ahead(&self, key: u8, now: Timestamp) -> i128 {
        self.arrivals.get(&key).map_or(0, |arrival| (arrival - self.now(now)).max(0))
    }

    fn furthest(&self) -> i128 {
        self.burst + 60_000_000 * self.count
    }

    fn charge(&self, cost: u32) -> i128 {
        (i128::from(cost) * self.period).min(self.burst)
    }

    fn set(&mut self, key: u8, now: Timestamp, ahead: i128) {
        self.arrivals.insert(key, self.now(now) + ahead.max(0));
    }
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Take { key: u8, cost: u32 },
    GiveBack { key: u8, cost: u32 },
    Forward(u64),
    Back(u64),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    // A hundredth of a second up to days, most often what one request is worth.
    let step = prop_oneof![Just(1_000_000_u64), Just(100_000), 0..5_000_000_u64, 0..400_000_000_000_u64];
    let call = prop_oneof![
        8 => (0..6_u8, 0..5_u32).prop_map(|(key, cost)| Call::Take { key, cost }),
        1 => (0..6_u8, prop_oneof![Just(1000_u32), Just(u32::MAX)]).prop_map(|(key, cost)| Call::Take { key, cost }),
        1 => (0..6_u8, 0..5_u32).prop_map(|(key, cost)| Call::GiveBack { key, cost }),
        3 => step.clone().prop_map(Call::Forward),
        1 => step.prop_map(Call::Back),
    ];
    proptest::collection::vec(call, 1..200)
}

fn quotas() -> impl Strategy<Value = Quota> {
    let count = prop_oneof![Just(1), Just(7), Just(60), Just(1000), 1..100_000_u32];
    (count, 0..4_u8, prop_oneof![Just(None), (1..20_u32).prop_map(Some)]).prop_map(
        |(count, period, burst)| {
            let quota = match period {
                0 => Quota::per_second(count),
                1 => Quota::per_minute(count),
                2 => Quota::per_hour(count),
                _ => Quota::per_day(count),
            };
            burst.map_or(quota, |burst| quota.burst(burst))
        },
    )
}

/// A table in which each of the six keys has its lines for itself: a key whose time is past may lose its slot to another,
/// and then the clock goes back.
fn roomy(quota: Quota) -> RateTable {
    let distinct = |table: &RateTable| {
        let places = (0..6_u8).map(|key| table.place(table.hash(&key)).unwrap());
        let lines: std::collections::HashSet<_> =
            places.flat_map(|p| [&raw const *p.home, &raw const *p.other]).collect();
        lines.len() == 12
    };
    (0..).map(|_| table(quota, 1_000)).find(distinct).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked for, by whom, when, and if the clock goes back: the table says what the reference says. Only where
    /// the two differ by less than three ticks of its clock is it free to say either.
    #[test]
    fn the_table_is_the_plain_model(quota in quotas(), calls in calls()) {
        let table = roomy(quota);
        let mut model = Reference::new(quota);
        let clock = ManualClock::default();
        let near = i128::try_from(table.ticks.duration(4).as_micros() + 2).unwrap() * model.count;
        for call in calls {
            let now = clock.now();
            match call {
                Call::Forward(by) => clock.advance(Duration::from_micros(by)),
                Call::Back(by) => clock.set(now - Duration::from_micros(by)),
                Call::Take { key, cost } => {
                    let mut ahead = model.ahead(key, now);
                    let taken = table.take(&key, cost, now);
                    let reset = i128::try_from(taken.reset.as_micros()).unwrap() * model.count;
                    if (ahead - model.furthest()).abs() <= near {
                        // Either forgotten or not.
                        let forgotten = taken.allowed && cost > 0 || taken.reset.is_zero();
                        ahead = if forgotten { 0 } else { ahead };
                    } else if ahead > model.furthest() {
                        ahead = 0;
                    }
                    let after = ahead + model.charge(cost);
                    let says = after <= model.burst;
                    if says || after - model.burst > near {
                        prop_assert_eq!(taken.allowed, says, "{:?} at {:?}", call, now);
                    }
                    let after = if taken.allowed { after } else { ahead };
                    prop_assert!((reset - after).abs() <= near, "{:?}: {} is not {}", call, reset, after);
                    if taken.allowed && cost > 0 {
                        model.set(key, now, after);
                    }
                }
                Call::GiveBack { key, cost } => {
                    let ahead = model.ahead(key, now);
                    // At the edge of being forgotten nothing can be said.
                    if ahead > 0 && (ahead - model.furthest()).abs() > near {
                        table.give_back(&key, cost, now);
                        if ahead < model.furthest() {
                            model.set(key, now, ahead - model.charge(cost));
                        }
                    }
                }
            }
        }
        prop_assert_eq!(table.evicted(), 0);
    }
}
