//! Requests handed to services, and what those are shown to that do the same.

use std::convert::Infallible;
use std::future::Future as _;
use std::hint::black_box;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderName, HeaderValue, StatusCode, Uri};
use tower::Service;

use crate::contest::{Contest, Kind};
use crate::material::{Material, bearer, forge};
use crate::measure::{Cost, measure, measure_each};

/// Each used once.
const TOKENS: usize = 8192;

/// Sees everybody who does the same.
pub trait Visit {
    fn visit<S: Answers>(&mut self, kind: Kind, name: &str, service: S);
}

/// Takes their time, into a row for each, two for us.
pub struct Timed<'a> {
    pub contest: &'a mut Contest,
    pub calls: &'a Calls,
}

impl Visit for Timed<'_> {
    fn visit<S: Answers>(&mut self, kind: Kind, name: &str, mut service: S) {
        match kind {
            Kind::Peer => self.calls.contest(self.contest, kind, name, service),
            Kind::Ours => self.calls.contest_ours(self.contest, name, service),
            Kind::Bare | Kind::Floor => self.contest.add(kind, name, self.calls.again(&mut service)),
        }
    }
}

/// A service as a server has it.
pub trait Answers: Service<Request, Response = Response, Error = Infallible> {}

impl<S: Service<Request, Response = Response, Error = Infallible>> Answers for S {}

/// Nothing here has to wait.
pub fn answer<S: Answers>(service: &mut S, request: Request) -> Response {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    match pin!(service.call(black_box(request))).poll(&mut cx) {
        Poll::Ready(Ok(response)) => response,
        Poll::Pending => panic!("it had to wait"),
    }
}

/// The same for all, as a server hands it in: with the address it came from.
pub fn plain_request() -> Request {
    request_from([192, 0, 2, 7])
}

pub fn request_from(address: [u8; 4]) -> Request {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static("/tasks/42");
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("api.example"));
    headers.insert(ORIGIN, HeaderValue::from_static("https://app.example"));
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from((address, 4711))));
    request
}

/// Requests with one credential, with one that is forged, and with others that come once each.
pub struct Calls {
    known: HeaderValue,
    forged: HeaderValue,
    others: Vec<HeaderValue>,
    name: HeaderName,
}

impl Calls {
    pub fn new(material: &Material) -> Self {
        let others = (0..TOKENS).map(|_| bearer(&material.token())).collect();
        Self { others, ..Self::repeated(material) }
    }

    /// Without those that come once.
    pub fn repeated(material: &Material) -> Self {
        let token = material.token();
        Self::of(AUTHORIZATION, bearer(&token), bearer(&forge(&token)))
    }

    pub fn of(name: HeaderName, known: HeaderValue, forged: HeaderValue) -> Self {
        Self { known, forged, others: Vec::new(), name }
    }

    /// The cost of a request whose credential comes again and again.
    pub fn again<S: Answers>(&self, service: &mut S) -> Cost {
        measure(|| {
            let response = answer(service, self.request(&self.known));
            assert_eq!(response.status(), StatusCode::OK);
            response
        })
    }

    /// One request whose credential comes again.
    pub fn once<S: Answers>(&self, service: &mut S) {
        assert_eq!(answer(service, self.request(&self.known)).status(), StatusCode::OK);
    }

    /// The same, for a profiler that knows it by its name.
    #[inline(never)]
    pub fn counted<S: Answers>(&self, service: &mut S) {
        self.once(service);
    }

    /// A row for somebody who takes the one and refuses the other.
    fn contest<S: Answers>(&self, contest: &mut Contest, kind: Kind, name: &str, mut service: S) {
        self.check(name, &mut service);
        contest.add(kind, name, self.again(&mut service));
    }

    /// Two rows: what a token costs that comes the first time, and again.
    fn contest_ours<S: Answers>(&self, contest: &mut Contest, name: &str, mut service: S) {
        self.check(name, &mut service);
        let first = measure_each(&self.others, |other| {
            assert_eq!(answer(&mut service, self.request(other)).status(), StatusCode::OK);
        });
        contest.add(Kind::Ours, format!("{name}, the first time"), first);
        contest.add(Kind::Ours, format!("{name}, again"), self.again(&mut service));
    }

    fn check<S: Answers>(&self, name: &str, service: &mut S) {
        assert_eq!(answer(service, self.request(&self.known)).status(), StatusCode::OK, "{name}");
        assert_eq!(answer(service, self.request(&self.forged)).status(), StatusCode::UNAUTHORIZED, "{name}");
        let mut without = self.request(&self.known);
        without.headers_mut().remove(&self.name);
        assert_eq!(answer(service, without).status(), StatusCode::UNAUTHORIZED, "{name}");
    }

    pub fn describe<S: Answers, B: Answers>(&self, service: &mut S, bare: &mut B) -> String {
        self.check("a cookie", service);
        let (bare, cost) = (self.again(bare), self.again(service));
        let (nanos, allocations) = (cost.nanos - bare.nanos, cost.allocations - bare.allocations);
        format!("adds {:.2} us and {allocations} allocations", nanos / 1e3)
    }

    fn request(&self, credential: &HeaderValue) -> Request {
        with(plain_request(), &self.name, credential)
    }
}

pub fn with(mut request: Request, name: &HeaderName, credential: &HeaderValue) -> Request {
    request.headers_mut().insert(name, credential.clone());
    request
}
