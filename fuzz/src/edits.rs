//! Edits of what is right. Bytes say which, two or three to an edit; when there are no more, that was all.

use crate::tables::{NAMES, SPACES, VALUES};
use crate::{AUDIENCE, IAT, ISSUER};

struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(*first))
    }

    fn pick<'b, T: ?Sized>(&mut self, from: &[&'b T]) -> &'b T {
        from[self.byte().unwrap_or(0) % from.len()]
    }

    fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Edits bytes: where (two bytes), how many go and how many come (one byte), what comes.
pub fn bytes(text: &str, script: &[u8]) -> String {
    let mut script = Script(script);
    let mut bytes = text.as_bytes().to_vec();
    while let (Some(high), Some(low), Some(how)) = (script.byte(), script.byte(), script.byte()) {
        let at = (high * 256 + low) % (bytes.len() + 1);
        let end = (at + how % 4).min(bytes.len());
        bytes.splice(at..end, script.take(how / 4 % 4).to_vec());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Edits the members of a good payload.
pub fn payload(script: &[u8]) -> Vec<u8> {
    let mut script = Script(script);
    let (mut before, mut after) = (b"{".to_vec(), b"}".to_vec());
    let mut members: Vec<(Vec<u8>, Vec<u8>)> = good(script.byte().unwrap_or(0))
        .map(|(name, value)| (quoted(name.as_bytes()), value.into_bytes()))
        .collect();
    while let Some(edit) = script.byte() {
        let count = members.len();
        let at = script.byte().unwrap_or(0) % count.max(1);
        let Some((name, value)) = members.get_mut(at) else { break };
        match edit % 14 {
            0 => *value = script.pick(&VALUES).into(),
            1 => drop(members.remove(at)),
            2 => {
                let twice = members[at].clone();
                members.push(twice);
            }
            3 => *name = quoted(script.pick(&NAMES).as_bytes()),
            4 => {
                let name = quoted(script.pick(&NAMES).as_bytes());
                members.insert(at, (name, script.pick(&VALUES).into()));
            }
            5 => members.swap(at, script.byte().unwrap_or(0) % count),
            6 => {
                for _ in 0..script.byte().unwrap_or(0) % 20 {
                    *value = [b"[", value.as_slice(), b"]"].concat();
                }
            }
            7 => {
                for _ in 0..script.byte().unwrap_or(0) % 20 {
                    *value = [b"{\"a\":", value.as_slice(), b"}"].concat();
                }
            }
            8 => escape(value, script.byte().unwrap_or(0)),
            9 => escape(name, script.byte().unwrap_or(0)),
            10 => *value = [script.pick(&SPACES), value.as_slice()].concat(),
            11 => value.extend(script.pick(&SPACES)),
            12 => {
                let how = script.byte().unwrap_or(0);
                let raw = script.take(how / 2 % 32);
                *value = if how % 2 == 0 { raw.to_vec() } else { quoted(raw) };
            }
            _ => {
                let space = script.pick(&SPACES);
                if at % 2 == 0 {
                    before.splice(0..0, space.to_vec());
                } else {
                    after.extend(space)
                }
            }
        }
    }
    let members: Vec<_> =
        members.iter().map(|(name, value)| [name.as_slice(), b":", value].concat()).collect();
    [before, members.join(&b','), after].concat()
}

fn quoted(text: &[u8]) -> Vec<u8> {
    [b"\"", text, b"\""].concat()
}

/// Writes one byte as an escape.
fn escape(text: &mut Vec<u8>, at: usize) {
    if let Some(byte) = text.get(at % text.len().max(1)).copied() {
        let at = at % text.len();
        text.splice(at..=at, format!("\\u{byte:04X}").into_bytes());
    }
}

/// The members of a payload that is right: only the least, or some of the others too.
fn good(which: usize) -> impl Iterator<Item = (&'static str, String)> {
    let least = [
        ("iss", format!("\"{ISSUER}\"")),
        ("aud", format!("\"{AUDIENCE}\"")),
        ("sub", "\"ada\"".to_owned()),
        ("jti", "\"t1\"".to_owned()),
        ("iat", IAT.to_string()),
        ("exp", (IAT + 600).to_string()),
    ];
    let others = [
        ("nbf", IAT.to_string()),
        ("sid", "\"f1\"".to_owned()),
        ("tid", "\"acme\"".to_owned()),
        ("epoch", "[1,2]".to_owned()),
        ("roles", "[\"user\",\"\u{e9}diteur\"]".to_owned()),
        ("scope", "\"tasks:read tasks:write\"".to_owned()),
        ("amr", "[\"pwd\",\"otp\"]".to_owned()),
        ("plan", "\"gold\"".to_owned()),
    ];
    let chosen = others.into_iter().enumerate().filter(move |(place, _)| which >> place & 1 == 1);
    least.into_iter().chain(chosen.map(|(_, member)| member))
}
