//! A policy that was checked.

use std::fmt;

use bytes::Bytes;
use http::HeaderValue;

use super::directive::Directive;
use super::nonce::CspNonce;
use super::source::Part;
use crate::error::ConfigError;
use crate::headers::value::header_value;

/// A checked Content Security Policy, made by [`Csp::build`](super::Csp::build): text with places for the nonce.
#[derive(Clone, Debug)]
pub struct ContentSecurityPolicy {
    /// The nonce stands between each two.
    pieces: Vec<String>,
    /// Bytes with the nonce filled in.
    pub(super) len: usize,
    /// Without a nonce: what needed one is not let in.
    closed: HeaderValue,
    directives: Vec<Directive>,
    endpoint: Option<String>,
}

impl ContentSecurityPolicy {
    pub(super) fn new(directives: &[(Directive, Vec<Part>)]) -> Result<Self, ConfigError> {
        let mut pieces = vec![String::new()];
        let mut closed = String::new();
        let mut endpoint = None;
        for (directive, parts) in directives {
            let separator = if closed.is_empty() { "" } else { "; " };
            write(&mut pieces, separator);
            write(&mut pieces, directive.as_str());
            closed.push_str(separator);
            closed.push_str(directive.as_str());
            for part in parts {
                write(&mut pieces, " ");
                match part {
                    Part::Nonce => {
                        write(&mut pieces, "'nonce-");
                        pieces.push("'".to_owned());
                    }
                    Part::Text(text) => {
                        write(&mut pieces, text);
                        closed.push(' ');
                        closed.push_str(text);
                        if *directive == Directive::ReportTo {
                            endpoint = Some(text.clone());
                        }
                    }
                }
            }
            if !parts.is_empty() && parts.iter().all(|part| matches!(part, Part::Nonce)) {
                closed.push_str(" 'none'");
            }
        }
        let nonces = pieces.len().saturating_sub(1);
        let len = pieces.iter().map(String::len).sum::<usize>() + nonces * NONCE_LEN;
        let directives = directives.iter().map(|(directive, _)| *directive).collect();
        Ok(Self { pieces, len, closed: header_value(super::FIELD, closed)?, directives, endpoint })
    }

    /// Whether it has a place for a nonce, so that each request needs one.
    #[must_use]
    pub fn needs_nonce(&self) -> bool {
        self.pieces.len() > 1
    }

    /// The value of the header. Without a nonce, what needs one is not let in.
    #[must_use]
    pub fn value(&self, nonce: Option<&CspNonce>) -> HeaderValue {
        let Some(nonce) = nonce.filter(|_| self.needs_nonce()) else { return self.closed.clone() };
        let mut text = Vec::with_capacity(self.len);
        for (index, piece) in self.pieces.iter().enumerate() {
            if index > 0 {
                text.extend_from_slice(nonce.as_str().as_bytes());
            }
            text.extend_from_slice(piece.as_bytes());
        }
        HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| self.closed.clone())
    }

    /// The endpoint that reports go to.
    pub(in crate::headers) fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Whether reports go anywhere.
    pub(in crate::headers) fn reports(&self) -> bool {
        self.endpoint.is_some() || self.directives.contains(&Directive::ReportUri)
    }

    /// A directive that means nothing in a policy that only reports.
    pub(in crate::headers) fn only_enforced(&self) -> Option<Directive> {
        self.directives.iter().copied().find(|directive| directive.only_enforced())
    }
}

const NONCE_LEN: usize = 22;

fn write(pieces: &mut [String], text: &str) {
    if let Some(last) = pieces.last_mut() {
        last.push_str(text);
    }
}

/// As the header, with `{nonce}` in place of each nonce.
impl fmt::Display for ContentSecurityPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pieces.join("{nonce}"))
    }
}
