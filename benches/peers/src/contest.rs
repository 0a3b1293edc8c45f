//! Who does the same for less: ratios to the best peer, to the floor nobody gets below, and to doing without.

use std::fmt;

use crate::measure::{Cost, measure};

/// What a row is there for.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// The same without what is compared: the others are shown by what they add to it.
    Bare,
    /// What cannot be done without, and nothing else.
    Floor,
    /// What a user would pick instead.
    Peer,
    /// The crate.
    Ours,
}

/// A table in which several do the same.
pub struct Contest {
    title: String,
    /// Whether they are counted in instructions, with no allocations, rather than in time.
    counted: bool,
    rows: Vec<(Kind, String, Cost)>,
    notes: Vec<String>,
}

impl Contest {
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), counted: false, rows: Vec::new(), notes: Vec::new() }
    }

    /// A table whose costs are instructions, not nanoseconds.
    pub fn in_instructions(title: impl Into<String>) -> Self {
        Self { counted: true, ..Self::new(title) }
    }

    /// Measures an operation into a row.
    pub fn row<T>(&mut self, kind: Kind, name: impl Into<String>, operation: impl FnMut() -> T) {
        self.add(kind, name, measure(operation));
    }

    /// Adds a row that was measured elsewhere.
    pub fn add(&mut self, kind: Kind, name: impl Into<String>, cost: Cost) {
        self.rows.push((kind, name.into(), cost));
    }

    /// Adds a line below the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Adds a line that says how far it is to a target: at most so much of the best peer, after what is bare.
    pub fn target_of_peer(&mut self, row: &str, at_most: f64) {
        let peer = self.best(Kind::Peer).map_or(f64::NAN, |(_, cost)| self.net(cost));
        self.target(row, "of the best peer", self.net(self.cost(row)) / peer, at_most);
    }

    /// At most so much of the floor.
    pub fn target_of_floor(&mut self, row: &str, at_most: f64) {
        let floor = self.best(Kind::Floor).map_or(f64::NAN, |(_, cost)| cost.nanos);
        self.target(row, "of the floor", self.cost(row).nanos / floor, at_most);
    }

    /// At most so much of another row, and this many nanoseconds.
    pub fn target_of_row(&mut self, row: &str, other: &str, at_most: f64, and_nanos: f64) {
        let found = (self.cost(row).nanos - and_nanos) / self.cost(other).nanos;
        self.target(row, &format!("of `{other}` after {and_nanos} ns"), found, at_most);
    }

    /// At most so much of doing without.
    pub fn target_of_bare(&mut self, row: &str, at_most: f64) {
        let bare = self.best(Kind::Bare).map_or(f64::NAN, |(_, cost)| cost.nanos);
        self.target(row, "of bare", self.cost(row).nanos / bare, at_most);
    }

    /// At most so many allocations more than without.
    pub fn target_of_allocations(&mut self, row: &str, at_most: u32) {
        let bare = self.best(Kind::Bare).map_or(0, |(_, cost)| cost.allocations);
        let found = self.cost(row).allocations as f64 - bare as f64;
        self.target(row, "allocations more", found, f64::from(at_most));
    }

    fn target(&mut self, row: &str, what: &str, found: f64, at_most: f64) {
        let said = if found <= at_most { "met" } else { "MISSED" };
        let number = |n: f64| if n.fract() == 0.0 { format!("{n}") } else { format!("{n:.3}") };
        let (found, at_most) = (number(found), number(at_most));
        self.notes.push(format!("target {said}: {row}: {found} {what}, at most {at_most}"));
    }

    fn cost(&self, row: &str) -> Cost {
        self.rows.iter().find(|(_, name, _)| name == row).expect("the row was added").2
    }

    /// What it adds to what is bare, if there is such a row.
    fn net(&self, cost: Cost) -> f64 {
        cost.nanos - self.best(Kind::Bare).map_or(0.0, |(_, bare)| bare.nanos)
    }

    /// The cheapest of its kind.
    fn best(&self, wanted: Kind) -> Option<(&str, Cost)> {
        let of_kind = self.rows.iter().filter(|(kind, ..)| *kind == wanted);
        let best = of_kind.min_by(|(.., a), (.., b)| a.nanos.total_cmp(&b.nanos));
        best.map(|(_, name, cost)| (name.as_str(), *cost))
    }
}

impl fmt::Display for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = self.best(Kind::Bare).map(|(_, cost)| cost);
        let (peer, floor) = (self.best(Kind::Peer), self.best(Kind::Floor));
        let width = self.rows.iter().map(|(_, name, _)| name.len()).max().unwrap_or(0).max(self.title.len());

        let mut columns = vec![if self.counted { "instructions" } else { "CPU time" }];
        let amount: fn(f64) -> String = if self.counted { |n| format!("{n:.0}") } else { time };
        if bare.is_some() {
            columns.extend(["of bare", "adds"]);
        }
        columns.extend(peer.map(|_| "of best peer"));
        columns.extend(floor.map(|_| "of floor"));
        if !self.counted {
            columns.push("allocations");
            columns.extend(bare.map(|_| "adds"));
        }
        line(f, width, &self.title, columns.iter().map(|name| (*name).to_owned()))?;
        line(f, width, &"-".repeat(width), columns.iter().map(|_| format!("{}:", "-".repeat(11))))?;
        for (kind, name, cost) in &self.rows {
            let mut cells = vec![amount(cost.nanos)];
            let ratio = |to: f64| {
                if *kind == Kind::Bare { String::new() } else { format!("{:.3}", self.net(*cost) / to) }
            };
            if let Some(bare) = bare {
                cells.push(format!("{:.2}", cost.nanos / bare.nanos));
                cells.push(if *kind == Kind::Bare { String::new() } else { amount(self.net(*cost)) });
            }
            cells.extend(peer.map(|(_, peer)| ratio(self.net(peer))));
            cells.extend(floor.map(|(_, floor)| ratio(self.net(floor))));
            if !self.counted {
                cells.push(cost.allocations.to_string());
                cells
                    .extend(bare.map(|bare| (cost.allocations as i64 - bare.allocations as i64).to_string()));
            }
            line(f, width, name, cells)?;
        }
        if let Some((name, _)) = peer {
            writeln!(f, "best peer: {name}")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}

fn line(
    f: &mut fmt::Formatter<'_>,
    width: usize,
    name: &str,
    cells: impl IntoIterator<Item = String>,
) -> fmt::Result {
    write!(f, "{name:width$}")?;
    cells.into_iter().try_for_each(|cell| write!(f, " | {cell:>12}"))?;
    writeln!(f)
}

fn time(nanos: f64) -> String {
    match nanos {
        n if n.abs() < 1e3 => format!("{n:.1} ns"),
        n if n.abs() < 1e6 => format!("{:.2} us", n / 1e3),
        n => format!("{:.2} ms", n / 1e6),
    }
}
