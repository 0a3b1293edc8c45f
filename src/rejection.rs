//! What a client is told when it is refused: [`Rejection`].
//!
//! A rejection is a status, a stable code and the few facts a client needs to do better. It holds no text that
//! came from an error or from the request, so nothing internal can reach the wire through it. It travels in the
//! response's extensions too, where an outer layer sees which rule refused.
//!
//! | status | says | codes |
//! |---|---|---|
//! | 400, 408, 413, 415 | the request could not be read | `malformed_request`, `request_timeout`, `body_too_large`, `unsupported_media_type` |
//! | 401 | who are you? | `unauthenticated`, `token_expired`, `token_stale` (refresh), `reauthentication_required`, .. |
//! | 403 | you may not | `forbidden`, `insufficient_scope`, `cross_origin` |
//! | 404, 405 | nothing here that you may know of | `not_found`, `method_not_allowed` |
//! | 409, 422 | change something and try again | `username_taken`, `last_holder`, `password_rejected`, `validation_failed`, .. |
//! | 429 | too often; `Retry-After` says when | `rate_limited` |
//! | 503 | try the same again later | `unavailable`, `overloaded` |
//!
//! [`RejectionCode::ALL`] lists every one. Some belong to capabilities that this version has not got yet.
//!
//! ```
//! use portcullis::rejection::{Reason, Rejection, RejectionCode};
//!
//! let too_short = Reason { field: "title", code: "too_short", limit: Some(1) };
//! let rejection = Rejection::new(RejectionCode::ValidationFailed).with_reasons([too_short]);
//! assert_eq!((rejection.status(), rejection.code().as_str()), (422, "validation_failed"));
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $code:literal, $detail:literal;)*) => {
        /// Why a request was refused. The text form is stable and meant for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RejectionCode {
            $($(#[$doc])* $name,)*
        }

        impl RejectionCode {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The HTTP status (RFC 9110 section 15).
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The stable code, member `code` of the problem body.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// A short sentence for people, member `detail` of the problem body (RFC 9457 section 3.1.4).
            #[must_use]
            pub const fn detail(self) -> &'static str {
                match self { $(Self::$name => $detail,)* }
            }
        }
    };
}

codes! {
    /// The request could not be read.
    Malformed = 400, "malformed_request", "The request could not be read";
    /// The route needs to know who is asking, and nothing was presented.
    Unauthenticated = 401, "unauthenticated", "Authentication is required";
    /// The credential is not a valid one.
    TokenInvalid = 401, "token_invalid", "The access token is not valid";
    /// The credential was valid once.
    TokenExpired = 401, "token_expired", "The access token has expired";
    /// The user's rights or security settings changed since the token was issued; refreshing may help.
    TokenStale = 401, "token_stale", "The access token is no longer current";
    /// The sign-in this token belongs to was ended.
    TokenRevoked = 401, "token_revoked", "The access token has been revoked";
    /// More than one credential was presented where one is expected.
    CredentialAmbiguous = 401, "credential_ambiguous", "More than one credential was presented";
    /// A credential was put into the URL, where logs and histories keep it.
    CredentialInUrl = 401, "credential_in_url", "A credential must not be part of the URL";
    /// The `Authorization` header uses a scheme this service does not accept.
    SchemeUnsupported = 401, "scheme_unsupported", "The authentication scheme is not supported";
    /// The sign-in is too old or too weak for this; a new one helps.
    ReauthenticationRequired = 401, "reauthentication_required", "A fresh or stronger sign-in is required";
    /// Sign-in failed; for whatever reason.
    SignInFailed = 401, "sign_in_failed", "The sign-in details are not correct";
    /// The refresh token is not, or no longer, valid.
    RefreshInvalid = 401, "refresh_invalid", "The refresh token is not valid";
    /// Known, but not allowed.
    Forbidden = 403, "forbidden", "This is not allowed";
    /// The token's scopes do not cover this.
    InsufficientScope = 403, "insufficient_scope", "The access token does not cover this";
    /// A browser sent it on behalf of another site, which this service doesn't trust.
    CrossOrigin = 403, "cross_origin", "Requests from other sites are not accepted here";
    /// Nothing here, or nothing the client may know of.
    NotFound = 404, "not_found", "There is nothing here";
    /// The path exists, with other methods.
    MethodNotAllowed = 405, "method_not_allowed", "The method is not allowed here";
    /// The request took too long to arrive.
    RequestTimeout = 408, "request_timeout", "The request took too long to arrive";
    /// It would contradict what is stored.
    Conflict = 409, "conflict", "This conflicts with what is already there";
    /// The user name belongs to somebody.
    UsernameTaken = 409, "username_taken", "The user name is already taken";
    /// The e-mail address belongs to somebody.
    EmailTaken = 409, "email_taken", "The e-mail address is already taken";
    /// It would leave nobody who holds a role that somebody has to hold.
    LastHolder = 409, "last_holder", "Nobody else holds this role";
    /// The body is larger than accepted.
    BodyTooLarge = 413, "body_too_large", "The body is too large";
    /// The URL is longer than accepted.
    UriTooLong = 414, "uri_too_long", "The URL is too long";
    /// The body is of a type that is not accepted.
    UnsupportedMediaType = 415, "unsupported_media_type", "The body is of a type that is not accepted";
    /// The request names a host that this service does not answer for.
    Misdirected = 421, "misdirected_request", "The request is for another host";
    /// The request was read, but its content breaks a rule; the reasons say which.
    ValidationFailed = 422, "validation_failed", "Some fields are not acceptable";
    /// The password breaks the policy; the reasons say how.
    PasswordRejected = 422, "password_rejected", "The password is not acceptable";
    /// Too many requests.
    RateLimited = 429, "rate_limited", "Too many requests";
    /// There are more headers, or longer ones, than accepted.
    HeadersTooLarge = 431, "headers_too_large", "The headers are too large";
    /// A defect; the log knows more.
    Internal = 500, "internal_error", "Something went wrong";
    /// Something the service depends on is out of reach.
    Unavailable = 503, "unavailable", "The service is temporarily unavailable";
    /// More work is queued than the service accepts.
    Overloaded = 503, "overloaded", "The service is busy";
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing a client should change, member `reasons` of the problem body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The field it concerns, as named in the request.
    pub field: &'static str,
    /// What is wrong, as a stable code.
    pub code: &'static str,
    /// The bound that was crossed, where there is one.
    pub limit: Option<u32>,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    code: RejectionCode,
    challenge: Option<Arc<str>>,
    retry_after_secs: Option<u64>,
    allow: Option<Arc<str>>,
    reasons: Vec<Reason>,
    explanation: Option<Arc<str>>,
}

