//! Headers with few values, and the names of all of them.

use bytes::Bytes;
use http::HeaderValue;
use http::header::{self, HeaderName};

use crate::error::ConfigError;

/// Values nearly everybody sends are part of the program: cloning them touches no counter that all threads share.
const COMMON: &[&str] = &[super::hsts::TWO_YEARS, API_CSP, super::permissions::ALL_OFF];
const API_CSP: &str = "default-src 'none'; frame-ancestors 'none'";

/// The value of a header, from text that was checked.
pub(super) fn header_value(field: &'static str, text: String) -> Result<HeaderValue, ConfigError> {
    if let Some(common) = COMMON.iter().find(|common| **common == text) {
        return Ok(HeaderValue::from_static(common));
    }
    HeaderValue::from_maybe_shared(Bytes::from(text))
        .map_err(|_| ConfigError::new(field, "is no value of a header", "use visible ASCII"))
}

macro_rules! security_headers {
    ($($(#[$doc:meta])* $name:ident = $header:expr;)*) => {
        /// A header this module sets.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum SecurityHeader {
            $($(#[$doc])* $name,)*
        }

        impl SecurityHeader {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name.
            #[must_use]
            pub fn name(self) -> HeaderName {
                match self { $(Self::$name => $header,)* }
            }
        }
    };
}

security_headers! {
    /// `Strict-Transport-Security`
    StrictTransportSecurity = header::STRICT_TRANSPORT_SECURITY;
    /// `Content-Security-Policy`
    ContentSecurityPolicy = header::CONTENT_SECURITY_POLICY;
    /// `Content-Security-Policy-Report-Only`
    ContentSecurityPolicyReportOnly = header::CONTENT_SECURITY_POLICY_REPORT_ONLY;
    /// `X-Content-Type-Options`
    ContentTypeOptions = header::X_CONTENT_TYPE_OPTIONS;
    /// `X-Frame-Options`
    FrameOptions = header::X_FRAME_OPTIONS;
    /// `Referrer-Policy`
    ReferrerPolicy = header::REFERRER_POLICY;
    /// `Cross-Origin-Opener-Policy`
    CrossOriginOpenerPolicy = HeaderName::from_static("cross-origin-opener-policy");
    /// `Cross-Origin-Embedder-Policy`
    CrossOriginEmbedderPolicy = HeaderName::from_static("cross-origin-embedder-policy");
    /// `Cross-Origin-Resource-Policy`
    CrossOriginResourcePolicy = HeaderName::from_static("cross-origin-resource-policy");
    /// `Permissions-Policy`
    PermissionsPolicy = HeaderName::from_static("permissions-policy");
    /// `Origin-Agent-Cluster`
    OriginAgentCluster = HeaderName::from_static("origin-agent-cluster");
    /// `X-DNS-Prefetch-Control`
    DnsPrefetchControl = header::X_DNS_PREFETCH_CONTROL;
    /// `X-Permitted-Cross-Domain-Policies`
    PermittedCrossDomainPolicies = HeaderName::from_static("x-permitted-cross-domain-policies");
    /// `X-Download-Options`
    DownloadOptions = HeaderName::from_static("x-download-options");
    /// `X-XSS-Protection`
    XssProtection = header::X_XSS_PROTECTION;
    /// `Reporting-Endpoints`
    ReportingEndpoints = HeaderName::from_static("reporting-endpoints");
    /// `Cache-Control`, with `Vary`
    CacheControl = header::CACHE_CONTROL;
}

macro_rules! values {
    ($($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $name:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $type {
            $($(#[$variant_doc])* $name,)*
        }

        impl $type {
            /// The value on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        impl From<$type> for super::builder::Setting {
            fn from(value: $type) -> Self {
                Self::Fixed(value.as_str())
            }
        }
    )*};
}

values! {
    /// `X-Content-Type-Options` (Fetch): what is not a script is not run as one (ASVS 3.4.4).
    ContentTypeOptions {
        /// Types are taken as they are said to be.
        NoSniff = "nosniff",
    }
    /// `X-Frame-Options` (RFC 7034), for browsers that don't know `frame-ancestors`.
    FrameOptions {
        /// Nobody embeds the page.
        Deny = "DENY",
        /// The page's own origin embeds it.
        SameOrigin = "SAMEORIGIN",
    }
    /// `Referrer-Policy`: what other sites learn of the page that links to them (ASVS 3.4.5). `unsafe-url` is not here.
    ReferrerPolicy {
        /// Nothing.
        NoReferrer = "no-referrer",
        /// The address, to the own origin only.
        SameOrigin = "same-origin",
        /// The origin, over TLS.
        StrictOrigin = "strict-origin",
        /// The address to the own origin, to others the origin, over TLS.
        StrictOriginWhenCrossOrigin = "strict-origin-when-cross-origin",
        /// The origin, also without TLS.
        Origin = "origin",
    }
    /// `Cross-Origin-Opener-Policy`: windows of other origins have no handle on this one (ASVS 3.4.8).
    OpenerPolicy {
        /// Only windows of the same origin with the same policy share a group.
        SameOrigin = "same-origin",
        /// The page keeps its handle on pop-ups it opens, as sign-in at another site needs.
        SameOriginAllowPopups = "same-origin-allow-popups",
        /// Even windows of the same origin don't share a group.
        NoopenerAllowPopups = "noopener-allow-popups",
    }
    /// `Cross-Origin-Embedder-Policy`: what is embedded must have agreed.
    EmbedderPolicy {
        /// By CORP or CORS.
        RequireCorp = "require-corp",
        /// Or is loaded without credentials.
        Credentialless = "credentialless",
    }
    /// `Cross-Origin-Resource-Policy` (Fetch): who may load the answer without CORS.
    ResourcePolicy {
        /// Pages of the same origin.
        SameOrigin = "same-origin",
        /// Pages of the same site.
        SameSite = "same-site",
        /// Everybody, as for a content delivery network.
        CrossOrigin = "cross-origin",
    }
    /// `Origin-Agent-Cluster`: the origin has a process or at least an agent of its own.
    OriginAgentCluster {
        /// It should.
        Requested = "?1",
        /// It need not.
        NotRequested = "?0",
    }
    /// `X-DNS-Prefetch-Control`: names in links are looked up before anybody clicks.
    DnsPrefetchControl {
        /// They are not.
        Off = "off",
        /// They are, which tells the resolver what is on the page.
        On = "on",
    }
    /// `X-Permitted-Cross-Domain-Policies`: policy files of Adobe's clients.
    CrossDomainPolicies {
        /// There are none.
        None = "none",
        /// Only the one at the root.
        MasterOnly = "master-only",
    }
    /// `X-Download-Options`, of Internet Explorer 8.
    DownloadOptions {
        /// A download is saved before it is opened.
        NoOpen = "noopen",
    }
    /// `X-XSS-Protection`. The filter it controls made holes of its own, so it is only ever turned off.
    XssProtection {
        /// No filter.
        Off = "0",
    }
    /// `Cache-Control` on answers to requests with credentials and on answers that set a cookie (ASVS 14.3.2).
    CredentialCaching {
        /// They are stored nowhere.
        NoStore = "no-store",
    }
}
