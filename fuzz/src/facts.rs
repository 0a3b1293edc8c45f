//! What a token says, in plain types that anybody can fill in.

use portcullis::principal::{AuthMethod, Principal, PrincipalKind};
use portcullis::token::DecodedToken;

/// All that a token says.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub seen: Seen,
    pub iat: i64,
    pub nbf: Option<i64>,
    /// The application's own claims, as JSON: `-0.0` is not `0.0`.
    pub extra: String,
}

/// What of it a principal shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub sub: String,
    pub jti: String,
    pub sid: Option<String>,
    pub tid: String,
    pub exp: i64,
    pub epoch: (u32, u32),
    pub roles: Vec<String>,
    pub scopes: Option<Vec<String>>,
    pub auth_time: Option<i64>,
    pub amr: Vec<String>,
    pub act: Option<String>,
    /// The payload as it was signed.
    pub payload: String,
}

impl Facts {
    pub fn of_claims(token: &DecodedToken) -> Self {
        let claims = token.claims();
        let seen = Seen {
            sub: claims.subject().to_string(),
            jti: claims.id().to_string(),
            sid: claims.family().map(ToString::to_string),
            tid: claims.tenant().to_string(),
            exp: claims.expires_at().as_secs(),
            epoch: (claims.epoch().security, claims.epoch().grants),
            roles: claims.roles().to_vec(),
            scopes: claims.scopes().map(<[_]>::to_vec),
            auth_time: claims.auth_time().map(|at| at.as_secs()),
            amr: names(claims.auth_methods()),
            act: claims.actor().map(|actor| actor.sub.to_string()),
            payload: token.payload().to_string(),
        };
        let extra = serde_json::to_string(claims.extra()).expect("is json");
        let (iat, nbf) = (claims.issued_at().as_secs(), claims.not_before().map(|at| at.as_secs()));
        Self { seen, iat, nbf, extra }
    }
}

impl Seen {
    pub fn of_principal(principal: &Principal) -> Self {
        assert_eq!(principal.kind(), PrincipalKind::User);
        assert!(!principal.is_anonymous());
        Self {
            sub: principal.subject().expect("a token names one").to_string(),
            jti: principal.token().expect("a token has a name").to_string(),
            sid: principal.family().map(ToString::to_string),
            tid: principal.tenant().to_string(),
            exp: principal.expires_at().expect("a token ends").as_secs(),
            epoch: (principal.epoch().security, principal.epoch().grants),
            roles: principal.roles().map(str::to_owned).collect(),
            scopes: principal.scopes().map(|scopes| scopes.map(str::to_owned).collect()),
            auth_time: principal.auth_time().map(|at| at.as_secs()),
            amr: names(principal.auth_methods()),
            act: principal.actor().map(|actor| actor.sub.to_string()),
            payload: principal.claims_json().expect("a token has a payload").to_owned(),
        }
    }
}

fn names(methods: &[AuthMethod]) -> Vec<String> {
    let name = |method: &AuthMethod| match method {
        AuthMethod::Password => "pwd",
        AuthMethod::Otp => "otp",
        AuthMethod::HardwareKey => "hwk",
        AuthMethod::SoftwareKey => "swk",
        AuthMethod::Pin => "pin",
        AuthMethod::MultiFactor => "mfa",
        AuthMethod::Federated => "fed",
        other => panic!("the reference does not know {other:?}"),
    };
    methods.iter().map(name).map(str::to_owned).collect()
}
