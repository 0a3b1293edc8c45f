//! The crate beside what a user would pick instead, in one run, on one thread if nothing else is said.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml             # all of it
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- decide   # one table; also: 429, bearer, flat, headers, index, limit, seal, stack, tokens
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- loopback # served on 127.0.0.1, asked by `wrk`
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- load     # the example server while people sign in
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- instructions # counted by valgrind
//! ```
//!
//! Time is that of the thread's CPU, the median of many batches; what several threads share is not in it. Compare the
//! ratios of one run, and allocations; not times of different runs or machines.

mod bearer;
mod calls;
mod client;
mod contest;
mod decide;
mod flat;
mod headers;
mod instructions;
mod limit;
mod load;
mod loopback;
mod material;
mod measure;
mod seal;
mod stack;
mod tokens;

type Run = fn() -> String;

const TABLES: &[(&str, Run)] = &[
    ("tokens", tokens::verify),
    ("tokens", tokens::sign),
    ("bearer", bearer::run),
    ("stack", stack::run),
    ("429", stack::refused),
    ("flat", || flat::roles().to_string()),
    ("flat", || flat::routes().to_string()),
    ("flat", || flat::users().to_string()),
    ("flat", || flat::users_in_turn().to_string()),
    ("flat", || flat::limiter_keys().to_string()),
    ("decide", || decide::run().to_string()),
    ("headers", || headers::run().to_string()),
    ("limit", || limit::one_key().to_string()),
    ("limit", || limit::ten_thousand_keys().to_string()),
    ("limit", || limit::a_million_keys().to_string()),
    ("limit", || limit::refused().to_string()),
    ("limit", || limit::flood().to_string()),
    ("seal", || seal::seal_32().to_string()),
    ("seal", || seal::seal_256().to_string()),
    ("seal", || seal::seal_4096().to_string()),
    ("seal", || seal::open_32().to_string()),
    ("seal", || seal::open_256().to_string()),
    ("seal", || seal::open_4096().to_string()),
    ("index", || seal::index().to_string()),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = arguments.first().map(String::as_str);
    match wanted {
        // For `instructions` and profilers.
        Some("calls") => return instructions::calls(&arguments[1..]),
        Some("instructions") => return println!("{}", instructions::run()),
        Some("load") => return println!("{}", load::run()),
        Some("loopback") => return println!("{}", loopback::run()),
        _ => {}
    }
    for (name, run) in TABLES {
        if wanted.is_none_or(|wanted| wanted == *name) {
            println!("{}", run());
        }
    }
}
