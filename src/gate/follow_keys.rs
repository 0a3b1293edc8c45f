//! Keys, followed while the gate lives.

use std::error::Error as _;
use std::sync::PoisonError;
use std::time::Duration;

use super::Gate;
use super::follow::{Follower, end};
use crate::account::Accounts;
use crate::error::{Error, ErrorKind, Result};
use crate::vault::Vault;

/// How often the provider is asked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Gate {
    /// Keeps the keys of accounts and vault as their providers say.
    pub(super) fn follow_keys(&self) {
        let (accounts, vault) = (self.0.accounts.clone(), self.0.vault.clone());
        if accounts.is_none() && vault.is_none() {
            return;
        }
        let follower = Follower::spawn(follow(accounts, vault));
        *self.0.key_follower.lock().unwrap_or_else(PoisonError::into_inner) = Some(follower);
    }

    /// Ends following and waits for its end.
    pub(super) async fn unfollow_keys(&self) {
        let follower = self.0.key_follower.lock().unwrap_or_else(PoisonError::into_inner).take();
        end(follower, "key provider").await;
    }
}

/// A provider that waits holds up nobody else's keys.
async fn follow(accounts: Option<Accounts>, vault: Option<Vault>) {
    let tokens = async {
        let Some(accounts) = accounts else { return };
        each_second("access tokens", || {
            let accounts = accounts.clone();
            async move { accounts.refresh_keys().await }
        })
        .await;
    };
    let fields = async {
        let Some(vault) = vault else { return };
        each_second("fields at rest", || {
            let vault = vault.clone();
            async move { vault.refresh_keys().await }
        })
        .await;
    };
    tokio::join!(tokens, fields);
}

async fn each_second<F>(what: &'static str, mut ask: impl FnMut() -> F)
where
    F: Future<Output = Result<bool>> + Send + 'static,
{
    let mut told = Told::default();
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        // In a task of its own: a provider that panics is asked again.
        let mut asked = tokio::spawn(ask());
        let news = match tokio::time::timeout(PATIENCE, &mut asked).await {
            Ok(Ok(news)) => news,
            Ok(Err(cause)) => {
                Err(Error::new(ErrorKind::Internal, "the key provider panicked").with_source(cause))
            }
            Err(_) => {
                asked.abort();
                Err(Error::new(ErrorKind::Unavailable, "the key provider does not answer"))
            }
        };
        told.tell(what, news);
    }
}

/// What the log was told last, so that it is told once.
#[derive(Default)]
struct Told(Option<String>);

impl Told {
    fn tell(&mut self, what: &'static str, news: Result<bool>) {
        let problem = match news {
            Ok(changed) => {
                if changed {
                    tracing::info!(what, "keys were replaced");
                } else if self.0.is_some() {
                    tracing::info!(what, "keys can be had again");
                }
                None
            }
            Err(error) => Some(chain(&error)),
        };
        if let Some(error) = problem.as_ref().filter(|_| problem != self.0) {
            tracing::error!(what, %error, "keys cannot be had, those before stay in force");
        }
        self.0 = problem;
    }
}

/// An error with its causes.
fn chain(error: &Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
