//! Opening the file: permissions, settings, migrations.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use thiserror::Error;
use tokio::sync::Mutex;

use super::SqliteStore;

/// How long a write waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an operation waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Page cache of one connection in KiB; the hot rows of hundreds of jobs fit.
const CACHE_KIB: u32 = 512;
const RELAXED_CONNECTIONS: u32 = 2;

/// Why the database could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error("cannot create metadata database {path}: {source}")]
    Create { path: PathBuf, source: io::Error },
    #[error("cannot open metadata database {path}: {source}")]
    Open { path: PathBuf, source: sqlx::Error },
    #[error(
        "metadata database {path} was written by a newer syncer (schema version {version}); use that one"
    )]
    Newer { path: PathBuf, version: i64 },
    #[error("cannot migrate metadata database {path}: {source}")]
    Migrate { path: PathBuf, source: MigrateError },
}

impl SqliteStore {
    /// Opens the file, creates it with mode 0600 when it does not exist, and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        create_private(path).map_err(|source| OpenError::Create { path: path.to_owned(), source })?;
        let open_error = |source| OpenError::Open { path: path.to_owned(), source };
        let durable = pool(path, SqliteSynchronous::Full, 1).await.map_err(open_error)?;
        if let Err(error) = migrator().run(&durable).await {
            let path = path.to_owned();
            return Err(match error {
                MigrateError::VersionMissing(version) => OpenError::Newer { path, version },
                source => OpenError::Migrate { path, source },
            });
        }
        let relaxed = pool(path, SqliteSynchronous::Normal, RELAXED_CONNECTIONS).await.map_err(open_error)?;
        Ok(Self { durable, relaxed, write: Mutex::new(None) })
    }

    /// Waits for running operations, folds the write-ahead log into the file and closes it.
    pub async fn close(&self) {
        self.relaxed.close().await;
        self.durable.close().await;
    }
}

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("migrations/sqlite");
    migrator.dangerous_set_table_name("ccr_migrations");
    migrator
}

/// SQLite gives its side files the mode of the database file.
fn create_private(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

async fn pool(
    path: &Path,
    synchronous: SqliteSynchronous,
    connections: u32,
) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(32)
        // Negative means KiB instead of pages.
        .pragma("cache_size", format!("-{CACHE_KIB}"));
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A connection to a file does not break while it is idle.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
}
