//! Thread CPU time and allocations of one operation, and the table they are shown in.

use std::fmt;
use std::hint::black_box;
use std::time::Duration;

use cpu_time::ThreadTime;

/// Batches per operation; the median counts.
const BATCHES: usize = 41;
/// A batch lasts at least this long, so that reading the clock does not show.
const BATCH: Duration = Duration::from_millis(4);

/// What one call costs.
#[derive(Clone, Copy)]
pub struct Cost {
    pub nanos: f64,
    pub allocations: u64,
}

/// Measures an operation after warming it up.
pub fn measure<T>(mut operation: impl FnMut() -> T) -> Cost {
    let mut calls = 1_u32;
    while time(calls, &mut operation) < BATCH && calls < 1 << 26 {
        calls *= 2;
    }
    let mut batches: Vec<f64> =
        (0..BATCHES).map(|_| time(calls, &mut operation).as_nanos() as f64 / f64::from(calls)).collect();
    batches.sort_by(f64::total_cmp);
    let allocations = allocation_counter::measure(|| drop(black_box(operation()))).count_total;
    Cost { nanos: batches[BATCHES / 2], allocations }
}

fn time<T>(calls: u32, operation: &mut impl FnMut() -> T) -> Duration {
    let began = ThreadTime::now();
    for _ in 0..calls {
        drop(black_box(operation()));
    }
    began.elapsed()
}

/// Operations beside the one they are compared with.
pub struct Table {
    title: &'static str,
    base: &'static str,
    rows: Vec<(String, Cost)>,
}

impl Table {
    /// A table whose ratios are to the row named `base`.
    pub fn new(title: &'static str, base: &'static str) -> Self {
        Self { title, base, rows: Vec::new() }
    }

    /// Measures an operation into a row.
    pub fn row<T>(&mut self, name: impl Into<String>, operation: impl FnMut() -> T) {
        self.rows.push((name.into(), measure(operation)));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let base = self.rows.iter().find(|(name, _)| name == self.base).map(|(_, cost)| cost.nanos);
        writeln!(f, "{:width$} | {:>10} | {:>12} | allocations", self.title, "CPU time", "ratio")?;
        writeln!(f, "{:-<width$}-|-{:->11}|-{:->13}|-----------:", "", ":", ":")?;
        for (name, cost) in &self.rows {
            let ratio = base.map(|base| cost.nanos / base).unwrap_or(f64::NAN);
            let time = match cost.nanos {
                n if n < 1e3 => format!("{n:.1} ns"),
                n if n < 1e6 => format!("{:.2} us", n / 1e3),
                n => format!("{:.2} ms", n / 1e6),
            };
            writeln!(f, "{name:width$} | {time:>10} | {ratio:>12.2} | {:>11}", cost.allocations)?;
        }
        Ok(())
    }
}
