//! Thread CPU time and allocations of one operation, and the table they are shown in.

use std::fmt;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
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

/// Measures an operation on several threads at once, each with one of its own: the CPU time of the slowest, shared
/// between the calls of all. Time that a thread sleeps for a lock is not in it.
pub fn measure_on<T, F: FnMut() -> T>(threads: usize, make: impl Fn(usize) -> F + Sync) -> Cost {
    const CALLS: u32 = 200_000;
    let start = Barrier::new(threads);
    let of_thread = |number: usize| {
        let mut operation = make(number + 1);
        time(CALLS, &mut operation);
        let batches = (0..BATCHES).map(|_| {
            start.wait();
            time(CALLS, &mut operation).as_nanos() as f64 / f64::from(CALLS)
        });
        batches.collect::<Vec<f64>>()
    };
    let of_threads: Vec<Vec<f64>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|number| {
                scope.spawn({
                    let of_thread = &of_thread;
                    move || of_thread(number)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    let slowest = |batch| of_threads.iter().map(|of: &Vec<f64>| of[batch]).fold(0.0, f64::max);
    let mut batches: Vec<f64> = (0..BATCHES).map(|batch| slowest(batch) / threads as f64).collect();
    batches.sort_by(f64::total_cmp);
    let mut operation = make(1);
    let allocations = allocation_counter::measure(|| drop(black_box(operation()))).count_total;
    Cost { nanos: batches[BATCHES / 2], allocations }
}

/// Measures an operation that can't be repeated, over so many calls that share a state.
pub fn measure_once<S: Default>(calls: u32, mut operation: impl FnMut(&mut S)) -> Cost {
    let mut state = S::default();
    let nanos = time(calls, &mut || operation(&mut state)).as_nanos() as f64 / f64::from(calls);
    let allocations = allocation_counter::measure(|| operation(&mut state)).count_total;
    Cost { nanos, allocations }
}

/// Measures an operation on things it meets only once. The first eighth warms up; the allocations are those of the last.
pub fn measure_each<I>(things: &[I], mut operation: impl FnMut(&I)) -> Cost {
    let (last, things) = things.split_last().expect("there are things");
    let (warm, things) = things.split_at(things.len() / 8);
    warm.iter().for_each(&mut operation);
    let batches = things.chunks((things.len() / BATCHES).max(1)).map(|batch| {
        let began = ThreadTime::now();
        batch.iter().for_each(&mut operation);
        began.elapsed().as_nanos() as f64 / batch.len() as f64
    });
    let mut batches: Vec<f64> = batches.collect();
    batches.sort_by(f64::total_cmp);
    let allocations = allocation_counter::measure(|| operation(last)).count_total;
    Cost { nanos: batches[batches.len() / 2], allocations }
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
    notes: Vec<String>,
}

impl Table {
    /// A table whose ratios are to the row named `base`.
    pub fn new(title: &'static str, base: &'static str) -> Self {
        Self { title, base, rows: Vec::new(), notes: Vec::new() }
    }

    /// Measures an operation into a row.
    pub fn row<T>(&mut self, name: impl Into<String>, operation: impl FnMut() -> T) {
        self.add(name, measure(operation));
    }

    /// Adds a row that was measured elsewhere.
    pub fn add(&mut self, name: impl Into<String>, cost: Cost) {
        self.rows.push((name.into(), cost));
    }

    /// Adds a line that says how much more the last row costs than the one the ratios are to.
    pub fn target_of_growth(&mut self, at_most: f64) {
        let base = self.rows.iter().find(|(name, _)| name == self.base);
        let (Some((_, base)), Some((name, last))) = (base, self.rows.last()) else { return };
        let found = last.nanos / base.nanos;
        let said = if found <= at_most { "met" } else { "MISSED" };
        self.notes.push(format!("target {said}: {name}: {found:.2} of {}, at most {at_most}", self.base));
    }

    /// Adds a line below the table.
    pub fn note(&mut self, text: String) {
        self.notes.push(text);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(name, _)| name.len()).fold(self.title.len(), usize::max);
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
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}
