//! Keys as objects in the token: which there are, and whether they may be used.

use std::fmt::Write as _;

use cryptoki::error::Error as ModuleError;
use cryptoki::mechanism::MechanismType;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::SessionState;

use super::failure::Failure;
use super::sessions::Open;
use crate::error::ConfigError;
use crate::id::KeyId;

/// As many bytes of `CKA_ID` as fit into a [`KeyId`] in hexadecimal digits.
const MAX_ID: usize = 32;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// HMAC-SHA-256, from which others are derived.
    Root,
    /// AES-256-KW.
    Wrapping,
}

/// A key that may be used.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) handle: ObjectHandle,
    pub(super) id: KeyId,
}

impl Use {
    fn key_types(self) -> &'static [KeyType] {
        match self {
            Self::Root => &[KeyType::GENERIC_SECRET, KeyType::SHA256_HMAC],
            Self::Wrapping => &[KeyType::AES],
        }
    }

    /// `pkcs11-tool` calls it so.
    fn tool_type(self) -> &'static str {
        match self {
            Self::Root => "GENERIC:32",
            Self::Wrapping => "AES:32",
        }
    }

    fn length_fits(self, bytes: usize) -> bool {
        match self {
            Self::Root => bytes >= 32,
            Self::Wrapping => bytes == 32,
        }
    }

    fn flags(self) -> &'static [(AttributeType, &'static str)] {
        match self {
            Self::Root => &[(AttributeType::Sign, "may not sign")],
            Self::Wrapping => {
                &[(AttributeType::Wrap, "may not wrap"), (AttributeType::Unwrap, "may not unwrap")]
            }
        }
    }
}

/// Whether the token can do what a key is for.
pub(super) fn check_mechanism(open: &Open<'_>, wanted: Use) -> Result<(), Failure> {
    let (mechanism, name) = match wanted {
        Use::Root => (MechanismType::SHA256_HMAC, "CKM_SHA256_HMAC"),
        Use::Wrapping => (MechanismType::AES_KEY_WRAP, "CKM_AES_KEY_WRAP"),
    };
    let slot = open.session.get_session_info()?.slot_id();
    let offered = open.pkcs11.get_mechanism_list(slot)?.contains(&mechanism) && {
        let info = open.pkcs11.get_mechanism_info(slot, mechanism)?;
        match wanted {
            Use::Root => info.sign(),
            Use::Wrapping => info.wrap() && info.unwrap(),
        }
    };
    if offered {
        return Ok(());
    }
    let problem = format!("does not offer {name}");
    Err(Failure::Unfit(ConfigError::new("pkcs#11 token", problem, "see `pkcs11-tool --list-mechanisms`")))
}

