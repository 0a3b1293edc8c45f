//! `Clear-Site-Data`.

use http::HeaderValue;
use http::header::{HeaderMap, HeaderName};

/// `Clear-Site-Data`: what a browser forgets of this origin. For the answer to a sign-out, over TLS (ASVS 14.3.1).
///
/// ```
/// use http::Response;
/// use portcullis::headers::ClearSiteData;
///
/// let mut response = Response::new(());
/// ClearSiteData::sign_out().insert_into(response.headers_mut());
/// assert_eq!(response.headers()["clear-site-data"], "\"cache\", \"cookies\", \"storage\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClearSiteData {
    value: &'static str,
}

impl ClearSiteData {
    /// What was stored or cached, and cookies: those of the whole registered domain, and so the sign-in at its other hosts.
    #[must_use]
    pub const fn sign_out() -> Self {
        Self { value: "\"cache\", \"cookies\", \"storage\"" }
    }

    /// What was stored or cached. Cookies stay; let the answer itself remove its own.
    #[must_use]
    pub const fn without_cookies() -> Self {
        Self { value: "\"cache\", \"storage\"" }
    }

    /// Everything, tabs reloaded.
    #[must_use]
    pub const fn everything() -> Self {
        Self { value: "\"*\"" }
    }

    /// The value on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.value
    }

    /// Puts it among the headers of an answer.
    pub fn insert_into(self, headers: &mut HeaderMap) {
        headers.insert(HeaderName::from_static("clear-site-data"), HeaderValue::from_static(self.value));
    }
}
