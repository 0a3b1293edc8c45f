//! Headers: what a set of them costs on an answer with two of its own, beside the bare service.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use criterion::Criterion;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, Uri};
use portcullis::headers::{SecurityHeaders, SecurityHeadersLayer};
use tower::{Layer as _, Service};

use crate::table::Table;

/// Answers with two headers.
#[derive(Clone)]
struct Bare;

impl Service<Request<()>> for Bare {
    type Response = Response<Bytes>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let mut response = Response::new(Bytes::new());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        ready(Ok(response))
    }
}

fn service<S>(criterion: &mut Criterion, table: &mut Table, name: &str, mut service: S)
where
    S: Service<Request<()>, Response = Response<Bytes>, Error = Infallible>,
{
    let uri = Uri::from_static("https://api.example/tasks");
    let mut answer = || {
        let mut request = Request::new(());
        *request.uri_mut() = uri.clone();
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut cx).is_ready());
        let future = pin!(service.call(black_box(request)));
        assert!(black_box(future.poll(&mut cx)).is_ready());
    };
    allocation_counter::opt_out(|| {
        criterion.benchmark_group("headers").bench_function(name, |b| b.iter(&mut answer));
    });
    table.count(&format!("headers/{name}"), answer);
}

pub fn run(criterion: &mut Criterion, table: &mut Table) {
    service(criterion, table, "bare", Bare);
    for (name, headers) in [("api", SecurityHeaders::api()), ("html", SecurityHeaders::html())] {
        let layer = SecurityHeadersLayer::new(headers.build().unwrap());
        service(criterion, table, name, layer.layer(Bare));
    }
}
