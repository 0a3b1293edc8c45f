//! One token of one module.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::failure::Failure;
use super::library;
use super::sessions::{Open, Sessions, TokenName};
use crate::error::{ConfigError, StartError};

const MAX_SESSIONS: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(10);

/// A token that we are logged in to. Clones share its sessions.
///
/// Calls run beside the async workers, at most as many at a time as there may be sessions.
#[derive(Clone)]
pub struct Pkcs11Module(Arc<Inner>);

struct Inner {
    path: PathBuf,
    token: TokenName,
    sessions: Arc<Sessions>,
    turns: Arc<Semaphore>,
    timeout: Duration,
}

impl Pkcs11Module {
    /// A module by the absolute path of its library.
    pub fn builder(path: impl Into<PathBuf>) -> Pkcs11ModuleBuilder {
        Pkcs11ModuleBuilder {
            path: path.into(),
            token: TokenName::default(),
            pin: None,
            max_sessions: MAX_SESSIONS,
            timeout: TIMEOUT,
        }
    }

    /// Does some work in a session. It may be done twice, if the first session turns out to have ended.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnMut(Open<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let Inner { sessions, turns, .. } = &*self.0;
        let done = async {
            let turn = Arc::clone(turns).acquire_owned().await.map_err(|_| Failure::Late)?;
            let sessions = Arc::clone(sessions);
            // If nobody waits any more, the turn still ends with the work and not before.
            let task = spawn_blocking(move || {
                let outcome = sessions.with(work);
                drop(turn);
                outcome
            });
            task.await.map_err(|_| Failure::Broken("a call of the pkcs#11 module was aborted"))?
        };
        timeout(self.0.timeout, done).await.unwrap_or(Err(Failure::Late))
    }
}

impl fmt::Debug for Pkcs11Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { path, token, .. } = &*self.0;
        f.debug_struct("Pkcs11Module").field("path", path).field("token", token).finish_non_exhaustive()
    }
}

/// A [`Pkcs11Module`] to be.
#[must_use]
pub struct Pkcs11ModuleBuilder {
    path: PathBuf,
    token: TokenName,
    pin: Option<SecretString>,
    max_sessions: usize,
    timeout: Duration,
}

impl Pkcs11ModuleBuilder {
    /// The token by its label. Needed, unless [`with_token_serial`](Self::with_token_serial) is given; with both, both
    /// must be its.
    pub fn with_token_label(mut self, label: impl Into<String>) -> Self {
        self.token.label = Some(label.into());
        self
    }

    /// The token by its serial number.
    pub fn with_token_serial(mut self, serial: impl Into<String>) -> Self {
        self.token.serial = Some(serial.into());
        self
    }

    /// The PIN of the token's user, not of its security officer. Needed.
    pub fn with_pin(mut self, pin: SecretString) -> Self {
        self.pin = Some(pin);
        self
    }

    /// How many sessions there are at most, and so how many calls at a time; the others wait. 8 by default.
    pub fn with_max_sessions(mut self, sessions: NonZeroUsize) -> Self {
        self.max_sessions = sessions.get();
        self
    }

    /// How long a call takes at most, waiting for its turn included. 10 seconds by default.
    ///
    /// What the module does goes on; it can't be called back.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Loads the module, unless that was done, finds the token and logs in.
    ///
    /// # Errors
    ///
    /// [`StartError::Config`] if a path, token or PIN is missing, the path is not absolute or no module, the token is not
    /// there or there twice, or its PIN is refused, expired or locked. [`StartError::Failed`] if the module fails
    /// otherwise or takes too long.
    pub async fn build(self) -> Result<Pkcs11Module, StartError> {
        let Self { path, token, pin, max_sessions, timeout } = self;
        let mut problems = Vec::new();
        let mut bad = |field, problem, cure| problems.push(ConfigError::new(field, problem, cure));
        // A bare name would be looked for in the folders of the dynamic linker.
        if !path.is_absolute() {
            bad("pkcs#11 module", "has a path that is not absolute", "start it with `/`");
        }
        let named = [&token.label, &token.serial];
        if named.iter().all(|name| name.is_none()) {
            bad("pkcs#11 token", "is not named", "use `with_token_label` or `with_token_serial`");
        } else if named.into_iter().flatten().any(String::is_empty) {
            bad("pkcs#11 token", "has an empty name", "see `pkcs11-tool --list-token-slots`");
        }
        if pin.as_ref().is_none_or(|pin| pin.expose_secret().is_empty()) {
            bad("pkcs#11 pin", "is missing", "use `with_pin`");
        }
        if timeout.is_zero() {
            bad("pkcs#11 timeout", "is zero", "allow for a few seconds");
        }
        ConfigError::all(problems)?;

        let library = path.clone();
        let loaded = spawn_blocking(move || library::load(&library)).await;
        let pkcs11 = loaded.map_err(|_| Failure::Broken("loading the pkcs#11 module was aborted"))??;
        let sessions = Sessions::new(pkcs11, token.clone(), pin.unwrap_or_default());
        let turns = Arc::new(Semaphore::new(max_sessions.min(Semaphore::MAX_PERMITS)));
        let module =
            Pkcs11Module(Arc::new(Inner { path, token, sessions: Arc::new(sessions), turns, timeout }));
        module.call(|_| Ok(())).await?;
        Ok(module)
    }
}

impl fmt::Debug for Pkcs11ModuleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, token, .. } = self;
        f.debug_struct("Pkcs11ModuleBuilder")
            .field("path", path)
            .field("token", token)
            .finish_non_exhaustive()
    }
}
