//! What a request costs does not depend on how many roles, routes, users and clients there are: what the whole gate adds,
//! with what a bare axum needs for as much taken away.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::routing::get;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, StatusCode};
use portcullis::authz::{Role, RoleModel, Rule};
use portcullis::axum::GateService;
use portcullis::crypto::Algorithm;
use portcullis::gate::Gate;
use portcullis::rate_limit::{Quota, RateLimit};
use portcullis::store::{MemoryStore, TokenStore, User, UserInsertion, UserStore};
use portcullis::token::{AccessTokens, Tokens};
use portcullis::{Subject, TenantId};
use tokio::runtime::Runtime;
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;

use crate::bearer::{bare, handler};
use crate::calls::{Answers, answer, plain_request, request_from, with};
use crate::limit::Keys;
use crate::material::{Material, bearer, now, runtime};
use crate::measure::{Cost, Table, measure};
use crate::stack::whole;

const AT_MOST: f64 = 1.2;
/// Different ones: each role has a bit for each permission there is.
const PERMISSIONS: u32 = 200;

pub fn roles() -> Table {
    let mut table = Table::new("flat: roles in the model", "10");
    let world = World::new();
    let bare = world.cost(&mut bare());
    for count in [10, 1_000, 100_000] {
        let mut gate = world.gate(&world.tokens, model(count), limit(), 1);
        table.add(count.to_string(), minus(world.cost(&mut gate), bare));
    }
    table.note(format!("with {PERMISSIONS} permissions among them"));
    table.target_of_growth(AT_MOST);
    table
}

pub fn routes() -> Table {
    let mut table = Table::new("flat: routes", "10");
    let world = World::new();
    for count in [10, 1_000, 10_000] {
        let bare = (1..count).fold(bare(), |router, n| router.route(&other(n), get(handler)));
        let bare = world.cost(&mut { bare });
        let mut gate = world.gate(&world.tokens, model(10), limit(), count);
        table.add(count.to_string(), minus(world.cost(&mut gate), bare));
    }
    table.note("each time after a bare router of as many".to_owned());
    table.target_of_growth(AT_MOST);
    table
}

/// They are in the store; the token of one comes again and again.
pub fn users() -> Table {
    let mut table = Table::new("flat: users", "10");
    let world = World::new();
    let bare = world.cost(&mut bare());
    let store = Arc::new(MemoryStore::new());
    let mut stored = 0;
    for count in [10, 10_000, 1_000_000] {
        world.runtime.block_on(async {
            for _ in stored..count {
                let subject = Subject::mint().expect("there is randomness");
                let user = User::new(TenantId::default(), subject, now());
                let inserted = UserStore::insert(&*store, &user).await.expect("there is room");
                assert_eq!(inserted, UserInsertion::Inserted);
            }
        });
        stored = count;
        let over: Arc<dyn TokenStore> = store.clone();
        let tokens = world.material.tokens_over(&world.runtime, over);
        let mut gate = world.gate(&tokens, model(10), limit(), 1);
        table.add(count.to_string(), minus(world.cost(&mut gate), bare));
    }
    table.target_of_growth(AT_MOST);
    table
}

/// Each has a token and they come in no order: whose was forgotten in between is verified again.
pub fn users_in_turn() -> Table {
    let mut table = Table::new("users who come in no order", "10");
    let world = World::new();
    let bare = world.cost(&mut bare());
    for count in [10_u32, 10_000, 100_000] {
        let tokens: Vec<HeaderValue> = (0..count).map(|_| bearer(&world.material.token())).collect();
        let mut gate = world.gate(&world.tokens, model(10), limit(), 1);
        let mut ask = |token: &HeaderValue| ok(&mut gate, with(plain_request(), &AUTHORIZATION, token));
        tokens.iter().for_each(&mut ask);
        let mut keys = Keys { state: 1, count: u64::from(count) };
        let cost = measure(|| ask(&tokens[keys.next() as usize]));
        table.add(count.to_string(), minus(cost, bare));
    }
    table.note(
        "no target: 16 384 tokens are remembered if nothing is said; an HS256 signature is the rest"
            .to_owned(),
    );
    table
}

