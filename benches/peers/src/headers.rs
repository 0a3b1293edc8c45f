//! Eight security headers on an answer that has two of its own.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, InvalidHeaderValue};
use http::{HeaderValue, Request, Response, Uri};
use portcullis::headers::{SecurityHeaders, SecurityHeadersLayer};
use tower::{Layer as _, Service, ServiceBuilder};
use tower_helmet::{HelmetLayer, IntoHeader};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::measure::Table;

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

/// One header of the eight, for a layer that has values of its own otherwise.
struct Same(HeaderName, HeaderValue);

impl IntoHeader for Same {
    fn header_name(&self) -> HeaderName {
        self.0.clone()
    }

    fn header_value(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        Ok(self.1.clone())
    }
}

pub fn run() -> Table {
    let mut table = Table::new("headers: the same eight on every answer", "bare service");
    let ours = SecurityHeaders::api().build().expect("the preset stands");
    let eight: Vec<_> = ours.values().map(|(name, value)| (name.clone(), value.clone())).collect();
    assert_eq!(eight.len(), 8);
    row(&mut table, "bare service", 2, Bare);

    let set = |n: usize| SetResponseHeaderLayer::overriding(eight[n].0.clone(), eight[n].1.clone());
    let layers = ServiceBuilder::new()
        .layer(set(0))
        .layer(set(1))
        .layer(set(2))
        .layer(set(3))
        .layer(set(4))
        .layer(set(5))
        .layer(set(6))
        .layer(set(7));
    row(&mut table, "tower-http, eight layers in a ServiceBuilder", 10, layers.service(Bare));

    let mut helmet = HelmetLayer::blank();
    for (name, value) in &eight {
        helmet.enable(Same(name.clone(), value.clone()));
    }
    row(&mut table, "tower-helmet", 10, helmet.layer(Bare));

    row(&mut table, "portcullis, api", 10, SecurityHeadersLayer::new(ours).layer(Bare));
    let html = SecurityHeaders::html().build().expect("the preset stands");
    row(&mut table, "portcullis, html: eleven and a nonce", 13, SecurityHeadersLayer::new(html).layer(Bare));
    table
}

fn row<S>(table: &mut Table, name: &str, headers: usize, mut service: S)
where
    S: Service<Request<()>, Response = Response<Bytes>, Error = Infallible>,
{
    let uri = Uri::from_static("https://api.example/tasks");
    table.row(name, || {
        let mut request = Request::new(());
        *request.uri_mut() = uri.clone();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut cx).is_ready());
        let future = pin!(service.call(black_box(request)));
        let Poll::Ready(Ok(response)) = future.poll(&mut cx) else { panic!("it had to wait") };
        assert_eq!(response.headers().len(), headers);
        response
    });
}
