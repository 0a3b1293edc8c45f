//! How strict.

use std::num::NonZeroUsize;

use http::{HeaderName, Method};

use super::Firewall;
use super::headers::HeaderRules;
use super::host::AllowedHost;
use super::query::{MAX_SINGLE, SINGLE_PARAMETERS};
use super::rule::{FirewallRule, Relaxed};
use crate::error::ConfigError;

/// Methods of RFC 9110 and RFC 5789 that ask for something.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Collects what a [`Firewall`] lets through. Each `allow_*` opens one rule.
#[derive(Clone, Debug)]
#[must_use]
pub struct FirewallBuilder {
    relaxed: Relaxed,
    methods: Vec<Method>,
    hosts: Vec<String>,
    headers: HeaderRules,
    parameters: Vec<String>,
    max_path_bytes: usize,
    max_query_bytes: usize,
}

macro_rules! allow {
    ($($(#[$doc:meta])* $name:ident: $rule:ident;)*) => {
        /// What is refused unless it is asked for. See [`FirewallRule`] for why.
        impl FirewallBuilder {
            $($(#[$doc])*
            pub fn $name(mut self) -> Self {
                self.relaxed = self.relaxed.with(FirewallRule::$rule);
                self
            })*
        }
    };
}

allow! {
    /// Lets `%2F` through as it is. The access map has no rule for such a path; a route of axum's with its own has.
    allow_encoded_slash: EncodedSlash;
    /// Lets `\` and `%5C` through, both as `%5C`. The access map has no rule for such a path.
    allow_backslash: Backslash;
    /// Lets `;` and `%3B` through as they are.
    allow_semicolon: Semicolon;
    /// Lets `%25` through as it is.
    allow_encoded_percent: EncodedPercent;
    /// Reads `%2E` as the dot it is. What becomes a dot segment is refused all the same.
    allow_encoded_period: EncodedPeriod;
    /// Lets `%00` through as it is, in path and query. The access map has no rule for such a path.
    allow_encoded_null: EncodedNull;
    /// Lets encoded control characters, line feeds among them, through as they are. The access map has no rule for such a
    /// path.
    allow_encoded_control: EncodedControl;
    /// Lets U+0085, U+2028 and U+2029 through, encoded.
    allow_encoded_line_separator: EncodedLineSeparator;
    /// Lets bytes beyond ASCII through; in the path they are encoded.
    allow_non_ascii: NonAscii;
    /// Lets escapes through that are no UTF-8.
    allow_invalid_utf8: InvalidUtf8;
    /// Reads `//` as `/`.
    allow_empty_segments: EmptySegment;
    /// Takes `.` and `..` out (RFC 3986 section 5.2.4).
    allow_dot_segments: DotSegment;
    /// Lets a `%` through in the query that begins no escape, as in `?discount=10%`.
    allow_query_escape: QueryEscape;
    /// Lets any query parameter be repeated. [`with_single_parameters`](Self::with_single_parameters) opens less.
    allow_duplicate_parameters: DuplicateParameter;
    /// Lets the query parameter `_method` through.
    allow_method_parameter: MethodParameter;
    /// Lets any header but `Host` be repeated. [`allow_several`](Self::allow_several) opens less.
    allow_duplicate_headers: DuplicateHeader;
    /// Lets headers through that are told from others only by `_` in place of `-`.
    allow_header_twins: HeaderTwin;
    /// Lets `Content-Length` through beside `Transfer-Encoding`.
    allow_length_and_encoding: LengthAndEncoding;
    /// Lets the `Host` header be another host than the URI's. Where hosts are listed, both have to be.
    allow_host_mismatch: HostMismatch;
}

impl FirewallBuilder {
    /// The methods that are let through, in place of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS.
    pub fn with_methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = methods.into_iter().collect();
        self
    }

    /// Lets a method through. `TRACE` sends back what it was sent, credentials included.
    pub fn add_method(mut self, method: Method) -> Self {
        self.methods.push(method);
        self
    }

    /// Answers for this host, such as `api.example.com` or `localhost:8080`. As soon as there is one, requests for others,
    /// and for none, are refused. Compared exactly but for the case of letters; ports 80 and 443 go without saying.
    pub fn add_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Refuses a request with more than one of this header.
    pub fn add_single_header(mut self, name: HeaderName) -> Self {
        self.headers.add_single(name);
        self
    }

    /// Lets this header be repeated.
    pub fn allow_several(mut self, name: HeaderName) -> Self {
        self.headers.allow_several(name);
        self
    }

    /// Takes a header out of every request, because inside it means something that nobody outside may say.
    pub fn add_internal_header(mut self, name: HeaderName) -> Self {
        self.headers.add_internal(name);
        self
    }

    /// Takes a header out of requests that no trusted proxy handed over.
    pub fn add_proxy_header(mut self, name: HeaderName) -> Self {
        self.headers.add_proxied(name);
        self
    }

    /// Leaves a header in and lets it be repeated, whoever sends it.
    pub fn allow_header(mut self, name: HeaderName) -> Self {
        self.headers.allow(name);
        self
    }

    /// The query parameters that may not be repeated, in place of `token`, `state` and others of tokens and OAuth.
    pub fn with_single_parameters<P: Into<String>>(mut self, names: impl IntoIterator<Item = P>) -> Self {
        self.parameters = names.into_iter().map(Into::into).collect();
        self
    }

    /// Longest path in bytes. Default: 4096.
    pub fn with_max_path_bytes(mut self, max: NonZeroUsize) -> Self {
        self.max_path_bytes = max.get();
        self
    }

    /// Longest query in bytes. Default: 8192.
    pub fn with_max_query_bytes(mut self, max: NonZeroUsize) -> Self {
        self.max_query_bytes = max.get();
        self
    }

    /// Most headers, each line counted. Default: 100.
    pub fn with_max_headers(mut self, max: NonZeroUsize) -> Self {
        self.headers.max_count = max.get();
        self
    }

    /// Longest value of a header in bytes. Default: 16 KiB.
    pub fn with_max_header_bytes(mut self, max: NonZeroUsize) -> Self {
        self.headers.max_value_bytes = max.get();
        self
    }

    /// Checks what was collected.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if no method is let through, if a host is none, or if there are more than 64 parameters that may not
    /// be repeated.
    pub fn build(self) -> Result<Firewall, ConfigError> {
        if self.methods.is_empty() {
            return Err(ConfigError::new("methods", "are none, so nothing gets through", "list some"));
        }
        if self.parameters.len() > MAX_SINGLE {
            return Err(ConfigError::new(
                "parameters that may not be repeated",
                format!("are more than {MAX_SINGLE}"),
                "list those that decide something",
            ));
        }
        let mut hosts = Vec::new();
        for host in &self.hosts {
            hosts.push(AllowedHost::parse(host).ok_or_else(|| {
                ConfigError::new(
                    format!("host `{host}`"),
                    "is not a host",
                    "write a name, or an address with IPv6 in brackets, and a port if it is not that of HTTP",
                )
            })?);
        }
        Ok(self.assemble(hosts))
    }

    pub(super) fn assemble(self, hosts: Vec<AllowedHost>) -> Firewall {
        let mut names: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        names.sort_unstable();
        names.dedup();
        Firewall {
            relaxed: self.relaxed,
            allow: names.join(", ").into(),
            methods: self.methods,
            hosts,
            headers: self.headers,
            single_parameters: self.parameters.iter().map(|name| name.to_ascii_lowercase().into()).collect(),
            max_path_bytes: self.max_path_bytes,
            max_query_bytes: self.max_query_bytes,
        }
    }
}

impl Default for FirewallBuilder {
    fn default() -> Self {
        Self {
            relaxed: Relaxed::default(),
            methods: METHODS.to_vec(),
            hosts: Vec::new(),
            headers: HeaderRules::default(),
            parameters: SINGLE_PARAMETERS.iter().map(|name| (*name).to_owned()).collect(),
            max_path_bytes: 4096,
            max_query_bytes: 8192,
        }
    }
}