impl Rejection {
    /// A refusal with this code and nothing else.
    #[must_use]
    pub const fn new(code: RejectionCode) -> Self {
        Self {
            code,
            challenge: None,
            retry_after_secs: None,
            allow: None,
            reasons: Vec::new(),
            explanation: None,
        }
    }

    /// Adds what goes into `WWW-Authenticate` (RFC 9110 section 11.6.1).
    #[must_use]
    pub fn with_challenge(mut self, challenge: impl Into<Arc<str>>) -> Self {
        self.challenge = Some(challenge.into());
        self
    }

    /// Adds what goes into `Retry-After`: whole seconds, rounded up, never 0.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        let rounded_up = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
        self.retry_after_secs = Some(rounded_up.max(1));
        self
    }

    /// Adds what goes into `Allow` (RFC 9110 section 10.2.1).
    #[must_use]
    pub fn with_allow(mut self, methods: impl Into<Arc<str>>) -> Self {
        self.allow = Some(methods.into());
        self
    }

    /// Adds what the client should change.
    #[must_use]
    pub fn with_reasons(mut self, reasons: impl IntoIterator<Item = Reason>) -> Self {
        self.reasons = reasons.into_iter().collect();
        self
    }

    /// Adds why a rule refused, in words that name roles and permissions, and that the client will read.
    ///
    /// Only a gate built with
    /// [`danger_explain_refusals`](crate::gate::GateBuilder::danger_explain_refusals) does so.
    #[must_use]
    pub fn danger_with_explanation(mut self, explanation: impl Into<Arc<str>>) -> Self {
        self.explanation = Some(explanation.into());
        self
    }

    /// Why.
    #[must_use]
    pub const fn code(&self) -> RejectionCode {
        self.code
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.code.status()
    }

    /// Content of `WWW-Authenticate`.
    #[must_use]
    pub fn challenge(&self) -> Option<&str> {
        self.challenge.as_deref()
    }

    /// Content of `Retry-After`, in seconds.
    #[must_use]
    pub const fn retry_after_secs(&self) -> Option<u64> {
        self.retry_after_secs
    }

    /// Content of `Allow`.
    #[must_use]
    pub fn allow(&self) -> Option<&str> {
        self.allow.as_deref()
    }

    /// What the client should change.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// Why a rule refused, if the client may know: during development.
    #[must_use]
    pub fn explanation(&self) -> Option<&str> {
        self.explanation.as_deref()
    }
}

impl From<RejectionCode> for Rejection {
    fn from(code: RejectionCode) -> Self {
        Self::new(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_never_zero_and_rounds_up() {
        for (millis, want) in [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (59_500, 60)] {
            let rejection =
                Rejection::new(RejectionCode::RateLimited).with_retry_after(Duration::from_millis(millis));
            assert_eq!(rejection.retry_after_secs(), Some(want), "{millis} ms");
        }
    }

    #[test]
    fn codes_are_unique_and_statuses_are_refusals() {
        let mut seen = std::collections::HashSet::new();
        for code in RejectionCode::ALL {
            assert!(seen.insert(code.as_str()), "{code} appears twice");
            assert!((400..=599).contains(&code.status()), "{code}");
        }
    }
}
