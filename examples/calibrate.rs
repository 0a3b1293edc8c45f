//! What a password hash costs on this machine, and which parameters to choose for it.
//!
//! ```text
//! cargo run --release --example calibrate                          # a table
//! cargo run --release --example calibrate -- 50                    # and the strongest row of at most 50 ms
//! cargo run --release --example calibrate -- m=65536,t=3,p=1 50    # only these parameters; as many as you like
//! ```
//!
//! Run it where the service will run, with nothing else going on. Watch two columns: `ms a hash`, which somebody who
//! signs in waits for, and `memory`, which is taken while as many hash at once as there are CPUs. Parameters below what
//! OWASP recommends are refused here as they are by the builder. More lanes (`p`) make a hash no faster: they are
//! computed one after another.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use portcullis::password::{Argon2Hasher, PasswordHash, Passwords};
use secrecy::SecretString;
use tokio::task::JoinSet;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Memory in KiB, passes, lanes: the default, what OWASP calls equal to it, and stronger ones.
const TABLE: [Params; 8] = [
    Params(19_456, 2, 1),
    Params(47_104, 1, 1),
    Params(12_288, 3, 1),
    Params(9_216, 4, 1),
    Params(7_168, 5, 1),
    Params(32_768, 3, 1),
    Params(65_536, 3, 1),
    Params(131_072, 3, 1),
];

/// An odd number, so that there is a median.
const HASHES: usize = 5;

#[tokio::main]
async fn main() -> Outcome<()> {
    let (mut asked, mut target) = (Vec::new(), None);
    for argument in std::env::args().skip(1) {
        match argument.parse::<u32>() {
            Ok(millis) => target = Some(Duration::from_millis(millis.into())),
            Err(_) => asked.push(Params::parse(&argument)?),
        }
    }
    let asked = if asked.is_empty() { TABLE.to_vec() } else { asked };
    // All are checked before the first is measured.
    let hashers: Vec<_> = asked.iter().map(|asked| asked.hasher()).collect::<Outcome<_>>()?;

    let permits = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    println!("Argon2id, {permits} at once, the median of {HASHES}\n");
    println!("      m  t  p |  ms a hash | sign-ins a second |    memory");
    let mut measured = Vec::new();
    for (params, hasher) in asked.into_iter().zip(hashers) {
        let cost = Cost::measure(Passwords::new(hasher), permits).await?;
        let (millis, a_second) = (cost.alone.as_secs_f64() * 1e3, cost.a_second);
        let Params(m, t, p) = params;
        let memory = u64::from(m) * u64::try_from(permits)? / 1024;
        println!("{m:7} {t:2} {p:2} | {millis:10.1} | {a_second:17.0} | {memory:5} MiB");
        measured.push((params, cost.alone));
    }

    println!();
    let Some(target) = target else {
        println!("The default is m=19456, t=2, p=1. To choose another, say how many ms a hash may take.");
        return Ok(());
    };
    let fits = measured.iter().filter(|(_, alone)| *alone <= target).max_by_key(|(params, _)| params.work());
    let Some((Params(m, t, p), alone)) = fits else {
        println!(
            "None of these takes at most {} ms, and weaker ones are refused: add CPUs.",
            target.as_millis()
        );
        return Ok(());
    };
    println!("The strongest of at most {} ms takes {:.1}:\n", target.as_millis(), alone.as_secs_f64() * 1e3);
    println!("    Accounts::builder()");
    println!("        .with_passwords(Passwords::new(Argon2Hasher::with_params({m}, {t}, {p})?))");
    println!("\nHashes made with other parameters still verify, and are made anew at the next sign-in.");
    Ok(())
}

#[derive(Clone, Copy)]
struct Params(u32, u32, u32);

impl Params {
    /// As they stand in a stored hash.
    fn parse(text: &str) -> Outcome<Self> {
        let number = |part: Option<&str>, name| part?.strip_prefix(name)?.parse().ok();
        let mut parts = text.split(',');
        let mut next = |name| number(parts.next(), name);
        match (next("m="), next("t="), next("p="), parts.next()) {
            (Some(m), Some(t), Some(p), None) => Ok(Self(m, t, p)),
            _ => Err(format!("`{text}` is neither a number of ms nor of the form m=19456,t=2,p=1").into()),
        }
    }

    fn hasher(self) -> Outcome<Argon2Hasher> {
        Ok(Argon2Hasher::with_params(self.0, self.1, self.2)?)
    }

    /// What is filled in all; of the same amount, more memory is harder to attack.
    fn work(self) -> (u64, u32) {
        (u64::from(self.0) * u64::from(self.1), self.0)
    }
}

struct Cost {
    alone: Duration,
    a_second: f64,
}

impl Cost {
    async fn measure(passwords: Passwords, permits: usize) -> Outcome<Self> {
        let hash = passwords.hash(password()).await?;
        let mut times = Vec::new();
        for _ in 0..HASHES {
            let began = Instant::now();
            verify(&passwords, &hash).await?;
            times.push(began.elapsed());
        }
        times.sort();
        let alone = times.get(HASHES / 2).copied().unwrap_or_default();

        // As many at a time as may run, since memory is shared: it is less than that many times one of them.
        let began = Instant::now();
        let mut working = JoinSet::new();
        for _ in 0..permits {
            let (passwords, hash) = (passwords.clone(), hash.clone());
            working.spawn(async move {
                for _ in 0..HASHES {
                    verify(&passwords, &hash).await.map_err(|error| error.to_string())?;
                }
                Ok::<_, String>(())
            });
        }
        let mut done = 0;
        while let Some(finished) = working.join_next().await {
            finished??;
            done += 1;
        }
        let hashes = f64::from(u32::try_from(done * HASHES)?);
        let a_second = hashes / began.elapsed().as_secs_f64();
        Ok(Self { alone, a_second })
    }
}

fn password() -> SecretString {
    "correct horse battery staple".into()
}

/// What a sign-in costs.
async fn verify(passwords: &Passwords, hash: &PasswordHash) -> Outcome<()> {
    if passwords.verify(password(), Some(hash.clone())).await?.is_match() {
        return Ok(());
    }
    Err("a hash did not verify".into())
}