/// All keys of this label, the greatest id first. At least one, and all of them fit for use: a key that isn't beside
/// one that is would be a mistake, or worse.
pub(super) fn find_all(open: &Open<'_>, label: &str, wanted: Use) -> Result<Vec<Found>, Failure> {
    let mut keys = find(open, label, None, wanted)?;
    if keys.is_empty() {
        let cure = format!("make it by `pkcs11-tool --keygen --key-type {}`", wanted.tool_type());
        return Err(Failure::Unfit(ConfigError::new(field(label, None), "is not in the token", cure)));
    }
    keys.sort_by_key(|(id, _)| std::cmp::Reverse((id.len(), id.clone())));
    if let Some((id, _)) = keys.iter().zip(keys.iter().skip(1)).find(|(a, b)| a.0 == b.0).map(|(a, _)| a) {
        return Err(twice(label, id));
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// The one key of this label and id, if there is one.
pub(super) fn find_one(
    open: &Open<'_>,
    label: &str,
    id: &KeyId,
    wanted: Use,
) -> Result<Option<Found>, Failure> {
    let Some(bytes) = object_id(id) else { return Ok(None) };
    let mut keys = find(open, label, Some(&bytes), wanted)?;
    if keys.len() > 1 {
        return Err(twice(label, &bytes));
    }
    Ok(keys.pop().map(|(_, key)| key))
}

fn find(
    open: &Open<'_>,
    label: &str,
    id: Option<&[u8]>,
    wanted: Use,
) -> Result<Vec<(Vec<u8>, Found)>, Failure> {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::Token(true),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    template.extend(id.map(|id| Attribute::Id(id.to_vec())));
    let mut handles = open.session.find_objects(&template)?;
    if handles.is_empty() {
        // Private objects are silently left out for those who aren't logged in.
        let state = open.session.get_session_info()?.session_state();
        if !matches!(state, SessionState::RoUser | SessionState::RwUser) {
            return Err(Failure::not_logged_in());
        }
        // Somebody else in the process may have logged in since.
        handles = open.session.find_objects(&template)?;
    }
    handles.into_iter().map(|handle| check(open, label, handle, wanted)).collect()
}

fn check(
    open: &Open<'_>,
    label: &str,
    handle: ObjectHandle,
    wanted: Use,
) -> Result<(Vec<u8>, Found), Failure> {
    let key_type = match open.session.get_attributes(handle, &[AttributeType::KeyType]) {
        Ok(attributes) => attributes.into_iter().next(),
        // A type that the bindings have no name for.
        Err(ModuleError::NotSupported | ModuleError::InvalidValue) => None,
        Err(error) => return Err(error.into()),
    };
    let mut asked = vec![
        AttributeType::Id,
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::Private,
        AttributeType::ValueLen,
    ];
    asked.extend(wanted.flags().iter().map(|(flag, _)| *flag));
    let attributes = open.session.get_attributes(handle, &asked)?;
    let id = attributes.iter().find_map(|attribute| match attribute {
        Attribute::Id(id) => Some(id.clone()),
        _ => None,
    });
    let id = id.unwrap_or_default();
    let has = |attribute: Attribute| attributes.contains(&attribute);

    let mut problems = Vec::new();
    let mut bad = |problem, cure: &str| {
        problems.push(ConfigError::new(field(label, Some(&id)), problem, cure.to_owned()))
    };
    let make_new = format!("make a new one of the type {}", wanted.tool_type());
    if !matches!(key_type, Some(Attribute::KeyType(key_type)) if wanted.key_types().contains(&key_type)) {
        bad("has another type", &make_new);
    }
    let length = attributes.iter().find_map(|attribute| match attribute {
        Attribute::ValueLen(length) => Some(usize::from(*length)),
        _ => None,
    });
    if !length.is_some_and(|length| wanted.length_fits(length)) {
        bad("has another length", &make_new);
    }
    // What a token doesn't tell counts as the worse.
    if !has(Attribute::Extractable(false)) {
        bad("may be extracted", "make a new one without `--extractable`");
    }
    if !has(Attribute::Sensitive(true)) {
        bad("may be read", "make a new one with `--sensitive`");
    }
    if !has(Attribute::Private(true)) {
        bad("may be used without the pin", "make a new one with `--private`");
    }
    for (flag, problem) in wanted.flags() {
        if !attributes.iter().any(|attribute| is_set(attribute, *flag)) {
            bad(problem, "make a new one with `--usage-sign` or `--usage-wrap`");
        }
    }
    let key_id = key_id(&id);
    if key_id.is_none() {
        bad("has no id, or one of more than 32 bytes", "give it one by `--id`");
    }
    ConfigError::all(problems).map_err(Failure::Unfit)?;
    let id_of = key_id.ok_or(Failure::Broken("a key in the pkcs#11 token has no id"))?;
    Ok((id, Found { handle, id: id_of }))
}

fn is_set(attribute: &Attribute, flag: AttributeType) -> bool {
    attribute.attribute_type() == flag
        && matches!(attribute, Attribute::Sign(true) | Attribute::Wrap(true) | Attribute::Unwrap(true))
}

/// `CKA_ID` in hexadecimal digits.
fn key_id(id: &[u8]) -> Option<KeyId> {
    if id.len() > MAX_ID {
        return None;
    }
    KeyId::parse(&hex(id)).ok()
}

/// The one `CKA_ID` that has this name, if any.
fn object_id(id: &KeyId) -> Option<Vec<u8>> {
    let digit = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs = id.as_str().as_bytes().chunks(2);
    pairs
        .map(|pair| <[u8; 2]>::try_from(pair).ok().and_then(|[a, b]| Some(digit(&a)? << 4 | digit(&b)?)))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string doesn't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn field(label: &str, id: Option<&[u8]>) -> String {
    match id {
        None => format!("pkcs#11 key `{label}`"),
        Some(id) => format!("pkcs#11 key `{label}` of id `{}`", hex(id)),
    }
}

fn twice(label: &str, id: &[u8]) -> Failure {
    let cure = "give each key of one label an id of its own";
    Failure::Unfit(ConfigError::new(field(label, Some(id)), "is in the token more than once", cure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_back() {
        for id in [&[0][..], &[1], &[0, 1], &[0xab, 0xcd], &[0xff; MAX_ID]] {
            assert_eq!(object_id(&key_id(id).unwrap()).as_deref(), Some(id));
        }
        assert!(key_id(&[]).is_none() && key_id(&[1; MAX_ID + 1]).is_none());
        for text in ["0", "012", "AB", "0g", "-1", "a_"] {
            assert!(object_id(&KeyId::parse(text).unwrap()).is_none(), "{text}");
        }
    }
}
