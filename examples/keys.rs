//! Keys in a file: makes them, lists them, leads them through their life. A service that has the file open through
//! `KeyFile` notices every change within seconds.
//!
//! ```text
//! cargo run --example keys -- keys.json create
//! cargo run --example keys -- keys.json list
//! cargo run --example keys -- keys.json introduce token_signing     # every instance learns to read it, ..
//! cargo run --example keys -- keys.json promote token_signing KEY   # .. then it signs
//! cargo run --example keys -- keys.json jwks                        # for those who verify our tokens
//! ```
//!
//! `--help` lists all commands. It ends with 0, with 1 if something could not be done, with 2 if it was not understood.
//! Private keys are never printed.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its terminal")]

use std::process::ExitCode;

use portcullis::ConfigError;
use portcullis::crypto::{Algorithm, Key, KeyFile, KeyPurpose, Keyring, RotationPolicy};
use portcullis::id::KeyId;
use portcullis::time::{Clock as _, SystemClock, Timestamp};
use portcullis::token::jwks;

const HELP: &str = "\
usage: keys FILE COMMAND

  create [PURPOSE[=ALGORITHM]..]   make the file, with a key for each purpose
                                   (without any: token_signing sealing blind_index wrapping)
  add PURPOSE[=ALGORITHM]..        add keys for purposes that have none
  list                             purposes, keys, states and times; never the keys themselves
  introduce PURPOSE                add a key that reads, and makes nothing yet; prints its id
  promote PURPOSE KEY              make an introduced key primary; the one before it still reads
  rotate PURPOSE                   both at once, where one process reads the file; prints the new id
  retire PURPOSE KEY               give up an introduced key
  compromise PURPOSE KEY [--yes]   end all use of a key that somebody may know: what it signed is refused, and what it
                                   sealed (--yes) doesn't open any more, so move that to the newest key first
  destroy PURPOSE KEY --yes        forget a key for good: what is still sealed with it is lost
  advance                          promote what has waited long enough, destroy signing keys that have drained
  jwks                             the public keys for tokens, as a JWK set

ALGORITHM, for token_signing, is EdDSA (unless you say otherwise), ES256, PS256 or HS256.";

enum Failure {
    /// It was not understood.
    Usage(String),
    Failed(ConfigError),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Failed(error)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    if arguments.iter().any(|argument| ["--help", "-h"].contains(argument)) {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(problem)) => {
            eprintln!("keys: {problem}\n\n{HELP}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) => {
            eprintln!("keys: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[&str]) -> Result<(), Failure> {
    let [path, command, rest @ ..] = arguments else {
        return Err(Failure::Usage("name a file and a command".to_owned()));
    };
    let now = SystemClock::new().now();
    let open = || KeyFile::open(*path);
    match (*command, rest) {
        ("create", []) => {
            let purposes = ["token_signing", "sealing", "blind_index", "wrapping"];
            KeyFile::create(*path, rings(&purposes, now)?)?;
        }
        ("create", purposes) => {
            KeyFile::create(*path, rings(purposes, now)?)?;
        }
        ("add", purposes @ [_, ..]) => {
            let added = rings(purposes, now)?;
            // That two rings have one purpose is found before anything is written.
            let add = move |rings: &mut Vec<Keyring>| {
                rings.extend(added);
                Ok(())
            };
            open()?.update(add).await?;
        }
        ("list", []) => list(&open()?),
        ("jwks", []) => {
            let file = open()?;
            let rings = file.rings();
            let signing = rings.iter().find(|ring| ring.purpose() == KeyPurpose::TokenSigning);
            let set = signing.map(|ring| jwks(ring));
            println!("{:#}", set.unwrap_or_else(|| serde_json::json!({ "keys": [] })));
        }
        ("introduce", [purpose]) => println!("{}", open()?.introduce(parse(purpose)?, now).await?),
        ("rotate", [purpose]) => println!("{}", open()?.rotate(parse(purpose)?, now).await?),
        ("promote", [purpose, key]) => open()?.promote(parse(purpose)?, id(key)?, now).await?,
        ("retire", [purpose, key]) => open()?.retire(parse(purpose)?, id(key)?, now).await?,
        ("compromise", ["token_signing", key]) => {
            open()?.compromise(KeyPurpose::TokenSigning, id(key)?, now).await?;
        }
        ("compromise", [_, _]) => {
            return Err(Failure::Usage(
                "what a compromised key sealed doesn't open any more, and there is no way back: move it to the newest key first, \
                 or say --yes"
                    .to_owned(),
            ));
        }
        ("compromise", [purpose, key, "--yes"]) => open()?.compromise(parse(purpose)?, id(key)?, now).await?,
        ("destroy", [purpose, key, "--yes"]) => open()?.destroy(parse(purpose)?, id(key)?, now).await?,
        ("destroy", [_, _]) => {
            return Err(Failure::Usage(
                "what is sealed with a destroyed key is lost; say --yes if it may be".to_owned(),
            ));
        }
        ("advance", []) => {
            open()?.advance(now, RotationPolicy::default()).await?;
        }
        (command, _) => {
            return Err(Failure::Usage(format!("`{command}` with these arguments is not understood")));
        }
    }
    Ok(())
}

fn list(file: &KeyFile) {
    println!("{:<14} {:<24} {:<12} {:<22} {:<22}", "PURPOSE", "KEY", "STATE", "SINCE", "CREATED");
    for ring in file.rings().iter() {
        for record in ring.records() {
            let (purpose, key, state) = (ring.purpose(), record.id().as_str(), record.state().as_str());
            let [since, created] =
                [record.since(), record.created()].map(|time| time.map_or("-".to_owned(), utc));
            println!("{:<14} {key:<24} {state:<12} {since:<22} {created:<22}", purpose.as_str());
        }
    }
}

fn rings(purposes: &[&str], now: Timestamp) -> Result<Vec<Keyring>, Failure> {
    let ring = |text: &&str| {
        let (name, algorithm) = text.split_once('=').map_or((*text, None), |(name, rest)| (name, Some(rest)));
        let key = match (parse(name)?, algorithm) {
            (KeyPurpose::TokenSigning, Some(name)) => {
                Key::generate(name.parse::<Algorithm>().map_err(|error| Failure::Usage(error.to_string()))?)
            }
            (purpose, None) => Key::generate_for(purpose),
            (purpose, Some(_)) => {
                return Err(Failure::Usage(format!("keys for {purpose} have no algorithm")));
            }
        };
        Ok(Keyring::begin(key?, now)?)
    };
    purposes.iter().map(ring).collect()
}

fn parse(purpose: &str) -> Result<KeyPurpose, Failure> {
    purpose.parse().map_err(|error: ConfigError| Failure::Usage(format!("`{purpose}`: {error}")))
}

fn id(key: &str) -> Result<KeyId, Failure> {
    KeyId::parse(key).map_err(|error| Failure::Usage(format!("`{key}` is no id of a key: {error}")))
}

/// Such as `2026-01-31T23:59:59Z`, by the calendar of Howard Hinnant's `civil_from_days`.
fn utc(time: Timestamp) -> String {
    let secs = time.as_secs();
    let (days, second) = (secs.div_euclid(86_400) + 719_468, secs.rem_euclid(86_400));
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hours, minutes, seconds) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}Z")
}
