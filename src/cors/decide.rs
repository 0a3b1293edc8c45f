//! The decision about one request.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future as _, Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tower_layer::Layer as _;
use tower_service::Service;

use super::CorsBuilder;
use crate::lasting::lasting;
use crate::origin::{Origin, Origins};
use crate::wire::add_vary;

/// What other origins may do. See the [module](super).
#[derive(Clone)]
pub struct Cors {
    inner: tower_http::cors::Cors<Empty>,
    origins: Origins,
    any_origin: bool,
    credentials: bool,
    /// What answers say to an origin that is allowed, in the order of `origins`; where any is, the one thing they say.
    actual: Arc<[Lines]>,
}

/// Each name once.
type Lines = Arc<[(HeaderName, HeaderValue)]>;

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum CorsDecision {
    /// No page of another origin asks: the request goes on, and its answer says that it depends on that.
    NotCors(CorsHeaders),
    /// A preflight: [the answer](CorsHeaders::preflight) is complete, nothing further in is asked.
    Preflight(CorsHeaders),
    /// The request goes on, and its answer tells the browser who may read it.
    Actual(CorsHeaders),
}

/// What an answer says about CORS, `Vary` included.
#[derive(Clone, Debug, Default)]
pub struct CorsHeaders {
    lines: Option<Lines>,
    vary: &'static [HeaderName],
    /// The request names an origin, so that nobody else may say what applies to it.
    alone: bool,
}

impl Cors {
    /// Nothing is allowed at first.
    pub fn builder() -> CorsBuilder {
        CorsBuilder::default()
    }

    /// The layer must not combine wildcards with credentials: tower-http would panic.
    pub(super) fn new(
        layer: &tower_http::cors::CorsLayer,
        origins: Origins,
        any_origin: bool,
        credentials: bool,
    ) -> Self {
        let inner = layer.layer(Empty);
        let listed = origins.iter().map(Origin::as_str);
        let any = any_origin.then_some("https://any.example");
        // Nothing else in a request changes them, so tower-http need not be asked for each. It would also speak of private
        // networks to whoever asks, where only preflights do.
        let actual = listed.chain(any).map(|origin| {
            let mut question = Request::new(());
            if let Ok(origin) = HeaderValue::from_str(origin) {
                question.headers_mut().insert(ORIGIN, origin);
            }
            let lines = ask(&inner, question);
            lines.iter().map(|(name, value)| (name.clone(), lasting(value.clone()))).collect()
        });
        Self { actual: actual.collect(), inner, origins, any_origin, credentials }
    }

    /// Decides about a request by its method and headers.
    #[must_use]
    pub fn decide(&self, request: &Parts) -> CorsDecision {
        let mut origins = request.headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return CorsDecision::NotCors(CorsHeaders { vary: self.vary(false), ..CorsHeaders::default() });
        };
        let listed = if self.any_origin { Some(0) } else { self.origins.position(origin.as_bytes()) };
        let allowed = listed.filter(|_| origins.next().is_none());
        let preflight =
            request.method == Method::OPTIONS && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let lines = match allowed {
            Some(_) if preflight => Some(self.permission(request)),
            Some(at) => self.actual.get(at).cloned(),
            None => None,
        };
        let headers = CorsHeaders { lines, vary: self.vary(preflight), alone: true };
        if preflight { CorsDecision::Preflight(headers) } else { CorsDecision::Actual(headers) }
    }

    /// The origins that may send credentials, and so are trusted to act as the user.
    pub fn credentialed_origins(&self) -> impl Iterator<Item = &Origin> {
        self.origins.iter().filter(|_| self.credentials)
    }

    /// What most answers say about it.
    pub(crate) fn names(&self) -> impl Iterator<Item = HeaderName> {
        let lines = self.actual.iter().take(1).flat_map(|lines| lines.iter().map(|(name, _)| name.clone()));
        self.vary(false).iter().map(|_| VARY).chain(lines)
    }

    /// Where nothing is allowed, every origin gets the same answers.
    fn vary(&self, preflight: bool) -> &'static [HeaderName] {
        static ACTUAL: [HeaderName; 1] = [ORIGIN];
        static PREFLIGHT: [HeaderName; 3] =
            [ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_REQUEST_HEADERS];
        match (self.any_origin || !self.origins.is_empty(), preflight) {
            (false, _) => &[],
            (true, true) => &PREFLIGHT,
            (true, false) => &ACTUAL,
        }
    }

    /// The answer to a preflight.
    fn permission(&self, request: &Parts) -> Lines {
        let mut question = Request::new(());
        *question.method_mut() = Method::OPTIONS;
        for name in [ORIGIN, HeaderName::from_static("access-control-request-private-network")] {
            if let Some(value) = request.headers.get(&name) {
                question.headers_mut().insert(name, value.clone());
            }
        }
        ask(&self.inner, question)
    }
}

