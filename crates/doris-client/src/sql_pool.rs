//! MySQL connections to one frontend.
//!
//! Statements go as text, never prepared, and nothing is sent that was not asked for: the settings that the
//! driver would read at connect are given, and connections are not reset. What a connection remembers is
//! therefore our business: each idle connection is kept with the database it stands in, a statement without
//! a database never runs on one that has one, and a connection on which SET or USE ran is closed.
//!
//! A connection is tried with a ping before it is used again, so that a frontend restarted meanwhile does not
//! leave a statement in doubt. A statement that fails otherwise than by the server's answer, times out or is
//! dropped takes its connection with it.

use std::sync::Arc;
use std::time::Duration;

use doris_types::failure::Cause;
use doris_types::sql::quote_identifier;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Value};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::convert::{Stage, from_sql};
use crate::options::ClientOptions;
use crate::rows::{Row, Rows};

/// The server closes an idle connection after this; ours live shorter.
const WAIT_TIMEOUT_S: usize = 28_800;
const MAX_IDLE_TIME: Duration = Duration::from_secs(600);

pub(crate) struct SqlPool {
    address: String,
    opts: Opts,
    options: Arc<ClientOptions>,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    conn: Conn,
    database: Option<String>,
    since: Instant,
}

impl std::fmt::Debug for SqlPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The options hold the password.
        f.debug_struct("SqlPool").field("address", &self.address).finish_non_exhaustive()
    }
}

impl SqlPool {
    pub(crate) fn new(
        host: &str,
        port: u16,
        user: &str,
        password: &str,
        options: Arc<ClientOptions>,
    ) -> Self {
        let opts = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(port)
            .user(Some(user))
            .pass((!password.is_empty()).then_some(password))
            .prefer_socket(false)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(60)))
            .stmt_cache_size(0)
            .max_allowed_packet(Some(options.max_allowed_packet))
            .wait_timeout(Some(WAIT_TIMEOUT_S));
        Self {
            address: format!("{host}:{port}"),
            opts: opts.into(),
            permits: Semaphore::new(options.max_sql_connections),
            options,
            idle: Mutex::default(),
        }
    }

    /// Statements that a frontend would pass on to the master are answered by itself.
    pub(crate) fn answered_itself(mut self) -> Self {
        let opts = OptsBuilder::from_opts(self.opts).init(vec!["SET forward_to_master = false"]);
        self.opts = opts.into();
        self
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Runs one statement and collects its first result set.
    pub(crate) async fn run(
        &self,
        database: Option<&str>,
        sql: &str,
        timeout: Duration,
    ) -> Result<Rows, Cause> {
        let deadline = Instant::now() + timeout;
        let late = |what: &str| format!("{what} within {timeout:?}");
        let _permit = match timeout_at(deadline, self.permits.acquire()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) | Err(_) => return Err(Cause::Connect { detail: late("no connection became free") }),
        };
        let mut conn = timeout_at(deadline, self.connection(database))
            .await
            .map_err(|_| Cause::Connect { detail: late("not connected") })??;
        let result = match timeout_at(deadline, collect(&mut conn, sql, self.options.max_result_size)).await {
            Ok(result) => result,
            Err(_) => return Err(Cause::Lost { detail: late("no answer") }),
        };
        if matches!(result, Ok(_) | Err(Cause::Sql { .. })) && !changes_session(sql) {
            let database = database.map(str::to_owned);
            let mut idle = self.idle.lock();
            if idle.len() >= self.options.max_sql_connections {
                idle.remove(0);
            }
            idle.push(Idle { conn, database, since: Instant::now() });
        }
        result
    }

    /// A working connection that stands in `database`, or in none.
    async fn connection(&self, database: Option<&str>) -> Result<Conn, Cause> {
        while let Some(mut idle) = self.take_idle(database) {
            let ping = timeout_at(Instant::now() + self.options.connect_timeout, idle.conn.ping()).await;
            if !matches!(ping, Ok(Ok(()))) {
                continue;
            }
            if idle.database.as_deref() != database
                && let Some(database) = database
            {
                enter(&mut idle.conn, database).await?;
            }
            return Ok(idle.conn);
        }
        let within = self.options.connect_timeout;
        let connect = timeout_at(Instant::now() + within, Conn::new(self.opts.clone()));
        let mut conn = connect
            .await
            .map_err(|_| Cause::Connect { detail: format!("not connected within {within:?}") })?
            .map_err(|error| from_sql(error, Stage::Connecting))?;
        if let Some(database) = database {
            enter(&mut conn, database).await?;
        }
        Ok(conn)
    }

    fn take_idle(&self, database: Option<&str>) -> Option<Idle> {
        let mut idle = self.idle.lock();
        idle.retain(|idle| idle.since.elapsed() < MAX_IDLE_TIME);
        let same = idle.iter().rposition(|idle| idle.database.as_deref() == database);
        // Any connection can enter a database, none can leave it.
        let found = same.or_else(|| database.and(idle.len().checked_sub(1)))?;
        Some(idle.remove(found))
    }
}

async fn enter(conn: &mut Conn, database: &str) -> Result<(), Cause> {
    conn.query_drop(format!("USE {}", quote_identifier(database)))
        .await
        .map_err(|error| from_sql(error, Stage::Connecting))
}

async fn collect(conn: &mut Conn, sql: &str, limit: usize) -> Result<Rows, Cause> {
    let failed = |error| from_sql(error, Stage::Running);
    let mut result = conn.query_iter(sql).await.map_err(failed)?;
    let columns: Arc<[String]> =
        result.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
    let mut rows = Vec::new();
    let mut size = 0usize;
    while let Some(row) = result.next().await.map_err(failed)? {
        let values: Vec<_> = row.unwrap().into_iter().map(text).collect();
        size += values.iter().flatten().map(String::len).sum::<usize>();
        if size > limit {
            return Err(Cause::Malformed { detail: format!("the result is larger than {limit} bytes") });
        }
        rows.push(Row::new(Arc::clone(&columns), values));
    }
    result.drop_result().await.map_err(failed)?;
    Ok(Rows { columns, rows })
}

/// The text protocol delivers bytes; the other kinds only exist in prepared statements.
fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        date @ (Value::Date(..) | Value::Time(..)) => Some(date.as_sql(false)),
    }
}

fn changes_session(sql: &str) -> bool {
    let first = sql.split_whitespace().next().unwrap_or_default();
    first.eq_ignore_ascii_case("set") || first.eq_ignore_ascii_case("use")
}
