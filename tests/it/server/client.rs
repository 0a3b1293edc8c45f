//! A client that finds fault with every answer on its way.

use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use portcullis::rejection::RejectionCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{ADMIN, ADMIN_PASSWORD, PASSWORD};

#[derive(Clone)]
pub struct Api {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

#[must_use]
pub struct Ask {
    api: Api,
    name: String,
    request: Request<Full<Bytes>>,
}

#[derive(Debug)]
pub struct Answer {
    name: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What a sign-in gave.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

impl Api {
    pub fn new(base: &str) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), base: base.to_owned() }
    }

    pub fn ask(&self, method: &str, path: &str) -> Ask {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(format!("{}{path}", self.base))
            .body(Full::default())
            .unwrap();
        Ask { api: self.clone(), name: format!("{method} {path:.80}"), request }
    }

    pub fn get(&self, path: &str) -> Ask {
        self.ask("GET", path)
    }

    pub fn post(&self, path: &str, body: Value) -> Ask {
        self.ask("POST", path).json(body)
    }

    pub async fn register(&self, name: &str) -> Value {
        let body = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
        self.post("/api/auth/register", body).send().await.expect(200).json()
    }

    pub async fn sign_in(&self, name: &str) -> Tokens {
        self.sign_in_with(name, PASSWORD).await.expect(200).tokens()
    }

    pub async fn sign_in_with(&self, name: &str, password: &str) -> Answer {
        self.post("/api/auth/login", json!({ "username": name, "password": password })).send().await
    }

    pub async fn admin(&self) -> Tokens {
        self.sign_in_with(ADMIN, ADMIN_PASSWORD).await.expect(200).tokens()
    }

    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post("/api/auth/refresh", json!({ "refresh_token": refresh_token })).send().await
    }

    pub async fn me(&self, access_token: &str) -> Answer {
        self.get("/api/auth/me").bearer(access_token).send().await
    }

    /// Sets the server's clock ahead.
    pub async fn advance(&self, seconds: u32) {
        let body = json!({ "advance_seconds": seconds });
        self.post("/api/debug/clock", body).send().await.expect(200);
    }

    /// Sends these bytes and returns whatever comes back, to the end of the connection, without the date.
    pub async fn raw(&self, request: &[u8]) -> String {
        let address: SocketAddr = self.base.strip_prefix("http://").unwrap().parse().unwrap();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        answer.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
    }
}

impl Ask {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let (name, value) = (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        self.request.headers_mut().append(name, value);
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    pub fn bearer_if(self, token: Option<&str>) -> Self {
        match token {
            Some(token) => self.bearer(token),
            None => self,
        }
    }

    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self.header(CONTENT_TYPE.as_str(), content_type)
    }

    pub fn json(self, body: Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let encoded: Vec<_> =
            fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        self.body("application/x-www-form-urlencoded", encoded.join("&"))
    }

    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    /// Fails if the connection does.
    pub async fn try_send(self) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let head = *self.request.method() == Method::HEAD;
        let (parts, body) = self.api.client.request(self.request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let answer = Answer { name: self.name, status: parts.status.as_u16(), headers: parts.headers, body };
        if !head {
            answer.check();
        }
        Ok(answer)
    }
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {:?}", self.name, self.body);
        self
    }

    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.json()["code"], code, "{}", answer.name);
        answer
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The reasons of a 422, as `field code`.
    pub fn reasons(&self) -> Vec<String> {
        let reasons = self.json()["reasons"].as_array().cloned().unwrap_or_default();
        let text = |reason: &Value, member: &str| reason[member].as_str().unwrap().to_owned();
        reasons.iter().map(|reason| text(reason, "field") + " " + &text(reason, "code")).collect()
    }

    #[track_caller]
    pub fn tokens(&self) -> Tokens {
        let body = self.json();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        assert_eq!(body["token_type"], "bearer");
        assert!(body["expires_in"].as_u64().unwrap() > 0);
        // RFC 6749 section 5.1.
        assert_eq!(self.headers[CACHE_CONTROL], "no-store");
        Tokens { access: text("access_token"), refresh: text("refresh_token") }
    }

    /// What must hold for every answer: nothing of the inside, and refusals as RFC 9457 problems with a known code.
    // ASVS 16.5.1
    fn check(&self) {
        let text = String::from_utf8(self.body.to_vec()).unwrap();
        // A token is random text, in which any short word turns up sooner or later.
        if !text.contains("\"access_token\"") {
            for inside in ["$argon2", "sqlx", "SQLite", "serde", "deserialize", ".rs:", "panicked", "canary"]
            {
                assert!(!text.contains(inside), "{}: {text}", self.name);
            }
        }
        if self.status < 400 {
            return;
        }
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json", "{}: {text}", self.name);
        assert_eq!(self.headers[CACHE_CONTROL], "no-store", "{}", self.name);
        let body = self.json();
        let code = RejectionCode::ALL.iter().find(|code| body["code"] == code.as_str());
        let code = code.unwrap_or_else(|| panic!("{}: no known code: {text}", self.name));
        assert_eq!(code.status(), self.status, "{}", self.name);
        assert_eq!(body["status"], self.status, "{}", self.name);
        assert_eq!(body["detail"], code.detail(), "{}", self.name);
        let known = ["type", "title", "status", "detail", "code", "reasons"];
        assert!(body.as_object().unwrap().keys().all(|name| known.contains(&name.as_str())), "{text}");
        let has = |name: HeaderName| self.headers.contains_key(name);
        assert_eq!(has(WWW_AUTHENTICATE), matches!(self.status, 401 | 403) && self.is_challenge(), "{text}");
        assert_eq!(has(ALLOW), self.status == 405, "{}", self.name);
        assert_eq!(has(RETRY_AFTER), matches!(self.status, 429 | 503), "{}", self.name);
    }

    /// A 401 always has a challenge; a 403 may.
    fn is_challenge(&self) -> bool {
        self.status == 401 || self.headers.contains_key(WWW_AUTHENTICATE)
    }
}

fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        let _ = write!(escaped, "%{byte:02X}");
        escaped
    })
}
