//! Keeping a cluster's state on disk, when it is asked for.
//!
//! The state is one SQLite file of small objects: a table, a binlog, a transaction, a version of a tablet.
//! [`Store::save`] writes what changed since the last call in one SQLite transaction, and every answer that a
//! client gets waits for it. So a statement that was answered is on disk, whenever the process dies, and what
//! is on disk is always the whole cluster at one moment: frontends and backends cannot disagree after a
//! restart. Nobody has to say what changed. Tables and tablets carry a mark that any mutable access sets,
//! entries of ordered lists are compared by their ends, and the few small rest is rendered and compared.
//! Most calls change nothing and end after a look at the journal id.
//!
//! [`load`] is the way back. What lives only in the memory of a Doris process is not kept: PREPARE
//! transactions, binlog locks, settings changed at run time, finished light schema changes.

mod changes;
mod load;

use std::path::Path;

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use rusqlite::{Connection, params};

pub use load::Saved;

use crate::cluster::ClusterInner;
use changes::Seen;

/// Raised when the form of the objects changes.
const FORMAT: i64 = 1;
const FILE: &str = "state.sqlite";

/// The file and what it holds already.
#[derive(Debug)]
pub struct Store {
    keeper: Mutex<Keeper>,
}

#[derive(Debug)]
struct Keeper {
    /// `None` once the cluster is stopped or a write has failed.
    connection: Option<Connection>,
    seen: Seen,
    /// The first write replaces all that an earlier process left.
    is_first: bool,
}

/// One object: its kind and key, and its bytes, or nothing when it is gone.
#[derive(Debug)]
struct Object {
    kind: Kind,
    key: [i64; 3],
    value: Option<Vec<u8>>,
}

/// What an object is, with the meaning of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Counters, accounts, backends.
    Head = 0,
    /// Database.
    Database = 1,
    /// Table, database.
    Table = 2,
    RecycleBin = 3,
    /// Schema change jobs.
    Jobs = 4,
    /// Database, job: a backup or restore.
    Snapshot = 5,
    /// Database, job, 0 for the meta and 1 for the job info.
    Payload = 6,
    /// Database: the ends of its binlog lists.
    BinlogLists = 7,
    /// Database, commit seq.
    Binlog = 8,
    /// Database, transaction.
    Txn = 9,
    /// Backend, tablet.
    Tablet = 10,
    /// Backend, tablet, version.
    Rowset = 11,
    /// Backend, tablet, version; empty when the rowset of that version is meant.
    TabletBinlog = 12,
    /// Backend, tablet, transaction.
    Staged = 13,
}

impl Store {
    /// Opens the state of a cluster under `directory`, empty when there is none. Fails when another process
    /// has it open.
    pub fn open(directory: &Path) -> anyhow::Result<(Self, Option<Saved>)> {
        std::fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        let path = directory.join(FILE);
        let open = || -> rusqlite::Result<(Connection, i64)> {
            let connection = Connection::open(&path)?;
            // Losing power may lose the last writes; a killed process loses nothing.
            connection.execute_batch(
                "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
                 CREATE TABLE IF NOT EXISTS objects (kind INTEGER, a INTEGER, b INTEGER, c INTEGER, \
                 value BLOB NOT NULL, PRIMARY KEY (kind, a, b, c)) WITHOUT ROWID;",
            )?;
            let format = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            Ok((connection, format))
        };
        let (connection, format) = open().with_context(|| format!("open {}", path.display()))?;
        let saved = match format {
            0 => {
                connection.pragma_update(None, "user_version", FORMAT)?;
                None
            }
            _ => {
                ensure!(format == FORMAT, "{} has the unknown format {format}", path.display());
                load::read(&connection).with_context(|| format!("read {}", path.display()))?
            }
        };
        let keeper = Keeper { connection: Some(connection), seen: Seen::default(), is_first: true };
        Ok((Self { keeper: Mutex::new(keeper) }, saved))
    }

    /// Writes what changed. After a failed write nothing more is written and every call fails, so that no
    /// client is told of what a restart would forget.
    pub fn save(&self, cluster: &ClusterInner) -> Result<(), String> {
        let keeper = &mut *self.keeper.lock();
        let Some(connection) = &mut keeper.connection else {
            return Err("the state of the cluster is no longer saved".to_owned());
        };
        let objects = keeper.seen.take_changes(cluster);
        if objects.is_empty() {
            return Ok(());
        }
        let written = write(connection, &objects, std::mem::take(&mut keeper.is_first));
        written.map_err(|error| {
            tracing::error!(cluster = %cluster.name, %error, "cannot save the state of the cluster");
            keeper.connection = None;
            format!("cannot save the state of the cluster: {error}")
        })
    }

    /// Lets go of the file. Nothing is lost: every answer has been saved.
    pub fn close(&self) {
        self.keeper.lock().connection = None;
    }
}

fn write(connection: &mut Connection, objects: &[Object], replaces_all: bool) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    if replaces_all {
        transaction.execute("DELETE FROM objects", [])?;
    }
    {
        let mut put = transaction
            .prepare_cached("INSERT OR REPLACE INTO objects (kind, a, b, c, value) VALUES (?, ?, ?, ?, ?)")?;
        let mut delete =
            transaction.prepare_cached("DELETE FROM objects WHERE kind = ? AND a = ? AND b = ? AND c = ?")?;
        for Object { kind, key: [a, b, c], value } in objects {
            match value {
                Some(value) => put.execute(params![*kind as i64, a, b, c, value])?,
                None => delete.execute(params![*kind as i64, a, b, c])?,
            };
        }
    }
    transaction.commit()
}
