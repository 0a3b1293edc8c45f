//! Embeddable security for tower services: who is asking, what they may do, and a trail of what happened, over
//! storage of your own.
//!
//! With a store, keys and two names configured, and nothing else, you get
//!
//! - sign-in with Argon2id off the async workers, which costs and says the same whether an account exists or not;
//! - access tokens that are read strictly, checked without a store call, and dead within a second of what ends them;
//! - refresh tokens that rotate, and that end the sign-in when a copy of one is used;
//! - routes that are denied until a rule opens them;
//! - refusals that tell a client a stable code and nothing internal;
//! - an audit event for every sign-in and every change, for failed sign-ins and for reused tokens.
//!
//! What is missing or contradicts itself is an error at start-up. An outage is 503 and denies. There is no unsafe code.
//!
//! # One protected service
//!
//! No framework, nothing but memory; `examples/quickstart.rs` is a longer form, and [`axum`] has routes that carry their
//! rules.
//!
//! ```
//! use std::convert::Infallible;
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use http::{Method, Request, Response};
//! use portcullis::account::{Accounts, Registration};
//! use portcullis::audit::MemorySink;
//! use portcullis::authz::{AccessMap, Role, RoleModel, Rule};
//! use portcullis::crypto::StaticKeys;
//! use portcullis::gate::Gate;
//! use portcullis::store::MemoryStore;
//! use portcullis::{Principal, TenantId};
//! use secrecy::ExposeSecret;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let accounts = Accounts::builder()
//!     .with_store(Arc::new(MemoryStore::new()))
//!     .with_keys(Arc::new(StaticKeys::generate()?))
//!     .with_audit(Arc::new(MemorySink::default()))
//!     .with_issuer("https://id.example")
//!     .with_audience("https://api.example")
//!     .with_roles(RoleModel::builder().add(Role::new("user").grants("tasks:read")).build()?)
//!     .with_default_roles(["user"])
//!     .build()
//!     .await?;
//! let gate = Gate::builder()
//!     .with_accounts(accounts.clone())
//!     .with_access_map(AccessMap::builder().add(Method::GET, "/tasks", Rule::permission("tasks:read")))
//!     .build()
//!     .await?;
//!
//! // Your service. Behind the gate it finds out who is asking in the request's extensions.
//! let service = gate.layer().layer(service_fn(async |request: Request<()>| {
//!     let who = request.extensions().get::<Principal>().and_then(Principal::subject);
//!     Ok::<_, Infallible>(Response::new(Bytes::from(format!("the tasks of {}", who.unwrap()))))
//! }));
//!
//! let password = || "correct horse battery staple".to_owned().into();
//! let ada = Registration::new("ada", "ada@example.com", password());
//! accounts.register(&TenantId::default(), ada).await?;
//! let tokens = accounts.sign_in(&TenantId::default(), "ada", password()).await?.tokens;
//!
//! let bearer = format!("Bearer {}", tokens.access_token.expose_secret());
//! let request = Request::get("/tasks").header("authorization", bearer).body(())?;
//! assert_eq!(service.clone().oneshot(request).await?.status(), 200);
//! assert_eq!(service.clone().oneshot(Request::get("/tasks").body(())?).await?.status(), 401);
//! // What has no rule isn't there.
//! assert_eq!(service.oneshot(Request::get("/secrets").body(())?).await?.status(), 404);
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # Where to read on
//!
//! In this order, each page rests on those before it:
//!
//! | module | answers |
//! |---|---|
//! | [`gate`] | what happens to a request, from the first byte of its path to the handler |
//! | [`context`] | which request this is, when it came, from which address and over which channel |
//! | [`firewall`] | what is no well-formed request, and the one spelling of a path |
//! | [`authn`] | who is asking: schemes, challenges, the bearer token |
//! | [`principal`] | who that is: [`Principal`], roles, how and when they proved it |
//! | [`authz`] | what they may do: permissions, roles, rules, policies |
//! | [`rate_limit`] | how often they may ask: quotas, keys, tiers, counted here or in a shared store |
//! | [`rejection`], [`render`] | what a client is told, and in which form |
//! | [`headers`] | what every answer tells a browser: security headers, Content Security Policy, nonces |
//! | [`account`] | registering, signing in, changing and ending accounts |
//! | [`token`] | access tokens, refresh families, revocation |
//! | [`password`] | hashing, and the policy for new passwords |
//! | [`vault`] | encryption of fields at rest, finding sealed values, moving them to the newest key |
//! | [`crypto`] | keys, keyrings, providers, sealing, blind indexes, wrapped data keys, sealed streams |
//! | [`store`], [`backend`] | the storage ports, the suite that checks an implementation, and stores over databases |
//! | [`audit`] | what happened, for the operator |
//! | [`axum`] | the adapter: routes with their rules, extractors, ready-made endpoints |
//! | [`cors`], [`csrf`] | which other sites may call, and read the answer |
//! | [`validate`] | how large, how slow and of which type a body may be |
//! | [`error`], [`id`], [`network`], [`origin`], [`secret`], [`time`] | the words the others are written in |
//!
//! Services ([`account`], [`token`], [`password`], [`vault`]) work without HTTP; layers ([`authn`], [`authz`], [`context`], [`cors`],
//! [`csrf`], [`firewall`], [`gate`], [`headers`], [`rate_limit`], [`validate`]) need tower and nothing else. Futures that
//! wait need a tokio runtime.
//!
//! # Features
//!
//! A feature adds a dependency and changes no behaviour.
//!
//! | feature | adds | dependency | default? |
//! |---|---|---|---|
//! | `aws-lc` | signatures by AWS-LC: EdDSA, ES256, PS256, verification of RS256; needs a C compiler | `aws-lc-rs` | yes |
//! | `rust-crypto` | the same in pure Rust, with PS256 keys imported rather than generated | `ed25519-dalek`, `p256`, and `rsa` through `jsonwebtoken` | no |
//! | `axum` | [`axum`]: `gate.router()`, extractors, endpoints, for axum 0.8 | `axum` | no |
//! | `cedar` | [`authz::policy::cedar`]: policies and schema as text; needs a C compiler | `cedar-policy` | no |
//! | `fernet` | [`crypto::fernet`]: reading what Python's `cryptography.fernet` encrypted | `cbc`, `pbkdf2` | no |
//! | `pkcs11` | [`backend::pkcs11`]: keys in a hardware security module or SoftHSM | `cryptoki` | no |
//! | `sqlite` | [`backend::sqlite`]: users, tokens and audit in an embedded database; needs a C compiler | `sqlx` | no |
//! | `test-util` | [`store::conformance`], [`store::fault`], [`gate::testing`], fast password parameters for tests | | no |
//! | `full` | all of these but `test-util` | | no |
//!
//! Without `aws-lc` and `rust-crypto` tokens are signed with HS256 only.
//!
//! # Limits
//!
//! This is the first version. It does not
//!
//! - limit by itself how often an address or an account may try: give the gate a
//!   [`RateLimit`](rate_limit::RateLimit). Sign-in is bounded in memory and CPU, not yet in number for each account;
//! - bound bodies behind [`Gate::layer`](gate::Gate::layer), whose type it leaves alone: put a
//!   [`BodyGuardLayer`](validate::BodyGuardLayer) inside;
//! - know sessions in cookies;
//! - know second factors, passkeys, API keys, password reset and mailed links, or other identity providers;
//! - serve more than one tenant per gate, although every key of a store carries one;
//! - record requests with a bad credential or none in the audit trail. The [`Rejection`] in the response's extensions
//!   tells an outer layer of yours;
//! - delete expired records by itself: call [`Tokens::purge`](token::Tokens::purge) from time to time;
//! - come with stores other than memory and SQLite.
//!
//! `SECURITY.md` says what is defended against at each boundary, `DESIGN.md` why things are as they are.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::string_slice, reason = "tests say what went wrong by panicking"))]

// Floor 0: words.
pub mod error;
mod fold;
pub mod id;
mod lasting;
pub mod network;
pub mod origin;
mod path;
pub mod principal;
pub mod rejection;
mod request_context;
pub mod secret;
mod siphash;
pub mod time;

// Floor 1: mechanisms and ports.
pub mod audit;
pub mod authz;
pub mod crypto;
pub mod password;
pub mod rate_limit;
pub mod store;

// Floor 2: services.
pub mod account;
pub mod token;
pub mod vault;

// Floor 3: wire and layers.
pub mod authn;
pub mod context;
pub mod cors;
pub mod csrf;
pub mod firewall;
pub mod gate;
pub mod headers;
pub mod render;
pub mod validate;
mod wire;

// Floor 4: adapters.
#[cfg(feature = "axum")]
pub mod axum;
pub mod backend;

pub use error::{ConfigError, Error};
pub use id::{RequestId, Subject, TenantId};
pub use principal::Principal;
pub use rejection::Rejection;
pub use request_context::RequestContext;

/// The README's code is compiled as documentation is, so that it stays true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
