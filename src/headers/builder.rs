//! Which headers there are.

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderValue;
use http::header::HeaderName;

use super::apply::SecurityHeaders;
use super::csp::{ContentSecurityPolicy, Csp};
use super::hsts::Hsts;
use super::permissions::PermissionsPolicy;
use super::reporting::ReportingEndpoints;
use super::value::{
    ContentTypeOptions, CredentialCaching, CrossDomainPolicies, DnsPrefetchControl, DownloadOptions,
    EmbedderPolicy, FrameOptions, OpenerPolicy, OriginAgentCluster, ReferrerPolicy, ResourcePolicy,
    SecurityHeader, XssProtection, header_value,
};
use crate::error::ConfigError;

/// What a header is set to, before it is checked.
#[derive(Clone, Debug)]
pub(super) enum Setting {
    Fixed(&'static str),
    Hsts(Hsts),
    Csp(Csp),
    Permissions(PermissionsPolicy),
    Endpoints(ReportingEndpoints),
}

impl From<Csp> for Setting {
    fn from(csp: Csp) -> Self {
        Self::Csp(csp)
    }
}

/// Makes [`SecurityHeaders`]. The order of calls doesn't matter, but for two about the same header, of which the later
/// counts; no call touches a header it doesn't name.
#[derive(Clone, Debug)]
#[must_use = "nothing is set before `build`"]
pub struct SecurityHeadersBuilder {
    pub(super) settings: BTreeMap<SecurityHeader, Setting>,
    pub(super) custom: Vec<(String, String)>,
    pub(super) kept: BTreeSet<SecurityHeader>,
    pub(super) removed: BTreeSet<String>,
    pub(super) credentials: BTreeSet<String>,
}

macro_rules! settings {
    ($($(#[$doc:meta])* $with:ident, $without:ident, $header:ident: $type:ty;)*) => {
        impl SecurityHeadersBuilder {
            $(
                $(#[$doc])*
                pub fn $with(self, value: $type) -> Self {
                    self.with(SecurityHeader::$header, value)
                }

                /// Leaves this header to the handler, if to anybody.
                pub fn $without(mut self) -> Self {
                    self.settings.remove(&SecurityHeader::$header);
                    self
                }
            )*
        }
    };
}

settings! {
    /// `Strict-Transport-Security`, over secure channels only.
    with_hsts, without_hsts, StrictTransportSecurity: Hsts;
    /// `Content-Security-Policy`.
    with_csp, without_csp, ContentSecurityPolicy: Csp;
    /// `Content-Security-Policy-Report-Only`: tries a policy out. It needs somewhere to report to.
    with_csp_report_only, without_csp_report_only, ContentSecurityPolicyReportOnly: Csp;
    /// `X-Content-Type-Options`.
    with_content_type_options, without_content_type_options, ContentTypeOptions: ContentTypeOptions;
    /// `X-Frame-Options`.
    with_frame_options, without_frame_options, FrameOptions: FrameOptions;
    /// `Referrer-Policy`.
    with_referrer_policy, without_referrer_policy, ReferrerPolicy: ReferrerPolicy;
    /// `Cross-Origin-Opener-Policy`.
    with_opener_policy, without_opener_policy, CrossOriginOpenerPolicy: OpenerPolicy;
    /// `Cross-Origin-Embedder-Policy`.
    with_embedder_policy, without_embedder_policy, CrossOriginEmbedderPolicy: EmbedderPolicy;
    /// `Cross-Origin-Resource-Policy`.
    with_resource_policy, without_resource_policy, CrossOriginResourcePolicy: ResourcePolicy;
    /// `Permissions-Policy`.
    with_permissions_policy, without_permissions_policy, PermissionsPolicy: PermissionsPolicy;
    /// `Origin-Agent-Cluster`.
    with_origin_agent_cluster, without_origin_agent_cluster, OriginAgentCluster: OriginAgentCluster;
    /// `X-DNS-Prefetch-Control`.
    with_dns_prefetch_control, without_dns_prefetch_control, DnsPrefetchControl: DnsPrefetchControl;
    /// `X-Permitted-Cross-Domain-Policies`.
    with_cross_domain_policies, without_cross_domain_policies, PermittedCrossDomainPolicies: CrossDomainPolicies;
    /// `X-Download-Options`.
    with_download_options, without_download_options, DownloadOptions: DownloadOptions;
    /// `X-XSS-Protection`, which can only be turned off. A handler's own is removed either way.
    with_xss_protection, without_xss_protection, XssProtection: XssProtection;
    /// `Reporting-Endpoints`.
    with_reporting_endpoints, without_reporting_endpoints, ReportingEndpoints: ReportingEndpoints;
    /// `Cache-Control: no-store` and `Vary` on answers to requests with credentials, and on answers that set a cookie.
    with_credential_caching, without_credential_caching, CacheControl: CredentialCaching;
}

/// Says what an answer is made with, or controls filters and pins that do more harm than good.
const REMOVED: &[&str] = &[
    "server",
    "x-powered-by",
    "x-aspnet-version",
    "x-aspnetmvc-version",
    "x-generator",
    "x-xss-protection",
    "public-key-pins",
    "public-key-pins-report-only",
];

const CREDENTIALS: &[&str] = &["authorization", "cookie", "x-api-key"];

/// What frames an answer, belongs to a connection, or has a layer of its own.
const NOT_CUSTOM: &[&str] = &[
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "location",
    "server",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "x-powered-by",
];

impl SecurityHeadersBuilder {
    pub(super) fn api() -> Self {
        let bare = Self {
            settings: BTreeMap::new(),
            custom: Vec::new(),
            kept: [SecurityHeader::ContentSecurityPolicy, SecurityHeader::ContentSecurityPolicyReportOnly]
                .into(),
            removed: REMOVED.iter().map(ToString::to_string).collect(),
            credentials: CREDENTIALS.iter().map(ToString::to_string).collect(),
        };
        bare.with_hsts(Hsts::new())
            .with_csp(Csp::api())
            .with_content_type_options(ContentTypeOptions::NoSniff)
            .with_frame_options(FrameOptions::Deny)
            .with_referrer_policy(ReferrerPolicy::NoReferrer)
            .with_opener_policy(OpenerPolicy::SameOrigin)
            .with_resource_policy(ResourcePolicy::SameOrigin)
            .with_permissions_policy(PermissionsPolicy::new())
            .with_credential_caching(CredentialCaching::NoStore)
    }

    pub(super) fn html() -> Self {
        Self::api()
            .with_csp(Csp::html())
            .with_referrer_policy(ReferrerPolicy::StrictOriginWhenCrossOrigin)
            .with_origin_agent_cluster(OriginAgentCluster::Requested)
            .with_dns_prefetch_control(DnsPrefetchControl::Off)
            .with_cross_domain_policies(CrossDomainPolicies::None)
    }

    /// What a handler or inner layer says under this name counts, unless it is blank. The default for the two Content
    /// Security Policies, which know the page; anything else a handler sets is overridden.
    pub fn keep_existing(mut self, header: SecurityHeader) -> Self {
        self.kept.insert(header);
        self
    }

    /// Ours counts, whatever a handler or inner layer says under this name.
    pub fn override_existing(mut self, header: SecurityHeader) -> Self {
        self.kept.remove(&header);
        self
    }

    /// A header this module doesn't know, on every answer, in place of a handler's. Later calls for the same name replace
    /// earlier ones.
    pub fn with_custom(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into().to_ascii_lowercase();
        self.custom.retain(|(other, _)| *other != name);
        self.custom.push((name, value.into()));
        self
    }

    /// Takes a header of a handler or inner layer out of every answer, as `Server` and `X-Powered-By` are (ASVS 13.4.6).
    pub fn remove_header(mut self, name: impl Into<String>) -> Self {
        self.removed.insert(name.into().to_ascii_lowercase());
        self
    }

    /// Leaves a header in that would be removed. `X-XSS-Protection` can't be.
    pub fn allow_header(mut self, name: &str) -> Self {
        if !name.eq_ignore_ascii_case("x-xss-protection") {
            self.removed.remove(&name.to_ascii_lowercase());
        }
        self
    }

    /// A request with this header has a credential, as one with `Authorization`, `Cookie` or `X-API-Key` has.
    pub fn add_credential_header(mut self, name: impl Into<String>) -> Self {
        self.credentials.insert(name.into().to_ascii_lowercase());
        self
    }

    /// Checks everything and puts the headers together, once for all requests.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a value that cannot stand, a policy that reports to an endpoint that is not there, one that
    /// only reports and does not say where, and a name or value of a custom header that is none or that is not free.
    pub fn build(&self) -> Result<SecurityHeaders, ConfigError> {
        SecurityHeaders::compile(self)
    }

    /// Every header with its value, and the policies that need a nonce.
    pub(super) fn values(&self) -> Result<Values, ConfigError> {
        let mut values = Values { fixed: Vec::new(), policies: Vec::new() };
        for (header, setting) in &self.settings {
            let value = match setting {
                Setting::Fixed(text) => HeaderValue::from_static(text),
                Setting::Hsts(hsts) => header_value("Strict-Transport-Security", hsts.text()?)?,
                Setting::Permissions(policy) => header_value("Permissions-Policy", policy.text()?)?,
                Setting::Endpoints(endpoints) => header_value("Reporting-Endpoints", endpoints.text()?)?,
                Setting::Csp(csp) => {
                    let policy = self.policy(*header, csp)?;
                    let closed = policy.value(None);
                    if policy.needs_nonce() {
                        values.policies.push((header.name(), policy));
                    }
                    closed
                }
            };
            values.fixed.push((header.name(), value));
        }
        for (name, value) in &self.custom {
            values.fixed.push(self.custom_header(name, value)?);
        }
        Ok(values)
    }

    fn policy(&self, header: SecurityHeader, csp: &Csp) -> Result<ContentSecurityPolicy, ConfigError> {
        let only_reports = header == SecurityHeader::ContentSecurityPolicyReportOnly;
        let field =
            if only_reports { "Content-Security-Policy-Report-Only" } else { "Content-Security-Policy" };
        let policy = csp.build().map_err(|error| {
            let directive =
                error.field().split_once(": ").map(|(_, directive)| format!("{field}: {directive}"));
            error.with_field(directive.unwrap_or_else(|| field.to_owned()))
        })?;
        let flaw = |problem: String, cure: &'static str| Err(ConfigError::new(field, problem, cure));
        if only_reports && !policy.reports() {
            return flaw("reports nowhere".into(), "add `with_report_to` or the directive `report-uri`");
        }
        if let Some(directive) = policy.only_enforced().filter(|_| only_reports) {
            return flaw(format!("has `{directive}`, which means nothing here"), "leave it out");
        }
        let has = |name: &str| {
            let endpoints = self.settings.get(&SecurityHeader::ReportingEndpoints);
            matches!(endpoints, Some(Setting::Endpoints(endpoints)) if endpoints.has(name))
        };
        match policy.endpoint() {
            Some(name) if !has(name) => flaw(
                format!("reports to `{name}`, which is no endpoint"),
                "add it by `with_reporting_endpoints`",
            ),
            _ => Ok(policy),
        }
    }

    fn custom_header(&self, name: &str, value: &str) -> Result<(HeaderName, HeaderValue), ConfigError> {
        let field = format!("custom header `{}`", name.escape_debug());
        let flaw = |problem: &'static str, cure: &'static str| ConfigError::new(field.clone(), problem, cure);
        let header = header_name(name)?;
        if SecurityHeader::ALL.iter().any(|known| known.name() == header) {
            return Err(flaw("has a type of its own", "use the `with_` method for it"));
        }
        if NOT_CUSTOM.contains(&name) || name.starts_with("access-control-") || self.removed.contains(name) {
            return Err(flaw("is not for every answer", "leave it to handlers and other layers"));
        }
        let value = HeaderValue::from_str(value);
        let value = value.map_err(|_| flaw("has a value that is none", "use visible ASCII"))?;
        Ok((header, value))
    }

    fn with(mut self, header: SecurityHeader, value: impl Into<Setting>) -> Self {
        self.settings.insert(header, value.into());
        self
    }
}

/// The API preset.
impl Default for SecurityHeadersBuilder {
    fn default() -> Self {
        Self::api()
    }
}

pub(super) struct Values {
    pub(super) fixed: Vec<(HeaderName, HeaderValue)>,
    pub(super) policies: Vec<(HeaderName, ContentSecurityPolicy)>,
}

pub(super) fn header_name(name: &str) -> Result<HeaderName, ConfigError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        let field = format!("header `{}`", name.escape_debug());
        ConfigError::new(field, "has a name that is none", "use letters, digits and `-`")
    })
}
