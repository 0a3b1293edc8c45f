//! Content Security Policies.

mod compiled;
mod directive;
mod nonce;
mod source;
#[cfg(test)]
mod tests;

pub use compiled::ContentSecurityPolicy;
pub use directive::Directive;
pub use nonce::CspNonce;
pub(super) use source::is_key;
pub use source::{Source, Unsafe};

use self::directive::Takes;
use self::source::{Flaw, Part, check};
use crate::error::ConfigError;

/// A Content Security Policy in the making. What is wrong with it is said by [`build`](Self::build), which
/// [`SecurityHeadersBuilder::build`](super::SecurityHeadersBuilder::build) calls.
///
/// | refused | because |
/// |---|---|
/// | unknown and duplicated directives | browsers pass over them without a word |
/// | `self`, `none`, `unsafe-inline` without quotes | they would be names of hosts |
/// | `'none'` beside something else | browsers pass over it |
/// | `;`, `,`, white space in a value | it would be another directive, or another policy |
/// | `'unsafe-inline'`, `'unsafe-eval'` and the like | only through [`danger_allow`](Self::danger_allow) |
/// | `*`, `https:`, `data:` where code is loaded from | the same |
/// | a nonce written down, a digest of the wrong length, what is no host | it protects nobody, or allows nothing |
/// | `'strict-dynamic'` without a nonce or hash | no script would ever run |
///
/// ```
/// use portcullis::headers::{Csp, Directive};
///
/// let csp = Csp::html().with(Directive::ImgSrc, ["'self'", "https://img.example"]).build()?;
/// assert!(csp.to_string().ends_with("; img-src 'self' https://img.example"));
///
/// let error = Csp::html().with(Directive::ImgSrc, ["self"]).build().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "Content-Security-Policy: img-src: `self` is a keyword without its quotes; write it in single quotes"
/// );
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Csp {
    entries: Vec<Entry>,
    /// Found while reading text; the first is reported.
    flaw: Option<ConfigError>,
}

#[derive(Clone, Debug)]
struct Entry {
    directive: Directive,
    sources: Vec<Source>,
    allowed: Vec<Unsafe>,
}

impl Csp {
    /// No directive yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For answers that are no pages: nothing is loaded, nobody embeds them.
    #[must_use]
    pub fn api() -> Self {
        Self::new()
            .add(Directive::DefaultSrc, [Source::none()])
            .add(Directive::FrameAncestors, [Source::none()])
    }

    /// For pages: scripts run that carry the nonce of the request, and what they load; styles and everything else come
    /// from the page's own origin; nobody embeds the page (ASVS 3.4.3, 3.4.6).
    #[must_use]
    pub fn html() -> Self {
        Self::new()
            .add(Directive::DefaultSrc, [Source::this_origin()])
            .with_strict_dynamic()
            .add(Directive::StyleSrc, [Source::this_origin(), Source::nonce()])
            .add(Directive::FormAction, [Source::this_origin()])
            .add(Directive::FrameAncestors, [Source::none()])
    }

