//! Keys, followed while the gate lives.

use std::error::Error as _;
use std::sync::PoisonError;
use std::time::Duration;

use super::Gate;
use super::follow::{Follower, end};
use crate::account::Accounts;
use crate::error::Error;

/// How often the provider is asked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

impl Gate {
    /// Keeps the keys of the accounts as their provider says.
    pub(super) fn follow_keys(&self) {
        let Some(accounts) = &self.0.accounts else { return };
        let follower = Follower::spawn(follow(accounts.clone()));
        *self.0.key_follower.lock().unwrap_or_else(PoisonError::into_inner) = Some(follower);
    }

    /// Ends following and waits for its end.
    pub(super) async fn unfollow_keys(&self) {
        let follower = self.0.key_follower.lock().unwrap_or_else(PoisonError::into_inner).take();
        end(follower, "key provider").await;
    }
}

async fn follow(accounts: Accounts) {
    let mut known = None;
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        let problem = match accounts.refresh_keys().await {
            Ok(changed) => {
                if changed {
                    let primary = accounts.tokens().codec().keyring().primary().id().clone();
                    tracing::info!(%primary, "the keys for access tokens were replaced");
                } else if known.is_some() {
                    tracing::info!("the keys for access tokens can be had again");
                }
                None
            }
            Err(error) => Some(chain(&error)),
        };
        if let Some(error) = problem.as_ref().filter(|_| problem != known) {
            tracing::error!(%error, "the keys for access tokens cannot be had, those before stay in force");
        }
        known = problem;
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
