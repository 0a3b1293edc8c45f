//! What happens to an answer.

use std::collections::BTreeSet;
use std::mem;

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN, SET_COOKIE,
    STRICT_TRANSPORT_SECURITY, VARY,
};
use http::request::Parts;
use http::{Extensions, Response};

use super::builder::{SecurityHeadersBuilder, header_name};
use super::csp::{ContentSecurityPolicy, CspNonce};
use super::lines::{Lines, Names, Places};
use super::merge::{Merge, TARGETED, says_no_store};
use super::value::SecurityHeader;
use crate::error::ConfigError;
use crate::lasting::lasting;
use crate::wire::merge_vary;

/// The headers of every answer, put together once: see the [module](super).
#[derive(Clone, Debug)]
pub struct SecurityHeaders {
    secure: Templates,
    plain: Templates,
    /// Those that need a nonce.
    policies: Vec<(HeaderName, ContentSecurityPolicy)>,
    kept: Vec<HeaderName>,
    removed: Names,
    credentials: Vec<HeaderName>,
    caching: Option<Caching>,
}

#[derive(Clone, Debug)]
struct Templates {
    open: Template,
    /// With what forbids storing.
    no_store: Template,
    removes_hsts: bool,
}

/// Cloned for an answer.
#[derive(Clone, Debug)]
struct Template {
    /// For an answer that says nothing itself.
    bare: HeaderMap,
    /// With an empty value for each header that is expected, so that it takes that place and the table need not grow: a
    /// clone has room for what it was cloned from, and for nothing else.
    roomy: HeaderMap,
    places: Places,
}

#[derive(Clone, Debug)]
struct Caching {
    vary: HeaderValue,
    keeps: bool,
}

/// What is known of a request when its answer is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prepared {
    secure: bool,
    credentials: bool,
    nonce: Option<CspNonce>,
}

/// In an answer's extensions: it is the same for everybody and may be stored, although the request came with a
/// credential, as that of a browser for a picture does. An answer that sets a cookie is not stored all the same.
///
/// ```
/// use portcullis::headers::Cacheable;
///
/// async fn logo() -> (axum::Extension<Cacheable>, [(&'static str, &'static str); 1], &'static str) {
///     (axum::Extension(Cacheable), [("cache-control", "public, max-age=86400")], "<svg/>")
/// }
/// # let _: axum::Router = axum::Router::new().route("/logo.svg", axum::routing::get(logo));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cacheable;

impl Prepared {
    /// The nonce of the request, if a policy needs one.
    #[must_use]
    pub fn nonce(&self) -> Option<CspNonce> {
        self.nonce
    }

    fn forbids_storing<B>(&self, response: &Response<B>) -> bool {
        self.credentials && response.extensions().get::<Cacheable>().is_none()
    }
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What nearly every answer with a body says.
const EXPECTED: [HeaderName; 2] = [CONTENT_TYPE, CONTENT_LENGTH];

/// How many headers of a handler fit without growing the table.
const ROOM: usize = 8;

impl SecurityHeaders {
    /// For services that answer with data: `default-src 'none'`, nothing embedded, no referrer, every feature off. Each
    /// value stands in the table of the [module](super).
    pub fn api() -> SecurityHeadersBuilder {
        SecurityHeadersBuilder::api()
    }

    /// For services that answer with pages: a nonce for every request, [`Csp::html`](super::Csp::html).
    pub fn html() -> SecurityHeadersBuilder {
        SecurityHeadersBuilder::html()
    }

    /// What an answer over a secure channel carries when no credential is involved, for reports.
    pub fn values(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.secure.open.bare.iter()
    }

    /// Before the handler: makes the nonce, if there has to be one, and looks for credentials. `secure` says whether the
    /// request came over TLS: [`RequestContext::is_secure`](crate::RequestContext::is_secure).
    pub fn prepare(&self, parts: &mut Parts, secure: bool) -> Prepared {
        self.prepare_with(self.has_credentials(&parts.headers), &mut parts.extensions, secure)
    }

