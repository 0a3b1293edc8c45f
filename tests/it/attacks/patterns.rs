//! The table and the router are two engines: they must take the same patterns and find the same one for a path.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use axum::extract::MatchedPath;
use axum::routing::get;
use http::{Method, Request, Uri};
use portcullis::authz::policy::{Decision, Policy, PolicyOutcome};
use portcullis::authz::{AccessMap, AccessMapBuilder, AccessRequest, Lookup, RoleModel, Rule};
use proptest::prelude::*;

use super::routing::{mutate, mutation};
use crate::layers::send;

/// What paths are made of; `c` is written out in no pattern.
const SEGMENTS: [&str; 5] = ["a", "b", "ab", "aab", "c"];

fn pattern() -> impl Strategy<Value = String> {
    let segment = proptest::sample::select(vec!["a", "b", "ab", "{x}", "{y}", "a{x}", "a{y}"]);
    let end = proptest::sample::select(vec!["", "", "/", "/{*rest}", "/{*tail}", "/a{*rest}"]);
    (proptest::collection::vec(segment, 0..4), end).prop_map(|(segments, end)| {
        let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        if path.is_empty() && end.is_empty() { "/".to_owned() } else { path + end }
    })
}

/// All paths of up to this many segments, with and without a slash at the end.
fn paths(depth: usize) -> Vec<String> {
    let mut all = vec!["/".to_owned()];
    let mut longest = vec![String::new()];
    for _ in 0..depth {
        longest =
            longest.iter().flat_map(|path| SEGMENTS.map(|segment| format!("{path}/{segment}"))).collect();
        all.extend(longest.iter().flat_map(|path| [path.clone(), format!("{path}/")]));
    }
    all
}

/// A rule that names its entry.
struct Named(String);

impl Policy for Named {
    fn decide(&self, _: &AccessRequest<'_>) -> PolicyOutcome {
        PolicyOutcome::Ready(Decision::Allow)
    }

    fn describe(&self) -> String {
        self.0.clone()
    }
}

fn table(patterns: &BTreeSet<String>) -> Option<AccessMap> {
    let add = |map: AccessMapBuilder, pattern: &String| {
        map.add(Method::GET, pattern, Rule::policy(Named(pattern.clone())))
    };
    patterns.iter().fold(AccessMap::builder(), add).build(&RoleModel::default()).ok()
}

fn found(map: &AccessMap, path: &str) -> Option<String> {
    match map.lookup_path(&Method::GET, path) {
        Lookup::Rule(rule) => Some(rule.to_string()),
        Lookup::MethodNotAllowed { .. } => panic!("{path}"),
        Lookup::Unmapped => None,
    }
}

/// Attack log A1: whatever set of patterns the table accepts, axum accepts, each entry is reached by some path, and both
/// find the same entry for every path that the table takes at all.
// ASVS 8.3.1
#[test]
fn the_table_and_the_router_agree() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (near, far) = (paths(2), paths(4));
    let sets = proptest::collection::btree_set(pattern(), 1..7);
    let strange = proptest::collection::vec(
        (0..far.len(), proptest::collection::vec((0_usize..32, mutation()), 1..4)),
        20,
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(256));
    let (accepted, compared) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let outcome = runner.run(&(sets, strange), |(patterns, strange)| {
        let Some(map) = table(&patterns) else { return Ok(()) };
        accepted.set(accepted.get() + 1);
        let reached: BTreeSet<_> = far.iter().filter_map(|path| found(&map, path)).collect();
        prop_assert_eq!(&reached, &patterns, "an entry is never reached");

        let tell = get(async |matched: MatchedPath| matched.as_str().to_owned());
        let router =
            patterns.iter().fold(Router::new(), |router, pattern| router.route(pattern, tell.clone()));
        let strange = strange.iter().map(|(path, mutations)| mutate(&far[*path], mutations));
        for path in near.iter().cloned().chain(strange) {
            let Ok(uri) = path.parse::<Uri>() else { continue };
            let table = found(&map, uri.path());
            let request = Request::get(uri.clone()).body(Body::empty()).unwrap();
            let answer = runtime.block_on(send(&router, request));
            let matched = answer.status.is_success().then_some(answer.body);
            // What is not canonical the table doesn't take; there the router may well find something.
            if table.is_some() || near.contains(&path) {
                prop_assert_eq!(matched, table, "{}", path);
                compared.set(compared.get() + 1);
            }
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(accepted.get() > 50, "{}", accepted.get());
    assert!(compared.get() > 1000, "{}", compared.get());
}
