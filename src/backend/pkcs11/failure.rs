//! Why a call came to nothing, for whoever has to know.

use cryptoki::context::Function;
use cryptoki::error::{Error as ModuleError, RvError};

use crate::error::{ConfigError, Error, ErrorKind, StartError};

#[derive(Debug)]
pub(super) enum Failure {
    /// What the module said.
    Module(ModuleError),
    /// The token can't be reached as it was set up.
    Unreachable(ConfigError),
    /// The token can be reached; what is in it can't stand.
    Unfit(ConfigError),
    /// The module took too long.
    Late,
    /// A defect, here or in the module.
    Broken(&'static str),
}

impl Failure {
    /// Whether a new session may be all that is needed.
    pub(super) fn is_of_the_session(&self) -> bool {
        matches!(self, Self::Module(error) if is_of_the_session(error))
    }

    /// What the module says of a session that has lost its login.
    pub(super) fn not_logged_in() -> Self {
        Self::Module(ModuleError::Pkcs11(RvError::UserNotLoggedIn, Function::FindObjects))
    }
}

pub(super) fn is_of_the_session(error: &ModuleError) -> bool {
    let ModuleError::Pkcs11(code, _) = error else { return false };
    matches!(
        code,
        RvError::SessionHandleInvalid
            | RvError::SessionClosed
            | RvError::DeviceRemoved
            | RvError::DeviceError
            | RvError::TokenNotPresent
            | RvError::SlotIdInvalid
            | RvError::UserNotLoggedIn
            | RvError::CryptokiNotInitialized
            // Handles of keys go with the session.
            | RvError::KeyHandleInvalid
            | RvError::ObjectHandleInvalid
            | RvError::WrappingKeyHandleInvalid
            | RvError::UnwrappingKeyHandleInvalid
    )
}

/// Whether the same call would fail again however often it is made.
fn is_lasting(error: &ModuleError) -> bool {
    match error {
        ModuleError::Pkcs11(code, _) => matches!(
            code,
            RvError::ActionProhibited
                | RvError::ArgumentsBad
                | RvError::AttributeReadOnly
                | RvError::AttributeSensitive
                | RvError::AttributeTypeInvalid
                | RvError::AttributeValueInvalid
                | RvError::FunctionNotSupported
                | RvError::KeyFunctionNotPermitted
                | RvError::KeyNotWrappable
                | RvError::KeySizeRange
                | RvError::KeyTypeInconsistent
                | RvError::KeyUnextractable
                | RvError::MechanismInvalid
                | RvError::MechanismParamInvalid
                | RvError::SessionReadOnly
                | RvError::TemplateIncomplete
                | RvError::TemplateInconsistent
                | RvError::WrappingKeyTypeInconsistent
        ),
        _ => true,
    }
}

impl From<ModuleError> for Failure {
    fn from(error: ModuleError) -> Self {
        Self::Module(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Module(error) => {
                let kind = if is_lasting(&error) { ErrorKind::Internal } else { ErrorKind::Unavailable };
                Self::new(kind, "the pkcs#11 module failed").with_source(error)
            }
            Failure::Unreachable(error) => {
                Self::new(ErrorKind::Unavailable, "the pkcs#11 token cannot be reached").with_source(error)
            }
            Failure::Unfit(error) => {
                Self::new(ErrorKind::Internal, "the keys in the pkcs#11 token cannot stand")
                    .with_source(error)
            }
            Failure::Late => Self::new(ErrorKind::Unavailable, "the pkcs#11 module did not answer in time"),
            Failure::Broken(what) => Self::new(ErrorKind::Internal, what),
        }
    }
}

impl From<Failure> for StartError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable(error) | Failure::Unfit(error) => Self::Config(error),
            failure => Self::Failed(failure.into()),
        }
    }
}
