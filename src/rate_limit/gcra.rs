//! The generic cell rate algorithm (ITU-T I.371), in integers: pure, and the same for every unit of time.
//!
//! A key is described by one number: how far ahead of now its *theoretical arrival time* lies, which is how long the
//! quota takes to be whole again. Every request moves it ahead by one interval; a request that would move it further
//! than a whole burst has to wait.

/// A quota in some unit of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gcra {
    /// How far one request moves the arrival ahead.
    interval: u64,
    /// How far ahead it may lie: a burst.
    window: u64,
    /// What a unit that doesn't divide the clock's may be off by. Less than an interval, or nothing.
    slack: u64,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It passes, and the arrival lies so far ahead.
    Pass { ahead: u64 },
    /// It would pass so much later.
    Wait { by: u64 },
}

impl Gcra {
    pub(super) fn new(interval: u64, burst: u32, slack: u64) -> Self {
        let slack = slack.min(interval.saturating_sub(1));
        Self { interval, window: interval.saturating_mul(u64::from(burst)), slack }
    }

    /// How far ahead a burst may move the arrival.
    pub(super) fn window(&self) -> u64 {
        self.window
    }

    /// How far ahead an arrival ever lies.
    pub(super) fn furthest(&self) -> u64 {
        self.window.saturating_add(self.slack)
    }

    /// A request of this cost; a cost above the burst counts as the burst.
    #[inline]
    pub(super) fn step(&self, ahead: u64, cost: u32) -> Step {
        if self.window == 0 {
            return Step::Wait { by: self.interval };
        }
        let after = ahead.saturating_add(self.charge(cost));
        if after <= self.window.saturating_add(self.slack) {
            Step::Pass { ahead: after }
        } else {
            Step::Wait { by: after - self.window }
        }
    }

    /// Where the arrival lies once this cost is taken back.
    pub(super) fn give_back(&self, ahead: u64, cost: u32) -> u64 {
        ahead.saturating_sub(self.charge(cost))
    }

    /// How many requests of cost 1 would pass.
    pub(super) fn remaining(&self, ahead: u64) -> u32 {
        let left = self.furthest().saturating_sub(ahead);
        u32::try_from(left.checked_div(self.interval).unwrap_or(0)).unwrap_or(u32::MAX)
    }

    fn charge(&self, cost: u32) -> u64 {
        self.interval.saturating_mul(u64::from(cost)).min(self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_an_interval() {
        let rule = Gcra::new(10, 3, 0);
        for (name, ahead, cost, want) in [
            ("first", 0, 1, Step::Pass { ahead: 10 }),
            ("last of the burst", 20, 1, Step::Pass { ahead: 30 }),
            ("one too many", 30, 1, Step::Wait { by: 10 }),
            ("nearly", 21, 1, Step::Wait { by: 1 }),
            ("all at once", 0, 3, Step::Pass { ahead: 30 }),
            ("more than the burst is the burst", 0, 4, Step::Pass { ahead: 30 }),
            ("and waits for all of it", 1, u32::MAX, Step::Wait { by: 1 }),
            ("nothing", 30, 0, Step::Pass { ahead: 30 }),
            ("too far ahead even for nothing", 35, 0, Step::Wait { by: 5 }),
        ] {
            assert_eq!(rule.step(ahead, cost), want, "{name}");
        }
        for (ahead, want) in [(0, 3), (1, 2), (10, 2), (29, 0), (30, 0), (99, 0)] {
            assert_eq!(rule.remaining(ahead), want, "{ahead}");
        }
    }

    #[test]
    fn slack_is_less_than_a_request() {
        for interval in [1, 2, 10] {
            let rule = Gcra::new(interval, 2, 1);
            assert_eq!(rule.remaining(0), 2, "{interval}");
            assert!(matches!(rule.step(2 * interval, 1), Step::Wait { .. }), "{interval}");
        }
    }
}
