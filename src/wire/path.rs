//! What was asked for, whatever a router took off it.

use http::request::Parts;

use crate::authz::Rule;

/// The whole path of the request. `None` if it was rewritten on the way here by more than a prefix, so that what was
/// asked for and what would be served may differ.
pub(crate) fn whole_path(parts: &Parts) -> Option<&str> {
    let path = parts.uri.path();
    match original_path(parts) {
        None => Some(path),
        // axum's `nest` takes its prefix off the path for everything inside.
        Some(original) if original.ends_with(path) || path == "/" => Some(original),
        Some(_) => None,
    }
}

/// The path as a policy sees it; nothing else reads it.
pub(crate) fn asked_for<'a>(parts: &'a Parts, rule: &Rule) -> &'a str {
    let path = if rule.is_policy() { whole_path(parts) } else { None };
    path.unwrap_or(parts.uri.path())
}

/// Whether a router has matched the request already, so that it is too late to change what it matches.
pub(crate) fn is_routed(parts: &Parts) -> bool {
    original_path(parts).is_some() || matched_route(&parts.extensions).is_some()
}

#[cfg(feature = "axum")]
fn original_path(parts: &Parts) -> Option<&str> {
    parts.extensions.get::<::axum::extract::OriginalUri>().map(|original| original.0.path())
}

#[cfg(not(feature = "axum"))]
fn original_path(_: &Parts) -> Option<&str> {
    None
}

/// The pattern a router matched: words of ours, where the path is the client's.
#[cfg(feature = "axum")]
pub(crate) fn matched_route(extensions: &http::Extensions) -> Option<&str> {
    extensions.get::<::axum::extract::MatchedPath>().map(::axum::extract::MatchedPath::as_str)
}

/// No router says what it matched.
#[cfg(not(feature = "axum"))]
pub(crate) fn matched_route(_: &http::Extensions) -> Option<&str> {
    None
}
