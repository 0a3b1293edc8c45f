//! A service as `tonic-prost-build` generates it, but by hand and with plain text for messages.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _};
use http::{Request, Response};
use portcullis::Principal;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService};
use tower::{Service, service_fn};

#[derive(Clone)]
pub(crate) struct Greeter;

impl NamedService for Greeter {
    const NAME: &'static str = "demo.Greeter";
}

impl Service<Request<Body>> for Greeter {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let hello = service_fn(async |call: tonic::Request<String>| {
            let who = call.extensions().get::<Principal>().and_then(Principal::subject);
            let who = who.map(ToString::to_string).unwrap_or_default();
            Ok::<_, tonic::Status>(tonic::Response::new(format!("hello {}, you are {who}", call.get_ref())))
        });
        Box::pin(async move { Ok(Grpc::new(Text).unary(hello, request).await) })
    }
}

struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = tonic::Status;

    fn encode(&mut self, text: String, to: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        to.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = tonic::Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<String>, tonic::Status> {
        let text = String::from_utf8(from.copy_to_bytes(from.remaining()).into());
        text.map(Some).map_err(|_| tonic::Status::invalid_argument("not UTF-8"))
    }
}
