//! The table: criterion's medians beside our own counts.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How often an operation is counted; the median is shown.
const COUNTS: usize = 33;

/// Operations with their allocations, in the order they were counted.
pub struct Table {
    directory: PathBuf,
    began: SystemTime,
    rows: Vec<(String, u64)>,
}

impl Table {
    pub fn new() -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        Self { directory: target.join("criterion"), began: SystemTime::now(), rows: Vec::new() }
    }

    /// Where criterion leaves its figures.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Counts the allocations of an operation. `name` is criterion's: `group/function`.
    pub fn count(&mut self, name: &str, mut operation: impl FnMut()) {
        self.count_with(name, || (), |()| operation());
    }

    /// As [`count`](Self::count), with something to be made before each call.
    pub fn count_with<T>(&mut self, name: &str, mut make: impl FnMut() -> T, mut operation: impl FnMut(T)) {
        // The first call may fill caches.
        operation(make());
        let mut counts: Vec<u64> = (0..COUNTS)
            .map(|_| {
                let input = make();
                allocation_counter::measure(|| operation(input)).count_total
            })
            .collect();
        counts.sort_unstable();
        self.rows.push((name.to_owned(), counts.get(COUNTS / 2).copied().unwrap_or_default()));
    }

    /// Operation, time, allocations. What was not timed in this run has no time.
    pub fn show(&self) -> String {
        let width = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let mut text = format!("\n{:width$} | {:>10} | allocations\n", "operation", "time");
        let _ = writeln!(text, "{:-<width$}-|-{:-<10}-|------------", "", "");
        for (name, allocations) in &self.rows {
            let time = self.median(name).map_or_else(|| "-".to_owned(), human);
            let _ = writeln!(text, "{name:width$} | {time:>10} | {allocations:>11}");
        }
        text
    }

    /// The median in nanoseconds, from the file criterion wrote.
    fn median(&self, name: &str) -> Option<f64> {
        let path = self.directory.join(name).join("new/estimates.json");
        let is_ours = fs::metadata(&path).and_then(|file| file.modified()).ok()? >= self.began;
        let estimates: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
        estimates.get("median")?.get("point_estimate")?.as_f64().filter(|_| is_ours)
    }
}

fn human(nanos: f64) -> String {
    match nanos {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.2} us", n / 1e3),
        n => format!("{:.2} ms", n / 1e6),
    }
}
