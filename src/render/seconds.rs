//! Numbers of seconds as values of headers.

use std::fmt::Write as _;
use std::sync::LazyLock;

use http::HeaderValue;

/// Up to an hour.
const MAX: usize = 3600;
const DIGITS: usize = 4;

/// Every number there is, in so many digits each, so that a value is a part of it: no memory of its own, and no counter
/// that all threads share.
static NUMBERS: LazyLock<String> = LazyLock::new(|| {
    (0..=MAX).fold(String::with_capacity((MAX + 1) * DIGITS), |mut numbers, number| {
        let _ = write!(numbers, "{number:0DIGITS$}");
        numbers
    })
});

/// A number of seconds, for `Retry-After`. Up to an hour it costs no allocation.
pub(super) fn seconds(seconds: u64) -> HeaderValue {
    usize::try_from(seconds).ok().and_then(known).map_or_else(|| seconds.into(), HeaderValue::from_static)
}

fn known(number: usize) -> Option<&'static str> {
    if number > MAX {
        return None;
    }
    let digits = number.checked_ilog10().map_or(Some(1), |log| usize::try_from(log + 1).ok())?;
    let end = number.checked_add(1)?.checked_mul(DIGITS)?;
    NUMBERS.get(end.checked_sub(digits)?..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_written_as_ever() {
        let far = [3601, 9999, 10_000, 86_400, u64::from(u32::MAX), u64::MAX];
        for number in (0..=3600).chain(far) {
            assert_eq!(seconds(number), number.to_string().as_str());
        }
    }
}
