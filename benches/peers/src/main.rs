//! The crate beside what a user would pick instead, in one run, on one thread if nothing else is said.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml             # all of it
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- decide   # one table; also: headers, index, limit, seal
//! ```
//!
//! Time is that of the thread's CPU, the median of many batches; what several threads share is not in it. Compare the
//! ratios of one run, and allocations; not times of different runs or machines.

mod decide;
mod headers;
mod limit;
mod measure;
mod seal;

use measure::Table;

type Run = fn() -> Table;

const TABLES: &[(&str, Run)] = &[
    ("decide", decide::run),
    ("headers", headers::run),
    ("limit", limit::one_key),
    ("limit", limit::ten_thousand_keys),
    ("limit", limit::a_million_keys),
    ("limit", limit::refused),
    ("limit", limit::flood),
    ("seal", seal::seal_32),
    ("seal", seal::seal_256),
    ("seal", seal::seal_4096),
    ("seal", seal::open_32),
    ("seal", seal::open_256),
    ("seal", seal::open_4096),
    ("index", seal::index),
];

fn main() {
    let wanted = std::env::args().nth(1);
    for (name, run) in TABLES {
        if wanted.as_deref().is_none_or(|wanted| wanted == *name) {
            println!("{}", run());
        }
    }
}
