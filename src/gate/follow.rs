//! Roles from a file, followed while the gate lives.

use std::sync::{PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Gate, Inner};
use crate::authz::RoleFile;
use crate::error::ConfigError;

/// How often the file is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

impl Gate {
    /// Reads the roles from a file and puts them in force, as [`replace_roles`](Self::replace_roles) does: for a program
    /// that reads its files again when it is told to. No worker of the runtime waits for the file system.
    ///
    /// # Errors
    ///
    /// As for [`RoleFile::load`] and [`replace_roles`](Self::replace_roles); the old roles stay in force.
    pub async fn reload_roles(&self, file: &RoleFile) -> Result<(), ConfigError> {
        let text = read(file).await?;
        self.take_over(file, text).await
    }

    /// [Reloads](Self::reload_roles) the roles from a file, now and whenever it changes, within two seconds. A change that
    /// is no model, or that a rule of this gate could never live with, leaves the roles before it in force; the log says
    /// why, once.
    ///
    /// Finish the routers of this gate first, so that every change is checked against their rules too. The file is
    /// followed until [`shutdown`](Self::shutdown), until the last clone of the gate is gone, or until this is called
    /// again. Roles replaced otherwise stay until the file changes.
    ///
    /// ```
    /// # use portcullis::authz::{AccessMap, RoleFile, Rule};
    /// # use portcullis::gate::Gate;
    /// # use portcullis::principal::{Principal, Verified};
    /// # use portcullis::token::{TokenRefusal, VerifyAccessToken};
    /// # use portcullis::TenantId;
    /// # struct Tokens;
    /// # impl VerifyAccessToken for Tokens {
    /// #     fn verify(&self, _: &str) -> Result<Verified<Principal>, TokenRefusal> { Err(TokenRefusal::Invalid) }
    /// # }
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("roles.toml");
    /// # std::fs::write(&path, "[[roles]]\nname = \"user\"\ngrants = [\"tasks:read\"]\n").unwrap();
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let file = RoleFile::new(path)?;
    /// let gate = Gate::builder().with_access_tokens(Tokens).with_roles(file.load()?).build().await?;
    /// gate.follow_roles(file).await?;
    /// assert_eq!(gate.roles().names(&TenantId::default()), ["user"]);
    /// # gate.shutdown().await;
    /// # Ok::<(), portcullis::ConfigError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`reload_roles`](Self::reload_roles); the file is not followed then.
    pub async fn follow_roles(&self, file: RoleFile) -> Result<(), ConfigError> {
        let text = read(&file).await?;
        self.take_over(&file, text.clone()).await?;
        let watched = Watched { file, gate: std::sync::Arc::downgrade(&self.0), known: Ok(text), news: None };
        let before = self.follower().replace(Follower::spawn(watched.follow()));
        end(before, "role file").await;
        Ok(())
    }

    /// Ends following and waits for its end.
    pub(super) async fn unfollow_roles(&self) {
        let follower = self.follower().take();
        end(follower, "role file").await;
    }

    fn follower(&self) -> std::sync::MutexGuard<'_, Option<Follower>> {
        self.0.follower.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Policies of the application are asked whether they can live with the roles: if one panics, that is an answer.
    async fn take_over(&self, file: &RoleFile, text: String) -> Result<(), ConfigError> {
        let (gate, owned) = (self.clone(), file.clone());
        blocking(file, move || gate.replace_roles(owned.parse(&text)?).map_err(|cause| owned.unfit(&cause)))
            .await
    }
}

/// A task that follows a source.
pub(super) struct Follower {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Follower {
    /// Starts it. It ends when told to, and when this is gone.
    pub(super) fn spawn(follow: impl Future<Output = ()> + Send + 'static) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            tokio::select! {
                // An error says that the sender went with the last clone.
                _ = stopped.wait_for(|stop| *stop) => {}
                () = follow => {}
            }
        });
        Self { stop, task }
    }
}

/// Tells it to end and waits until it has.
pub(super) async fn end(follower: Option<Follower>, source: &'static str) {
    if let Some(Follower { stop, task }) = follower {
        stop.send_replace(true);
        if let Err(cause) = task.await {
            tracing::error!(error = %cause, source, "what followed a source ended badly");
        }
    }
}

async fn read(file: &RoleFile) -> Result<String, ConfigError> {
    let owned = file.clone();
    blocking(file, move || owned.read()).await
}

async fn blocking<T: Send + 'static>(
    file: &RoleFile,
    work: impl FnOnce() -> Result<T, ConfigError> + Send + 'static,
) -> Result<T, ConfigError> {
    spawn_blocking(work).await.unwrap_or_else(|cause| {
        let cause = ConfigError::new("task", cause.to_string(), "look for a panic in the log");
        Err(file.unfit(&cause))
    })
}

struct Watched {
    file: RoleFile,
    gate: Weak<Inner>,
    /// What was found when it was last acted on.
    known: Result<String, ConfigError>,
    /// What was found the last time, where that was something else.
    news: Option<Result<String, ConfigError>>,
}

impl Watched {
    async fn follow(mut self) {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let found = read(&self.file).await;
            if found == self.known {
                self.news = None;
            } else if self.news.as_ref() != Some(&found) {
                // Perhaps somebody is still writing: half a file can be a model too.
                self.news = Some(found);
            } else {
                let Some(inner) = self.gate.upgrade() else { return };
                self.act_on(&Gate(inner), found).await;
            }
        }
    }

    async fn act_on(&mut self, gate: &Gate, found: Result<String, ConfigError>) {
        let answer = match found.clone() {
            Ok(text) => gate.take_over(&self.file, text).await,
            Err(cause) => Err(cause),
        };
        match answer {
            Ok(()) => tracing::info!(file = %self.file.path().display(), "roles were replaced"),
            Err(error) => tracing::error!(%error, "roles were not replaced, those before stay in force"),
        }
        (self.known, self.news) = (found, None);
    }
}