    /// Reads a policy as it stands in a header, to the same rules.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut csp = Self::new();
        for part in text.split(';') {
            let mut words = part.split_ascii_whitespace();
            let Some(name) = words.next() else { continue };
            match Directive::parse(name) {
                Some(directive) => csp = csp.add(directive, words),
                None => csp.note(name, Flaw::new("is no directive", "see `Directive::ALL`")),
            }
        }
        csp
    }

    /// Adds a directive. One that is there already is an error of [`build`](Self::build); [`with`](Self::with) replaces.
    #[must_use]
    pub fn add<S: Into<Source>>(
        mut self,
        directive: Directive,
        sources: impl IntoIterator<Item = S>,
    ) -> Self {
        if self.entries.iter().any(|entry| entry.directive == directive) {
            self.note(
                directive.as_str(),
                Flaw::new("stands twice", "write it once, or replace it by `with`"),
            );
            return self;
        }
        let sources = sources.into_iter().map(Into::into).collect();
        self.entries.push(Entry { directive, sources, allowed: Vec::new() });
        self
    }

    /// Adds a directive without a value: `upgrade-insecure-requests`, or a `sandbox` that allows nothing.
    #[must_use]
    pub fn add_flag(self, directive: Directive) -> Self {
        self.add(directive, [] as [Source; 0])
    }

    /// This directive, in place of what it was, with what was allowed there.
    #[must_use]
    pub fn with<S: Into<Source>>(
        mut self,
        directive: Directive,
        sources: impl IntoIterator<Item = S>,
    ) -> Self {
        let sources = sources.into_iter().map(Into::into).collect();
        match self.entries.iter_mut().find(|entry| entry.directive == directive) {
            Some(entry) => *entry = Entry { directive, sources, allowed: Vec::new() },
            None => self.entries.push(Entry { directive, sources, allowed: Vec::new() }),
        }
        self
    }

    /// Leaves a directive out.
    #[must_use]
    pub fn without(mut self, directive: Directive) -> Self {
        self.entries.retain(|entry| entry.directive != directive);
        self
    }

    /// Scripts with the nonce run, and what they load; plugins don't, and `<base>` leads nowhere else.
    #[must_use]
    pub fn with_strict_dynamic(self) -> Self {
        self.with(Directive::ScriptSrc, [Source::nonce(), Source::strict_dynamic()])
            .with(Directive::ObjectSrc, [Source::none()])
            .with(Directive::BaseUri, [Source::none()])
    }

    /// Reports go to this endpoint of [`ReportingEndpoints`](super::ReportingEndpoints) (ASVS 3.4.7).
    #[must_use]
    pub fn with_report_to(self, endpoint: &str) -> Self {
        self.with(Directive::ReportTo, [endpoint])
    }

    /// Lets in what weakens the policy, in a directive that is there or comes into being. What it lets in stands on the
    /// page of each [`Unsafe`]; escape everything a page is put together from all the more.
    #[must_use]
    pub fn danger_allow(mut self, directive: Directive, what: Unsafe) -> Self {
        match self.entries.iter_mut().find(|entry| entry.directive == directive) {
            Some(entry) => entry.allowed.push(what),
            None => self.entries.push(Entry { directive, sources: Vec::new(), allowed: vec![what] }),
        }
        self
    }

    /// Checks it, once and for all.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] that names the directive, for what stands in the table above.
    pub fn build(&self) -> Result<ContentSecurityPolicy, ConfigError> {
        if let Some(flaw) = &self.flaw {
            return Err(flaw.clone());
        }
        if self.entries.is_empty() {
            return Err(ConfigError::new(FIELD, "has no directive", "leave the header out instead"));
        }
        let mut directives = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let parts = entry.parts().map_err(|flaw| flaw.of(entry.directive.as_str()))?;
            directives.push((entry.directive, parts));
        }
        ContentSecurityPolicy::new(&directives)
    }

    fn note(&mut self, name: &str, flaw: Flaw) {
        self.flaw.get_or_insert_with(|| flaw.of(name));
    }
}

const FIELD: &str = "Content-Security-Policy";

impl Flaw {
    fn of(self, name: &str) -> ConfigError {
        ConfigError::new(format!("{FIELD}: {}", name.escape_debug()), self.problem, self.cure)
    }
}

impl Entry {
    fn parts(&self) -> Result<Vec<Part>, Flaw> {
        let mut parts =
            self.sources.iter().map(|source| check(self.directive, source)).collect::<Result<Vec<_>, _>>()?;
        let takes = self.directive.takes();
        if !self.allowed.is_empty() && !matches!(takes, Takes::Sources | Takes::Code) {
            return Err(Flaw::new("has nothing that could be allowed", "leave `danger_allow` out"));
        }
        parts.extend(self.allowed.iter().map(|what| Part::Text(what.as_str().to_owned())));
        let has = |word: &str| {
            parts.iter().any(|p| matches!(p, Part::Text(text) if text.eq_ignore_ascii_case(word)))
        };
        let has_nonce_or_hash =
            parts.iter().any(|p| matches!(p, Part::Nonce) || matches!(p, Part::Text(text) if is_hash(text)));
        if parts.is_empty() && !matches!(takes, Takes::Nothing | Takes::Sandbox) {
            return Err(Flaw::new("has no value", "write `'none'`, with its quotes, or leave it out"));
        }
        if parts.len() > 1 && has("'none'") {
            return Err(Flaw::new("has `'none'` beside other values", "write one or the other"));
        }
        if parts.len() > 1 && takes == Takes::Endpoint {
            return Err(Flaw::new("names more than one endpoint", "name one"));
        }
        if has("'strict-dynamic'") && !has_nonce_or_hash {
            return Err(Flaw::new("has `'strict-dynamic'` without a nonce or hash", "add `Source::nonce`"));
        }
        Ok(parts)
    }
}

fn is_hash(text: &str) -> bool {
    text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("'sha"))
}
