//! The rules, by name.

use std::fmt;

use crate::rejection::RejectionCode;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $code:ident;)*) => {
        /// A rule of the firewall. The text form is stable; it stands in the log and, as this value, in the extensions of
        /// the response to a request that broke it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum FirewallRule {
            $($(#[$doc])* $name,)*
        }

        impl FirewallRule {
            /// Every rule there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in the log.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What a client that breaks it is told.
            #[must_use]
            pub const fn code(self) -> RejectionCode {
                match self { $(Self::$name => RejectionCode::$code,)* }
            }
        }
    };
}

rules! {
    /// More headers than [`with_max_headers`](super::FirewallBuilder::with_max_headers).
    HeaderCount = "header_count", HeadersTooLarge;
    /// A value longer than [`with_max_header_bytes`](super::FirewallBuilder::with_max_header_bytes).
    HeaderLength = "header_length", HeadersTooLarge;
    /// Two of a header that decides something ([`add_single_header`](super::FirewallBuilder::add_single_header)); of two, each
    /// reader takes the one it likes.
    DuplicateHeader = "duplicate_header", Malformed;
    /// `X_Forwarded_For` beside, or instead of, `X-Forwarded-For`: behind CGI and its heirs they are one header.
    HeaderTwin = "header_twin", Malformed;
    /// `Content-Length` beside `Transfer-Encoding` (RFC 9112 section 6.1).
    LengthAndEncoding = "length_and_encoding", Malformed;
    /// A method that is not listed ([`with_methods`](super::FirewallBuilder::with_methods)).
    Method = "method", MethodNotAllowed;
    /// Not a path, `OPTIONS *` or, if listed, `CONNECT` (RFC 9112 section 3.2). Can't be relaxed.
    TargetForm = "target_form", Malformed;
    /// A path longer than [`with_max_path_bytes`](super::FirewallBuilder::with_max_path_bytes).
    PathLength = "path_length", UriTooLong;
    /// A `%` in the path without two hexadecimal digits. Can't be relaxed: no two parsers agree on what it means.
    MalformedEscape = "malformed_escape", Malformed;
    /// Escapes in the path that are no UTF-8, such as the overlong `%C0%AE`.
    InvalidUtf8 = "invalid_utf8", Malformed;
    /// Bytes beyond ASCII that are not encoded, in path or query.
    NonAscii = "non_ascii", Malformed;
    /// `%2F`.
    EncodedSlash = "encoded_slash", Malformed;
    /// `\` and `%5C`, in which some see a slash.
    Backslash = "backslash", Malformed;
    /// `;` and `%3B`, behind which some see parameters that are no part of the path.
    Semicolon = "semicolon", Malformed;
    /// `%25`, which becomes another escape when it is decoded twice.
    EncodedPercent = "encoded_percent", Malformed;
    /// `%2E`.
    EncodedPeriod = "encoded_period", Malformed;
    /// `%00`, in path or query.
    EncodedNull = "encoded_null", Malformed;
    /// `%0A`, `%0D` and other control characters in the path.
    EncodedControl = "encoded_control", Malformed;
    /// U+0085, U+2028 and U+2029 in the path, which end a line for some.
    EncodedLineSeparator = "encoded_line_separator", Malformed;
    /// `//` in the path.
    EmptySegment = "empty_segment", Malformed;
    /// `.` and `..` as a segment of the path.
    DotSegment = "dot_segment", Malformed;
    /// A query longer than [`with_max_query_bytes`](super::FirewallBuilder::with_max_query_bytes).
    QueryLength = "query_length", UriTooLong;
    /// A `%` in the query without two hexadecimal digits.
    QueryEscape = "query_escape", Malformed;
    /// Two of a query parameter that decides something
    /// ([`with_single_parameters`](super::FirewallBuilder::with_single_parameters); RFC 6749 section 3.1).
    DuplicateParameter = "duplicate_parameter", Malformed;
    /// The query parameter `_method`, by which some frameworks let a `GET` become a `DELETE`.
    MethodParameter = "method_parameter", Malformed;
    /// A host that is none: a `Host` header with a path, a user, a list (RFC 9110 section 7.2). Can't be relaxed.
    HostSyntax = "host_syntax", Malformed;
    /// A `Host` header that is another host than the URI's (RFC 9113 section 8.3.1).
    HostMismatch = "host_mismatch", Malformed;
    /// A host that is not listed, or none ([`add_host`](super::FirewallBuilder::add_host)).
    Host = "host", Misdirected;
}

impl fmt::Display for FirewallRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which rules don't hold.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Relaxed(u32);

impl Relaxed {
    pub(super) const fn with(self, rule: FirewallRule) -> Self {
        Self(self.0 | (1 << rule as u32))
    }

    pub(super) const fn without(self, rule: FirewallRule) -> Self {
        Self(self.0 & !(1 << rule as u32))
    }

    /// An error unless the rule was relaxed.
    pub(super) const fn refuse(self, rule: FirewallRule) -> Result<(), FirewallRule> {
        if self.0 & (1 << rule as u32) == 0 { Err(rule) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_a_bit_and_a_name() {
        assert!(FirewallRule::ALL.len() <= 32);
        let mut names: Vec<_> = FirewallRule::ALL.iter().map(|rule| rule.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FirewallRule::ALL.len());
        for relaxed in FirewallRule::ALL {
            for rule in FirewallRule::ALL {
                let answer = Relaxed::default().with(*relaxed).refuse(*rule);
                assert_eq!(answer.is_ok(), relaxed == rule, "{relaxed} {rule}");
            }
        }
    }
}
