//! Multiplying by a fraction that is known beforehand, without dividing.

/// A fraction as `factor / 2^shift`, `factor` of 62 bits or more where there is room for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ratio {
    factor: u64,
    shift: u32,
}

impl Ratio {
    /// The fraction, rounded down to 62 bits; a denominator of zero is one.
    pub(super) fn new(numerator: u64, denominator: u64) -> Self {
        let (numerator, denominator) = (u128::from(numerator), u128::from(denominator.max(1)));
        let mut best = Self { factor: u64::try_from(numerator / denominator).unwrap_or(u64::MAX), shift: 0 };
        for shift in 1..=numerator.leading_zeros().min(127) {
            match u64::try_from((numerator << shift) / denominator) {
                Ok(factor) if factor < 1 << 63 => best = Self { factor, shift },
                _ => break,
            }
        }
        best
    }

    /// `n` times the fraction, never too much; modulo 2^64.
    #[inline]
    pub(super) fn down(self, n: u64) -> u64 {
        let whole = (u128::from(n) * u128::from(self.factor)) >> self.shift;
        (whole & u128::from(u64::MAX)).try_into().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_fraction() {
        for (numerator, denominator) in [
            (1, 1),
            (60, 60_000_000),
            (1 << 58, 86_400_000_000),
            (86_400_000_000, 1 << 58),
            (u64::MAX, 1),
            (1, u64::MAX),
            (0, 5),
            (7, 0),
        ] {
            let ratio = Ratio::new(numerator, denominator);
            let exact = |n: u64| u128::from(n) * u128::from(numerator) / u128::from(denominator.max(1));
            for n in [0, 1, 59, 1_000_003, 1_800_000_000_000_000, 1 << 40] {
                let want = exact(n);
                if want < 1 << 60 {
                    let down = u128::from(ratio.down(n));
                    assert!(
                        down <= want && want <= down + 1,
                        "{n} * {numerator}/{denominator}: {down}, {want}"
                    );
                }
            }
            let _ = ratio.down(u64::MAX);
        }
    }
}
