//! Headers: how many, which only once, and which nobody outside may send.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use http::header::{self, HeaderMap, HeaderName};

use super::rule::{FirewallRule, Relaxed};

/// Headers that decide something: of two, each reader takes the one it likes.
const SINGLE: &[&str] = &["authorization", "content-length", "content-type", "host", "origin", "x-api-key"];

/// Headers that say how to treat a request instead of what is asked. Nobody outside may send them.
const INTERNAL: &[&str] = &[
    // The method.
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "_method",
    // The path.
    "x-original-url",
    "x-rewrite-url",
    // Whether to ask at all: CVE-2025-29927.
    "x-middleware-subrequest",
    // The proxy of whatever runs behind: CVE-2016-5385.
    "proxy",
];

/// Headers in which a proxy says who asks, for what and how. Only a trusted one may; with these goes all of `X-Forwarded-*`.
const PROXIED: &[&str] = &[
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-uri",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "front-end-https",
    "x-url-scheme",
    "x-request-id",
    "remote-user",
    "x-remote-user",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-groups",
];
const PROXIED_PREFIX: &str = "x-forwarded-";

/// What other headers must not be mistaken for.
const KNOWN: &[&str] =
    &["connection", "cookie", "proxy-authorization", "referer", "transfer-encoding", "upgrade"];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Class {
    single: bool,
    strip: Strip,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Strip {
    #[default]
    Never,
    /// Unless a trusted proxy sent it.
    Stranger,
    Always,
}

/// What is known of headers by their names.
#[derive(Clone, Debug)]
pub(super) struct HeaderRules {
    by_name: HashMap<HeaderName, Class, FixedState>,
    pub(super) max_count: usize,
    pub(super) max_value_bytes: usize,
}

impl HeaderRules {
    pub(super) fn add_single(&mut self, name: HeaderName) {
        self.by_name.entry(name).or_default().single = true;
    }

    pub(super) fn allow_several(&mut self, name: HeaderName) {
        self.by_name.entry(name).or_default().single = false;
    }

    pub(super) fn add_internal(&mut self, name: HeaderName) {
        self.by_name.entry(name).or_default().strip = Strip::Always;
    }

    pub(super) fn add_proxied(&mut self, name: HeaderName) {
        self.by_name.entry(name).or_default().strip = Strip::Stranger;
    }

    pub(super) fn allow(&mut self, name: HeaderName) {
        self.by_name.insert(name, Class::default());
    }

    /// Whether some of these headers are to be taken out.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        trusted: bool,
        relaxed: Relaxed,
    ) -> Result<bool, FirewallRule> {
        if headers.len() > self.max_count {
            return Err(FirewallRule::HeaderCount);
        }
        if headers.values().any(|value| value.len() > self.max_value_bytes) {
            return Err(FirewallRule::HeaderLength);
        }
        let repeats = headers.len() > headers.keys_len();
        let (mut strip, mut underscored) = (false, false);
        for name in headers.keys() {
            let class = self.class(name);
            strip |= class.is_some_and(|class| class.is_stripped(trusted));
            underscored |= name.as_str().contains('_');
            if repeats
                && class.is_some_and(|class| class.single)
                && headers.get_all(name).iter().nth(1).is_some()
            {
                relaxed.refuse(FirewallRule::DuplicateHeader)?;
            }
        }
        if headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH) {
            relaxed.refuse(FirewallRule::LengthAndEncoding)?;
        }
        if underscored && self.has_twins(headers) {
            relaxed.refuse(FirewallRule::HeaderTwin)?;
        }
        Ok(strip)
    }

    pub(super) fn strip(&self, headers: &mut HeaderMap, trusted: bool) {
        let stripped = |name: &&HeaderName| self.class(name).is_some_and(|class| class.is_stripped(trusted));
        let names: Vec<HeaderName> = headers.keys().filter(stripped).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }

    fn class(&self, name: &HeaderName) -> Option<Class> {
        let forwarded = || name.as_str().starts_with(PROXIED_PREFIX);
        let known = self.by_name.get(name).copied();
        known.or_else(|| forwarded().then_some(Class { single: false, strip: Strip::Stranger }))
    }

    /// Whether a name with `_` is that of another header here, or of one that matters, for whoever takes `_` for `-`.
    fn has_twins(&self, headers: &HeaderMap) -> bool {
        let underscored = headers.keys().map(HeaderName::as_str).filter(|name| name.contains('_'));
        let hyphenated = |name: &str| HeaderName::try_from(name.replace('_', "-")).ok();
        // `_method` and the like are named so themselves, and taken out.
        let strange = underscored.filter(|name| !INTERNAL.contains(name));
        let mut twins: Vec<HeaderName> = strange.filter_map(hyphenated).collect();
        if twins.iter().any(|twin| headers.contains_key(twin) || self.class(twin).is_some()) {
            return true;
        }
        twins.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        twins.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
    }
}

impl Default for HeaderRules {
    fn default() -> Self {
        let mut rules = Self { by_name: HashMap::default(), max_count: 100, max_value_bytes: 16 * 1024 };
        INTERNAL.iter().for_each(|name| rules.add_internal(HeaderName::from_static(name)));
        PROXIED.iter().for_each(|name| rules.add_proxied(HeaderName::from_static(name)));
        SINGLE.iter().for_each(|name| rules.add_single(HeaderName::from_static(name)));
        KNOWN.iter().for_each(|name| rules.allow(HeaderName::from_static(name)));
        rules
    }
}

impl Class {
    fn is_stripped(self, trusted: bool) -> bool {
        match self.strip {
            Strip::Never => false,
            Strip::Stranger => !trusted,
            Strip::Always => true,
        }
    }
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
