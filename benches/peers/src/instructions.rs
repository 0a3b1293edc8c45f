//! Instructions for a request, counted by valgrind (Debian: `apt-get install valgrind`): the same on every run but for what
//! is random, and nothing that else runs on the machine is in them.
//!
//! The program runs itself under callgrind as `calls TABLE ALGORITHM ROW N`; what is counted is what the thread that asks
//! does from the request to the dropped answer, after a few that are not counted.

use std::process::Command;

use portcullis::crypto::Algorithm;

use crate::bearer;
use crate::calls::{Answers, Calls, Visit};
use crate::contest::{Contest, Kind};
use crate::material::{Material, runtime};
use crate::measure::Cost;
use crate::stack;

const WARM: u32 = 50;
const COUNTED: u32 = 500;

pub fn run() -> String {
    if let Err(error) = Command::new("valgrind").arg("--version").output() {
        return format!("instructions: left out, valgrind does not run here ({error})\n");
    }
    let tables = [Algorithm::Hs256, Algorithm::EdDsa].into_iter();
    let tables = tables.flat_map(|algorithm| [table("bearer", algorithm), table("stack", algorithm)]);
    tables.map(|contest| contest.to_string()).collect::<Vec<_>>().join("\n")
}

fn table(name: &'static str, algorithm: Algorithm) -> Contest {
    let title = if name == "bearer" { bearer::title(algorithm) } else { stack::title(algorithm) };
    let mut contest = Contest::in_instructions(title);
    let (material, runtime) = (Material::new(algorithm), runtime());
    let mut names = Names::default();
    match name {
        "bearer" => bearer::everybody(&material, &runtime, &mut names),
        _ => stack::everybody(&material, &runtime, &mut names),
    }
    for (kind, row) in names.0 {
        let each = count(name, algorithm, &row) as f64 / f64::from(COUNTED);
        contest.add(kind, row, Cost { nanos: each, allocations: 0 });
    }
    match (name, algorithm) {
        ("bearer", Algorithm::Hs256) => contest.target_of_peer("portcullis, its two layers alone", 0.3),
        // Multiplying large numbers takes long for few instructions: 1/60 is of time.
        ("bearer", _) => {}
        _ => contest.target_of_peer("portcullis, the whole gate", 0.25),
    }
    contest.note("a token that comes again");
    if algorithm == Algorithm::Hs256 {
        contest.note(
            "valgrind has no SHA-NI: whoever verifies pays about 24k instructions here for software SHA-256",
        );
    }
    contest
}

/// The instructions of all that are counted.
fn count(table: &str, algorithm: Algorithm, row: &str) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--read-inline-info=no"])
        .arg("--toggle-collect=*Calls*counted*")
        .arg(std::env::current_exe().expect("is a file"))
        .args(["calls", table, algorithm.as_str(), row, &COUNTED.to_string()])
        .output()
        .expect("valgrind runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    collected.and_then(|(_, number)| number.trim().parse().ok()).expect("callgrind says how many")
}

/// `TABLE ALGORITHM ROW N`: makes that row of the table, and asks it so often.
pub fn calls(arguments: &[String]) {
    let [table, algorithm, row, times] = arguments else { panic!("TABLE ALGORITHM ROW N") };
    let algorithm = if algorithm == "HS256" { Algorithm::Hs256 } else { Algorithm::EdDsa };
    let (material, runtime) = (Material::new(algorithm), runtime());
    let calls = Calls::repeated(&material);
    let mut repeat = Repeat { calls, row, times: times.parse().expect("is a number") };
    match table.as_str() {
        "bearer" => bearer::everybody(&material, &runtime, &mut repeat),
        _ => stack::everybody(&material, &runtime, &mut repeat),
    }
}

struct Repeat<'a> {
    calls: Calls,
    row: &'a str,
    times: u32,
}

impl Visit for Repeat<'_> {
    fn visit<S: Answers>(&mut self, _: Kind, name: &str, mut service: S) {
        if name == self.row {
            (0..WARM).for_each(|_| self.calls.once(&mut service));
            (0..self.times).for_each(|_| self.calls.counted(&mut service));
        }
    }
}

#[derive(Default)]
struct Names(Vec<(Kind, String)>);

impl Visit for Names {
    fn visit<S: Answers>(&mut self, kind: Kind, name: &str, _: S) {
        self.0.push((kind, name.to_owned()));
    }
}