/// Everybody has come by before, has something on the account, and comes again in no order.
pub fn limiter_keys() -> Table {
    let mut table = Table::new("flat: live limiter keys", "portcullis, 10");
    let world = World::new();
    let counts = [10, 10_000, 1_000_000];
    let base = in_no_order(10, &world, &mut bare());
    let mut theirs = Vec::new();
    for count in counts {
        let config = GovernorConfigBuilder::default()
            .per_second(1)
            .burst_size(100_000_000)
            .finish()
            .expect("is a quota");
        let cost = in_no_order(count, &world, &mut bare().layer(GovernorLayer::new(config)));
        theirs.push(minus(cost, base).nanos);
        table.add(format!("tower_governor alone, {count}"), minus(cost, base));
    }
    for count in counts {
        let mut gate = world.gate(&world.tokens, model(10), limit(), 1);
        let cost = in_no_order(count, &world, &mut gate);
        table.add(format!("portcullis, {count}"), minus(cost, base));
    }
    table.note(format!("tower_governor alone: {:.2} of its own with 10", theirs[2] / theirs[0]));
    table.target_of_growth(AT_MOST);
    table
}

fn in_no_order<S: Answers>(count: u32, world: &World, service: &mut S) -> Cost {
    let mut ask = |key: u32| {
        let address = Ipv4Addr::from((10 << 24) + key).octets();
        ok(service, with(request_from(address), &AUTHORIZATION, &world.token));
    };
    (0..count).for_each(&mut ask);
    let mut keys = Keys { state: 1, count: u64::from(count) };
    measure(|| ask(keys.next()))
}

struct World {
    runtime: Runtime,
    material: Material,
    token: HeaderValue,
    tokens: Tokens,
}

impl World {
    fn new() -> Self {
        let (runtime, material) = (runtime(), Material::new(Algorithm::Hs256));
        let (token, tokens) = (bearer(&material.token()), material.tokens(&runtime));
        Self { runtime, material, token, tokens }
    }

    fn gate(&self, tokens: &Tokens, roles: RoleModel, limit: RateLimit, routes: u32) -> GateService {
        let verifier = AccessTokens::new(tokens.clone(), TenantId::default());
        let gate = whole(Gate::builder().with_access_tokens(verifier).with_roles(roles), limit);
        let gate = self.runtime.block_on(gate.build()).expect("the gate stands");
        let router = gate.router().route(Method::GET, "/tasks/{id}", handler, Rule::permission("tasks:read"));
        let other = |router: portcullis::axum::GateRouter, n| {
            router.route(Method::GET, other(n), handler, Rule::permission("tasks:read"))
        };
        (1..routes).fold(router, other).finish().expect("is closed")
    }

    fn cost<S: Answers>(&self, service: &mut S) -> Cost {
        measure(|| ok(service, with(plain_request(), &AUTHORIZATION, &self.token)))
    }
}

fn ok<S: Answers>(service: &mut S, request: axum::extract::Request) {
    assert_eq!(answer(service, request).status(), StatusCode::OK);
}

fn model(count: u32) -> RoleModel {
    let role = |n| Role::new(format!("role-{n}")).grants(format!("things-{}:read", n % PERMISSIONS));
    let user = RoleModel::builder().add(Role::new("user").grants("tasks:read"));
    (1..count).fold(user, |model, n| model.add(role(n))).build().expect("roles are well-formed")
}

fn other(n: u32) -> String {
    format!("/other-{n}/{{id}}")
}

/// Nobody reaches it, everybody has something on the account, and there is room for all.
fn limit() -> RateLimit {
    let quota = Quota::per_second(1).burst(10_000_000);
    RateLimit::builder("address").add_quota(quota).with_capacity(1 << 20).build().expect("can stand")
}

fn minus(cost: Cost, bare: Cost) -> Cost {
    Cost { nanos: cost.nanos - bare.nanos, allocations: cost.allocations.saturating_sub(bare.allocations) }
}