/// What tower-http answers, but for `Vary`. To it every `OPTIONS` is a preflight.
fn ask(cors: &tower_http::cors::Cors<Empty>, question: Request<()>) -> Lines {
    let future = pin!(cors.clone().call(question));
    // Nothing in it waits. Should that change, no headers are the safe answer.
    let mut headers = match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response.into_parts().0.headers,
        Poll::Pending => HeaderMap::new(),
    };
    headers.remove(VARY);
    headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl CorsDecision {
    /// What the answer says, whoever gives it.
    #[must_use]
    pub fn into_headers(self) -> CorsHeaders {
        match self {
            Self::NotCors(headers) | Self::Preflight(headers) | Self::Actual(headers) => headers,
        }
    }
}

impl CorsHeaders {
    /// Adds them to an answer. `Vary` is merged; what else the answer said about CORS is replaced.
    pub fn apply(self, answer: &mut HeaderMap) {
        self.clear(answer);
        for name in self.vary {
            add_vary(answer, name);
        }
        for (name, value) in self.lines() {
            answer.insert(name, value.clone());
        }
    }

    /// Takes out of an answer what nobody but this may say.
    pub(crate) fn clear(&self, answer: &mut HeaderMap) {
        // Nearly nobody says any of it, and looking at the few names there are costs less than looking for three.
        let says = || answer.keys().any(|name| name.as_str().starts_with("access-control-"));
        if self.alone && says() {
            for name in
                [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS]
            {
                answer.remove(name);
            }
        }
    }

    /// What the answer depends on.
    pub(crate) fn vary(&self) -> &'static [HeaderName] {
        self.vary
    }

    /// What it says besides, each name once.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &(HeaderName, HeaderValue)> {
        self.lines.iter().flat_map(|lines| lines.iter())
    }

    /// The answer to a preflight: 204 and nothing but these headers.
    #[must_use]
    pub fn preflight<B: Default>(self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        self.apply(response.headers_mut());
        response
    }
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cors")
            .field("origins", &self.origins)
            .field("any_origin", &self.any_origin)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// Answers at once and with nothing, so that what tower-http adds is all there is.
#[derive(Clone, Debug)]
struct Empty;

impl Service<Request<()>> for Empty {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const APP: &str = "https://app.example";

    fn decide(cors: &Cors, method: &str, headers: &[(&str, &str)]) -> (&'static str, HeaderMap) {
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let decision = cors.decide(&request.body(()).unwrap().into_parts().0);
        let name = match &decision {
            CorsDecision::NotCors(_) => "not cors",
            CorsDecision::Preflight(_) => "preflight",
            CorsDecision::Actual(_) => "actual",
        };
        let mut answer = HeaderMap::new();
        decision.into_headers().apply(&mut answer);
        (name, answer)
    }

