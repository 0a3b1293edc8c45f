//! Sessions with a token, each used by one call at a time.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use cryptoki::context::Pkcs11;
use cryptoki::error::{Error as ModuleError, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use secrecy::SecretString;

use super::failure::Failure;
use super::library;
use crate::error::ConfigError;

/// Which token. Never by the number of its slot, which changes as tokens come and go.
#[derive(Clone, Debug, Default)]
pub(super) struct TokenName {
    pub(super) label: Option<String>,
    pub(super) serial: Option<String>,
}

pub(super) struct Sessions {
    pkcs11: Pkcs11,
    token: TokenName,
    pin: SecretString,
    pin_refused: AtomicBool,
    idle: Mutex<Vec<Session>>,
    /// How often all sessions were renewed. Held for reading as long as one of them is used.
    generation: RwLock<u64>,
}

/// What a call works with.
pub(super) struct Open<'a> {
    pub(super) pkcs11: &'a Pkcs11,
    pub(super) session: &'a Session,
}

impl Sessions {
    pub(super) fn new(pkcs11: Pkcs11, token: TokenName, pin: SecretString) -> Self {
        Self {
            pkcs11,
            token,
            pin,
            pin_refused: AtomicBool::new(false),
            idle: Mutex::default(),
            generation: RwLock::default(),
        }
    }

    /// Does some work in a session, and if that turns out to have ended, once more in a new one. Blocks.
    pub(super) fn with<T>(&self, mut work: impl FnMut(Open<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        let (generation, outcome) = self.attempt(&mut work);
        if !outcome.as_ref().is_err_and(Failure::is_of_the_session) {
            return outcome;
        }
        self.renew(generation)?;
        self.attempt(&mut work).1
    }

    fn attempt<T>(&self, work: &mut impl FnMut(Open<'_>) -> Result<T, Failure>) -> (u64, Result<T, Failure>) {
        let generation = self.generation.read().unwrap_or_else(PoisonError::into_inner);
        let idle = self.idle().pop();
        let outcome = idle.map_or_else(|| self.log_in(), Ok).and_then(|session| {
            let outcome = work(Open { pkcs11: &self.pkcs11, session: &session });
            // After an error of the module there may be an operation under way in the session, or an object left behind:
            // both end with it.
            if !matches!(outcome, Err(Failure::Module(_))) {
                self.idle().push(session);
            }
            outcome
        });
        (*generation, outcome)
    }

    /// Ends all sessions, as what ended one of them ended all, and begins with a new one; unless that was done since.
    fn renew(&self, generation: u64) -> Result<(), Failure> {
        // INVARIANT: no session of before is left when a module starts anew, which may count its handles from the
        // beginning: the number of an old session would be that of somebody else's.
        let mut current = self.generation.write().unwrap_or_else(PoisonError::into_inner);
        if *current != generation {
            return Ok(());
        }
        *current += 1;
        drop(std::mem::take(&mut *self.idle()));
        let session = match self.log_in() {
            // Somebody else in the process has ended the use of the module.
            Err(Failure::Module(ModuleError::Pkcs11(RvError::CryptokiNotInitialized, _))) => {
                library::initialize(&self.pkcs11)?;
                self.log_in()
            }
            outcome => outcome,
        };
        self.idle().push(session?);
        Ok(())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_in(&self) -> Result<Session, Failure> {
        if self.pin_refused.load(Ordering::Relaxed) {
            return Err(bad_pin("was refused before and is not tried again"));
        }
        // Reading is enough: what we make lives in the session.
        let session = self.pkcs11.open_ro_session(self.slot()?)?;
        let problem = match session.login(UserType::User, Some(&self.pin)) {
            // A login counts for all sessions of the process.
            Ok(()) | Err(ModuleError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => return Ok(session),
            Err(ModuleError::Pkcs11(code, function)) => match code {
                RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
                    "is refused by the token"
                }
                RvError::PinExpired => "has expired",
                RvError::PinLocked => "is locked after too many wrong ones",
                RvError::UserPinNotInitialized => "is not set in the token",
                code => return Err(ModuleError::Pkcs11(code, function).into()),
            },
            Err(error) => return Err(error.into()),
        };
        self.pin_refused.store(true, Ordering::Relaxed);
        Err(bad_pin(problem))
    }

    fn slot(&self) -> Result<Slot, Failure> {
        let mut found = Vec::new();
        for slot in self.pkcs11.get_slots_with_token()? {
            // Somebody may be pulling another token right now.
            let is_ours = self.pkcs11.get_token_info(slot).is_ok_and(|info| self.token.is(&info));
            if is_ours {
                found.push(slot);
            }
        }
        match found[..] {
            [slot] => Ok(slot),
            [] => Err(bad_token(&self.token, "is not in any slot", "see `pkcs11-tool --list-token-slots`")),
            _ => Err(bad_token(&self.token, "is there more than once", "name it by `with_token_serial`")),
        }
    }
}

impl TokenName {
    fn is(&self, info: &TokenInfo) -> bool {
        let matches = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        info.token_initialized()
            && matches(&self.label, info.label())
            && matches(&self.serial, info.serial_number())
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [("label", &self.label), ("serial number", &self.serial)];
        let mut names = names.into_iter().filter_map(|(what, name)| Some((what, name.as_ref()?)));
        names.try_for_each(|(what, name)| write!(f, " with the {what} `{name}`"))
    }
}

fn bad_token(token: &TokenName, problem: &'static str, cure: &'static str) -> Failure {
    Failure::Unreachable(ConfigError::new(format!("pkcs#11 token{token}"), problem, cure))
}

fn bad_pin(problem: &'static str) -> Failure {
    let cure = "set the right one, then start again; many tokens lock themselves after a few wrong ones";
    Failure::Unreachable(ConfigError::new("pkcs#11 pin", problem, cure))
}