    /// After the handler: what becomes of its headers stands on the page of the [module](super).
    pub fn apply<B>(&self, prepared: &Prepared, response: &mut Response<B>) {
        let no_store = prepared.forbids_storing(response);
        self.apply_to(prepared, no_store, response.headers_mut(), None::<fn(&mut Lines<'_>)>);
    }

    /// The same, with what else the answer shall say: it takes its place at once, so that no table grows for it.
    pub(crate) fn apply_with<B>(
        &self,
        prepared: &Prepared,
        response: &mut Response<B>,
        say: impl FnOnce(&mut Lines<'_>),
    ) {
        let no_store = prepared.forbids_storing(response);
        self.apply_to(prepared, no_store, response.headers_mut(), Some(say));
    }

    pub(super) fn has_credentials(&self, headers: &HeaderMap) -> bool {
        self.caching.is_some() && self.credentials.iter().any(|name| headers.contains_key(name))
    }

    pub(super) fn prepare_with(
        &self,
        credentials: bool,
        extensions: &mut Extensions,
        secure: bool,
    ) -> Prepared {
        let nonce = if self.policies.is_empty() { None } else { nonce(extensions) };
        Prepared { secure, credentials, nonce }
    }

    pub(super) fn compile(builder: &SecurityHeadersBuilder) -> Result<Self, ConfigError> {
        let values = builder.values()?;
        let names = |names: &BTreeSet<String>| -> Result<Vec<_>, ConfigError> {
            names.iter().map(|name| header_name(name)).collect()
        };
        let has_caching = builder.settings.contains_key(&SecurityHeader::CacheControl);
        let vary =
            builder.credentials.iter().map(String::as_str).chain(["origin"]).collect::<Vec<_>>().join(", ");
        let vary = lasting(HeaderValue::from_str(&vary).map_err(|_| {
            ConfigError::new("headers of credentials", "have a name that is none", "use letters")
        })?);
        let credentials = names(&builder.credentials)?;
        let template = |secure: bool, no_store: bool| {
            let mut map = HeaderMap::with_capacity(values.fixed.len() + 2 + ROOM);
            for (name, value) in &values.fixed {
                if (*name != STRICT_TRANSPORT_SECURITY || secure) && (*name != CACHE_CONTROL || no_store) {
                    map.insert(name, lasting(value.clone()));
                }
            }
            let mut varies = Vec::new();
            if no_store {
                map.insert(VARY, vary.clone());
                varies.clone_from(&credentials);
                varies.push(ORIGIN);
            }
            Template { places: Places::none_in(&map, varies), roomy: map.clone(), bare: map }
        };
        let hsts = SecurityHeader::StrictTransportSecurity;
        let templates = |secure: bool| Templates {
            open: template(secure, false),
            no_store: template(secure, has_caching),
            removes_hsts: !secure && builder.settings.contains_key(&hsts) && !builder.kept.contains(&hsts),
        };
        let headers = Self {
            secure: templates(true),
            plain: templates(false),
            policies: values.policies,
            kept: builder.kept.iter().map(|header| header.name()).collect(),
            removed: Names::new(names(&builder.removed)?),
            credentials,
            caching: has_caching
                .then(|| Caching { vary, keeps: builder.kept.contains(&SecurityHeader::CacheControl) }),
        };
        Ok(headers.expecting(EXPECTED))
    }

    /// Keeps a place for headers that most answers will have. What an answer says in the end is the same.
    pub(crate) fn expecting(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let Self { secure, plain, removed, .. } = &mut self;
        // INVARIANT: what has its place is taken as it comes, so nothing is expected that may have to be left out or that
        // says something of the rest.
        let is_plain = |name: &HeaderName| {
            let special = [SET_COOKIE, STRICT_TRANSPORT_SECURITY].contains(name) || TARGETED.contains(name);
            !special && !removed.contains(name)
        };
        for name in names.into_iter().filter(is_plain) {
            for template in [&mut secure.open, &mut secure.no_store, &mut plain.open, &mut plain.no_store] {
                template.places.keep(&mut template.roomy, name.clone());
            }
        }
        self
    }

    fn apply_to(
        &self,
        prepared: &Prepared,
        no_store: bool,
        headers: &mut HeaderMap,
        say: Option<impl FnOnce(&mut Lines<'_>)>,
    ) {
        let templates = if prepared.secure { &self.secure } else { &self.plain };
        let template = if no_store { &templates.no_store } else { &templates.open };
        // One clone, into which the few headers of the handler move, instead of many inserts into those.
        let is_bare = headers.is_empty() && say.is_none();
        let table = if is_bare { &template.bare } else { &template.roomy };
        let theirs = mem::replace(headers, table.clone());
        for (name, policy) in self.policies.iter().filter(|_| prepared.nonce.is_some()) {
            headers.insert(name.clone(), policy.value(prepared.nonce.as_ref()));
        }
        let mut merge = Merge {
            kept: &self.kept,
            keeps_caching: self.caching.as_ref().is_some_and(|caching| caching.keeps),
            removes_hsts: templates.removes_hsts,
            no_store,
            lines: if is_bare {
                Lines::of(headers)
            } else {
                Lines::new(headers, &template.places, &self.removed)
            },
        };
        let sets_cookie = merge.take_all(theirs);
        if let Some(say) = say {
            say(&mut merge.lines);
        }
        merge.lines.close();
        if sets_cookie && !no_store {
            self.forbid_storing(headers);
        }
    }

    fn forbid_storing(&self, headers: &mut HeaderMap) {
        let Some(caching) = &self.caching else { return };
        if !caching.keeps && !headers.get_all(CACHE_CONTROL).iter().any(says_no_store) {
            let _ = headers.try_insert(CACHE_CONTROL, NO_STORE);
            TARGETED.iter().for_each(|name| drop(headers.remove(name)));
        }
        let vary = merge_vary(headers.get_all(VARY).iter(), &caching.vary);
        let _ = headers.try_insert(VARY, vary);
    }
}

/// The nonce of the request; that of an outer layer, if there is one, so that both name the same.
fn nonce(extensions: &mut Extensions) -> Option<CspNonce> {
    if let Some(nonce) = extensions.get::<CspNonce>() {
        return Some(*nonce);
    }
    match CspNonce::generate() {
        Ok(nonce) => {
            extensions.insert(nonce);
            Some(nonce)
        }
        Err(error) => {
            tracing::error!(%error, "no nonce for a page: its scripts and styles will not be let in");
            None
        }
    }
}