    #[test]
    fn what_is_a_preflight() {
        let cors = Cors::builder().allow_origin(APP).allow_methods([Method::PUT]).build().unwrap();
        let (origin, asks) = (("origin", APP), ("access-control-request-method", "PUT"));
        for (name, method, headers, want) in [
            ("a preflight", "OPTIONS", &[origin, asks][..], "preflight"),
            ("no origin", "OPTIONS", &[asks], "not cors"),
            ("asks for no method", "OPTIONS", &[origin], "actual"),
            ("plain options", "OPTIONS", &[], "not cors"),
            ("another method", "PUT", &[origin, asks], "actual"),
            ("lower case", "options", &[origin, asks], "actual"),
        ] {
            let (got, answer) = decide(&cors, method, headers);
            assert_eq!(got, want, "{name}");
            let allowed = answer.get("access-control-allow-methods").map(|value| value.as_bytes());
            assert_eq!(allowed, (want == "preflight").then_some(&b"PUT"[..]), "{name}");
            assert!(answer.get("vary").unwrap().as_bytes().starts_with(b"origin"), "{name}");
        }
    }

    #[test]
    fn the_headers_of_each_kind() {
        let cors = Cors::builder()
            .allow_origin(APP)
            .allow_credentials()
            .allow_methods([Method::PUT, Method::DELETE])
            .allow_headers([http::header::AUTHORIZATION])
            .expose_headers([http::header::ETAG])
            .with_max_age(std::time::Duration::from_secs(600))
            .build()
            .unwrap();
        let private = ("access-control-request-private-network", "true");
        let asks = ("access-control-request-method", "PUT");
        let (_, mut preflight) = decide(&cors, "OPTIONS", &[("origin", APP), asks, private]);
        preflight.remove("vary");
        let (_, mut actual) = decide(&cors, "PUT", &[("origin", APP)]);
        actual.remove("vary");
        for (name, answer, want) in [
            (
                "preflight",
                preflight,
                &[
                    ("access-control-allow-credentials", "true"),
                    ("access-control-allow-headers", "authorization"),
                    ("access-control-allow-methods", "PUT,DELETE"),
                    ("access-control-allow-origin", APP),
                    ("access-control-max-age", "600"),
                ][..],
            ),
            (
                "actual",
                actual,
                &[
                    ("access-control-allow-credentials", "true"),
                    ("access-control-allow-origin", APP),
                    ("access-control-expose-headers", "etag"),
                ],
            ),
        ] {
            let mut got: Vec<_> = answer.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
            got.sort_unstable();
            assert_eq!(got, want, "{name}");
        }
        let open = Cors::builder().allow_origin(APP).allow_private_network().build().unwrap();
        let key = "access-control-allow-private-network";
        assert!(decide(&open, "OPTIONS", &[("origin", APP), asks, private]).1.contains_key(key));
        assert!(!decide(&open, "OPTIONS", &[("origin", APP), asks]).1.contains_key(key));
        assert!(!decide(&open, "OPTIONS", &[("origin", "null"), asks, private]).1.contains_key(key));
        assert!(!decide(&open, "GET", &[("origin", APP), private]).1.contains_key(key));
    }

    #[test]
    fn nothing_allowed_says_nothing() {
        let cors = Cors::builder().build().unwrap();
        for method in ["GET", "OPTIONS"] {
            let asks = ("access-control-request-method", "PUT");
            assert_eq!(decide(&cors, method, &[("origin", APP), asks]).1, HeaderMap::new(), "{method}");
        }
    }

    proptest! {
        /// Only an origin on the list, in its own bytes, is ever named in an answer.
        #[test]
        fn no_origin_is_reflected(origin in "\\PC{0,6}(https?://)?(app)?[.:/@]{0,2}(app.example)?\\PC{0,6}") {
            let cors = Cors::builder().allow_origin(APP).allow_credentials().build().unwrap();
            let mut request = Request::new(());
            if let Ok(value) = HeaderValue::from_bytes(origin.as_bytes()) {
                request.headers_mut().insert(ORIGIN, value);
            }
            let mut answer = HeaderMap::new();
            cors.decide(&request.into_parts().0).into_headers().apply(&mut answer);
            let named = answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN);
            prop_assert_eq!(named, origin == APP);
            prop_assert_eq!(answer.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS), named);
        }
    }
}
