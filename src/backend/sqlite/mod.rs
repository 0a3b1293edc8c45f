//! [`SqliteStore`]: users, tokens and audit in an embedded database.
//!
//! 1. Every verb is one statement or one `BEGIN IMMEDIATE` transaction, so it is one step across processes too.
//! 2. Writers of one process queue up in it, fairly, instead of polling for the database's lock; writers of other
//!    processes wait for up to ten seconds.
//! 3. Write-ahead log with `synchronous = FULL`: what was answered survives `kill -9` and a power cut.
//! 4. Values are bound, never formatted into SQL (ASVS 1.2.4). Keys compare byte for byte.
//!
//! A database that is locked for too long, full or gone is [`ErrorKind::Unavailable`], which clients see as 503. The file
//! must not be on a network file system: the write-ahead log needs memory that all its processes share.
//!
//! Tables are prefixed `portcullis_` and migrations are recorded in `portcullis_migrations`, so the store can share a
//! database with the application.
//!
//! ```
//! use portcullis::backend::sqlite::SqliteStore;
//! use portcullis::store::{User, UserInsertion, UserStore};
//! use portcullis::time::Timestamp;
//! use portcullis::{Subject, TenantId};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("app.db");
//! let store = SqliteStore::open(&path).await?;
//! let user = User::new(TenantId::default(), Subject::mint()?, Timestamp::UNIX_EPOCH);
//! assert_eq!(store.insert(&user).await?, UserInsertion::Inserted);
//! store.close().await;
//!
//! let store = SqliteStore::open(&path).await?;
//! assert_eq!(store.get(&user.tenant, &user.id).await?, Some(user));
//! # Ok::<(), portcullis::error::Error>(())
//! # }).unwrap();
//! ```

mod audit;
mod error;
mod feed;
mod row;
mod tokens;
mod users;

use std::fmt;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, SqliteConnection, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use crate::backend::sqlite::error::failed;
use crate::error::{Error, ErrorKind, Result};

/// Connections of a pool opened here: one writes, the others read beside it.
const CONNECTIONS: u32 = 8;
/// How long a writer waits for one in another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Users, tokens and audit events in an SQLite database. Clones share their connections.
#[derive(Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
    turn: Arc<Mutex<()>>,
}

impl SqliteStore {
    /// Opens the database file, creating it readable by the owner alone, and brings its tables up to date.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the file cannot be created or opened, or its tables cannot be brought up to date;
    /// [`ErrorKind::Corrupt`] if it is no database.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::connect(SqliteConnectOptions::new().filename(path)).await
    }

    /// As [`open`](Self::open), for a URL such as `sqlite:app.db` or `sqlite:///var/lib/app.db`.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open); [`ErrorKind::Internal`] if it is not the URL of an SQLite file.
    pub async fn open_url(url: &str) -> Result<Self> {
        let no_file = "the url is not one of an sqlite file; users and tokens in memory are `MemoryStore`";
        // In memory, each connection would have a database of its own.
        let is_file = url.starts_with("sqlite:") && !url.contains(":memory:") && !url.contains("mode=memory");
        if !is_file {
            return Err(Error::new(ErrorKind::Internal, no_file));
        }
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|source| Error::new(ErrorKind::Internal, no_file).with_source(source))?;
        Self::connect(options).await
    }

    /// Keeps its tables in the application's database, which it brings up to date.
    ///
    /// Each call takes one connection, so don't call the store while holding the pool's last one. How much of what was
    /// answered survives a power cut is decided by the pool's `synchronous` setting; SQLite's default, `FULL`, is right.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the tables cannot be brought up to date.
    pub async fn new(pool: SqlitePool) -> Result<Self> {
        let store = Self { pool, turn: Arc::default() };
        store.migrate().await?;
        Ok(store)
    }

    /// The connections, to share the database with the application.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Closes the connections of all clones, once calls under way have ended.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn connect(options: SqliteConnectOptions) -> Result<Self> {
        create_private(options.get_filename()).await?;
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await;
        Self::new(pool.map_err(failed)?).await
    }

    async fn migrate(&self) -> Result<()> {
        let mut migrator: Migrator = sqlx::migrate!("src/backend/sqlite/migrations");
        // Its own table, so that the application may have migrations too.
        migrator.dangerous_set_table_name("portcullis_migrations");
        // SQLite has no lock for migrations: of two instances starting together one waits here for the other.
        let mut write = self.write().await?;
        // Not `run`: its bounds take `Send` away from every future around it.
        migrator.run_direct(None, write.sql(), false).await.map_err(|source| {
            Error::new(ErrorKind::Unavailable, "the tables cannot be brought up to date").with_source(source)
        })?;
        write.commit().await
    }

    /// Begins a transaction that no other writer is beside. Dropped without `commit`, it changes nothing.
    async fn write(&self) -> Result<Write<'_>> {
        let turn = self.turn.lock().await;
        // IMMEDIATE: a transaction that starts as a reader cannot become a writer once another one wrote.
        let transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        Ok(Write { transaction, _turn: turn })
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteStore(..)")
    }
}

struct Write<'a> {
    // Before `_turn`: rolled back before the next writer's turn.
    transaction: Transaction<'static, Sqlite>,
    _turn: MutexGuard<'a, ()>,
}

impl Write<'_> {
    fn sql(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    async fn commit(self) -> Result<()> {
        self.transaction.commit().await.map_err(failed)
    }
}

/// SQLite gives its log files the mode of the database file, so it is enough to create that one.
async fn create_private(path: &Path) -> Result<()> {
    let path = path.to_owned();
    let created = tokio::task::spawn_blocking(move || {
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path).map(drop)
    });
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::Unavailable, "the database file cannot be created").with_source(source)
    };
    created.await.map_err(|source| failed(source.into()))?.map_err(|source| failed(source.into()))
}
