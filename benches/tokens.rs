//! Making and verifying access tokens, without a request around them.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use portcullis::TenantId;
use portcullis::crypto::Algorithm;
use portcullis::id::{FamilyId, TokenId};
use portcullis::principal::AuthMethod;
use portcullis::time::{Clock, SystemClock};
use portcullis::token::{AccessTokens, Claims, VerifyAccessToken as _};
use secrecy::ExposeSecret as _;
use tokio::runtime::Runtime;

use crate::support::{ALGORITHMS, in_memory, issue, token_policies};
use crate::table::Table;

pub fn run(criterion: &mut Criterion, runtime: &Runtime, table: &mut Table) {
    let algorithms = || ALGORITHMS.into_iter().chain([Algorithm::Ps256]);
    for ((again, policy), algorithm) in
        token_policies().into_iter().flat_map(|policy| algorithms().map(move |algorithm| (policy, algorithm)))
    {
        let (accounts, user) = runtime.block_on(in_memory(algorithm, policy));
        let token = runtime.block_on(issue(&accounts, &user)).access_token;
        let access = AccessTokens::new(accounts.tokens().clone(), TenantId::default());
        let verify = || access.verify(black_box(token.expose_secret())).unwrap();

        let now = SystemClock::new().now();
        let claims = Claims::new(user.id, TokenId::mint().unwrap(), now, now + Duration::from_secs(600))
            .with_family(FamilyId::mint().unwrap())
            .with_roles(["user"])
            .with_auth_time(now)
            .with_auth_methods([AuthMethod::Password]);
        let mint = || accounts.tokens().codec().encode(black_box(&claims)).unwrap();

        allocation_counter::opt_out(|| {
            let name = format!("{algorithm}{again}");
            criterion.benchmark_group("verify").bench_function(name, |b| b.iter(verify));
            if again.is_empty() {
                criterion.benchmark_group("mint").bench_function(algorithm.as_str(), |b| b.iter(mint));
            }
        });
        table.count(&format!("verify/{algorithm}{again}"), || drop(verify()));
        if again.is_empty() {
            table.count(&format!("mint/{algorithm}"), || drop(mint()));
        }
        runtime.block_on(accounts.tokens().revocations().shutdown());
    }
}
