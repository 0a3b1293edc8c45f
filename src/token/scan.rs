//! Claims in one pass over borrowed text, for the flat object without white space and escapes that we mint ourselves.
//!
//! What is accepted here the [strict reader](super::read) accepts too, with the very same result. All else - white
//! space, escapes, nesting, another spelling, any mistake - is handed over to it; what is refused is therefore always
//! refused by it, for its reason.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::id::TenantId;
use crate::principal::{AuthMethod, Bearer, Epoch, Few, Names, Span, Spans};
use crate::time::Timestamp;
use crate::token::claims::{Claims, MAX_NUMERIC_DATE, RESERVED, is_role, is_scope};
use crate::token::times::Times;

/// More claims of the application's own are handed over.
const MAX_EXTRA: usize = 8;

/// Claims whose form is right; whether the identifiers are, is found out when something is made of them.
pub(super) struct Scanned<'a> {
    text: &'a str,
    sub: &'a str,
    jti: &'a str,
    times: Times,
    sid: Option<&'a str>,
    tid: Option<&'a str>,
    epoch: Epoch,
    roles: Spans,
    scope: Option<Spans>,
    auth_time: Option<i64>,
    amr: Few<AuthMethod, 8>,
    extra: Few<(&'a str, Plain<'a>), MAX_EXTRA>,
}

/// A value that holds no others.
#[derive(Clone, Copy)]
enum Plain<'a> {
    Null,
    Bool(bool),
    Text(&'a str),
    Natural(u64),
    Negative(i64),
}

/// Scans the claims if `iss` and `aud` are exactly these strings. `None` hands over to the strict reader.
pub(super) fn claims<'a>(text: &'a str, issuer: &str, audience: &str) -> Option<Scanned<'a>> {
    let (mut iss, mut aud, mut sub, mut jti) = (None, None, None, None);
    let (mut iat, mut exp, mut nbf, mut auth_time) = (None, None, None, None);
    let (mut sid, mut tid, mut epoch, mut roles, mut scope, mut amr) = (None, None, None, None, None, None);
    let mut extra = Few::new(("", Plain::Null));
    let mut scan = Scanner { text, at: 0 };
    scan.eat(b'{')?;
    loop {
        let name = scan.string()?;
        scan.eat(b':')?;
        match name {
            "iss" => once(&mut iss, (scan.string()? == issuer).then_some(())?)?,
            "aud" => once(&mut aud, (scan.string()? == audience).then_some(())?)?,
            "sub" => once(&mut sub, scan.string()?)?,
            "jti" => once(&mut jti, scan.string()?)?,
            "iat" => once(&mut iat, scan.seconds()?)?,
            "exp" => once(&mut exp, scan.seconds()?)?,
            "nbf" => once(&mut nbf, scan.seconds()?)?,
            "auth_time" => once(&mut auth_time, scan.seconds()?)?,
            "sid" => once(&mut sid, scan.string()?)?,
            "tid" => once(&mut tid, scan.string()?)?,
            "epoch" => once(&mut epoch, scan.epoch()?)?,
            "roles" => once(&mut roles, scan.roles()?)?,
            "scope" => once(&mut scope, scan.scopes()?)?,
            "amr" => once(&mut amr, scan.methods()?)?,
            name => {
                let known = extra.as_slice();
                let fine = known.len() < MAX_EXTRA && known.iter().all(|(other, _)| *other != name);
                if name.is_empty() || RESERVED.contains(&name) || !fine {
                    return None;
                }
                extra.push((name, scan.plain()?));
            }
        }
        if scan.eat(b',').is_none() {
            break;
        }
    }
    scan.eat(b'}')?;
    ((), ()) = (iss?, aud?);
    if scan.at != text.len() {
        return None;
    }
    Some(Scanned {
        text,
        sub: sub?,
        jti: jti?,
        times: Times { iat: iat?, exp: exp?, nbf },
        sid,
        tid,
        epoch: epoch.unwrap_or_default(),
        roles: roles.unwrap_or(Spans::NONE),
        scope,
        auth_time,
        amr: amr.unwrap_or(NO_METHOD),
        extra,
    })
}

impl Scanned<'_> {
    pub(super) fn times(&self) -> Times {
        self.times
    }

    /// The claims. `None` hands over to the strict reader.
    pub(super) fn to_claims(&self) -> Option<Claims> {
        let names = |spans: &Spans| {
            spans.as_slice().iter().map(|span| span.of(self.text).to_owned()).collect::<Vec<_>>()
        };
        let extra = self.extra.as_slice().iter().map(|(name, value)| ((*name).to_owned(), value.to_value()));
        Some(Claims {
            sub: self.sub.parse().ok()?,
            jti: self.jti.parse().ok()?,
            iat: self.times.iat,
            exp: self.times.exp,
            nbf: self.times.nbf,
            sid: self.sid.map(str::parse).transpose().ok()?,
            tid: self.tid.map_or_else(|| Ok(TenantId::default()), str::parse).ok()?,
            epoch: self.epoch,
            roles: names(&self.roles),
            scope: self.scope.as_ref().map(names),
            auth_time: self.auth_time,
            amr: self.amr.as_slice().to_vec(),
            act: None,
            extra: extra.collect::<Map<_, _>>(),
        })
    }

    /// Who the token speaks for; most likely somebody of `tenant`. `None` hands over to the strict reader.
    pub(super) fn to_bearer(&self, tenant: &TenantId) -> Option<Bearer> {
        let tenant = match self.tid {
            Some(tid) if tid == tenant.as_str() => tenant.clone(),
            Some(tid) => tid.parse().ok()?,
            None => TenantId::default(),
        };
        let (subject, token) = (self.sub.parse().ok()?, self.jti.parse().ok()?);
        let family = self.sid.map(str::parse).transpose().ok()?;
        let claims: Arc<str> = self.text.into();
        let names = |spans: &Spans| Names::Within(Arc::clone(&claims), spans.clone());
        Some(Bearer {
            tenant,
            subject,
            roles: names(&self.roles),
            scopes: self.scope.as_ref().map(names),
            actor: None,
            auth_methods: self.amr.clone(),
            auth_time: self.auth_time.map(Timestamp::from_secs),
            family,
            token,
            epoch: self.epoch,
            expires_at: Timestamp::from_secs(self.times.exp),
            claims,
        })
    }
}

