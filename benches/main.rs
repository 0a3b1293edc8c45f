//! What users wait for: time by criterion, and allocations, side by side.
//!
//! ```text
//! cargo bench                     # about a minute, then one table
//! cargo bench -- route            # only what has `route` in its name; also: decide, headers, limit, verify, mint, account
//! ```
//!
//! Compare figures of one run only. Allocations are those of the calling thread for one operation, growing a vector
//! included; what a password hash or a database does on threads of its own is not in them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a benchmark talks to its terminal and ends where it cannot go on"
)]

mod accounts;
mod decisions;
mod headers;
mod rate_limit;
mod routes;
mod support;
mod table;
mod tokens;

use std::time::Duration;

use criterion::Criterion;

use crate::table::Table;

fn main() {
    let mut table = Table::new();
    let mut criterion = Criterion::default()
        .output_directory(table.directory())
        .without_plots()
        .sample_size(50)
        .nresamples(10_000)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_millis(1500))
        .configure_from_args();
    let runtime = support::runtime();
    routes::run(&mut criterion, &runtime, &mut table);
    decisions::run(&mut criterion, &mut table);
    headers::run(&mut criterion, &mut table);
    rate_limit::run(&mut criterion, &runtime, &mut table);
    tokens::run(&mut criterion, &runtime, &mut table);
    accounts::run(&mut criterion, &runtime, &mut table);
    criterion.final_summary();
    println!("{}", table.show());
}
