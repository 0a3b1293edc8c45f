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

use crate::support::{ALGORITHMS, in_memory, issue};
use crate::table::Table;

pub fn run(criterion: &mut Criterion, runtime: &Runtime, table: &mut Table) {
    for algorithm in ALGORITHMS.into_iter().chain([Algorithm::Ps256]) {
        let (accounts, user) = runtime.block_on(in_memory(algorithm));
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
            criterion.benchmark_group("verify").bench_function(algorithm.as_str(), |b| b.iter(verify));
            criterion.benchmark_group("mint").bench_function(algorithm.as_str(), |b| b.iter(mint));
        });
        table.count(&format!("verify/{algorithm}"), || drop(verify()));
        table.count(&format!("mint/{algorithm}"), || drop(mint()));
        runtime.block_on(accounts.tokens().revocations().shutdown());
    }
}
