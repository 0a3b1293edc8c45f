//! `advisories <checkout> [<advisory database>]`
//!
//! Reads `deny.toml` of the checkout (cargo-deny's format, as far as used there) and fails on
//! - an advisory against something in `Cargo.lock`, unless ignored with a reason (only with a database);
//! - an ignored advisory that no longer concerns anything;
//! - a dependency whose licence is not allowed, or that does not come from an allowed registry.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitCode};

use rustsec::{Database, Lockfile, report};

type Problem = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(checkout) = arguments.next() else {
        eprintln!("usage: advisories <checkout> [<advisory database>]");
        return ExitCode::from(2);
    };
    match check(Path::new(&checkout), arguments.next().as_deref().map(Path::new)) {
        Ok(complaints) if complaints.is_empty() => ExitCode::SUCCESS,
        Ok(complaints) => {
            complaints.iter().for_each(|complaint| eprintln!("error: {complaint}"));
            ExitCode::FAILURE
        }
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(2)
        }
    }
}

fn check(checkout: &Path, database: Option<&Path>) -> Result<Vec<String>, Problem> {
    let deny: toml::Table = std::fs::read_to_string(checkout.join("deny.toml"))?.parse()?;
    let lock = Lockfile::load(checkout.join("Cargo.lock"))?;
    let mut complaints = Vec::new();
    check_sources(&deny, &lock, &mut complaints)?;
    check_licences(&deny, checkout, &mut complaints)?;
    match database {
        Some(database) => check_advisories(&deny, &lock, database, &mut complaints)?,
        None => println!("advisories: NOT checked, no database given"),
    }
    Ok(complaints)
}

fn check_advisories(
    deny: &toml::Table,
    lock: &Lockfile,
    database: &Path,
    complaints: &mut Vec<String>,
) -> Result<(), Problem> {
    let database = Database::open(database)?;
    let mut ignored = BTreeSet::new();
    for entry in deny["advisories"]["ignore"].as_array().ok_or("advisories.ignore is not a list")? {
        let text =
            |name| entry.get(name).and_then(toml::Value::as_str).filter(|text| !text.trim().is_empty());
        let id = text("id").ok_or("an entry of advisories.ignore has no id")?;
        text("reason").ok_or_else(|| format!("{id} is ignored without a reason"))?;
        ignored.insert(id.to_owned());
    }
    let settings = report::Settings {
        informational_warnings: vec![
            rustsec::advisory::Informational::Notice,
            rustsec::advisory::Informational::Unmaintained,
            rustsec::advisory::Informational::Unsound,
        ],
        ..report::Settings::default()
    };
    let report = report::Report::generate(&database, lock, &settings);
    let vulnerabilities =
        report.vulnerabilities.list.iter().map(|found| (&found.package, Some(&found.advisory)));
    let warnings = report.warnings.values().flatten().map(|found| (&found.package, found.advisory.as_ref()));
    let mut needed = BTreeSet::new();
    for (package, advisory) in vulnerabilities.chain(warnings) {
        let (id, title) = advisory.map_or((String::new(), ""), |a| (a.id.to_string(), a.title.as_str()));
        if ignored.contains(&id) {
            needed.insert(id);
        } else {
            complaints.push(format!("{} {}: {id} {title}", package.name, package.version));
        }
    }
    for id in ignored.difference(&needed) {
        complaints.push(format!("deny.toml ignores {id}, which concerns nothing here any more"));
    }
    println!(
        "advisories: {} packages against {} advisories, {} ignored with a reason",
        lock.packages.len(),
        database.iter().count(),
        needed.len()
    );
    Ok(())
}

fn check_licences(deny: &toml::Table, checkout: &Path, complaints: &mut Vec<String>) -> Result<(), Problem> {
    let allowed: BTreeSet<&str> = strings(&deny["licenses"]["allow"])?;
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version=1", "--all-features", "--locked"])
        .current_dir(checkout)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let mut used = BTreeSet::new();
    for package in packages {
        let name = format!("{} {}", package["name"], package["version"]).replace('"', "");
        let Some(licence) = package["license"].as_str() else {
            complaints.push(format!("{name}: no licence stated"));
            continue;
        };
        let expression = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX)
            .map_err(|problem| format!("{name}: {problem}"))?;
        let fine = expression.evaluate(|requirement| {
            let requirement = requirement.to_string();
            let found = allowed.get(requirement.as_str());
            used.extend(found);
            found.is_some()
        });
        if !fine {
            complaints.push(format!("{name}: licence `{licence}` is not allowed"));
        }
    }
    for licence in allowed.difference(&used) {
        complaints.push(format!("deny.toml allows `{licence}`, which nothing uses"));
    }
    println!("licences: {} packages, {} licences in use", packages.len(), used.len());
    Ok(())
}

fn check_sources(deny: &toml::Table, lock: &Lockfile, complaints: &mut Vec<String>) -> Result<(), Problem> {
    let allowed = strings(&deny["sources"]["allow-registry"])?;
    for package in &lock.packages {
        let from = package.source.as_ref().map(ToString::to_string);
        if from
            .as_ref()
            .is_some_and(|from| !allowed.iter().any(|registry| from == &format!("registry+{registry}")))
        {
            complaints.push(format!(
                "{} {} comes from {}",
                package.name,
                package.version,
                from.unwrap_or_default()
            ));
        }
    }
    println!("sources: {} packages", lock.packages.len());
    Ok(())
}

fn strings(value: &toml::Value) -> Result<BTreeSet<&str>, Problem> {
    let list = value.as_array().ok_or("expected a list in deny.toml")?;
    list.iter().map(|item| item.as_str().ok_or_else(|| "expected text in deny.toml".into())).collect()
}