impl Plain<'_> {
    fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => value.into(),
            Self::Text(value) => value.into(),
            Self::Natural(value) => value.into(),
            Self::Negative(value) => value.into(),
        }
    }
}

const NO_METHOD: Few<AuthMethod, 8> = Few::new(AuthMethod::Password);

/// `None` if it was there before.
fn once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// `None`, and nothing is eaten, if something else stands here.
    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.rest().first() == Some(&byte)).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.rest().starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    /// A string without escapes. Between its quotes stands whole characters, as the text is UTF-8.
    fn span(&mut self) -> Option<Span> {
        self.eat(b'"')?;
        let length = plain_length(self.rest())?;
        let span = Span::new(self.at, self.at + length)?;
        self.at += length;
        self.eat(b'"')?;
        Some(span)
    }

    fn string(&mut self) -> Option<&'a str> {
        let text = self.text;
        self.span().map(|span| span.of(text))
    }

    /// Digits, of which the first is no needless zero. More of them than ever fit are handed over.
    fn natural(&mut self) -> Option<u64> {
        let rest = self.rest();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = rest.get(..count).filter(|_| (1..=18).contains(&count))?;
        if count > 1 && digits.first() == Some(&b'0') {
            return None;
        }
        self.at += count;
        Some(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
    }

    fn seconds(&mut self) -> Option<i64> {
        self.natural().and_then(|seconds| i64::try_from(seconds).ok()).filter(|it| *it <= MAX_NUMERIC_DATE)
    }

    fn epoch(&mut self) -> Option<Epoch> {
        self.eat(b'[')?;
        let security = self.natural()?.try_into().ok()?;
        self.eat(b',')?;
        let grants = self.natural()?.try_into().ok()?;
        self.eat(b']')?;
        Some(Epoch { security, grants })
    }

    fn list(&mut self, mut each: impl FnMut(Span) -> Option<()>) -> Option<()> {
        self.eat(b'[')?;
        if self.eat(b']').is_some() {
            return Some(());
        }
        loop {
            each(self.span()?)?;
            if self.eat(b',').is_none() {
                return self.eat(b']');
            }
        }
    }

    fn roles(&mut self) -> Option<Spans> {
        let (text, mut spans) = (self.text, Spans::NONE);
        self.list(|span| is_role(span.of(text)).then(|| spans.push(span)))?;
        Some(spans)
    }

    fn scopes(&mut self) -> Option<Spans> {
        let (span, mut spans) = (self.span()?, Spans::NONE);
        let (words, mut start) = (span.of(self.text), span.start());
        for word in words.split(' ').filter(|_| !words.is_empty()) {
            is_scope(word).then_some(())?;
            spans.push(Span::new(start, start + word.len())?);
            start += word.len() + 1;
        }
        Some(spans)
    }

    fn methods(&mut self) -> Option<Few<AuthMethod, 8>> {
        let (text, mut methods) = (self.text, NO_METHOD);
        self.list(|span| AuthMethod::named(span.of(text)).map(|method| methods.push(method)))?;
        Some(methods)
    }

    fn plain(&mut self) -> Option<Plain<'a>> {
        match self.rest().first()? {
            b'"' => self.string().map(Plain::Text),
            b't' => self.word("true").map(|()| Plain::Bool(true)),
            b'f' => self.word("false").map(|()| Plain::Bool(false)),
            b'n' => self.word("null").map(|()| Plain::Null),
            b'-' => {
                self.eat(b'-')?;
                // What is written `-0` is no whole number to serde_json.
                let number = self.natural().filter(|number| *number != 0)?;
                i64::try_from(number).ok().map(|number| Plain::Negative(-number))
            }
            _ => self.natural().map(Plain::Natural),
        }
    }
}

/// How many bytes stand before the first that ends a string, begins an escape or is a control character. Eight at a time.
fn plain_length(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    // The highest bit of each byte that is less than `n`, and perhaps of some above such a one.
    let less = |word: u64, n: u64| word.wrapping_sub(n * ONES) & !word & (0x80 * ONES);
    let (words, rest) = bytes.as_chunks();
    for (count, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = less(word ^ (u64::from(b'"') * ONES), 1);
        let escape = less(word ^ (u64::from(b'\\') * ONES), 1);
        let found = quote | escape | less(word, u64::from(b' '));
        if found != 0 {
            return Some(8 * count + found.trailing_zeros() as usize / 8);
        }
    }
    let found = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '))?;
    Some(bytes.len() - rest.len() + found)
}

#[cfg(test)]
mod tests;
